package searchengine_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

// The people and groups of the tests.
const (
	u1 = "00000000-0000-4000-8000-000000000001"
	u2 = "00000000-0000-4000-8000-000000000002"
	u3 = "00000000-0000-4000-8000-000000000003"
	g1 = "00000000-0000-4000-8000-0000000000a1"
	g2 = "00000000-0000-4000-8000-0000000000a2"
)

func open(tb testing.TB, c searchengine.Config) *searchengine.Engine {
	tb.Helper()
	e, err := searchengine.Open(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return e
}

func definition(tb testing.TB, text string) *search.Definition {
	tb.Helper()
	var d search.Definition
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		tb.Fatal(err)
	}
	return &d
}

func define(tb testing.TB, e *searchengine.Engine, text string) *search.Definition {
	tb.Helper()
	saved, err := e.Put(tb.Context(), definition(tb, text), "")
	if err != nil {
		tb.Fatal(err)
	}
	return saved
}

// upload puts documents, all of which must be taken.
func upload(tb testing.TB, e *searchengine.Engine, index string, docs ...string) {
	tb.Helper()
	batch := make([]search.Action, len(docs))
	for i, doc := range docs {
		batch[i] = search.Action{Document: search.Document(doc)}
	}
	statuses, err := e.Write(tb.Context(), index, batch)
	if err != nil {
		tb.Fatal(err)
	}
	for _, s := range statuses {
		if !s.OK {
			tb.Fatalf("document %q: %d %s", s.Key, s.Code, s.Message)
		}
	}
}

func person(tb testing.TB, object string, groups ...string) search.ByPrincipals {
	tb.Helper()
	id, err := identity.ParseObjectID(object)
	if err != nil {
		tb.Fatal(err)
	}
	return search.ByPrincipals{Object: id, Groups: groups}
}

// keys returns the keys of the hits, which are in the field id, joined by blanks.
func keys(tb testing.TB, x search.Index, u search.User, q *search.Query) string {
	tb.Helper()
	r, err := x.Search(tb.Context(), u, q)
	if err != nil {
		tb.Fatalf("Search(%+v): %v", q, err)
	}
	return keysOf(tb, r)
}

func keysOf(tb testing.TB, r *search.Result) string {
	tb.Helper()
	var out []string
	for _, h := range r.Hits {
		var doc struct{ ID string }
		if err := json.Unmarshal(h.Document, &doc); err != nil {
			tb.Fatal(err)
		}
		out = append(out, doc.ID)
	}
	return strings.Join(out, " ")
}
