package lucene

import "strings"

// parseSimple reads the simple syntax: it has no errors but the limits, and what makes no sense counts for nothing. The
// rules are those of Lucene's SimpleQueryParser without fuzziness and nearness, and of the service for negations.
//
// https://lucene.apache.org/core/6_6_1/queryparser/org/apache/lucene/queryparser/simple/SimpleQueryParser.html
func parseSimple(text string, all bool) (Query, error) {
	p := simpleParser{text: text, closing: matchParentheses(text), fallback: Should, all: all}
	if all {
		p.fallback = Must
	}
	g, err := p.group(0, len(text), 0)
	if err != nil {
		return nil, err
	}
	if g.top == nil {
		return &Bool{}, nil
	}
	if b, ok := g.top.(*Bool); ok && !all && !isNegation(b) && hasNegation(b) {
		// "wifi -luxury" is "wifi OR -luxury OR *": the negation raises scores, it takes no document away.
		// https://learn.microsoft.com/azure/search/query-lucene-syntax#not-boolean-operator
		b.Clauses = append(b.Clauses, Clause{Occur: Should, Query: &All{}})
	}
	return g.top, nil
}

type simpleParser struct {
	text     string
	closing  map[int]int // positions of parentheses: opening to closing
	fallback Occur       // of terms without an operator
	all      bool
	budget   budget
}

// group is the part of a query between two parentheses, as far as it has been read.
type group struct {
	pos, end int
	top      Query
	previous Occur
	joined   bool  // previous is set
	current  Occur // the operator that stands before the next operand
	given    bool  // current is set
	negated  bool  // by a minus right before the next operand
}

func (p *simpleParser) group(pos, end, depth int) (*group, error) {
	if depth > maxDepth {
		return nil, failedAt(p.text, pos)
	}
	g := &group{pos: pos, end: end}
	for g.pos < g.end {
		switch c := p.text[g.pos]; c {
		case '-':
			g.negated = !g.negated
			g.pos++
			continue
		case '(':
			if err := p.parenthesis(g, depth); err != nil {
				return nil, err
			}
		case '"':
			if err := p.phrase(g); err != nil {
				return nil, err
			}
		case '+', '|':
			if !g.given && g.top != nil {
				g.given, g.current = true, Should
				if c == '+' {
					g.current = Must
				}
			}
			g.pos++
		case ')', ' ', '\t', '\n', '\r':
			g.pos++
		default:
			if err := p.term(g); err != nil {
				return nil, err
			}
		}
		g.negated = false
	}
	return g, nil
}

func (p *simpleParser) parenthesis(g *group, depth int) error {
	closing, ok := p.closing[g.pos]
	start := g.pos + 1
	switch {
	case !ok || closing >= g.end: // never closed: as if it were not there
		g.pos = start
		return nil
	case closing == start:
		g.given = false
		g.pos = closing + 1
		return nil
	}
	inner, err := p.group(start, closing, depth+1)
	g.pos = closing + 1
	if err != nil || inner.top == nil {
		return err
	}
	return p.add(g, inner.top)
}

func (p *simpleParser) phrase(g *group) error {
	start := g.pos + 1
	text, end, ok := unescapeUntil(p.text[start:g.end], '"')
	switch {
	case !ok: // never closed: as if it were not there
		g.pos = start
		return nil
	case end == 0:
		g.given = false
		g.pos = start + 1
		return nil
	}
	g.pos = start + end + 1
	if err := checkPhrase(text); err != nil {
		return err
	}
	return p.add(g, &Phrase{Text: text})
}

// unescapeUntil returns s up to the first of the character that no backslash escapes, without backslashes, and where
// that is.
func unescapeUntil(s string, until byte) (text string, end int, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
		case s[i] == until:
			return b.String(), i, true
		}
		b.WriteByte(s[i])
	}
	return "", 0, false
}

func (p *simpleParser) term(g *group) error {
	var b strings.Builder
	star := false // the last character is a * that is not escaped
	for ; g.pos < g.end && !strings.ContainsRune("\"|+() \t\n\r", rune(p.text[g.pos])); g.pos++ {
		c := p.text[g.pos]
		star = c == '*' && b.Len() > 0
		if c == '\\' {
			if g.pos++; g.pos == g.end {
				break
			}
			c = p.text[g.pos]
		}
		b.WriteByte(c)
	}
	text := b.String()
	switch {
	case text == "":
		return nil
	case star:
		text = strings.ToLower(text[:len(text)-1])
		if err := checkPattern(text); err != nil {
			return err
		}
		return p.add(g, &Prefix{Text: text})
	}
	if err := checkTerm(text); err != nil {
		return err
	}
	return p.add(g, &Term{Text: text, AllTokens: p.all})
}

// add joins an operand to what has been read: operators bind from left to right, and a change of operator makes what
// stands to its left one operand.
func (p *simpleParser) add(g *group, q Query) error {
	if err := p.budget.clause(); err != nil {
		return err
	}
	if g.negated {
		q = &Bool{Clauses: []Clause{{Occur: MustNot, Query: q}, {Occur: Should, Query: &All{}}}}
	}
	if g.top == nil {
		g.top, g.given = q, false
		return nil
	}
	if !g.given {
		g.current = p.fallback
	}
	b, ok := g.top.(*Bool)
	if !g.joined || g.previous != g.current || !ok {
		b = &Bool{Clauses: []Clause{{Occur: g.current, Query: g.top}}}
		g.top = b
	}
	b.Clauses = append(b.Clauses, Clause{Occur: g.current, Query: q})
	g.previous, g.joined, g.given = g.current, true, false
	return nil
}

// isNegation reports whether b is what a minus makes of an operand.
func isNegation(b *Bool) bool {
	return len(b.Clauses) == 2 && b.Clauses[0].Occur == MustNot
}

// hasNegation reports whether an operand of an or is a negation.
func hasNegation(b *Bool) bool {
	for _, c := range b.Clauses {
		if inner, ok := c.Query.(*Bool); ok && c.Occur == Should && isNegation(inner) {
			return true
		}
	}
	return false
}

// matchParentheses pairs the parentheses that no backslash escapes.
func matchParentheses(text string) map[int]int {
	var open []int
	closing := map[int]int{}
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '(':
			open = append(open, i)
		case ')':
			if n := len(open); n > 0 {
				closing[open[n-1]] = i
				open = open[:n-1]
			}
		}
	}
	return closing
}
