// Package explain says in words what an error means that a person has before her eyes, from whatever program it came. It
// asks nobody; its answers are for people.
package explain

import (
	"fmt"
	"io"
	"strings"
)

// MaxText is the longest text that is explained, in bytes.
const MaxText = 256 << 10

// Read reads a text to explain, within [MaxText].
func Read(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxText+1))
	if err != nil {
		return "", err
	}
	if len(text) > MaxText {
		return "", fmt.Errorf("more than %d KiB: give the part with the error alone", MaxText>>10)
	}
	return strings.ToValidUTF8(string(text), "�"), nil
}

// row writes a label and a text that may be empty: then nothing.
func row(w io.Writer, label, text string) {
	if text != "" {
		fmt.Fprintf(w, "  %-9s %s\n", label, text)
	}
}
