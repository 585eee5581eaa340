// Package strictjson reads the JSON of a token as its signer must have meant it, or not at all: names are compared
// exactly, no name may come twice at any depth, the text must be UTF-8, and depth and size are bounded. Two readers of
// the same bytes can then not see two different documents, which is how claims are smuggled past a check.
//
// encoding/json by itself matches names regardless of case, takes the last of two members of one name, and repairs
// broken UTF-8 (RFC 8725 §2.6, RFC 7519 §4).
package strictjson

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of a document: far above what Entra writes, far below what costs anything.
const (
	maxDepth   = 8
	maxMembers = 128
)

// The ways in which a document can be refused.
var (
	ErrSyntax    = errors.New("not valid JSON in UTF-8")
	ErrNotObject = errors.New("not a JSON object")
	ErrDuplicate = errors.New("a member name comes twice")
	ErrTooLarge  = errors.New("nested too deeply or too many members")
)

// Object is a JSON object: its members in the order in which they were written.
type Object struct{ members []member }

type member struct {
	name  string
	value Value
}

// Value is one JSON value. The zero Value is what an absent member has.
type Value struct{ raw string }

// ParseObject reads one JSON object.
func ParseObject(data []byte) (Object, error) {
	if !utf8.Valid(data) || !json.Valid(data) {
		return Object{}, ErrSyntax
	}
	s := scanner{data: string(data)} // names and texts are parts of this one copy
	s.space()
	if s.data[s.at] != '{' {
		return Object{}, ErrNotObject
	}
	members, err := s.object(1)
	return Object{members}, err
}

// Get returns a member's value, the zero Value when there is none.
func (o Object) Get(name string) Value {
	for i := range o.members {
		if o.members[i].name == name {
			return o.members[i].value
		}
	}
	return Value{}
}

// IsZero reports whether the member was absent. null is a value.
func (v Value) IsZero() bool { return v.raw == "" }

// Text returns the value of a JSON string, and false for anything else.
func (v Value) Text() (string, bool) {
	if v.raw == "" || v.raw[0] != '"' {
		return "", false
	}
	text, err := unquote(v.raw)
	return text, err == nil
}

// Texts returns the values of an array of strings, and false for anything else.
func (v Value) Texts() ([]string, bool) {
	if v.raw == "" || v.raw[0] != '[' {
		return nil, false
	}
	texts := []string{}
	s := scanner{data: v.raw, at: 1}
	for s.space(); s.data[s.at] != ']'; s.space() {
		element, err := s.value(1)
		if err != nil {
			return nil, false
		}
		text, ok := element.Text()
		if !ok {
			return nil, false
		}
		texts = append(texts, text)
		if s.space(); s.data[s.at] == ',' {
			s.at++
		}
	}
	return texts, true
}

// Number returns the value of a JSON number, and false for anything else or what no float64 holds.
func (v Value) Number() (float64, bool) {
	if v.raw == "" || v.raw[0] != '-' && (v.raw[0] < '0' || v.raw[0] > '9') {
		return 0, false
	}
	n, err := strconv.ParseFloat(v.raw, 64)
	return n, err == nil
}

// True reports whether the value is true.
func (v Value) True() bool { return v.raw == "true" }

// Object returns the value of a JSON object, and false for anything else.
func (v Value) Object() (Object, bool) {
	if v.raw == "" || v.raw[0] != '{' {
		return Object{}, false
	}
	s := scanner{data: v.raw}
	members, err := s.object(1)
	return Object{members}, err == nil
}

// scanner walks over text that is known to be valid JSON, so that no index can leave it.
type scanner struct {
	data string
	at   int
}

func (s *scanner) space() {
	for s.at < len(s.data) && (s.data[s.at] == ' ' || s.data[s.at] == '\t' || s.data[s.at] == '\n' || s.data[s.at] == '\r') {
		s.at++
	}
}

func (s *scanner) object(depth int) ([]member, error) {
	if depth > maxDepth {
		return nil, ErrTooLarge
	}
	members := make([]member, 0, min(4+(len(s.data)-s.at)/48, 24))
	s.at++ // {
	for s.space(); s.data[s.at] != '}'; s.space() {
		name, err := unquote(s.str())
		if err != nil {
			return nil, err
		}
		for i := range members {
			if members[i].name == name {
				return nil, ErrDuplicate
			}
		}
		if len(members) == maxMembers {
			return nil, ErrTooLarge
		}
		s.space()
		s.at++ // :
		value, err := s.value(depth)
		if err != nil {
			return nil, err
		}
		members = append(members, member{name, value})
		if s.space(); s.data[s.at] == ',' {
			s.at++
		}
	}
	s.at++
	return members, nil
}

func (s *scanner) array(depth int) error {
	if depth > maxDepth {
		return ErrTooLarge
	}
	s.at++ // [
	for s.space(); s.data[s.at] != ']'; s.space() {
		if _, err := s.value(depth); err != nil {
			return err
		}
		if s.space(); s.data[s.at] == ',' {
			s.at++
		}
	}
	s.at++
	return nil
}

// value reads the value at hand; depth is that of the object or array around it.
func (s *scanner) value(depth int) (Value, error) {
	s.space()
	start := s.at
	var err error
	switch s.data[s.at] {
	case '{':
		_, err = s.object(depth + 1)
	case '[':
		err = s.array(depth + 1)
	case '"':
		_, err = unquote(s.str())
	default:
		for s.at < len(s.data) && !strings.ContainsRune(",]} \t\n\r", rune(s.data[s.at])) {
			s.at++
		}
	}
	if err != nil {
		return Value{}, err
	}
	return Value{s.data[start:s.at]}, nil
}

// str returns the string at hand with its quotes.
func (s *scanner) str() string {
	start := s.at
	s.at++
	for s.data[s.at] != '"' {
		if s.data[s.at] == '\\' {
			s.at++
		}
		s.at++
	}
	s.at++
	return s.data[start:s.at]
}

// unquote refuses escapes of lone surrogates, which encoding/json would replace by U+FFFD: two names could then be one.
func unquote(quoted string) (string, error) {
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1], nil
	}
	for i := 0; i < len(quoted); i++ {
		if quoted[i] != '\\' {
			continue
		}
		i++
		if quoted[i] != 'u' {
			continue
		}
		unit := hex16(quoted[i+1:])
		i += 4
		if !utf16.IsSurrogate(unit) {
			continue
		}
		if !strings.HasPrefix(quoted[i+1:], `\u`) || utf16.DecodeRune(unit, hex16(quoted[i+3:])) == utf8.RuneError {
			return "", ErrSyntax
		}
		i += 6
	}
	var text string
	if err := json.Unmarshal([]byte(quoted), &text); err != nil {
		return "", ErrSyntax
	}
	return text, nil
}

// hex16 returns the code unit that four hexadecimal digits stand for.
func hex16(digits string) rune {
	n, err := strconv.ParseUint(digits[:4], 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}
