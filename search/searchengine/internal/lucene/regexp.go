package lucene

import (
	"net/http"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/search"
)

// goPattern translates a regular expression of Lucene's syntax to that of package regexp. The two differ: in Lucene ^ and
// $ are letters, a backslash makes any character a letter, and text in quotes is literal. Intervals, complements,
// intersections and any-string (<1-9>, ~, &, @) are refused.
//
// https://lucene.apache.org/core/6_6_1/core/org/apache/lucene/util/automaton/RegExp.html
func goPattern(pattern string) (string, error) {
	t := translator{in: pattern}
	out, err := t.union(0)
	if err != nil {
		return "", err
	}
	if t.pos < len(t.in) {
		return "", errRegexp(pattern)
	}
	if _, err := syntax.Parse(out, syntax.Perl); err != nil {
		return "", errRegexp(pattern)
	}
	return out, nil
}

type translator struct {
	in  string
	pos int
}

func errRegexp(pattern string) error {
	return badRequest("The regular expression /" + pattern + "/ is not valid. See https://aka.ms/azure-search-full-query for supported syntax.")
}

func (t *translator) union(depth int) (string, error) {
	if depth > maxDepth {
		return "", errRegexp(t.in)
	}
	var out strings.Builder
	for t.pos < len(t.in) && t.in[t.pos] != ')' {
		if t.in[t.pos] == '|' {
			out.WriteByte('|')
			t.pos++
			continue
		}
		s, err := t.repeated(depth)
		if err != nil {
			return "", err
		}
		out.WriteString(s)
	}
	return out.String(), nil
}

// repeated translates an atom with the operators behind it. In Lucene each applies to all that stands before it, so that
// a+? is what a* is: the atom goes into a group of its own for each.
func (t *translator) repeated(depth int) (string, error) {
	out, err := t.atom(depth)
	if err != nil {
		return "", err
	}
	for n := 0; t.pos < len(t.in); n++ {
		operator, ok := repetition(t.in[t.pos:])
		if !ok {
			break
		}
		if n > maxDepth {
			return "", errRegexp(t.in)
		}
		t.pos += len(operator)
		out = "(?:" + out + ")" + operator
	}
	return out, nil
}

// repetition returns the operator that s begins with: ? * + {n} {n,} {n,m}.
func repetition(s string) (string, bool) {
	switch s[0] {
	case '?', '*', '+':
		return s[:1], true
	case '{':
		if end := strings.IndexByte(s, '}'); end > 1 && isDigit(s[1]) && strings.Trim(s[1:end], "0123456789,") == "" {
			return s[:end+1], true
		}
	}
	return "", false
}

func (t *translator) atom(depth int) (string, error) {
	c := t.in[t.pos]
	switch c {
	case '(':
		t.pos++
		inner, err := t.union(depth + 1)
		if err != nil {
			return "", err
		}
		if t.pos == len(t.in) {
			return "", errRegexp(t.in)
		}
		t.pos++
		return "(?:" + inner + ")", nil
	case '.':
		t.pos++
		return "(?s:.)", nil
	case '[':
		t.pos++
		return t.class()
	case '"':
		text, rest, ok := strings.Cut(t.in[t.pos+1:], `"`)
		if !ok {
			return "", errRegexp(t.in)
		}
		t.pos = len(t.in) - len(rest)
		return "(?:" + quote(text) + ")", nil
	case '~', '&', '@', '<', '#':
		return "", &search.Error{
			Status:  http.StatusNotImplemented,
			Message: "The operator '" + string(c) + "' of regular expressions is not supported by the local search service.",
		}
	case '*', '+', '?', '{', '}', ']', '>':
		return "", errRegexp(t.in)
	}
	return t.letter()
}

// letter reads one character, which a backslash may escape, and returns it quoted.
func (t *translator) letter() (string, error) {
	if t.in[t.pos] == '\\' {
		if t.pos++; t.pos == len(t.in) {
			return "", errRegexp(t.in)
		}
	}
	_, size := utf8.DecodeRuneInString(t.in[t.pos:])
	s := t.in[t.pos : t.pos+size]
	t.pos += size
	return quote(s), nil
}

// class translates [a-z] and [^a-z].
func (t *translator) class() (string, error) {
	var out strings.Builder
	out.WriteByte('[')
	if t.pos < len(t.in) && t.in[t.pos] == '^' {
		out.WriteByte('^')
		t.pos++
	}
	for first := true; t.pos < len(t.in); first = false {
		if t.in[t.pos] == ']' && !first {
			t.pos++
			out.WriteByte(']')
			return out.String(), nil
		}
		from, err := t.letter()
		if err != nil {
			return "", err
		}
		out.WriteString(from)
		if t.pos+1 < len(t.in) && t.in[t.pos] == '-' && t.in[t.pos+1] != ']' {
			t.pos++
			to, err := t.letter()
			if err != nil {
				return "", err
			}
			out.WriteString("-" + to)
		}
	}
	return "", errRegexp(t.in)
}

// quote escapes all but letters and digits, so that it holds inside classes too.
func quote(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < utf8.RuneSelf && !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
