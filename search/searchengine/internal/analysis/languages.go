package analysis

import (
	bleve "github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/registry"

	// They register the filters that are named below.
	_ "github.com/blevesearch/bleve/v2/analysis/lang/ar"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/da"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/de"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/es"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/fa"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/fi"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/fr"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/hi"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/hu"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/in"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/it"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/nl"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/no"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/pt"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/ro"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/ru"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/sv"
	_ "github.com/blevesearch/bleve/v2/analysis/lang/tr"
)

// languageFilters names Bleve's filters behind the standard tokenizer and the lower-casing, in the order of Lucene's
// analyzer of that language; nil for languages that the local service leaves out: Bleve lacks the stemmer or the
// segmentation that Lucene has for them.
//
// https://lucene.apache.org/core/6_6_1/analyzers-common/
func languageFilters(language string) []string {
	switch language {
	case "ar":
		return []string{"stop_ar", "normalize_ar", "stemmer_ar"}
	case "de":
		return []string{"stop_de", "normalize_de", "stemmer_de_light"}
	case "es":
		return []string{"stop_es", "normalize_es", "stemmer_es_light"}
	case "fa":
		return []string{"normalize_ar", "normalize_fa", "stop_fa"}
	case "fr":
		return []string{"elision_fr", "stop_fr", "stemmer_fr_light"}
	case "hi":
		return []string{"normalize_in", "normalize_hi", "stop_hi", "stemmer_hi"}
	case "it":
		return []string{"elision_it", "stop_it", "stemmer_it_light"}
	case "pt-pt":
		return []string{"stop_pt", "stemmer_pt_light"}
	case "da", "fi", "hu", "nl", "no", "ro", "ru", "sv", "tr":
		return []string{"stop_" + language, "stemmer_" + language + "_snowball"}
	}
	return nil
}

// language makes the analyzer of a language, nil for those that are left out.
func language(name string) (*Analyzer, error) {
	a := &Analyzer{cut: standard(maxTokenLength)}
	switch name {
	case "en":
		a.filters = []filter{each(possessive), each(lower), only(isNoStopWord), each(stem)}
		return a, nil
	case "tr":
		a.filters = []filter{each(withoutApostrophe), each(lowerTurkish)}
	default:
		a.filters = []filter{each(lower)}
	}
	names := languageFilters(name)
	if names == nil {
		return nil, nil //nolint:nilnil // left out
	}
	parts := registry.NewCache()
	for _, part := range names {
		f, err := parts.TokenFilterNamed(part)
		if err != nil {
			return nil, err
		}
		a.filters = append(a.filters, fromBleve(f))
	}
	return a, nil
}

// fromBleve makes a filter of one of Bleve's that changes terms and leaves some out.
func fromBleve(f bleve.TokenFilter) filter {
	return func(tokens []Token) []Token {
		theirs := make([]bleve.Token, len(tokens))
		stream := make(bleve.TokenStream, len(tokens))
		for i, t := range tokens {
			theirs[i] = bleve.Token{Term: []byte(t.Term), Start: t.Start, End: t.End, Position: t.Position}
			stream[i] = &theirs[i]
		}
		tokens = tokens[:0]
		for _, t := range f.Filter(stream) {
			tokens = append(tokens, Token{Term: string(t.Term), Start: t.Start, End: t.End, Position: t.Position})
		}
		return tokens
	}
}

// isNoStopWord tells the 33 English stop words of Lucene.
//
// https://lucene.apache.org/core/6_6_1/core/org/apache/lucene/analysis/standard/StandardAnalyzer.html
func isNoStopWord(s string) bool {
	switch s {
	case "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of",
		"on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with":
		return false
	}
	return true
}
