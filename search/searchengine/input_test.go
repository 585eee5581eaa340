package searchengine_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

const typesIndex = `{"name":"types","permissionFilterOption":"enabled","fields":[
	{"name":"id","type":"Edm.String","key":true},
	{"name":"s","type":"Edm.String"},
	{"name":"i","type":"Edm.Int32"},
	{"name":"l","type":"Edm.Int64"},
	{"name":"d","type":"Edm.Double"},
	{"name":"b","type":"Edm.Boolean"},
	{"name":"t","type":"Edm.DateTimeOffset"},
	{"name":"tags","type":"Collection(Edm.String)"},
	{"name":"c","type":"Edm.ComplexType","fields":[{"name":"a","type":"Edm.String"},{"name":"n","type":"Edm.Int32"}]},
	{"name":"cs","type":"Collection(Edm.ComplexType)","fields":[{"name":"a","type":"Edm.String","retrievable":false},{"name":"n","type":"Edm.Int32"}]},
	{"name":"users","type":"Collection(Edm.String)","permissionFilter":"userIds","retrievable":false}]}`

// What goes in comes out as the service shows it.
func TestValues(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, typesIndex)
	for _, tt := range []struct{ desc, in, out string }{
		{"nothing", `{}`, `"s":null,"i":null,"l":null,"d":null,"b":null,"t":null,"tags":[],"c":null,"cs":[]`},
		{
			"everything",
			`{"s":"a \u00e9 \"q\" <b>","i":-2147483648,"l":9223372036854775807,"d":9.69,"b":true,"t":"2010-06-27T02:30:00.1234567+02:30","tags":["x",""],"c":{"n":1},"cs":[{"a":"hidden","n":2},{}]}`,
			`"s":"a é \"q\" <b>","i":-2147483648,"l":9223372036854775807,"d":9.69,"b":true,"t":"2010-06-27T00:00:00.1234567Z","tags":["x",""],"c":{"a":null,"n":1},"cs":[{"n":2},{"n":null}]`,
		},
		{"doubles", `{"d":5}`, `"s":null,"i":null,"l":null,"d":5.0,"b":null,"t":null,"tags":[],"c":null,"cs":[]`},
		{"not a number", `{"d":"NaN"}`, `"s":null,"i":null,"l":null,"d":"NaN","b":null,"t":null,"tags":[],"c":null,"cs":[]`},
		{"infinity", `{"d":"-INF"}`, `"s":null,"i":null,"l":null,"d":"-INF","b":null,"t":null,"tags":[],"c":null,"cs":[]`},
		{"the first tick", `{"t":"0001-01-01T00:00:00Z"}`, `"s":null,"i":null,"l":null,"d":null,"b":null,"t":"0001-01-01T00:00:00Z","tags":[],"c":null,"cs":[]`},
		{"the last tick", `{"t":"9999-12-31T23:59:59.9999999Z"}`, `"s":null,"i":null,"l":null,"d":null,"b":null,"t":"9999-12-31T23:59:59.9999999Z","tags":[],"c":null,"cs":[]`},
	} {
		upload(t, e, "types", strings.Replace(strings.Replace(tt.in, "{", `{"id":"k",`, 1), ",}", "}", 1))
		got, err := e.Index("types").Lookup(t.Context(), searchengine.Elevated(), "k")
		if want := `{"id":"k",` + tt.out + `}`; err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v\nwant %s", tt.desc, got, err, want)
		}
	}
	upload(t, e, "types", `{"id":"k","s":"x","c":{"a":"y","n":1},"cs":[{"a":"z","n":2}]}`)
	for paths, want := range map[string]string{
		"s":        `{"s":"x"}`,
		"c/a,id":   `{"id":"k","c":{"a":"y"}}`,
		"cs,c":     `{"c":{"a":"y","n":1},"cs":[{"n":2}]}`,
		"cs/n,c/n": `{"c":{"n":1},"cs":[{"n":2}]}`,
	} {
		got, err := e.Index("types").Lookup(t.Context(), searchengine.Elevated(), "k", strings.Split(paths, ",")...)
		if err != nil || string(got) != want {
			t.Errorf("select %s: got %s, %v; want %s", paths, got, err, want)
		}
	}
}

// Merging complex values goes member by member; collections are replaced.
func TestMerge(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, typesIndex)
	upload(t, e, "types", `{"id":"k","s":"x","i":1,"tags":["a","b"],"c":{"a":"y","n":1},"cs":[{"n":1},{"n":2}]}`)
	if _, err := e.Write(t.Context(), "types", []search.Action{action(search.Merge, `{"id":"k","i":null,"tags":["c"],"c":{"n":2},"cs":[{"n":3}]}`)}); err != nil {
		t.Fatal(err)
	}
	got, err := e.Index("types").Lookup(t.Context(), searchengine.Elevated(), "k", "s", "i", "tags", "c", "cs")
	if want := `{"s":"x","i":null,"tags":["c"],"c":{"a":"y","n":2},"cs":[{"n":3}]}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

// One wrong document refuses the batch as a whole: nothing of it is applied.
func TestBatchesThatAreRefused(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, typesIndex)
	tooMany := make([]search.Action, 1001)
	for i := range tooMany {
		tooMany[i] = action("", fmt.Sprintf(`{"id":"%d"}`, i))
	}
	if _, err := e.Write(t.Context(), "types", tooMany); !errors.Is(err, search.ErrBadRequest) || !strings.Contains(err.Error(), "1001") {
		t.Errorf("1,001 actions: %v; want a bad request", err)
	}
	if _, err := e.Write(t.Context(), "types", nil); !errors.Is(err, search.ErrBadRequest) {
		t.Errorf("no actions: %v; want a bad request", err)
	}
	for _, tt := range []struct{ desc, doc, names string }{
		{"no key", `{"s":"x"}`, "actions : 1: Document key cannot be missing or empty."},
		{"an empty key", `{"id":""}`, "actions : 1: Document key cannot be missing or empty."},
		{"a null key", `{"id":null}`, "Document key cannot be missing or empty."},
		{"a number as key", `{"id":5}`, "Cannot convert the literal '5' to the expected type 'Edm.String'"},
		{"a dot in the key", `{"id":"a.b"}`, "Invalid document key: 'a.b'. Keys can only contain"},
		{"an underscore first", `{"id":"_a"}`, "'_a'"},
		{"a long key", `{"id":"` + strings.Repeat("k", 1025) + `"}`, "1024"},
		{"an unknown field", `{"id":"a","nowhere":1}`, "The property 'nowhere' does not exist on type 'search.documentFields'."},
		{"an unknown member", `{"id":"a","c":{"x":1}}`, "'x'"},
		{"a string for a number", `{"id":"a","i":"5"}`, "'Edm.Int32'"},
		{"a fraction for a number", `{"id":"a","i":5.5}`, "'5.5'"},
		{"too large a number", `{"id":"a","i":2147483648}`, "'Edm.Int32'"},
		{"a list for a string", `{"id":"a","s":["x"]}`, "'Edm.String'"},
		{"a string for a list", `{"id":"a","tags":"x"}`, "Collection(Edm.String)"},
		{"a null in a list", `{"id":"a","tags":[null]}`, "'tags'"},
		{"a date without a zone", `{"id":"a","t":"2010-06-27T00:00:00"}`, "'Edm.DateTimeOffset'"},
		{"a date that is none", `{"id":"a","t":"2010-02-30T00:00:00Z"}`, "'Edm.DateTimeOffset'"},
		{"a number for a Boolean", `{"id":"a","b":1}`, "'Edm.Boolean'"},
		{"another string for a double", `{"id":"a","d":"Infinity"}`, "'Edm.Double'"},
		{"a list for a complex value", `{"id":"a","c":[]}`, "'Edm.ComplexType'"},
		{"no JSON", `{"id":`, "JSON"},
		{"no object", `[]`, "JSON"},
	} {
		_, err := e.Write(t.Context(), "types", []search.Action{action("", `{"id":"good"}`), action("", tt.doc)})
		if !errors.Is(err, search.ErrBadRequest) || !strings.Contains(err.Error(), tt.names) {
			t.Errorf("%s: %v; want a bad request with %q", tt.desc, err, tt.names)
		}
	}
	if _, err := e.Write(t.Context(), "types", []search.Action{action("replace", `{"id":"a"}`)}); !errors.Is(err, search.ErrBadRequest) {
		t.Errorf("an unknown action: %v; want a bad request", err)
	}
	if n, err := e.Count(t.Context(), "types"); n != 0 || err != nil {
		t.Errorf("%d documents, %v; want none", n, err)
	}
}

// What is about one document alone does not keep the others out.
func TestDocumentsThatAreRefused(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, typesIndex)
	ids := `"` + strings.Repeat(u1+`","`, 1000) + u1 + `"`
	elements := strings.Repeat(`{},`, 3000) + `{}`
	for desc, doc := range map[string]string{
		"too many people":   `{"id":"bad","users":[` + ids + `]}`,
		"too many elements": `{"id":"bad","cs":[` + elements + `]}`,
		"too long a term":   `{"id":"bad","s":"` + strings.Repeat("x", 32_767) + `"}`,
	} {
		statuses, err := e.Write(t.Context(), "types", []search.Action{action("", doc), action("", `{"id":"good"}`)})
		if err != nil {
			t.Errorf("%s: %v", desc, err)
			continue
		}
		if s := statuses[0]; s.OK || s.Code != http.StatusBadRequest || s.Message == "" || !statuses[1].OK {
			t.Errorf("%s: got %+v; want 400 and success", desc, statuses)
		}
	}
}

func TestQueriesThatAreRefused(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, typesIndex)
	minus, coverage := -1, 101.0
	orders := make([]string, 33)
	for i := range orders {
		orders[i] = "i"
	}
	for _, tt := range []struct {
		desc  string
		q     search.Query
		names string
	}{
		{"a negative skip", search.Query{Skip: -1}, "$skip"},
		{"too large a skip", search.Query{Skip: 100_001}, "Value must be between 0 and 100000.\r\nParameter name: $skip"},
		{"a negative top", search.Query{Top: &minus}, "$top"},
		{"too much coverage", search.Query{MinimumCoverage: &coverage}, "minimumCoverage"},
		{"too many orders", search.Query{OrderBy: orders}, "32"},
		{"an order by nothing", search.Query{OrderBy: []string{"nowhere"}}, "Could not find a property named 'nowhere' on type 'search.document'.\r\nParameter name: $orderby"},
		{"an order by a collection", search.Query{OrderBy: []string{"tags"}}, "tags"},
		{"a select of nothing", search.Query{Select: []string{"nowhere"}}, "Parameter name: $select"},
		{"a filter by nothing", search.Query{Filter: "nowhere eq 1"}, "Parameter name: $filter"},
		{"a filter that is none", search.Query{Filter: "This is not a valid filter."}, "Syntax error at position 7 in 'This is not a valid filter.'."},
		{"another type of query", search.Query{QueryType: "fuzzy"}, "queryType"},
		{"another mode", search.Query{SearchMode: "some"}, "searchMode"},
		{"other statistics", search.Query{ScoringStatistics: "none"}, "scoringStatistics"},
		{"a session of ours", search.Query{SessionID: "_1"}, "sessionId"},
		{"an unfinished query", search.Query{Search: `"fox`, QueryType: "full"}, "Failed to parse query string at line 1"},
	} {
		_, err := e.Index("types").Search(t.Context(), person(t, u1), &tt.q)
		if !errors.Is(err, search.ErrBadRequest) || !strings.Contains(err.Error(), tt.names) {
			t.Errorf("%s: %v; want a bad request with %q", tt.desc, err, tt.names)
		}
	}
	_, err := e.Index("types").Search(t.Context(), person(t, u1), &search.Query{QueryType: "semantic"})
	if !errors.Is(err, search.ErrUnsupported) {
		t.Errorf("semantic ranking: %v; want not supported", err)
	}
}

// However often a document holds the words of a phrase, the query ends when its time is over.
func TestLongPhrasesEnd(t *testing.T) {
	e := open(t, searchengine.Config{QueryTimeout: 20 * time.Millisecond})
	define(t, e, `{"name":"long","fields":[{"name":"id","type":"Edm.String","key":true},
		{"name":"text","type":"Edm.String","filterable":false,"sortable":false,"facetable":false}]}`)
	upload(t, e, "long", `{"id":"1","text":"`+strings.Repeat("z ", 100_000)+`"}`)
	phrase := `"` + strings.Repeat("z ", 1000) + `"`
	for _, q := range []search.Query{
		{Search: phrase},
		{Search: phrase + "~1000", QueryType: "full"},
		{Search: `z "` + strings.Repeat("z ", 100) + `"~1000`, QueryType: "full", Highlight: []string{"text"}},
	} {
		if _, err := e.Index("long").Search(t.Context(), searchengine.Elevated(), &q); !errors.Is(err, search.ErrUnavailable) {
			t.Errorf("%.20s…%.10s: %v; want that it took too long", q.Search, q.Search[len(q.Search)-5:], err)
		}
	}
}

// Pages follow one another to the end, and neither overlap nor leave anything out.
func TestPages(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, typesIndex)
	const documents = 2345
	var batch []search.Action
	for n := range documents {
		batch = append(batch, action("", fmt.Sprintf(`{"id":"%04d","s":"fox","users":["all"]}`, n*11%documents)))
		if len(batch) == 1000 || n == documents-1 {
			if _, err := e.Write(t.Context(), "types", batch); err != nil {
				t.Fatal(err)
			}
			batch = nil
		}
	}
	all, zero := 2200, 0
	for _, tt := range []struct {
		desc  string
		q     search.Query
		hits  int
		pages int
	}{
		{"of 50", search.Query{}, documents, 47},
		{"of 50, by score", search.Query{Search: "fox"}, documents, 47},
		{"of 1,000", search.Query{Top: &all}, 2200, 3},
		{"from further on", search.Query{Skip: 2300, OrderBy: []string{"s desc"}}, 45, 1},
		{"behind the end", search.Query{Skip: 5000}, 0, 1},
		{"none", search.Query{Top: &zero}, 0, 1},
	} {
		var got []string
		pages := 0
		for q := &tt.q; q != nil; pages++ {
			r, err := e.Index("types").Search(t.Context(), person(t, u1), q)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.Fields(keysOf(t, r))...)
			q = r.Next
		}
		for i, key := range got {
			if want := fmt.Sprintf("%04d", i+tt.q.Skip); key != want {
				t.Errorf("%s: hit %d is %s; want %s", tt.desc, i, key, want)
				break
			}
		}
		if len(got) != tt.hits || pages != tt.pages {
			t.Errorf("%s: %d hits on %d pages; want %d on %d", tt.desc, len(got), pages, tt.hits, tt.pages)
		}
	}
}
