package corpus

import (
	"fmt"
	"iter"

	"github.com/onbehalf/onbehalf/search"
)

type memory struct {
	name      string
	documents []search.Document
}

// Memory is a few documents that are there already; name says of what, for messages.
func Memory(name string, documents []search.Document) Source { return memory{name, documents} }

// Origin implements [Source].
func (m memory) Origin(position int) string { return fmt.Sprintf("%s, document %d", m.name, position) }

// Entries implements [Source].
func (m memory) Entries() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for i, document := range m.documents {
			if !yield(Entry{Position: i + 1, Document: document}, nil) {
				return
			}
		}
	}
}
