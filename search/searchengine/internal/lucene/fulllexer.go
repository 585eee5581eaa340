package lucene

import (
	"strconv"
	"strings"
)

type fullKind uint8

const (
	fullEnd fullKind = iota
	fullTerm
	fullField  // what stands before a colon; text is unescaped
	fullQuoted // text is what stands between the quotes
	fullStar
	fullWild   // a term with * or ? in it
	fullRegexp // text is what stands between the slashes
	fullTilde  // text is the number behind it, or ""
	fullBoost  // text is the number behind the caret
	fullAnd
	fullOr
	fullNot
	fullPlus
	fullMinus
	fullOpen
	fullClose
)

type fullToken struct {
	kind  fullKind
	text  string // escapes are still in it, but for fullField
	start int
}

type fullLexer struct {
	text  string
	pos   int
	token fullToken
}

// lexicalError is the error at the end of the text, of which some more was expected.
func (l *fullLexer) lexicalError() error {
	return failedAtColumn(utf16Len(l.text) + 1)
}

// next reads a token.
func (l *fullLexer) next() error {
	l.skipBlanks()
	l.token = fullToken{start: l.pos}
	if l.pos == len(l.text) {
		return nil
	}
	switch c := l.text[l.pos]; c {
	case '(':
		return l.single(fullOpen)
	case ')':
		return l.single(fullClose)
	case '+', '-', '!':
		return l.modifier(c)
	case '"':
		return l.quoted()
	case '/':
		return l.regexp()
	case '~':
		l.pos++
		return l.number(fullTilde, false)
	case '^':
		l.pos++
		l.skipBlanks()
		return l.number(fullBoost, true)
	case ':', '[', ']', '{', '}':
		return failedAt(l.text, l.pos) // ranges, and a colon without a field
	}
	return l.word()
}

func (l *fullLexer) single(kind fullKind) error {
	l.token.kind = kind
	l.pos++
	return nil
}

// modifier reads + - or !, which is a term of its own where a blank follows.
func (l *fullLexer) modifier(c byte) error {
	start := l.pos
	l.pos++
	behind := l.pos
	if l.skipBlanks(); l.pos > behind {
		l.token.kind, l.token.text = fullTerm, l.text[start:behind]
		return nil
	}
	l.token.kind = map[byte]fullKind{'+': fullPlus, '-': fullMinus, '!': fullNot}[c]
	return nil
}

// The ideographic space is a blank, too.
const ideographicSpace = "\u3000"

func (l *fullLexer) skipBlanks() {
	for l.pos < len(l.text) {
		switch {
		case strings.IndexByte(" \t\n\r", l.text[l.pos]) >= 0:
			l.pos++
		case strings.HasPrefix(l.text[l.pos:], ideographicSpace):
			l.pos += len(ideographicSpace)
		default:
			return
		}
	}
}

// number reads digits with an optional fraction.
func (l *fullLexer) number(kind fullKind, required bool) error {
	start := l.pos
	l.digits()
	if l.pos > start && l.pos+1 < len(l.text) && l.text[l.pos] == '.' && isDigit(l.text[l.pos+1]) {
		l.pos++
		l.digits()
	}
	l.token.kind, l.token.text = kind, l.text[start:l.pos]
	if required && l.pos == start {
		if start == len(l.text) {
			return l.lexicalError()
		}
		return failedAt(l.text, start)
	}
	return nil
}

func (l *fullLexer) digits() {
	for l.pos < len(l.text) && isDigit(l.text[l.pos]) {
		l.pos++
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (l *fullLexer) quoted() error {
	for i := l.pos + 1; i < len(l.text); i++ {
		switch l.text[i] {
		case '\\':
			i++
		case '"':
			l.token.kind, l.token.text = fullQuoted, l.text[l.pos+1:i]
			l.pos = i + 1
			return nil
		}
	}
	return l.lexicalError()
}

// regexp reads /…/, in which a slash after a backslash is no end unless there is no other.
func (l *fullLexer) regexp() error {
	end := -1
	for i := l.pos + 1; i < len(l.text); i++ {
		if l.text[i] == '/' {
			end = i
			if l.text[i-1] != '\\' {
				break
			}
		}
	}
	if end < 0 {
		return l.lexicalError()
	}
	l.token.kind, l.token.text = fullRegexp, l.text[l.pos+1:end]
	l.pos = end + 1
	return nil
}

// word reads a term, a wildcard, a field with its colon, or an operator of letters.
func (l *fullLexer) word() error {
	start, wild := l.pos, false
	for l.pos < len(l.text) {
		c := l.text[l.pos]
		if c == '\\' {
			if l.pos+1 == len(l.text) {
				return l.lexicalError()
			}
			l.pos++
		} else if c == '*' || c == '?' {
			wild = true
		} else if l.endsWord(c) {
			break
		}
		l.pos++
	}
	if l.pos < len(l.text) && (l.text[l.pos] == ':' || l.text[l.pos] == '/') && !wild {
		if end := fieldPath(l.text[start:]); end > 0 {
			l.token.kind, l.token.text = fullField, strings.ReplaceAll(l.text[start:start+end], `\`, "")
			l.pos = start + end + 1
			return nil
		}
	}
	l.token.text = l.text[start:l.pos]
	switch l.token.text {
	case "AND", "&&":
		l.token.kind = fullAnd
	case "OR", "||":
		l.token.kind = fullOr
	case "NOT":
		l.token.kind = fullNot
	case "*":
		l.token.kind = fullStar
		if l.pos < len(l.text) && l.text[l.pos] == ':' {
			l.token.kind = fullField
			l.pos++
		}
	default:
		l.token.kind = fullTerm
		if wild {
			l.token.kind = fullWild
		}
	}
	return nil
}

// endsWord reports whether the character at hand is no part of a word. A tilde between letters is one: the service's
// documentation has business~analyst as an example.
func (l *fullLexer) endsWord(c byte) bool {
	if c == '~' && l.pos+1 < len(l.text) {
		next := l.text[l.pos+1]
		return isDigit(next) || strings.IndexByte(" \t\n\r()^~", next) >= 0
	}
	return strings.IndexByte(" \t\n\r!():^[]\"{}~/", c) >= 0 || strings.HasPrefix(l.text[l.pos:], ideographicSpace)
}

// maxFieldPath bounds the path of a field, in bytes.
const maxFieldPath = 1024

// fieldPath returns the length of a path of identifiers before a colon, or 0. The slashes of the path may be escaped,
// the classic parser would want that, but the service's own examples do not.
func fieldPath(s string) int {
	for i := range min(len(s), maxFieldPath) {
		switch c := s[i]; {
		case c == ':':
			return i
		case c == '/' || c == '\\' || c == '_' || isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		default:
			return 0
		}
	}
	return 0
}

// unescape resolves \x and \u0041.
func (l *fullLexer) unescape(t fullToken) (string, error) {
	if strings.IndexByte(t.text, '\\') < 0 {
		return t.text, nil
	}
	var b strings.Builder
	for i := 0; i < len(t.text); i++ {
		if t.text[i] != '\\' {
			b.WriteByte(t.text[i])
			continue
		}
		if i++; i == len(t.text) {
			return "", l.lexicalError()
		}
		if t.text[i] != 'u' {
			b.WriteByte(t.text[i])
			continue
		}
		if i+5 > len(t.text) {
			return "", failedAt(l.text, t.start)
		}
		n, err := strconv.ParseUint(t.text[i+1:i+5], 16, 16)
		if err != nil {
			return "", failedAt(l.text, t.start)
		}
		b.WriteRune(rune(n))
		i += 4
	}
	return b.String(), nil
}
