package searchengine

import (
	"context"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/analysis"
)

// AnalyzeRequest asks what an analyzer, a tokenizer with filters, or a normalizer makes of a text. Exactly one of
// Analyzer, Tokenizer and Normalizer is given.
//
// https://learn.microsoft.com/rest/api/searchservice/indexes/analyze
type AnalyzeRequest struct {
	Text         string   `json:"text"`
	Analyzer     string   `json:"analyzer,omitempty"`
	Tokenizer    string   `json:"tokenizer,omitempty"`
	Normalizer   string   `json:"normalizer,omitempty"`
	TokenFilters []string `json:"tokenFilters,omitempty"` // with Tokenizer or Normalizer
	CharFilters  []string `json:"charFilters,omitempty"`
}

// AnalyzedToken is a term that an analyzer made. Offsets count UTF-16 code units, as the service's do.
type AnalyzedToken struct {
	Token       string `json:"token"`
	StartOffset int    `json:"startOffset"`
	EndOffset   int    `json:"endOffset"`
	Position    int    `json:"position"`
}

// maxAnalyze bounds the text of an [AnalyzeRequest], in bytes.
const maxAnalyze = 1 << 20

// Analyze tells what becomes of a text, by the analyzers of an index that must exist.
func (e *Engine) Analyze(_ context.Context, index string, q AnalyzeRequest) ([]AnalyzedToken, error) {
	x, err := e.findDefinition(index)
	if err != nil {
		return nil, err
	}
	if len(q.Text) > maxAnalyze {
		return nil, badRequest("The request is invalid. Details: The text has %d bytes; at most %d are supported.", len(q.Text), maxAnalyze)
	}
	set, err := e.analyzers(x.currentDefinition())
	if err != nil {
		return nil, err
	}
	var a *analysis.Analyzer
	switch {
	case q.Analyzer != "" && q.Tokenizer == "" && q.Normalizer == "" && len(q.TokenFilters)+len(q.CharFilters) == 0:
		a, err = set.Analyzer(q.Analyzer)
	case q.Analyzer == "" && q.Tokenizer != "" && q.Normalizer == "":
		a, err = set.Chain(q.Tokenizer, q.TokenFilters, q.CharFilters)
	case q.Analyzer == "" && q.Tokenizer == "" && q.Normalizer != "" && len(q.TokenFilters)+len(q.CharFilters) == 0:
		n, unknown := set.Normalizer(q.Normalizer)
		if unknown != nil {
			return nil, unknown
		}
		return []AnalyzedToken{{n.Normalize(q.Text), 0, utf16Length(q.Text), 0}}, nil
	default:
		return nil, badRequest("The request is invalid. Details: Give exactly one of 'analyzer', 'tokenizer' and 'normalizer'; filters go with a tokenizer.")
	}
	if err != nil {
		return nil, err
	}
	if a.Grams(q.Text) > maxQueryGrams {
		return nil, badRequest("The request is invalid. Details: The analyzer would make more than %d tokens of the text.", maxQueryGrams)
	}
	return describe(q.Text, a.Append(nil, q.Text)), nil
}

// describe counts the places of tokens in UTF-16 code units.
func describe(text string, tokens []analysis.Token) []AnalyzedToken {
	out := make([]AnalyzedToken, len(tokens))
	offsets := make(map[int]int, 2*len(tokens)) // by place in bytes
	for _, t := range tokens {
		offsets[t.Start], offsets[t.End] = 0, 0
	}
	units := 0
	for at, r := range text {
		if _, asked := offsets[at]; asked {
			offsets[at] = units
		}
		units += utf16Units(r)
	}
	offsets[len(text)] = units
	for i, t := range tokens {
		out[i] = AnalyzedToken{t.Term, offsets[t.Start], offsets[t.End], t.Position}
	}
	return out
}

func utf16Length(s string) int {
	n := 0
	for _, r := range s {
		n += utf16Units(r)
	}
	return n
}

func utf16Units(r rune) int {
	if r > 0xFFFF {
		return 2
	}
	return 1
}
