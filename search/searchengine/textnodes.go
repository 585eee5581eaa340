package searchengine

import (
	"github.com/onbehalf/onbehalf/search/searchengine/internal/analysis"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/inverted"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/lucene"
)

// node is a full-text query made ready for an index: terms are postings, what no document holds is gone.
type node interface {
	// run puts the documents among within that match into matched and, unless scores is nil, adds their scores. It never
	// adds to the score of a document that does not match.
	run(r *run, within, matched bitset.Set, scores []float64)
}

// compile makes a query ready. nil is a query from which the analyzers left nothing.
func (r *run) compile(q lucene.Query, fields []int, boost float64) (node, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	switch q := q.(type) {
	case *lucene.All:
		return everyNode{boost}, nil
	case *lucene.Boost:
		return r.compile(q.Of, fields, boost*q.By)
	case *lucene.Bool:
		return r.compileBool(q, fields, boost)
	case *lucene.Term:
		return r.compileTerm(q, fields, boost)
	case *lucene.Phrase:
		return r.compilePhrase(q, fields, boost)
	default:
		return r.compilePattern(q, fields, boost)
	}
}

func (r *run) compileBool(q *lucene.Bool, fields []int, boost float64) (node, error) {
	var n boolNode
	for _, c := range q.Clauses {
		inner, err := r.compile(c.Query, fields, boost)
		if err != nil {
			return nil, err
		}
		switch {
		case inner == nil:
		case c.Occur == lucene.Must:
			n.must = append(n.must, inner)
		case c.Occur == lucene.MustNot:
			n.not = append(n.not, inner)
		default:
			n.should = append(n.should, inner)
		}
	}
	if len(n.must)+len(n.should) == 0 {
		return nil, nil //nolint:nilnil // nothing is left of the query, which is no error
	}
	return &n, nil
}

// compileTerm analyses a term for each field. The tokens that one field's analyzer makes of it belong together.
func (r *run) compileTerm(q *lucene.Term, fields []int, boost float64) (node, error) {
	fields, err := r.fieldsOf(q.Field, fields)
	if err != nil {
		return nil, err
	}
	var any boolNode
	for _, field := range fields {
		found, err := r.tokens(field, q.Text)
		if err != nil {
			return nil, err
		}
		tokens, err := r.termNodes(field, found, boost)
		if err != nil {
			return nil, err
		}
		if q.AllTokens && len(tokens) > 1 {
			tokens = []node{&boolNode{must: tokens}}
		}
		any.should = append(any.should, tokens...)
	}
	if len(any.should) == 0 {
		return nil, nil //nolint:nilnil // nothing is left of the query, which is no error
	}
	return &any, nil
}

// maxQueryGrams is how many tokens the analyzers may make of a query by grams.
const maxQueryGrams = 256 << 10

// tokens analyses a part of a query for a field.
func (r *run) tokens(field int, text string) ([]analysis.Token, error) {
	analyzer := r.searchable[field].ofQuery
	if r.grams += analyzer.Grams(text); r.grams > maxQueryGrams {
		return nil, badRequest("Invalid expression: The analyzer of field '%s' would make more than %d terms of the query.", r.searchable[field].path, maxQueryGrams)
	}
	return analyzer.Append(nil, text), nil
}

// fieldsOf returns the fields that a part of a query looks into: its own, or those of the request.
func (r *run) fieldsOf(own string, fields []int) ([]int, error) {
	if own == "" {
		return fields, nil
	}
	n, err := r.searchField(own)
	return []int{n}, err
}

// termNodes makes one node of each different token, which counts as often as the token is there: a text without blanks,
// such as a-a-a-…, may be cut into very many.
func (r *run) termNodes(field int, tokens []analysis.Token, boost float64) ([]node, error) {
	times := make(map[string]int, len(tokens))
	for i := range tokens {
		times[tokens[i].Term]++
	}
	nodes := make([]node, 0, len(times))
	for i := range tokens {
		term := tokens[i].Term
		if times[term] == 0 {
			continue // made already
		}
		if err := r.ctx.Err(); err != nil {
			return nil, err
		}
		nodes = append(nodes, r.termNode(field, term, times[term], boost))
		times[term] = 0
	}
	return nodes, nil
}

// termNode makes a term ready that the query names so many times.
func (r *run) termNode(field int, term string, times int, boost float64) node {
	f := r.fields[field]
	p := f.Posting(term)
	if p == nil {
		return noneNode{}
	}
	formula := inverted.BM25{K1: r.schema.K1, B: r.schema.B}
	return &termNode{f, p, float64(times), formula.Weight(f, p.LiveDocs(r.liveOrNil()), boost), r.norms(field)}
}

// norms are worked out once for each field and query.
func (r *run) norms(field int) *[256]float32 {
	if r.normsOf == nil {
		r.normsOf = make([]*[256]float32, len(r.fields))
	}
	if r.normsOf[field] == nil {
		r.normsOf[field] = inverted.BM25{K1: r.schema.K1, B: r.schema.B}.Norms(r.fields[field])
	}
	return r.normsOf[field]
}

// everyNode matches everything.
type everyNode struct{ boost float64 }

func (n everyNode) run(_ *run, within, matched bitset.Set, scores []float64) {
	matched.Or(within)
	constant(within, n.boost, scores)
}

func constant(docs bitset.Set, score float64, scores []float64) {
	if scores == nil {
		return
	}
	for doc := range docs.All() {
		scores[doc] += score
	}
}

// noneNode is a term that no document holds.
type noneNode struct{}

func (noneNode) run(*run, bitset.Set, bitset.Set, []float64) {}

// termNode is a term in one field.
type termNode struct {
	field   *inverted.Field
	posting *inverted.Posting
	times   float64
	weight  float32
	norms   *[256]float32
}

func (n *termNode) run(_ *run, within, matched bitset.Set, scores []float64) {
	if scores == nil {
		n.posting.Match(within, matched)
		return
	}
	n.field.Score(n.posting, n.times, n.weight, n.norms, within, matched, scores)
}

// boolNode combines others as Lucene's BooleanQuery does.
type boolNode struct{ must, should, not []node }

func (n *boolNode) run(r *run, within, matched bitset.Set, scores []float64) {
	if len(n.must)+len(n.not) == 0 {
		r.each(n.should, within, matched, scores)
		return
	}
	defer r.giveBack(r.scratch.used)
	// First which documents match, then the scores of just those.
	left, some := r.set(), r.set()
	copy(left, within)
	for _, c := range n.must {
		if r.ctx.Err() != nil {
			return
		}
		clear(some)
		c.run(r, left, some, nil)
		copy(left, some)
	}
	for _, c := range n.not {
		clear(some)
		c.run(r, left, some, nil)
		left.AndNot(some)
	}
	if len(n.must) == 0 {
		clear(some)
		r.each(n.should, left, some, nil)
		copy(left, some)
	}
	matched.Or(left)
	if scores == nil {
		return
	}
	ignored := some
	r.each(n.must, left, ignored, scores)
	r.each(n.should, left, ignored, scores)
}

// each runs nodes one after the other, unless whoever asked has gone: answer says so.
func (r *run) each(nodes []node, within, matched bitset.Set, scores []float64) {
	for _, n := range nodes {
		if r.ctx.Err() != nil {
			return
		}
		n.run(r, within, matched, scores)
	}
}
