package searchengine

import (
	"log/slog"
	"sync"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/analysis"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/schema"
)

// layout says how the documents of an index are laid out: it follows from the definition and from what it was before. It
// does not change.
type layout struct {
	schema *schema.Schema
	slots  []string       // names of the top-level fields in the order in which documents are stored: new ones last
	slotOf map[string]int // where a name is in slots

	searchable   []searchable
	searchableOf map[string]int // by path
	normalizers  map[string]*analysis.Normalizer

	whole projection // shows every field

	readers sync.Pool // of *reader
}

// searchable is a field that full-text queries look into.
type searchable struct {
	path            string
	ofText, ofQuery *analysis.Analyzer
}

// compile checks a definition and lays its documents out. full is the definition with every default written out; before
// are the slots that stored documents have.
func (e *Engine) compile(d *search.Definition, before []string) (l *layout, full *search.Definition, err error) {
	set, err := e.analyzers(d)
	if err != nil {
		return nil, nil, err
	}
	s, full, err := schema.Compile(d, schema.Names{
		Analyzer:   func(name string) error { _, no := set.Analyzer(name); return no },
		Normalizer: func(name string) error { _, no := set.Normalizer(name); return no },
	})
	if err != nil {
		return nil, nil, err
	}
	l = &layout{schema: s, slotOf: map[string]int{}, searchableOf: map[string]int{}, normalizers: map[string]*analysis.Normalizer{}}
	l.setSlots(before)
	l.whole = l.project(nil)
	return l, full, l.setAnalysis(set)
}

func (e *Engine) analyzers(d *search.Definition) (*analysis.Set, error) {
	return analysis.New(d, analysis.Options{MapMicrosoft: e.config.MapMicrosoftAnalyzers})
}

func (l *layout) setSlots(before []string) {
	for _, name := range before {
		l.addSlot(name)
	}
	for _, f := range l.schema.Fields {
		if _, ok := l.slotOf[f.Name]; !ok {
			l.addSlot(f.Name)
		}
	}
}

func (l *layout) addSlot(name string) {
	l.slotOf[name] = len(l.slots)
	l.slots = append(l.slots, name)
}

func (l *layout) setAnalysis(set *analysis.Set) (err error) {
	for _, f := range l.schema.All() {
		if f.Normalizer != "" {
			if l.normalizers[f.Path], err = set.Normalizer(f.Normalizer); err != nil {
				return err
			}
		}
		if !f.Searchable {
			continue
		}
		s := searchable{path: f.Path}
		if s.ofText, err = set.Analyzer(f.Analyzer); err != nil {
			return err
		}
		if s.ofQuery, err = set.Analyzer(f.SearchAnalyzer); err != nil {
			return err
		}
		l.searchableOf[f.Path] = len(l.searchable)
		l.searchable = append(l.searchable, s)
	}
	return nil
}

// warnOfMappedAnalyzers says where another analyzer than the named one is at work.
func (e *Engine) warnOfMappedAnalyzers(l *layout, d *search.Definition) {
	set, err := e.analyzers(d)
	if err != nil {
		return
	}
	for _, f := range l.schema.All() {
		for _, name := range []string{f.Analyzer, f.SearchAnalyzer} {
			if nearest, mapped := set.Nearest(name); mapped {
				e.config.Logger.Warn("Microsoft's analyzer is not public; the nearest is used, and scores will differ from the service's",
					slog.String("index", d.Name), slog.String("field", f.Path), slog.String("analyzer", name), slog.String("used", nearest))
			}
		}
	}
}

func (l *layout) normalize(f *schema.Field, s string) string {
	if f.Normalizer == "" {
		return s
	}
	return l.normalizers[f.Path].Normalize(s)
}
