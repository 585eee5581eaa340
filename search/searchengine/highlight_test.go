package searchengine_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

const highlightIndex = `{"name":"docs","fields":[
	{"name":"id","type":"Edm.String","key":true},
	{"name":"title","type":"Edm.String"},
	{"name":"text","type":"Edm.String"},
	{"name":"tags","type":"Collection(Edm.String)"},
	{"name":"rooms","type":"Collection(Edm.ComplexType)","fields":[{"name":"about","type":"Edm.String"}]},
	{"name":"n","type":"Edm.Int32"},
	{"name":"hidden","type":"Edm.String","retrievable":false}]}`

func TestHighlights(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, highlightIndex)
	upload(t, e, "docs", `{"id":"1","title":"Luxury","text":"Best hotel in town if you like luxury hotels. They have an amazing pool, e.g. heated. We recommend this hotel!\nHotel of the year? `+"“Yes.”"+` Said nobody","tags":["big pool","small pool","view"],"rooms":[{"about":"A room with a pool."},{"about":null},{"about":"No pool <b>here</b>"}]}`)
	for _, tt := range []struct {
		desc string
		q    search.Query
		want map[string][]string
	}{
		{"terms", search.Query{Search: "luxury hotel", Highlight: []string{"title,text"}}, map[string][]string{
			"title": {"<em>Luxury</em>"},
			"text": {
				"Best <em>hotel</em> in town if you like <em>luxury</em> hotels.", "We recommend this <em>hotel</em>!",
				"<em>Hotel</em> of the year?",
			},
		}},
		{"the best one", search.Query{Search: "luxury hotel", Highlight: []string{"text-1"}}, map[string][]string{
			"text": {"Best <em>hotel</em> in town if you like <em>luxury</em> hotels."},
		}},
		{"tags of one's own", search.Query{Search: "nobody", Highlight: []string{"text"}, HighlightPreTag: "[", HighlightPostTag: "]"}, map[string][]string{
			"text": {"Said [nobody]"},
		}},
		{"a phrase as a whole", search.Query{Search: `"this hotel"`, Highlight: []string{"text"}}, map[string][]string{
			"text": {"We recommend <em>this</em> <em>hotel</em>!"},
		}},
		{"a phrase with moves", search.Query{Search: `"hotel town"~1`, QueryType: "full", Highlight: []string{"text"}}, map[string][]string{
			"text": {"Best <em>hotel</em> in <em>town</em> if you like luxury hotels."},
		}},
		{"a prefix", search.Query{Search: "amaz*", Highlight: []string{"text"}}, map[string][]string{
			"text": {"They have an <em>amazing</em> pool, e.g. heated."},
		}},
		{"a wildcard", search.Query{Search: "h?t?ls", QueryType: "full", Highlight: []string{"text"}}, map[string][]string{
			"text": {"Best hotel in town if you like luxury <em>hotels</em>."},
		}},
		{"a regular expression", search.Query{Search: "/hea.*/", QueryType: "full", Highlight: []string{"text"}}, map[string][]string{
			"text": {"They have an amazing pool, e.g. <em>heated</em>."},
		}},
		{"a fuzzy term", search.Query{Search: "amazin~1", QueryType: "full", Highlight: []string{"text"}}, map[string][]string{
			"text": {"They have an <em>amazing</em> pool, e.g. heated."},
		}},
		{"a collection", search.Query{Search: "pool", Highlight: []string{"tags"}}, map[string][]string{
			"tags": {"big <em>pool</em>", "small <em>pool</em>"},
		}},
		{"inside complex values, not escaped", search.Query{Search: "pool", Highlight: []string{"rooms/about"}}, map[string][]string{
			"rooms/about": {"A room with a <em>pool</em>.", "No <em>pool</em> <b>here</b>"},
		}},
		{"a field of its own", search.Query{Search: "title:luxury AND text:hotels", QueryType: "full", Highlight: []string{"title", "text"}}, map[string][]string{
			"title": {"<em>Luxury</em>"},
			"text":  {"Best hotel in town if you like luxury <em>hotels</em>."},
		}},
		{"other fields searched", search.Query{Search: "luxury", SearchFields: []string{"title"}, Highlight: []string{"title", "text"}}, map[string][]string{
			"title": {"<em>Luxury</em>"},
		}},
		{"not what is excluded", search.Query{Search: "town -castle", SearchMode: "all", Highlight: []string{"text"}}, map[string][]string{
			"text": {"Best hotel in <em>town</em> if you like luxury hotels."},
		}},
		{"no text", search.Query{Highlight: []string{"text"}}, nil},
		{"no field", search.Query{Search: "hotel"}, nil},
	} {
		r, err := e.Index("docs").Search(t.Context(), person(t, u1), &tt.q)
		if err != nil {
			t.Errorf("%s: %v", tt.desc, err)
			continue
		}
		if len(r.Hits) != 1 {
			t.Errorf("%s: %d hits", tt.desc, len(r.Hits))
		} else if diff := cmp.Diff(tt.want, r.Hits[0].Highlights); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.desc, diff)
		}
	}
}

func TestLongTextsAreCut(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, highlightIndex)
	long := strings.Repeat("ärger und ", 1000)
	upload(t, e, "docs", `{"id":"1","title":"`+strings.Repeat("x", 5000)+` needle","text":"`+long+`needle `+long+`"}`)
	r, err := e.Index("docs").Search(t.Context(), person(t, u1), &search.Query{Search: "needle", Highlight: []string{"title", "text"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"title", "text"} {
		got := r.Hits[0].Highlights[field]
		if len(got) != 1 || len(got[0]) > 1100 || !strings.Contains(got[0], "<em>needle</em>") {
			t.Errorf("%s: got %d fragments: %.60q", field, len(got), got)
		}
	}
}

func TestHighlightsThatAreRefused(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, highlightIndex)
	for _, field := range []string{"nowhere", "n", "hidden", "text-0", "text-x", "rooms"} {
		_, err := e.Index("docs").Search(t.Context(), person(t, u1), &search.Query{Search: "x", Highlight: []string{field}})
		if !errors.Is(err, search.ErrBadRequest) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v; want a bad request that names it", field, err)
		}
	}
}

// Tags multiply: what a page may grow to is bounded.
func TestHighlightsAreBounded(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, highlightIndex)
	text := strings.Repeat("Fox. ", 6000)
	upload(t, e, "docs", `{"id":"1","text":"`+text+`"}`, `{"id":"2","text":"`+text+`"}`)
	q := &search.Query{Search: "fox", Highlight: []string{"text-6000"}}
	for _, tag := range []string{strings.Repeat("x", 1000), strings.Repeat("x", 1001)} {
		q.HighlightPreTag, q.HighlightPostTag = "<b>", tag
		if len(tag) == 1000 {
			q.HighlightPreTag = tag
		}
		if _, err := e.Index("docs").Search(t.Context(), person(t, u1), q); !errors.Is(err, search.ErrBadRequest) {
			t.Errorf("tags of %d bytes: %v; want a bad request", len(tag), err)
		}
	}
	q.HighlightPreTag, q.HighlightPostTag = "<b>", "</b>"
	if r, err := e.Index("docs").Search(t.Context(), person(t, u1), q); err != nil || len(r.Hits[0].Highlights["text"]) != 6000 {
		t.Errorf("with a short tag: %v", err)
	}
}

// FuzzHighlight checks that a highlight is a part of the text with tags in it, whatever text and query are.
func FuzzHighlight(f *testing.F) {
	e := open(f, searchengine.Config{})
	define(f, e, highlightIndex)
	f.Add("Best hotel. \"Yes!\" Said nobody\nä。ö", `"best hotel"~2`, true)
	f.Add("......", "yes*", false)
	f.Fuzz(func(t *testing.T, text, query string, full bool) {
		text = strings.ToValidUTF8(text, "")
		doc, err := json.Marshal(map[string]string{"id": "1", "text": text})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = e.Write(t.Context(), "docs", []search.Action{{Document: doc}}); err != nil {
			t.Fatal(err)
		}
		q := search.Query{Search: query, Highlight: []string{"text"}, HighlightPreTag: "\x00", HighlightPostTag: "\x00"}
		if full {
			q.QueryType = "full"
		}
		r, err := e.Index("docs").Search(t.Context(), person(t, u1), &q)
		if err != nil {
			return
		}
		for _, h := range r.Hits {
			for _, fragment := range h.Highlights["text"] {
				plain := strings.ReplaceAll(fragment, "\x00", "")
				if !strings.Contains(strings.ReplaceAll(text, "\x00", ""), plain) {
					t.Errorf("%q is no part of %q", fragment, text)
				}
			}
		}
	})
}
