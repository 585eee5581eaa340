package searchengine

import (
	"iter"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/schema"
)

// layout says how the documents of an index are laid out: it follows from the definition and from what it was before.
type layout struct {
	schema       *schema.Schema
	slots        []string       // names of the top-level fields in the order in which documents are stored: new ones last
	slotOf       map[string]int // where a name is in slots
	searchable   []*schema.Field
	searchableOf map[*schema.Field]int
	analysis     analysis
}

// newLayout returns the layout for a schema; before are the slots that stored documents have.
func newLayout(s *schema.Schema, before []string, a analysis) *layout {
	l := &layout{
		schema: s, slots: append([]string(nil), before...), slotOf: map[string]int{},
		searchable: s.Searchable(), searchableOf: map[*schema.Field]int{}, analysis: a,
	}
	for i, name := range before {
		l.slotOf[name] = i
	}
	for _, f := range s.Fields {
		if _, ok := l.slotOf[f.Name]; !ok {
			l.slotOf[f.Name] = len(l.slots)
			l.slots = append(l.slots, f.Name)
		}
	}
	for i, f := range l.searchable {
		l.searchableOf[f] = i
	}
	return l
}

func (l *layout) analyze(analyzer, text string) iter.Seq[token] {
	return l.analysis.tokens(analyzer, text)
}

func (l *layout) normalize(f *schema.Field, s string) string {
	if f.Normalizer == "" {
		return s
	}
	return l.analysis.normalize(f.Normalizer, s)
}
