package searchtest_test

import (
	"testing"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient"
	"github.com/onbehalf/onbehalf/search/searchtest"
)

// What a test of a tool that searches does: two people, two answers.
func Example() {
	_ = func(t *testing.T) { //nolint:thelper // a test, not a helper
		service := searchtest.Start(t, nil)
		client := service.SearchClient()
		definition := &search.Definition{
			Name: "docs", PermissionFilterOption: search.PermissionsEnabled,
			Fields: []search.Field{
				{Name: "id", Type: "Edm.String", Key: true},
				{Name: "name", Type: "Edm.String", Searchable: new(true)},
				{Name: "readers", Type: "Collection(Edm.String)", Filterable: new(true), PermissionFilter: search.UserIDs},
			},
		}
		if _, err := client.Put(t.Context(), definition, ""); err != nil {
			t.Fatal(err)
		}
		for _, document := range []string{`{"id":"1","name":"open","readers":["all"]}`, `{"id":"2","name":"closed","readers":["none"]}`} {
			if _, err := client.Write(t.Context(), "docs", []search.Action{{Kind: search.Upload, Document: search.Document(document)}}); err != nil {
				t.Fatal(err)
			}
		}
		result, err := client.Index("docs").Search(t.Context(), service.As("alice"), &search.Query{})
		if err != nil || len(result.Hits) != 1 {
			t.Errorf("alice sees %v, %v", result, err)
		}

		// A client of one's own, which does not wait where the service is asked to be busy:
		mine, err := searchclient.New(searchclient.Config{Endpoint: service.URL, Key: service.Server.QueryKey(), HTTPClient: service.Client(), MaxRetries: -1})
		if err != nil {
			t.Fatal(err)
		}
		service.QueueError(searchtest.Fault{Endpoint: "docs.search", Status: 429, RetryAfter: 1})
		if _, err := mine.Index("docs").Search(t.Context(), service.As("alice"), nil); err == nil {
			t.Error("a busy service answered")
		}
	}
}
