package searchclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/onbehalf/onbehalf/search"
)

// wireQuery is the body of Search POST.
//
// https://learn.microsoft.com/rest/api/searchservice/documents/search-post
type wireQuery struct {
	Search            string   `json:"search,omitempty"`
	QueryType         string   `json:"queryType,omitempty"`
	SearchMode        string   `json:"searchMode,omitempty"`
	SearchFields      string   `json:"searchFields,omitempty"`
	Filter            string   `json:"filter,omitempty"`
	OrderBy           string   `json:"orderby,omitempty"`
	Select            string   `json:"select,omitempty"`
	Top               *int     `json:"top,omitempty"`
	Skip              int      `json:"skip,omitempty"`
	Count             bool     `json:"count,omitempty"`
	Facets            []string `json:"facets,omitempty"`
	Highlight         string   `json:"highlight,omitempty"`
	HighlightPreTag   string   `json:"highlightPreTag,omitempty"`
	HighlightPostTag  string   `json:"highlightPostTag,omitempty"`
	MinimumCoverage   *float64 `json:"minimumCoverage,omitempty"`
	ScoringStatistics string   `json:"scoringStatistics,omitempty"`
	SessionID         string   `json:"sessionId,omitempty"`
}

func encodeQuery(q *search.Query) ([]byte, error) {
	if q == nil {
		q = &search.Query{}
	}
	// Lists become one string: a comma in a name would turn one name into two.
	for _, names := range [][]string{q.SearchFields, q.Select, q.Highlight} {
		for _, name := range names {
			if strings.Contains(name, ",") {
				return nil, fmt.Errorf("search client: field name %q: must not hold a comma", name)
			}
		}
	}
	return json.Marshal(wireQuery{
		Search: q.Search, QueryType: q.QueryType, SearchMode: q.SearchMode, SearchFields: strings.Join(q.SearchFields, ","),
		Filter: q.Filter, OrderBy: strings.Join(q.OrderBy, ","), Select: strings.Join(q.Select, ","),
		Top: q.Top, Skip: q.Skip, Count: q.Count, Facets: q.Facets,
		Highlight: strings.Join(q.Highlight, ","), HighlightPreTag: q.HighlightPreTag, HighlightPostTag: q.HighlightPostTag,
		MinimumCoverage: q.MinimumCoverage, ScoringStatistics: q.ScoringStatistics, SessionID: q.SessionID,
	})
}

// wireResult is the answer to a search.
type wireResult struct {
	Count    *int64                    `json:"@odata.count"`
	Coverage *float64                  `json:"@search.coverage"`
	Facets   map[string][]search.Facet `json:"@search.facets"`
	Next     *struct {
		Skip *int `json:"skip"`
		Top  *int `json:"top"`
	} `json:"@search.nextPageParameters"`
	Value []json.RawMessage `json:"value"`
}

// ErrNextPage is a continuation that does not lead on.
var ErrNextPage = errors.New("the service's continuation does not lead on")

func decodeResult(got *answer, q *search.Query) (*search.Result, error) {
	var wire wireResult
	if err := json.Unmarshal(got.body, &wire); err != nil {
		return nil, fmt.Errorf("search client: search: the answer is not the service's JSON: %w", err)
	}
	result := &search.Result{Count: wire.Count, Coverage: wire.Coverage, Facets: wire.Facets, RequestID: got.requestID}
	result.Hits = make([]search.Hit, 0, len(wire.Value))
	for _, value := range wire.Value {
		hit, err := decodeHit(value)
		if err != nil {
			return nil, fmt.Errorf("search client: search: a document of the answer is not the service's JSON: %w", err)
		}
		result.Hits = append(result.Hits, hit)
	}
	if wire.Next == nil {
		return result, nil
	}
	// Only the position comes from the service. Everything else stays what the caller asked.
	next := search.Query{}
	if q != nil {
		next = *q
	}
	if wire.Next.Skip == nil || *wire.Next.Skip <= next.Skip {
		return nil, fmt.Errorf("search client: search: %w", ErrNextPage)
	}
	next.Skip, next.Top = *wire.Next.Skip, wire.Next.Top
	result.Next = &next
	return result, nil
}

// decodeHit takes the annotations of a hit away from its document, whose fields keep order and digits.
func decodeHit(value []byte) (search.Hit, error) {
	var hit search.Hit
	document := make([]byte, 1, len(value))
	document[0] = '{'
	decoder := json.NewDecoder(bytes.NewReader(value))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return hit, errors.Join(errors.New("not an object"), err)
	}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return hit, err
		}
		name, _ := token.(string)
		var member json.RawMessage
		if err = decoder.Decode(&member); err != nil {
			return hit, err
		}
		switch {
		case name == "@search.score":
			err = json.Unmarshal(member, &hit.Score)
		case name == "@search.highlights":
			err = json.Unmarshal(member, &hit.Highlights)
		case strings.HasPrefix(name, "@"): // annotations that nobody asked for
		default:
			if len(document) > 1 {
				document = append(document, ',')
			}
			quoted, _ := json.Marshal(name) // a string always marshals
			document = append(append(append(document, quoted...), ':'), member...)
		}
		if err != nil {
			return hit, err
		}
	}
	hit.Document = append(document, '}')
	return hit, nil
}
