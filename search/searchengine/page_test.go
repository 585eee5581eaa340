package searchengine_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

// By score alone the first hits are those that sorting everything gives, whether the documents were there when the keys
// were sorted or came later.
func TestBestByScore(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, textIndex)
	texts := []string{"fox", "fox", "fox fox", "dog", "fox and dog", "a fox dog and another fox"}
	fill := func(from, to, step int) {
		var docs []string
		for i := from; i < to; i++ {
			docs = append(docs, fmt.Sprintf(`{"id":"%05d","text":%q}`, i*step%20_011, texts[i*i%len(texts)]))
			if len(docs) == 1000 || i == to-1 {
				upload(t, e, "docs", docs...)
				docs = nil
			}
		}
	}
	x, u := e.Index("docs"), person(t, u1)
	check := func(desc string) {
		t.Helper()
		for _, page := range []struct{ skip, top int }{{0, 1}, {0, 50}, {0, 1000}, {30, 7}, {900, 1000}, {3000, 50}} {
			q := &search.Query{Search: "fox dog", Skip: page.skip, Top: &page.top}
			got := keys(t, x, u, q)
			q.OrderBy = []string{"search.score() desc"}
			if diff := cmp.Diff(keys(t, x, u, q), got); diff != "" || got == "" && page.skip == 0 {
				t.Errorf("%s, %+v: -want +got:\n%s", desc, page, diff)
			}
		}
	}
	fill(0, 1000, 7)
	check("few")
	fill(1000, 6000, 7)
	check("all sorted")
	fill(6000, 6500, 7)
	check("some new")
	fill(0, 300, 7)
	check("some replaced")
	fill(6500, 12_000, 7)
	check("sorted again")
}

// What pages have shown before is shown as it is now.
func TestShownDocuments(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		e := open(t, searchengine.Config{Dir: dir})
		define(t, e, textIndex)
		x, u := e.Index("docs"), person(t, u1)
		for version := range 3 {
			title := fmt.Sprintf("version %d", version)
			upload(t, e, "docs", `{"id":"a","title":"`+title+`"}`, `{"id":"b","title":"fox"}`)
			for range 4 {
				r, err := x.Search(t.Context(), u, &search.Query{Select: []string{"title"}, OrderBy: []string{"id"}})
				if err != nil {
					t.Fatal(err)
				}
				for i, want := range []string{title, "fox"} {
					if got := string(r.Hits[i].Document); got != `{"title":"`+want+`"}` {
						t.Errorf("hit %d is %s; want the title %s", i, got, want)
					}
					clear(r.Hits[i].Document) // the caller's
				}
			}
		}
	}
}
