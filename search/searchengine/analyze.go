package searchengine

import "context"

// AnalyzeRequest asks what an analyzer makes of a text.
//
// https://learn.microsoft.com/rest/api/searchservice/indexes/analyze
type AnalyzeRequest struct {
	Text       string
	Analyzer   string // either this
	Normalizer string // or this
}

// AnalyzedToken is a term that an analyzer made. Offsets count UTF-16 code units, as the service's do.
type AnalyzedToken struct {
	Token       string `json:"token"`
	StartOffset int    `json:"startOffset"`
	EndOffset   int    `json:"endOffset"`
	Position    int    `json:"position"`
}

// Analyze tells what an analyzer or a normalizer makes of a text, in an index that must exist.
func (e *Engine) Analyze(_ context.Context, index string, request AnalyzeRequest) ([]AnalyzedToken, error) {
	if _, err := e.findDefinition(index); err != nil {
		return nil, err
	}
	a := e.analysis()
	switch {
	case (request.Analyzer == "") == (request.Normalizer == ""):
		return nil, badRequest("The request is invalid. Details: Exactly one of 'analyzer' and 'normalizer' must be given.")
	case request.Normalizer != "":
		if err := a.checkNormalizer(request.Normalizer); err != nil {
			return nil, err
		}
		return []AnalyzedToken{{a.normalize(request.Normalizer, request.Text), 0, utf16Length(request.Text), 0}}, nil
	}
	if err := a.checkAnalyzer(request.Analyzer); err != nil {
		return nil, err
	}
	tokens := []AnalyzedToken{}
	offset, at := 0, 0 // in UTF-16 code units and in bytes
	for t := range a.tokens(request.Analyzer, request.Text) {
		offset += utf16Length(request.Text[at:t.Start])
		at = t.Start
		tokens = append(tokens, AnalyzedToken{t.Term, offset, offset + utf16Length(request.Text[t.Start:t.End]), t.Position})
	}
	return tokens, nil
}

func utf16Length(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}
