package searchclient

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/internal/jsonscan"
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

// ErrNextPage is a continuation that does not lead on.
var ErrNextPage = errors.New("the service's continuation does not lead on")

// nextPage is the position of the next page in the service's words.
type nextPage struct {
	Skip *int `json:"skip"`
	Top  *int `json:"top"`
}

// decodeResult reads the answer to a search in one pass over it.
func decodeResult(got *answer, q *search.Query) (*search.Result, error) {
	result := &search.Result{RequestID: got.requestID, Hits: []search.Hit{}}
	var next *nextPage
	scan := jsonscan.New(got.body)
	err := scan.Object(func(name string, _ int) error {
		switch name {
		case "value":
			return scan.Array(func() error {
				hit, err := decodeHit(scan, got.body)
				result.Hits = append(result.Hits, hit)
				return err
			})
		case "@odata.count":
			return decodeInto(scan, &result.Count)
		case "@search.coverage":
			return decodeInto(scan, &result.Coverage)
		case "@search.facets":
			return decodeInto(scan, &result.Facets)
		case "@search.nextPageParameters":
			return decodeInto(scan, &next)
		default:
			_, err := scan.Value()
			return err
		}
	})
	if err = cmp.Or(err, scan.End()); err != nil {
		return nil, fmt.Errorf("search client: search: the answer is not the service's JSON: %w", err)
	}
	if next == nil {
		return result, nil
	}
	// Only the position comes from the service. Everything else stays what the caller asked.
	following := search.Query{}
	if q != nil {
		following = *q
	}
	if next.Skip == nil || *next.Skip <= following.Skip {
		return nil, fmt.Errorf("search client: search: %w", ErrNextPage)
	}
	following.Skip, following.Top = *next.Skip, next.Top
	result.Next = &following
	return result, nil
}

func decodeInto(scan *jsonscan.Scanner, into any) error {
	value, err := scan.Value()
	if err != nil {
		return err
	}
	return json.Unmarshal(value, into)
}

// decodeHit takes the annotations of a hit away from its document, whose fields keep order and digits.
func decodeHit(scan *jsonscan.Scanner, text []byte) (search.Hit, error) {
	var hit search.Hit
	document := []byte{'{'}
	from, to := 0, 0 // members of the document that stand side by side are copied at once
	flush := func() {
		if from == to {
			return
		}
		if len(document) > 1 {
			document = append(document, ',')
		} else {
			document = slices.Grow(document, to-from+1)
		}
		document = append(document, text[from:to]...)
		from, to = 0, 0
	}
	err := scan.Object(func(name string, start int) error {
		if !strings.HasPrefix(name, "@") {
			if from == to {
				from = start
			}
			_, err := scan.Value()
			to = scan.Offset()
			return err
		}
		flush()
		switch name {
		case "@search.score":
			return decodeInto(scan, &hit.Score)
		case "@search.highlights":
			return decodeInto(scan, &hit.Highlights)
		default: // annotations that nobody asked for
			_, err := scan.Value()
			return err
		}
	})
	if err != nil {
		return hit, err
	}
	flush()
	hit.Document = append(document, '}')
	return hit, nil
}
