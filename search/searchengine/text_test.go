package searchengine_test

import (
	"errors"
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

const textIndex = `{"name":"docs","fields":[
	{"name":"id","type":"Edm.String","key":true},
	{"name":"title","type":"Edm.String"},
	{"name":"text","type":"Edm.String"},
	{"name":"tags","type":"Collection(Edm.String)"},
	{"name":"n","type":"Edm.Int32"}]}`

func TestFullTextQueries(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, textIndex)
	upload(t, e, "docs",
		`{"id":"a","title":"Fox","text":"the quick brown fox jumps over the lazy dog","tags":["red wine","green tea"]}`,
		`{"id":"b","title":"Dog","text":"a quick dog and a brown cat"}`,
		`{"id":"c","title":"Cat","text":"brown quick things"}`,
		`{"id":"d","title":"Quickly","text":"foxes"}`,
		`{"id":"e"}`)
	x, u := e.Index("docs"), person(t, u1)
	for _, tt := range []struct{ mode, text, want string }{
		{"", `"quick brown"`, "a"},
		{"", `"brown quick"`, "c"},
		{"", `"wine green"`, ""},
		{"", `"green tea"`, "a"},
		{"", `quic*`, "a b c d"},
		{"", `fox | cat`, "a b c"},
		{"", `+quick +dog`, "a b"},
		{"all", `quick -dog`, "c"},
		{"", `jumps (lazy + sleepy)`, "a"},
		{"full", `"quick fox"~1`, "a"},
		{"full", `"quick brown"~1`, "a"},
		{"full", `"quick brown"~2`, "a c"},
		{"full", `"quick brown"~3`, "a b c"},
		{"full", `"quick cat"~9`, "b"},
		{"full", `title:fox`, "a"},
		{"full", `title:(fox OR cat)`, "a c"},
		{"full", `fxo~1`, "a"},
		{"full", `foxx~`, "a d"},
		{"full", `fo~2`, "a b"},
		{"full", `qu?ck`, "a b c"},
		{"full", `q*k*`, "a b c d"},
		{"full", `t*gs`, "c"},
		{"full", `/fo[xy](es)?/`, "a d"},
		{"full", `quick AND NOT dog`, "c"},
		{"full", `quick NOT dog`, "c"},
		{"full", `title:cat^10 OR title:dog`, "c b"},
		{"full", `nothing`, ""},
	} {
		q := search.Query{Search: tt.text, SearchMode: tt.mode}
		if tt.mode == "full" {
			q.QueryType, q.SearchMode = "full", ""
		}
		got := keys(t, x, u, &q)
		if tt.want != "c b" {
			got = sortedWords(got)
		}
		if got != tt.want {
			t.Errorf("%s %q: got %q; want %q", tt.mode, tt.text, got, tt.want)
		}
	}
}

func sortedWords(s string) string {
	words := strings.Fields(s)
	for i := range words {
		for k := range i {
			if words[i] < words[k] {
				words[i], words[k] = words[k], words[i]
			}
		}
	}
	return strings.Join(words, " ")
}

func TestSearchFields(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, textIndex)
	upload(t, e, "docs", `{"id":"a","title":"fox","text":"dog"}`, `{"id":"b","title":"dog","text":"fox"}`)
	x, u := e.Index("docs"), person(t, u1)
	if got := keys(t, x, u, &search.Query{Search: "fox", SearchFields: []string{"title"}}); got != "a" {
		t.Errorf("got %q; want a", got)
	}
	for _, field := range []string{"n", "nowhere"} {
		_, err := x.Search(t.Context(), u, &search.Query{Search: "fox", SearchFields: []string{field}})
		if !errors.Is(err, search.ErrBadRequest) || !strings.Contains(err.Error(), "'"+field+"'") {
			t.Errorf("%s: %v; want a bad request that names it", field, err)
		}
		_, err = x.Search(t.Context(), u, &search.Query{Search: field + ":fox", QueryType: "full"})
		if !errors.Is(err, search.ErrBadRequest) {
			t.Errorf("%s: %v; want a bad request", field, err)
		}
	}
}

// Scores are those of the formula, worked out by hand, whatever was replaced or deleted before.
func TestScores(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, textIndex)
	upload(t, e, "docs",
		`{"id":"a","text":"noise that will be replaced fox fox fox"}`,
		`{"id":"x","text":"noise that will be deleted fox"}`,
		`{"id":"b","text":"fox and dog"}`,
		`{"id":"c","text":"dog"}`,
		`{"id":"d","title":"a fox is no text"}`,
		`{"id":"a","text":"fox fox cat bird"}`)
	if _, err := e.Write(t.Context(), "docs", []search.Action{action(search.Delete, `{"id":"x"}`)}); err != nil {
		t.Fatal(err)
	}
	r, err := e.Index("docs").Search(t.Context(), person(t, u1), &search.Query{Search: "fox dog", SearchFields: []string{"text"}})
	if err != nil {
		t.Fatal(err)
	}
	// Three documents have a text: of 4, 3 and 1 tokens, which are kept in one byte each.
	const k1, b, average = 1.2, 0.75, 8.0 / 3
	idf := func(n float64) float64 { return math.Log(1 + (3-n+0.5)/(n+0.5)) }
	term := func(n, tf, length float64) float64 {
		return idf(n) * tf * (k1 + 1) / (tf + k1*(1-b+b*length/average))
	}
	want := map[string]float64{
		"a": term(2, 2, 4),
		"b": term(2, 1, keptLength(3)) + term(2, 1, keptLength(3)),
		"c": term(2, 1, 1),
	}
	for i, key := range strings.Fields(keysOf(t, r)) {
		if got := r.Hits[i].Score; math.Abs(got-want[key]) > 1e-6 {
			t.Errorf("%s: score %v; want %v", key, got, want[key])
		}
	}
	if len(r.Hits) != len(want) {
		t.Errorf("%d hits; want %d", len(r.Hits), len(want))
	}
}

// A text without blanks may be cut into tens of thousands of terms. Equal ones are looked for once, and count as often as
// they are there.
func TestRepeatedTerms(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, textIndex)
	upload(t, e, "docs", `{"id":"a","text":"fox and dog"}`, `{"id":"b","text":"dog fox dog"}`, `{"id":"c","text":"dog"}`, `{"id":"d","text":"bird"}`)
	x, u := e.Index("docs"), person(t, u1)
	scores := func(text, mode string) map[string]float64 {
		r, err := x.Search(t.Context(), u, &search.Query{Search: text, SearchMode: mode, SearchFields: []string{"text"}})
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]float64{}
		for i, key := range strings.Fields(keysOf(t, r)) {
			out[key] = r.Hits[i].Score
		}
		return out
	}
	for _, tt := range []struct{ joined, apart, mode string }{
		{"fox-fox-fox", "fox fox fox", "any"},
		{"fox-dog-fox", "fox dog fox", "any"},
		{"fox-dog-fox", "fox dog fox", "all"},
		{"fox-dog-fox bird", "fox dog fox bird", "any"},
	} {
		got, want := scores(tt.joined, tt.mode), scores(tt.apart, tt.mode)
		if !maps.Equal(got, want) || len(got) == 0 {
			t.Errorf("%s (%s): got %v; want %v as of %s", tt.joined, tt.mode, got, want, tt.apart)
		}
	}
	long := &search.Query{Search: strings.Repeat(strings.Repeat("dog-", 8000)+" ", 3)}
	allocations := testing.AllocsPerRun(1, func() {
		r, err := x.Search(t.Context(), u, long)
		if err != nil || keysOf(t, r) != "c b a" {
			t.Errorf("got %q, %v; want c b a", keysOf(t, r), err)
		}
	})
	if allocations > 2000 {
		t.Errorf("%.0f allocations for one term that is there 24,000 times", allocations)
	}
}

// keptLength is a length after it was kept in one byte: the reciprocal of its root with three binary digits.
func keptLength(n float64) float64 {
	fraction, exponent := math.Frexp(1 / math.Sqrt(n))
	v := math.Ldexp(math.Floor(fraction*8)/8, exponent)
	return 1 / (v * v)
}
