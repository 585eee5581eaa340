// Package jsonscan walks over JSON in one pass and hands out the text of values as it stands: numbers keep their
// digits, members their order and their repetitions. It accepts exactly what RFC 8259 does, in UTF-8 only, and no more
// than [MaxDepth] levels. It exists because documents pass through by the thousand, and encoding/json reads each of
// them three times on such a way.
package jsonscan

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// MaxDepth is how deep objects and lists may nest.
const MaxDepth = 500

// SyntaxError is JSON that is none.
type SyntaxError struct {
	Offset int // in bytes
	Reason string
}

// Error implements error.
func (e *SyntaxError) Error() string { return fmt.Sprintf("%s, at byte %d", e.Reason, e.Offset) }

// ErrKind is a value of another kind than was asked for.
var ErrKind = errors.New("a JSON value of another kind")

// Scanner stands at a place in a text.
type Scanner struct {
	text  []byte
	at    int
	depth int
}

// New returns a scanner at the beginning of the text, which must not change while it is used.
func New(text []byte) *Scanner { return &Scanner{text: text} }

// Object walks over an object. For each member the function gets the name and the offset at which the member begins; it
// must consume the value, by one call of Value, Object or Array.
func (s *Scanner) Object(member func(name string, start int) error) error {
	return s.Members(func(name []byte, start int) error { return member(string(name), start) })
}

// Members is [Scanner.Object] for who only looks at the names: they are good until the function returns.
func (s *Scanner) Members(member func(name []byte, start int) error) error {
	if s.peek() != '{' {
		return s.otherKind("an object")
	}
	return s.list('}', func() error {
		if s.peek() != '"' {
			return s.fail("a member's name is missing")
		}
		start := s.at
		if err := s.skipString(); err != nil {
			return err
		}
		name, err := unquote(s.text[start:s.at])
		if err != nil {
			return s.fail("a member's name is malformed")
		}
		if s.peek() != ':' {
			return s.fail("':' is missing")
		}
		s.at++
		return member(name, start)
	})
}

// Array walks over a list. The function must consume the element, as with [Scanner.Object].
func (s *Scanner) Array(element func() error) error {
	if s.peek() != '[' {
		return s.otherKind("a list")
	}
	return s.list(']', element)
}

// Value consumes a value and returns its text, which aliases the scanner's.
func (s *Scanner) Value() ([]byte, error) {
	s.peek()
	start := s.at
	if err := s.skip(); err != nil {
		return nil, err
	}
	return s.text[start:s.at], nil
}

// End checks that nothing but white space is left, and that all of the text was UTF-8.
func (s *Scanner) End() error {
	if s.peek() != 0 || s.at < len(s.text) {
		return s.fail("something follows the value")
	}
	if !utf8.Valid(s.text) {
		return s.fail("the text is not UTF-8")
	}
	return nil
}

// Offset returns where the scanner stands.
func (s *Scanner) Offset() int { return s.at }

// list walks over what stands between the bracket here and its partner.
func (s *Scanner) list(end byte, element func() error) error {
	if s.depth++; s.depth > MaxDepth {
		return s.fail("too deeply nested")
	}
	defer func() { s.depth-- }()
	s.at++
	if s.peek() == end {
		s.at++
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.at++
		case end:
			s.at++
			return nil
		default:
			return s.fail("',' or '" + string(end) + "' is missing")
		}
	}
}

func (s *Scanner) skip() error {
	switch c := s.peek(); {
	case c == '{':
		return s.Members(func([]byte, int) error { return s.skip() })
	case c == '[':
		return s.list(']', s.skip)
	case c == '"':
		return s.skipString()
	case c == '-' || c >= '0' && c <= '9':
		return s.skipNumber()
	case c == 't':
		return s.skipWord("true")
	case c == 'f':
		return s.skipWord("false")
	case c == 'n':
		return s.skipWord("null")
	default:
		return s.fail("a value is missing")
	}
}

// peek passes over white space and returns the next byte, 0 at the end.
func (s *Scanner) peek() byte {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return c
		}
	}
	return 0
}

func (s *Scanner) skipWord(word string) error {
	if len(s.text)-s.at < len(word) || string(s.text[s.at:s.at+len(word)]) != word {
		return s.fail("a value is malformed")
	}
	s.at += len(word)
	return nil
}

func (s *Scanner) skipString() error {
	for i := s.at + 1; i < len(s.text); i++ {
		if i += plain(s.text[i:]); i == len(s.text) {
			break
		}
		switch c := s.text[i]; {
		case c == '"':
			s.at = i + 1
			return nil
		case c == '\\':
			n := escape(s.text[i+1:])
			if n == 0 {
				s.at = i
				return s.fail("an escape is malformed")
			}
			i += n
		case c < ' ':
			s.at = i
			return s.fail("a control character stands in a string")
		}
	}
	s.at = len(s.text)
	return s.fail("a string does not end")
}

// plain returns how many bytes of a string's text come before a quote, a backslash or a control character. It looks at eight
// bytes at once: a byte of a word is below n when subtracting n from it borrows and its high bit was not set.
func plain(text []byte) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	i := 0
	for ; i+8 <= len(text); i += 8 {
		word := binary.LittleEndian.Uint64(text[i:])
		quote, backslash := word^(ones*'"'), word^(ones*'\\')
		found := ((word - ones*' ') &^ word) | ((quote - ones) &^ quote) | ((backslash - ones) &^ backslash)
		if found &= highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8 // borrows go up: the lowest is true
		}
	}
	for ; i < len(text); i++ {
		if c := text[i]; c == '"' || c == '\\' || c < ' ' {
			break
		}
	}
	return i
}

// escape returns the length of what follows a backslash, 0 if that is no escape.
func escape(text []byte) int {
	if len(text) == 0 {
		return 0
	}
	switch text[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 1
	case 'u':
		const length = 5
		if len(text) < length {
			return 0
		}
		for _, c := range text[1:length] {
			if !isHex(c) {
				return 0
			}
		}
		return length
	}
	return 0
}

func (s *Scanner) skipNumber() error {
	if s.text[s.at] == '-' {
		s.at++
	}
	leading := s.at
	if s.digits() == 0 || s.text[leading] == '0' && s.at-leading > 1 {
		return s.fail("a number is malformed")
	}
	if s.at < len(s.text) && s.text[s.at] == '.' {
		s.at++
		if s.digits() == 0 {
			return s.fail("a number is malformed")
		}
	}
	if s.at < len(s.text) && s.text[s.at]|0x20 == 'e' {
		s.at++
		if s.at < len(s.text) && (s.text[s.at] == '+' || s.text[s.at] == '-') {
			s.at++
		}
		if s.digits() == 0 {
			return s.fail("a number is malformed")
		}
	}
	return nil
}

func (s *Scanner) digits() int {
	start := s.at
	for s.at < len(s.text) && s.text[s.at] >= '0' && s.text[s.at] <= '9' {
		s.at++
	}
	return s.at - start
}

func (s *Scanner) fail(reason string) error { return &SyntaxError{s.at, reason} }

func (s *Scanner) otherKind(wanted string) error {
	if s.at == len(s.text) {
		return s.fail("the text ends too early")
	}
	return fmt.Errorf("%w: want %s at byte %d", ErrKind, wanted, s.at)
}

// unquote reads a string that was scanned.
func unquote(quoted []byte) ([]byte, error) {
	for _, c := range quoted {
		if c == '\\' || c >= utf8.RuneSelf {
			var text string
			err := json.Unmarshal(quoted, &text)
			return []byte(text), err
		}
	}
	return quoted[1 : len(quoted)-1], nil
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
