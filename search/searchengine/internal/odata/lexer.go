package odata

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokEnd       tokenKind = iota
	tokName                // a path, a function, an operator or a word such as null
	tokString              // 'quoted'; text is without quotes and escapes
	tokGeography           // geography'quoted'
	tokLiteral             // what begins like a number
	tokBraced              // {…}, which nothing accepts
	tokOpen
	tokClose
	tokComma
	tokColon
	tokStar
)

type token struct {
	kind       tokenKind
	text       string
	start, end int // in bytes
}

// lexer cuts an expression into tokens. It keeps to the service's library where errors show it: the position of a syntax
// error is the end of the token that was not expected.
type lexer struct {
	text      string
	parameter string
	pos       int
	token     token
}

func (l *lexer) is(kind tokenKind) bool  { return l.token.kind == kind }
func (l *lexer) isWord(word string) bool { return l.token.kind == tokName && l.token.text == word }

func (l *lexer) errorAt(pos int, format string, args ...any) error {
	args = append(args, utf16Len(l.text[:pos]), quotable(l.text))
	return invalid(l.parameter, format+" at position %d in '%s'.", args...)
}
func (l *lexer) syntaxError() error { return l.errorAt(l.token.end, "Syntax error") }

// comma reads the next token if the current one is a comma.
func (l *lexer) comma() (bool, error) {
	if l.token.kind != tokComma {
		return false, nil
	}
	return true, l.next()
}

// expect returns the current token, which must be of the kind, and reads the next.
func (l *lexer) expect(kind tokenKind) (token, error) {
	t := l.token
	if t.kind != kind {
		return t, l.syntaxError()
	}
	return t, l.next()
}

// next reads a token.
func (l *lexer) next() error {
	for l.pos < len(l.text) && isBlank(l.text[l.pos]) {
		l.pos++
	}
	l.token = token{start: l.pos, end: l.pos}
	if l.pos == len(l.text) {
		return nil
	}
	kind, err := l.scan()
	if err != nil {
		return err
	}
	l.token.kind, l.token.end = kind, l.pos
	if kind != tokString && kind != tokGeography {
		l.token.text = l.text[l.token.start:l.pos]
	}
	return nil
}

// scan moves over one token and returns its kind.
func (l *lexer) scan() (tokenKind, error) {
	c := l.text[l.pos]
	switch {
	case c == '\'':
		return tokString, l.quoted()
	case isNameStart(c):
		l.name()
		if l.pos < len(l.text) && l.text[l.pos] == '\'' && l.text[l.token.start:l.pos] == "geography" {
			return tokGeography, l.quoted()
		}
		return tokName, nil
	case isDigit(c), (c == '-' || c == '+') && l.pos+1 < len(l.text) && (isDigit(l.text[l.pos+1]) || l.text[l.pos+1] == 'I'):
		l.pos++
		for l.pos < len(l.text) && isLiteral(l.text[l.pos]) {
			l.pos++
		}
		return tokLiteral, nil
	case c == '{' || c == '[':
		return tokBraced, l.braced()
	}
	if i := strings.IndexByte("(),:*", c); i >= 0 {
		l.pos++
		return [...]tokenKind{tokOpen, tokClose, tokComma, tokColon, tokStar}[i], nil
	}
	r, size := utf8.DecodeRuneInString(l.text[l.pos:])
	if unicode.IsLetter(r) {
		l.name()
		return tokName, nil
	}
	return tokEnd, l.errorAt(l.pos, "The character '%s' is not valid", l.text[l.pos:l.pos+size])
}

// name moves over a name with its dots and slashes.
func (l *lexer) name() {
	for l.pos < len(l.text) {
		if c := l.text[l.pos]; c < utf8.RuneSelf {
			if !isNameStart(c) && !isDigit(c) && c != '.' && c != '/' {
				return
			}
			l.pos++
			continue
		}
		r, size := utf8.DecodeRuneInString(l.text[l.pos:])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return
		}
		l.pos += size
	}
}

// quoted moves over a quoted text, in which two quotes stand for one.
func (l *lexer) quoted() error {
	start, escaped := l.pos+1, false
	for l.pos = start; ; l.pos += 2 {
		n := strings.IndexByte(l.text[l.pos:], '\'')
		if n < 0 {
			return l.errorAt(len(l.text), "There is an unterminated string literal")
		}
		l.pos += n
		if l.pos+1 == len(l.text) || l.text[l.pos+1] != '\'' {
			break
		}
		escaped = true
	}
	l.token.text = l.text[start:l.pos]
	l.pos++
	if escaped {
		l.token.text = strings.ReplaceAll(l.token.text, "''", "'")
	}
	return nil
}

func (l *lexer) braced() error {
	for depth := 0; l.pos < len(l.text); l.pos++ {
		switch l.text[l.pos] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				l.pos++
				return nil
			}
		}
	}
	return invalid(l.parameter, "Found an unbalanced bracket expression.")
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isNameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

func isLiteral(c byte) bool {
	return isDigit(c) || isNameStart(c) || c == '.' || c == ':' || c == '+' || c == '-'
}
