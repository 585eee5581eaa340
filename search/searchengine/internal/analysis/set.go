package analysis

import (
	"net/http"
	"regexp"
	"strings"
	"unicode"

	"github.com/onbehalf/onbehalf/search"
)

// Options choose how names are taken.
type Options struct {
	// MapMicrosoft takes the nearest of Lucene's analyzers for one of Microsoft's, whose linguistics are not public:
	// en.lucene for en.microsoft, standard.lucene where the language has none. Without it they are refused.
	MapMicrosoft bool
}

// Set holds the analyzers and normalizers that an index may name: the service's and those of its definition. It is
// immutable.
type Set struct {
	options     Options
	analyzers   map[string]*Analyzer
	normalizers map[string]*Normalizer
	parts       parts
}

// New reads the analyzers and normalizers of an index definition, which may be nil. Errors are *[search.Error]: 400 for what is wrong,
// 501 for what the local service leaves out.
func New(d *search.Definition, o Options) (*Set, error) {
	s := &Set{options: o, analyzers: map[string]*Analyzer{}, normalizers: map[string]*Normalizer{}}
	if d == nil {
		return s, nil
	}
	return s, s.define(d)
}

// Analyzer finds an analyzer by its name; "" is the service's default, standard.lucene.
func (s *Set) Analyzer(name string) (*Analyzer, error) {
	if a, ok := s.analyzers[name]; ok {
		return a, nil
	}
	switch name {
	case "", "standard.lucene", "standard":
		return standardAnalyzer(maxTokenLength), nil
	case "standardasciifolding.lucene":
		return &Analyzer{cut: standard(maxTokenLength), filters: []filter{each(lower), each(fold)}}, nil
	case "keyword":
		return &Analyzer{cut: whole}, nil
	case "simple":
		return &Analyzer{cut: runs(unicode.IsLetter), filters: []filter{each(lower)}}, nil
	case "stop":
		return &Analyzer{cut: runs(unicode.IsLetter), filters: []filter{each(lower), only(isNoStopWord)}}, nil
	case "whitespace":
		return &Analyzer{cut: runs(notBlank)}, nil
	case "pattern":
		return &Analyzer{cut: between(regexp.MustCompile(`\W+`), -1), filters: []filter{each(lower)}}, nil
	}
	return s.languageAnalyzer(name)
}

func standardAnalyzer(maxLength int) *Analyzer {
	return &Analyzer{cut: standard(maxLength), filters: []filter{each(lower)}}
}

func lower(s string) string { return strings.ToLower(s) }

func (s *Set) languageAnalyzer(name string) (*Analyzer, error) {
	if nearest, ok := s.Nearest(name); ok {
		return s.Analyzer(nearest)
	}
	lang, isLucene := strings.CutSuffix(name, ".lucene")
	if !isLucene {
		if strings.HasSuffix(name, ".microsoft") {
			return nil, unsupported("The analyzer '" + name + "'")
		}
		return nil, badRequest("The analyzer '" + name + "' is not known.")
	}
	a, err := language(strings.ToLower(lang))
	if err == nil && a == nil {
		err = unsupported("The analyzer '" + name + "'")
	}
	return a, err
}

// Nearest names the analyzer that is taken in the place of one of Microsoft's; whoever uses it should say so.
func (s *Set) Nearest(name string) (nearest string, ok bool) {
	lang, isMicrosoft := strings.CutSuffix(name, ".microsoft")
	if !isMicrosoft || !s.options.MapMicrosoft {
		return "", false
	}
	lang = strings.ToLower(lang)
	if lang == "nb" {
		lang = "no" // both are written Norwegian
	}
	if lang == "en" || languageFilters(lang) != nil {
		return lang + ".lucene", true
	}
	return "standard.lucene", true
}

// Normalizer finds a normalizer by its name; "" is none, nil.
func (s *Set) Normalizer(name string) (*Normalizer, error) {
	if n, ok := s.normalizers[name]; ok {
		return n, nil
	}
	filters := map[string][]filter{
		"lowercase":    {each(lower)},
		"uppercase":    {each(strings.ToUpper)},
		"standard":     {each(lower), each(fold)},
		"asciifolding": {each(fold)},
		"elision":      {elide(frenchArticles())},
	}[name]
	switch {
	case name == "":
		return nil, nil //nolint:nilnil // none
	case filters == nil:
		return nil, badRequest("The normalizer '" + name + "' is not known.")
	}
	return &Normalizer{filters: filters}, nil
}

func frenchArticles() map[string]bool {
	return setOf("l", "m", "t", "qu", "n", "s", "j", "d", "c", "jusqu", "quoiqu", "lorsqu", "puisqu")
}

func setOf(words ...string) map[string]bool {
	set := make(map[string]bool, len(words))
	for _, w := range words {
		set[w] = true
	}
	return set
}

func unsupported(what string) error {
	return &search.Error{Status: http.StatusNotImplemented, Message: what + " is not supported by the local search service."}
}

func badRequest(message string) error {
	return &search.Error{Status: http.StatusBadRequest, Message: message}
}
