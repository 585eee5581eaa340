package lucene

import (
	"math"
	"strconv"
	"strings"
)

// parseFull reads the full syntax: that of Lucene's classic QueryParser without ranges.
//
// https://lucene.apache.org/core/6_6_1/queryparser/org/apache/lucene/queryparser/classic/package-summary.html
func parseFull(text string, all bool) (Query, error) {
	p := fullParser{fullLexer: fullLexer{text: text}, all: all}
	if err := p.next(); err != nil {
		return nil, err
	}
	q, err := p.clauses("", 0)
	if err != nil {
		return nil, err
	}
	if p.token.kind != fullEnd {
		return nil, p.unexpected()
	}
	return q, nil
}

type fullParser struct {
	fullLexer
	all    bool
	budget budget
}

// unexpected is the error for the current token.
func (p *fullParser) unexpected() error { return failedAt(p.text, p.token.start) }

type conjunction uint8

const (
	noConjunction conjunction = iota
	conjunctionAnd
	conjunctionOr
)

// clauses reads one or more clauses up to a closing parenthesis or the end.
func (p *fullParser) clauses(field string, depth int) (Query, error) {
	if depth > maxDepth {
		return nil, p.unexpected()
	}
	start := p.token.start
	b := &Bool{}
	for {
		conj, err := p.conjunction(len(b.Clauses) > 0)
		if err != nil {
			return nil, err
		}
		occur, err := p.modifier()
		if err != nil {
			return nil, err
		}
		q, err := p.clause(field, depth)
		if err != nil {
			return nil, err
		}
		p.join(b, conj, occur, q)
		if p.token.kind == fullEnd || p.token.kind == fullClose {
			break
		}
	}
	return p.finish(b, start)
}

// join adds a clause with the meaning that the classic parser gives to conjunctions: they reach back to the clause
// before, and AND does not bind tighter than OR.
func (p *fullParser) join(b *Bool, conj conjunction, occur Occur, q Query) {
	if n := len(b.Clauses); n > 0 && b.Clauses[n-1].Occur != MustNot {
		switch {
		case conj == conjunctionAnd:
			b.Clauses[n-1].Occur = Must
		case conj == conjunctionOr && p.all:
			b.Clauses[n-1].Occur = Should
		}
	}
	if occur != MustNot {
		switch {
		case p.all && conj != conjunctionOr, !p.all && conj == conjunctionAnd:
			occur = Must
		case p.all:
			occur = Should
		}
	}
	b.Clauses = append(b.Clauses, Clause{Occur: occur, Query: q})
}

// finish simplifies a Bool of one clause and refuses what the service refuses: only negations, and negations beside *.
func (p *fullParser) finish(b *Bool, start int) (Query, error) {
	negations, all := 0, false
	for _, c := range b.Clauses {
		if c.Occur == MustNot {
			negations++
		} else if _, ok := c.Query.(*All); ok {
			all = true
		}
	}
	if negations == len(b.Clauses) || negations > 0 && all {
		return nil, failedAt(p.text, start)
	}
	if len(b.Clauses) == 1 {
		return b.Clauses[0].Query, nil
	}
	return b, nil
}

func (p *fullParser) conjunction(allowed bool) (conjunction, error) {
	conj := noConjunction
	switch {
	case !allowed:
	case p.token.kind == fullAnd:
		conj = conjunctionAnd
	case p.token.kind == fullOr:
		conj = conjunctionOr
	}
	if conj == noConjunction {
		return conj, nil
	}
	return conj, p.next()
}

func (p *fullParser) modifier() (Occur, error) {
	occur := Should
	switch p.token.kind {
	case fullPlus:
		occur = Must
	case fullMinus, fullNot:
		occur = MustNot
	default:
		return occur, nil
	}
	return occur, p.next()
}

// clause reads a term, a phrase, a pattern or a group, with the field before and the boost behind it.
func (p *fullParser) clause(field string, depth int) (Query, error) {
	if err := p.budget.clause(); err != nil {
		return nil, err
	}
	if p.token.kind == fullField {
		if field = p.token.text; field == "*" {
			field = "" // all fields
		}
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	var q Query
	var err error
	if p.token.kind == fullOpen {
		if err = p.next(); err != nil {
			return nil, err
		}
		if q, err = p.clauses(field, depth+1); err != nil {
			return nil, err
		}
		if p.token.kind != fullClose {
			return nil, p.unexpected()
		}
		err = p.next()
	} else {
		q, err = p.leaf(field)
	}
	if err != nil {
		return nil, err
	}
	return p.boost(q)
}

// boost reads ^2.5.
func (p *fullParser) boost(q Query) (Query, error) {
	if p.token.kind != fullBoost {
		return q, nil
	}
	by, err := strconv.ParseFloat(p.token.text, 32)
	if err != nil || math.IsInf(by, 0) {
		return nil, p.unexpected()
	}
	if err = p.next(); err != nil {
		return nil, err
	}
	if q, err = p.fuzzyAfterBoost(q); err != nil {
		return nil, err
	}
	if by == 1 {
		return q, nil
	}
	return &Boost{Of: q, By: by}, nil
}

// fuzzyAfterBoost reads the tilde of term^2~1, which stands for term~1^2.
func (p *fullParser) fuzzyAfterBoost(q Query) (Query, error) {
	t, ok := q.(*Term)
	if !ok || p.token.kind != fullTilde {
		return q, nil
	}
	return p.fuzzy(t)
}

// leaf reads what a clause consists of when it is no group.
func (p *fullParser) leaf(field string) (Query, error) {
	t := p.token
	switch t.kind {
	case fullTerm:
		return p.term(field, t)
	case fullQuoted:
		return p.phrase(field, t)
	case fullStar:
		if field != "" {
			return nil, failedAt(p.text, t.start) // the service allows no * as first character
		}
		return &All{}, p.next()
	case fullWild:
		return p.wildcard(field, t)
	case fullRegexp:
		if err := checkPattern(t.text); err != nil {
			return nil, err
		}
		pattern, err := goPattern(strings.ToLower(t.text))
		if err != nil {
			return nil, err
		}
		return &Regexp{Field: field, Pattern: pattern}, p.next()
	default:
		return nil, p.unexpected()
	}
}

func (p *fullParser) term(field string, t fullToken) (Query, error) {
	text, err := p.unescape(t)
	if err != nil {
		return nil, err
	}
	if err = checkTerm(text); err != nil {
		return nil, err
	}
	if err = p.next(); err != nil {
		return nil, err
	}
	term := &Term{Field: field, Text: text, AllTokens: p.all}
	if p.token.kind == fullTilde {
		return p.fuzzy(term)
	}
	return term, nil
}

// fuzzy reads ~, ~1 or the older ~0.8, a share of the term's length.
func (p *fullParser) fuzzy(t *Term) (Query, error) {
	f := &Fuzzy{Field: t.Field, Text: strings.ToLower(t.Text), Edits: 2}
	if p.token.text != "" {
		n, err := strconv.ParseFloat(p.token.text, 32)
		switch {
		case err != nil, n >= 1 && n != math.Trunc(n):
			return nil, p.unexpected()
		case n >= 1:
			f.Edits = int(min(n, 2))
		case n == 0:
			f.Edits = 0
		default:
			f.Edits = int(min((1-n)*float64(len([]rune(f.Text))), 2))
		}
	}
	return f, p.next()
}

func (p *fullParser) phrase(field string, t fullToken) (Query, error) {
	text, err := p.unescape(t)
	if err != nil {
		return nil, err
	}
	if err = checkPhrase(text); err != nil {
		return nil, err
	}
	if err = p.next(); err != nil {
		return nil, err
	}
	phrase := &Phrase{Field: field, Text: text}
	if p.token.kind == fullTilde {
		if n, bad := strconv.ParseFloat(p.token.text, 32); bad == nil {
			phrase.Slop = int(min(n, maxText))
		}
		err = p.next()
	}
	return phrase, err
}

// wildcard reads a term with * or ? in it; neither may come first.
func (p *fullParser) wildcard(field string, t fullToken) (Query, error) {
	if t.text[0] == '*' || t.text[0] == '?' {
		return nil, failedAt(p.text, t.start)
	}
	if err := checkPattern(t.text); err != nil {
		return nil, err
	}
	pieces, err := p.pieces(t)
	if err != nil {
		return nil, err
	}
	if err = p.next(); err != nil {
		return nil, err
	}
	if len(pieces) == 2 && pieces[0].Then == '*' && pieces[1].Literal == "" {
		return &Prefix{Field: field, Text: pieces[0].Literal}, nil
	}
	return &Wildcard{Field: field, Pattern: pieces}, nil
}

// pieces cuts a wildcard at its * and ?; several * in a row are one.
func (p *fullParser) pieces(t fullToken) ([]Piece, error) {
	var pieces []Piece
	start := 0
	for i := 0; i <= len(t.text); i++ {
		then := rune(0)
		if i < len(t.text) {
			if t.text[i] == '\\' {
				i++
				continue
			}
			if then = rune(t.text[i]); then != '*' && then != '?' {
				continue
			}
		}
		literal, err := p.unescape(fullToken{text: t.text[start:i], start: t.start + start})
		if err != nil {
			return nil, err
		}
		start = i + 1
		if n := len(pieces); n > 0 && literal == "" && then == '*' && pieces[n-1].Then == '*' {
			continue
		}
		pieces = append(pieces, Piece{Literal: strings.ToLower(literal), Then: then})
	}
	return pieces, nil
}
