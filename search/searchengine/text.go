package searchengine

import (
	"net/http"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/lucene"
)

// planText reads the full-text query and the fields that it looks into.
func (s *state) planText(q *search.Query) (lucene.Query, []int, error) {
	fields, err := s.searchFields(q.SearchFields)
	if err != nil {
		return nil, nil, err
	}
	full, all := false, false
	switch q.QueryType {
	case "", "simple":
	case "full":
		full = true
	case "semantic":
		return nil, nil, unsupported("queryType 'semantic'")
	default:
		return nil, nil, badParameter("queryType", "The value '%s' is not one of 'simple', 'full' and 'semantic'.", q.QueryType)
	}
	switch q.SearchMode {
	case "", "any":
	case "all":
		all = true
	default:
		return nil, nil, badParameter("searchMode", "The value '%s' is not one of 'any' and 'all'.", q.SearchMode)
	}
	parsed, err := parseText(q.Search, full, all)
	return parsed, fields, err
}

func parseText(text string, full, all bool) (lucene.Query, error) {
	return lucene.Parse(text, lucene.Options{Full: full, All: all})
}

// searchFields finds the searchable fields of a list; nil is all of them.
func (s *state) searchFields(names []string) ([]int, error) {
	fields := make([]int, 0, len(s.fields))
	if len(names) == 0 {
		for i := range s.fields {
			fields = append(fields, i)
		}
		return fields, nil
	}
	for _, name := range names {
		n, err := s.searchField(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(fields, n) {
			fields = append(fields, n)
		}
	}
	return fields, nil
}

func (s *state) searchField(path string) (int, error) {
	f := s.schema.Lookup(path)
	if f == nil {
		return 0, &search.Error{Status: http.StatusBadRequest, Message: "Invalid expression: Could not find a property named '" + path + "' on type 'search.document'.\r\nParameter name: searchFields"}
	}
	if !f.Searchable {
		return 0, &search.Error{Status: http.StatusBadRequest, Message: "The field '" + path + "' in the search field list is not searchable.\r\nParameter name: searchFields"}
	}
	return s.searchableOf[path], nil
}

// match leaves those documents in within that the full-text query matches, and scores them.
func (r *run) match() error {
	if _, all := r.text.(*lucene.All); all {
		return nil
	}
	n, err := r.compile(r.text, r.lookIn, 1)
	if err != nil {
		return err
	}
	r.wantScores()
	matched := r.set()
	if n != nil {
		n.run(r, r.within, matched, r.scores)
	}
	copy(r.within, matched)
	return nil
}
