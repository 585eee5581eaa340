package searchengine_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

// Grams make very many terms of a long text: it is refused before they are made, and what stands beside it is kept.
func TestGramsOfLongTexts(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, `{"name": "grams", "fields": [
		{"name": "id", "type": "Edm.String", "key": true},
		{"name": "all", "type": "Edm.String", "analyzer": "all"},
		{"name": "chain", "type": "Edm.String", "analyzer": "chain"},
		{"name": "edge", "type": "Edm.String", "analyzer": "edge"},
		{"name": "list", "type": "Collection(Edm.String)", "analyzer": "all"}],
		"analyzers": [
			{"name": "all", "@odata.type": "#Microsoft.Azure.Search.CustomAnalyzer", "tokenizer": "t"},
			{"name": "chain", "@odata.type": "#Microsoft.Azure.Search.CustomAnalyzer", "tokenizer": "keyword_v2", "tokenFilters": ["e", "n"]},
			{"name": "edge", "@odata.type": "#Microsoft.Azure.Search.CustomAnalyzer", "tokenizer": "keyword_v2", "tokenFilters": ["e"]}],
		"tokenizers": [{"name": "t", "@odata.type": "#Microsoft.Azure.Search.NGramTokenizer", "minGram": 1, "maxGram": 300}],
		"tokenFilters": [
			{"name": "e", "@odata.type": "#Microsoft.Azure.Search.EdgeNGramTokenFilterV2", "minGram": 1, "maxGram": 300},
			{"name": "n", "@odata.type": "#Microsoft.Azure.Search.NGramTokenFilterV2", "minGram": 1, "maxGram": 300}]}`)
	long := strings.Repeat("a", 29<<10)
	var batch []search.Action
	for id, doc := range map[string]string{"1": `"all":"short"`, "2": `"all":"` + long + `"`, "3": `"chain":"` + long + `"`, "4": `"edge":"` + long + `"`} {
		batch = append(batch, search.Action{Document: search.Document(`{"id":"` + id + `",` + doc + `}`)})
	}
	statuses, err := e.Write(t.Context(), "grams", batch)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statuses {
		if want := s.Key == "1" || s.Key == "4"; want != s.OK {
			t.Errorf("document %s: HTTP %d %s", s.Key, s.Code, s.Message)
		}
	}
	statuses, err = e.Write(t.Context(), "grams", []search.Action{{Document: search.Document(`{"id":"5","list":["` + strings.Repeat(strings.Repeat("a", 1000)+`","`, 20) + `"]}`)}})
	if err != nil || statuses[0].OK {
		t.Errorf("many short texts: %v %+v", err, statuses)
	}
	for query, bad := range map[string]bool{"all:sho": false, "all:" + long: true, "chain:" + long: true, `all:"` + long + `"`: true, "edge:" + long: false} {
		_, err := e.Index("grams").Search(t.Context(), person(t, u1), &search.Query{Search: query, QueryType: "full"})
		var answer *search.Error
		if errors.As(err, &answer) != bad || bad && answer.Status != http.StatusBadRequest || !bad && err != nil {
			t.Errorf("%.30s…: %v", query, err)
		}
	}
}
