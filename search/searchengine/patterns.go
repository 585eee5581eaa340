package searchengine

import (
	"strings"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/analysis"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/inverted"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/lucene"
)

// compilePhrase analyses a phrase for each field.
func (r *run) compilePhrase(q *lucene.Phrase, fields []int, boost float64) (node, error) {
	fields, err := r.fieldsOf(q.Field, fields)
	if err != nil {
		return nil, err
	}
	var any boolNode
	for _, field := range fields {
		tokens, err := r.tokens(field, q.Text)
		if err != nil {
			return nil, err
		}
		if n := r.phraseNode(field, tokens, q.Slop, boost); n != nil {
			any.should = append(any.should, n)
		}
	}
	if len(any.should) == 0 {
		return nil, nil //nolint:nilnil // nothing is left of the query, which is no error
	}
	return &any, nil
}

// phraseNode is nil when the analyzer leaves nothing.
func (r *run) phraseNode(field int, tokens []analysis.Token, slop int, boost float64) node {
	f := r.fields[field]
	p := inverted.Phrase{Field: f, Slop: slop}
	last, missing := "", false
	for _, t := range tokens {
		posting := f.Posting(t.Term)
		missing = missing || posting == nil
		last = t.Term
		p.Postings = append(p.Postings, posting)
		p.Offsets = append(p.Offsets, uint32(t.Position)) //nolint:gosec // positions of a query fit
	}
	switch {
	case len(p.Postings) == 0:
		return nil
	case missing:
		return noneNode{}
	case len(p.Postings) == 1:
		return r.termNode(field, last, 1, boost)
	}
	formula := inverted.BM25{K1: r.schema.K1, B: r.schema.B}
	return &phraseNode{p, p.Weight(formula, r.liveOrNil(), boost), r.norms(field)}
}

// phraseNode is a phrase in one field.
type phraseNode struct {
	phrase inverted.Phrase
	weight float32
	norms  *[256]float32
}

func (n *phraseNode) run(r *run, within, matched bitset.Set, scores []float64) {
	n.phrase.Each(within, r.stopped, func(doc uint32, freq float32) {
		matched.Add(doc)
		if scores != nil {
			scores[doc] += n.phrase.Field.ScoreOf(doc, freq, n.weight, n.norms)
		}
	})
}

// stopped reports whether whoever asked has gone.
func (r *run) stopped() bool { return r.ctx.Err() != nil }

// compilePattern looks up the terms that a prefix, wildcard, regular expression or fuzzy term stands for.
func (r *run) compilePattern(q lucene.Query, fields []int, boost float64) (node, error) {
	own := ""
	switch q := q.(type) {
	case *lucene.Prefix:
		own = q.Field
	case *lucene.Wildcard:
		own = q.Field
	case *lucene.Regexp:
		own = q.Field
	case *lucene.Fuzzy:
		own = q.Field
	}
	fields, err := r.fieldsOf(own, fields)
	if err != nil {
		return nil, err
	}
	n := &patternNode{boost: boost}
	for _, field := range fields {
		f := r.fields[field]
		terms, err := r.expand(f, q)
		if err != nil {
			return nil, badRequest("%s.\r\nParameter name: search", err)
		}
		for _, term := range terms {
			n.postings = append(n.postings, f.Posting(term))
		}
	}
	return n, r.ctx.Err()
}

func (r *run) expand(f *inverted.Field, q lucene.Query) ([]string, error) {
	switch q := q.(type) {
	case *lucene.Prefix:
		return f.Prefix(q.Text), nil
	case *lucene.Wildcard:
		return f.Where(q.Pattern[0].Literal, func(term string) bool { return matchWildcard(q.Pattern, term) }, r.stopped), nil
	case *lucene.Regexp:
		return f.Regexp(q.Pattern, r.stopped)
	case *lucene.Fuzzy:
		if q.Edits == 0 {
			return f.Where(q.Text, func(term string) bool { return term == q.Text }, r.stopped), nil
		}
		return r.fuzzy.Terms(f, q.Text, q.Edits, r.stopped)
	default:
		return nil, unsupported("this kind of full-text query")
	}
}

// matchWildcard matches a whole term. It takes the first place for what follows a '*', and the next when the rest does
// not fit, so that its time is bounded by the product of the lengths.
func matchWildcard(pattern []lucene.Piece, term string) bool {
	back, rest, from := -1, "", term // where to go on after the last '*'
	for i := 0; ; {
		tail, ok := matchPiece(pattern[i], from)
		if ok && pattern[i].Then == '*' {
			back, rest = i+1, tail
			if back == len(pattern) {
				return true
			}
		}
		if ok && i+1 < len(pattern) {
			i, from = i+1, tail
			continue
		}
		if ok && tail == "" {
			return true
		}
		if back < 0 || rest == "" {
			return false
		}
		_, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
		i, from = back, rest
	}
}

// matchPiece matches the literal and, where it is followed by '?', one character, at the beginning of a text.
func matchPiece(p lucene.Piece, text string) (tail string, ok bool) {
	tail, ok = strings.CutPrefix(text, p.Literal)
	if !ok || p.Then != '?' {
		return tail, ok
	}
	_, size := utf8.DecodeRuneInString(tail)
	return tail[size:], size > 0
}

// patternNode matches documents that hold any of many terms. Its score is constant, as that of the service is.
type patternNode struct {
	postings []*inverted.Posting
	boost    float64
}

func (n *patternNode) run(r *run, within, matched bitset.Set, scores []float64) {
	defer r.giveBack(r.scratch.used)
	some := r.set()
	for i, p := range n.postings {
		if i&1023 == 0 && r.stopped() {
			return
		}
		p.Match(within, some)
	}
	matched.Or(some)
	constant(some, n.boost, scores)
}
