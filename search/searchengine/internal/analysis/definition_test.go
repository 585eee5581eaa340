package analysis_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/analysis"
)

// define makes an analyzer of a JSON object {tokenizer, tokenFilters, charFilters}, whose parts are named t, f and c when
// they have definitions.
func define(analyzer, tokenizer, tokenFilter, charFilter string) *search.Definition {
	list := func(s string) json.RawMessage {
		if s == "" {
			return nil
		}
		return json.RawMessage("[" + strings.ReplaceAll(s, `"#`, `"#Microsoft.Azure.Search.`) + "]")
	}
	return &search.Definition{Analyzers: list(analyzer), Tokenizers: list(tokenizer), TokenFilters: list(tokenFilter), CharFilters: list(charFilter)}
}

func TestCustomAnalyzers(t *testing.T) {
	const custom = `{"name": "a", "@odata.type": "#CustomAnalyzer", `
	for _, test := range []struct{ desc, analyzer, tokenizer, filter, char, text, want string }{
		{"names alone", custom + `"tokenizer": "standard_v2", "tokenFilters": ["lowercase", "asciifolding"]}`, "", "", "", "Crème Fraîche", "creme[Crème] fraiche[Fraîche]"},
		{"keyword in capitals", custom + `"tokenizer": "keyword_v2", "tokenFilters": ["uppercase"]}`, "", "", "", "a b", "A B[a b]"},
		{"lowercase tokenizer, stemmed", custom + `"tokenizer": "lowercase", "tokenFilters": ["stopwords", "porter_stem"]}`, "", "", "", "The DOGS", "dog[DOGS]@1"},
		{"standard with a length", `{"name": "a", "@odata.type": "#StandardAnalyzer", "maxTokenLength": 3, "stopwords": ["abc"]}`, "", "", "", "abcde", "de@1"},
		{"stop", `{"name": "a", "@odata.type": "#StopAnalyzer", "stopwords": ["x"]}`, "", "", "", "x the", "the@1"},
		{"pattern", `{"name": "a", "@odata.type": "#PatternAnalyzer", "lowercase": false, "pattern": ";", "stopwords": ["B"]}`, "", "", "", "A;B;c d", "A c d@2"},
		{"pattern tokenizer, group", custom + `"tokenizer": "t"}`, `{"name": "t", "@odata.type": "#PatternTokenizer", "pattern": "'([^']+)'", "group": 1}`, "", "", "aaa 'bbb' 'ccc'", "bbb ccc"},
		{"pattern tokenizer, flags", custom + `"tokenizer": "t"}`, `{"name": "t", "@odata.type": "#PatternTokenizer", "pattern": "x", "flags": "CASE_INSENSITIVE"}`, "", "", "aXbxc", "a b c"},
		{"edge n-grams", custom + `"tokenizer": "t"}`, `{"name": "t", "@odata.type": "#EdgeNGramTokenizer", "minGram": 2, "maxGram": 3, "tokenChars": ["letter", "digit"]}`, "", "", "größe 1", "gr grö"},
		{"n-grams", custom + `"tokenizer": "t"}`, `{"name": "t", "@odata.type": "#NGramTokenizer", "minGram": 2, "maxGram": 3}`, "", "", "abc", "ab abc bc"},
		{"paths", custom + `"tokenizer": "t"}`, `{"name": "t", "@odata.type": "#PathHierarchyTokenizerV2", "delimiter": "\\", "replacement": "/"}`, "", "", `a\b\c`, `a a/b[a\b]@0 a/b/c[a\b\c]@0`},
		{"edge n-grams of tokens", custom + `"tokenizer": "whitespace", "tokenFilters": ["f"]}`, "", `{"name": "f", "@odata.type": "#EdgeNGramTokenFilterV2", "minGram": 1, "maxGram": 2}`, "", "ab cd", "a[ab] ab@0 c[cd]@1 cd@1"},
		{"edge n-grams from the back", custom + `"tokenizer": "whitespace", "tokenFilters": ["f"]}`, "", `{"name": "f", "@odata.type": "#EdgeNGramTokenFilterV2", "minGram": 2, "maxGram": 2, "side": "back"}`, "", "abcd", "cd[abcd]"},
		{"n-grams of tokens", custom + `"tokenizer": "keyword_v2", "tokenFilters": ["f"]}`, "", `{"name": "f", "@odata.type": "#NGramTokenFilterV2", "minGram": 2, "maxGram": 2}`, "", "abc", "ab[abc] bc[abc]@0"},
		{"folding keeps the original", custom + `"tokenizer": "whitespace", "tokenFilters": ["f"]}`, "", `{"name": "f", "@odata.type": "#AsciiFoldingTokenFilter", "preserveOriginal": true}`, "", "é a", "e[é] é@0 a@1"},
		{"stop words", custom + `"tokenizer": "whitespace", "tokenFilters": ["f"]}`, "", `{"name": "f", "@odata.type": "#StopwordsTokenFilter", "stopwords": ["Foo"], "ignoreCase": true}`, "", "FOO bar", "bar@1"},
		{"lengths", custom + `"tokenizer": "whitespace", "tokenFilters": ["f"]}`, "", `{"name": "f", "@odata.type": "#LengthTokenFilter", "min": 2, "max": 3}`, "", "a bb cccc ddd", "bb@1 ddd@3"},
		{"truncate and unique", custom + `"tokenizer": "whitespace", "tokenFilters": ["f", "unique"]}`, "", `{"name": "f", "@odata.type": "#TruncateTokenFilter", "length": 2}`, "", "öab öac x", "öa[öab] x@2"},
		{"limit", custom + `"tokenizer": "whitespace", "tokenFilters": ["f"]}`, "", `{"name": "f", "@odata.type": "#LimitTokenFilter", "maxTokenCount": 2}`, "", "a b c", "a b"},
		{"keep", custom + `"tokenizer": "whitespace", "tokenFilters": ["f"]}`, "", `{"name": "f", "@odata.type": "#KeepTokenFilter", "keepWords": ["b"]}`, "", "a b c", "b@1"},
		{"elision", custom + `"tokenizer": "whitespace", "tokenFilters": ["f"]}`, "", `{"name": "f", "@odata.type": "#ElisionTokenFilter", "articles": ["o"]}`, "", "O'Neil l'eau", "Neil[O'Neil] l'eau"},
		{"replace", custom + `"tokenizer": "whitespace", "tokenFilters": ["f", "reverse"]}`, "", `{"name": "f", "@odata.type": "#PatternReplaceTokenFilter", "pattern": "([0-9])-", "replacement": "$1x"}`, "", "1-2", "2x1[1-2]"},
		{"mapping", custom + `"tokenizer": "standard_v2", "charFilters": ["c"]}`, "", "", `{"name": "c", "@odata.type": "#MappingCharFilter", "mappings": ["ph=>f", "€=>euro", "-=>"]}`, "phone-phon 5€ x", "fonefon[phone-phon] 5euro[5€] x"},
		{"pattern replaced", custom + `"tokenizer": "whitespace", "charFilters": ["c"]}`, "", "", `{"name": "c", "@odata.type": "#PatternReplaceCharFilter", "pattern": "[0-9]+", "replacement": "+"}`, "a12b 345 c", "a+b[a12b] +[345] c"},
		{"HTML", custom + `"tokenizer": "standard_v2", "charFilters": ["html_strip"]}`, "", "", "", "<p>R&amp;D <b>bo</b>ld<br>x</p><script>evil()</script>&copy; y", "R D bold[bo</b>ld] x y"},
		{"two char filters", custom + `"tokenizer": "whitespace", "charFilters": ["html_strip", "c"]}`, "", "", `{"name": "c", "@odata.type": "#MappingCharFilter", "mappings": ["&=>and"]}`, "<i>a</i> R&amp;D z", "a RandD[R&amp;D] z"},
	} {
		set, err := analysis.New(define(test.analyzer, test.tokenizer, test.filter, test.char), analysis.Options{})
		if err != nil {
			t.Errorf("%s: %v", test.desc, err)
			continue
		}
		a, err := set.Analyzer("a")
		if err != nil {
			t.Errorf("%s: %v", test.desc, err)
			continue
		}
		if got := show(test.text, a.Append(nil, test.text)); got != test.want {
			t.Errorf("%s: %q:\n got %s\nwant %s", test.desc, test.text, got, test.want)
		}
	}
}

func TestDefinitionErrors(t *testing.T) {
	const custom = `{"name": "a", "@odata.type": "#CustomAnalyzer", `
	for _, test := range []struct {
		desc, analyzer, tokenizer, filter, char string
		want                                    error
	}{
		{"no JSON", `{`, "", "", "", search.ErrBadRequest},
		{"no name", `{"@odata.type": "#StopAnalyzer"}`, "", "", "", search.ErrBadRequest},
		{"unknown tokenizer", custom + `"tokenizer": "x"}`, "", "", "", search.ErrBadRequest},
		{"unknown filter", custom + `"tokenizer": "standard", "tokenFilters": ["x"]}`, "", "", "", search.ErrBadRequest},
		{"unknown char filter", custom + `"tokenizer": "standard", "charFilters": ["x"]}`, "", "", "", search.ErrBadRequest},
		{"left out: tokenizer", custom + `"tokenizer": "uax_url_email"}`, "", "", "", search.ErrUnsupported},
		{"left out: filter", custom + `"tokenizer": "standard", "tokenFilters": ["shingle"]}`, "", "", "", search.ErrUnsupported},
		{"left out: defined tokenizer", "", `{"name": "t", "@odata.type": "#MicrosoftLanguageTokenizer"}`, "", "", search.ErrUnsupported},
		{"left out: defined filter", "", "", `{"name": "f", "@odata.type": "#SynonymTokenFilter"}`, "", search.ErrUnsupported},
		{"left out: defined analyzer", `{"name": "a", "@odata.type": "#LuceneAnalyzer"}`, "", "", "", search.ErrUnsupported},
		{"left out: flag", "", `{"name": "t", "@odata.type": "#PatternTokenizer", "flags": "CANON_EQ"}`, "", "", search.ErrUnsupported},
		{"bad pattern", "", `{"name": "t", "@odata.type": "#PatternTokenizer", "pattern": "("}`, "", "", search.ErrBadRequest},
		{"no such group", "", `{"name": "t", "@odata.type": "#PatternTokenizer", "group": 1}`, "", "", search.ErrBadRequest},
		{"grams the wrong way round", "", `{"name": "t", "@odata.type": "#NGramTokenizer", "minGram": 3, "maxGram": 2}`, "", "", search.ErrBadRequest},
		{"unknown characters", "", `{"name": "t", "@odata.type": "#NGramTokenizer", "tokenChars": ["vowel"]}`, "", "", search.ErrBadRequest},
		{"too long", `{"name": "a", "@odata.type": "#StandardAnalyzer", "maxTokenLength": 301}`, "", "", "", search.ErrBadRequest},
		{"bad mapping", "", "", "", `{"name": "c", "@odata.type": "#MappingCharFilter", "mappings": ["ab"]}`, search.ErrBadRequest},
	} {
		if _, err := analysis.New(define(test.analyzer, test.tokenizer, test.filter, test.char), analysis.Options{}); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.desc, err, test.want)
		}
	}
}

func FuzzHTML(f *testing.F) {
	set, err := analysis.New(nil, analysis.Options{})
	if err != nil {
		f.Fatal(err)
	}
	a, err := set.Chain("standard_v2", []string{"lowercase", "asciifolding", "nGram_v2"}, []string{"html_strip"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("<p>R&amp;D <b>bo</b>ld<br>x</p><script>evil()</script>&copy; y")
	f.Add("&NotEqualTilde;<!-- x --><!DOCTYPE y>&#x10FFFF;&#0;")
	f.Fuzz(func(t *testing.T, text string) {
		for _, token := range a.Append(nil, text) {
			if token.Start < 0 || token.End < token.Start || token.End > len(text) {
				t.Errorf("%+v", token)
			}
		}
	})
}
