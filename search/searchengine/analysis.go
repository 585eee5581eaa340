package searchengine

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/schema"
)

// token is a term of an analysed text.
type token struct {
	Term       string
	Position   int
	Start, End int // in the text, in bytes
}

// analysis knows the analyzers and normalizers by name.
type analysis struct{}

// names tells package schema which analyzers and normalizers there are.
func (a analysis) names() schema.Names {
	return schema.Names{Analyzer: a.checkAnalyzer, Normalizer: a.checkNormalizer}
}

func (analysis) checkAnalyzer(name string) error {
	switch name {
	case "standard.lucene", "standard", "simple", "keyword":
		return nil
	}
	return unsupported("the analyzer '" + name + "'")
}

func (analysis) checkNormalizer(name string) error {
	if name == "lowercase" {
		return nil
	}
	return unsupported("the normalizer '" + name + "'")
}

func (analysis) normalize(_, s string) string { return strings.ToLower(s) }

// tokens splits a text into runs of letters and digits, in lower case.
func (analysis) tokens(analyzer, text string) iter.Seq[token] {
	return func(yield func(token) bool) {
		if analyzer == "keyword" {
			yield(token{text, 0, 0, len(text)})
			return
		}
		start, position := -1, 0
		for i := 0; i <= len(text); {
			r, size := utf8.DecodeRuneInString(text[i:])
			word := i < len(text) && (unicode.IsLetter(r) || unicode.IsDigit(r))
			if word && start < 0 {
				start = i
			}
			if !word && start >= 0 {
				if !yield(token{strings.ToLower(text[start:i]), position, start, i}) {
					return
				}
				start, position = -1, position+1
			}
			i += max(size, 1)
		}
	}
}
