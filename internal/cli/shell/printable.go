package shell

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Printable takes from a text what could steer a terminal: control characters, those of C1 included, and marks that turn
// the direction of writing. Line breaks and tabs stay. Errors are printed so, since servers have a say in many of them.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if steers(r) || r == unicode.ReplacementChar {
			return '·'
		}
		return r
	}, s)
}

// PrintableLine is [Printable] for a text that stands in a line of its own: with a line break in it, a name could look like
// lines that the program never wrote.
func PrintableLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return '·'
		}
		return r
	}, Printable(s))
}

// steers reports a character that changes how a terminal shows others.
func steers(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case unicode.IsControl(r), r == 0x061c, r >= 0x200e && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

// WriteJSON writes a value as a line of JSON in which what could steer a terminal is escaped: encoding/json does that for
// the first 32 characters alone. Whoever parses it finds the same values.
func WriteJSON(w io.Writer, v any) error {
	var plain bytes.Buffer
	if err := json.NewEncoder(&plain).Encode(v); err != nil {
		return err
	}
	var out bytes.Buffer
	for _, r := range plain.String() {
		if steers(r) {
			fmt.Fprintf(&out, `\u%04x`, r) // JSON has such characters in strings alone, and all of them are below U+10000
			continue
		}
		out.WriteRune(r)
	}
	_, err := w.Write(out.Bytes())
	return err
}
