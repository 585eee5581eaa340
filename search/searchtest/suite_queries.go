package searchtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/search"
)

const hotelIndex = `{"fields":[
	{"name":"id","type":"Edm.String","key":true,"searchable":false,"filterable":true,"sortable":true,"facetable":false},
	{"name":"name","type":"Edm.String","searchable":true,"filterable":true,"sortable":true},
	{"name":"text","type":"Edm.String","searchable":true,"filterable":false,"sortable":false,"facetable":false,"analyzer":"en.lucene"},
	{"name":"kind","type":"Edm.String","searchable":true,"filterable":true,"sortable":true,"facetable":true,"analyzer":"keyword"},
	{"name":"tags","type":"Collection(Edm.String)","searchable":true,"filterable":true,"facetable":true},
	{"name":"stars","type":"Edm.Int32","filterable":true,"sortable":true,"facetable":true},
	{"name":"views","type":"Edm.Int64","filterable":true,"sortable":true},
	{"name":"price","type":"Edm.Double","filterable":true,"sortable":true,"facetable":true},
	{"name":"open","type":"Edm.Boolean","filterable":true,"sortable":true,"facetable":true},
	{"name":"built","type":"Edm.DateTimeOffset","filterable":true,"sortable":true,"facetable":true},
	{"name":"address","type":"Edm.ComplexType","fields":[
		{"name":"city","type":"Edm.String","searchable":true,"filterable":true,"sortable":true,"facetable":true},
		{"name":"zip","type":"Edm.String","searchable":false,"filterable":true}]},
	{"name":"rooms","type":"Collection(Edm.ComplexType)","fields":[
		{"name":"kind","type":"Edm.String","searchable":true,"filterable":true},
		{"name":"beds","type":"Edm.Int32","filterable":true},
		{"name":"rate","type":"Edm.Double","filterable":true}]}]}`

// hotels are of our own making.
func hotels() []string {
	return []string{
		`{"id":"1","name":"Lake View Inn","text":"A quiet inn by the lake, with boats for guests who like fishing.","kind":"inn","tags":["lake","quiet","boats"],"stars":3,"views":9007199254740993,"price":80.5,"open":true,"built":"1999-05-01T12:00:00Z","address":{"city":"Annecy","zip":"74000"},"rooms":[{"kind":"Single Room","beds":1,"rate":60.0},{"kind":"Double Room","beds":2,"rate":90.5}]}`,
		`{"id":"2","name":"Grand Palace","text":"Luxury in the old town: marble halls, a famous kitchen, and a spa below the roof.","kind":"palace","tags":["luxury","spa"],"stars":5,"views":9007199254740992,"price":420,"open":true,"built":"1888-10-10T00:00:00+02:00","address":{"city":"Wien","zip":"1010"},"rooms":[{"kind":"Suite","beds":2,"rate":900.0}]}`,
		`{"id":"3","name":"Harbour Hostel","text":"Beds for travellers near the harbour; loud on weekends, cheap always.","kind":"hostel","tags":["cheap","harbour"],"stars":1,"views":-5,"price":19.99,"open":true,"built":"2015-01-31T23:59:59.999Z","address":{"city":"Porto","zip":"4050"},"rooms":[{"kind":"Dormitory","beds":12,"rate":19.99}]}`,
		`{"id":"4","name":"Old Mill","text":"An inn in a mill: the wheel still turns, and the fishing is good.","kind":"inn","tags":["quiet","fishing"],"stars":3,"views":0,"price":75,"open":false,"built":"1740-01-01T00:00:00Z","address":{"city":"Annecy","zip":null},"rooms":[]}`,
		`{"id":"5","name":"Zürich Airport Hotel","text":"Sleep before the flight. Luxury it is not, but the beds are good and the shuttle is free.","kind":"hotel","tags":[],"stars":3,"views":100,"price":150,"open":true,"built":"2020-02-29T00:00:00Z","address":null,"rooms":[{"kind":"Double Room","beds":2,"rate":150.0},{"kind":"Family Room","beds":4,"rate":210.0}]}`,
		`{"id":"6","name":null,"text":null,"kind":null,"tags":null,"stars":null,"views":null,"price":null,"open":null,"built":null,"address":{"city":null,"zip":"0"},"rooms":null}`,
	}
}

type queryTest struct {
	desc    string
	query   search.Query
	want    string // ids in order
	ordered bool   // whether the order is the query's matter; otherwise ids are compared sorted
}

func filters() []queryTest {
	var tests []queryTest
	for filter, want := range map[string]string{
		"stars eq 3":                            "1 4 5",
		"3 eq stars":                            "1 4 5",
		"stars ne 3":                            "2 3 6",
		"stars gt 1 and stars lt 5":             "1 4 5",
		"stars ge 5 or price le 20":             "2 3",
		"not (stars eq 3)":                      "2 3 6",
		"stars eq null":                         "6",
		"stars ne null":                         "1 2 3 4 5",
		"views eq 9007199254740993":             "1",
		"views lt 0":                            "3",
		"price gt 80.4 and price lt 151":        "1 5",
		"open":                                  "1 2 3 5",
		"not open":                              "4 6",
		"open eq false":                         "4",
		"built lt 1900-01-01T00:00:00Z":         "2 4",
		"built eq 1888-10-09T22:00:00Z":         "2",
		"built ge 2015-01-31T23:59:59.999Z":     "3 5",
		"kind eq 'inn'":                         "1 4",
		"kind eq 'Inn'":                         "",
		"name eq 'Zürich Airport Hotel'":        "5",
		"search.in(kind, 'inn,hostel')":         "1 3 4",
		"search.in(id, '1|3', '|')":             "1 3",
		"not search.in(kind, 'inn')":            "2 3 5 6",
		"tags/any(t: t eq 'quiet')":             "1 4",
		"tags/any(t: search.in(t, 'spa,lake'))": "1 2",
		"tags/all(t: t ne 'quiet')":             "2 3 5 6",
		"tags/any()":                            "1 2 3 4",
		"not tags/any()":                        "5 6",
		"address/city eq 'Annecy'":              "1 4",
		"address/city eq null":                  "5 6",
		"rooms/any(r: r/beds gt 3)":             "3 5",
		"rooms/any(r: r/kind eq 'Double Room' and r/rate lt 100)": "1",
		"rooms/all(r: r/rate lt 100)":                             "1 3 4 6",
		"rooms/any()":                                             "1 2 3 5",
		"search.ismatch('fishing')":                               "1 4",
		"search.ismatch('luxury', 'text') and stars eq 5":         "2",
		"search.ismatch('inn OR palace', 'kind', 'full', 'any')":  "1 2 4",
		"kind eq 'it''s'":                                         "",
	} {
		tests = append(tests, queryTest{"filter " + filter, search.Query{Filter: filter}, want, false})
	}
	return tests
}

func textQueries() []queryTest {
	return []queryTest{
		{"everything", search.Query{}, "1 2 3 4 5 6", false},
		{"star", search.Query{Search: "*"}, "1 2 3 4 5 6", false},
		{"a word", search.Query{Search: "luxury"}, "2 5", false},
		{"stemmed", search.Query{Search: "fish", SearchFields: []string{"text"}}, "1 4", false},
		{"any", search.Query{Search: "marble fishing"}, "1 2 4", false},
		{"all", search.Query{Search: "good fishing", SearchMode: "all"}, "4", false},
		{"only in a field", search.Query{Search: "luxury", SearchFields: []string{"tags"}}, "2", false},
		{"required", search.Query{Search: "inn +lake"}, "1", false},
		{"or", search.Query{Search: "marble | shuttle", SearchMode: "all"}, "2 5", false},
		{"not, all", search.Query{Search: "fishing -lake", SearchMode: "all"}, "4", false},
		{"phrase", search.Query{Search: `"old town"`}, "2", false},
		{"phrase the other way round", search.Query{Search: `"town old"`}, "", false},
		{"prefix", search.Query{Search: "har*", SearchFields: []string{"name"}}, "3", false},
		{"folded case", search.Query{Search: "GRAND"}, "2", false},
		{"whole value", search.Query{Search: "inn", SearchFields: []string{"kind"}}, "1 4", false},
		{"in a complex field", search.Query{Search: "annecy", SearchFields: []string{"address/city"}}, "1 4", false},
		{"in a complex collection", search.Query{Search: "dormitory", SearchFields: []string{"rooms/kind"}}, "3", false},
		{"nothing", search.Query{Search: "helicopter"}, "", false},
		{"full: field", search.Query{Search: "name:mill", QueryType: "full"}, "4", false},
		{"full: boolean", search.Query{Search: "(luxury AND spa) OR hostel", QueryType: "full"}, "2 3", false},
		{"full: not", search.Query{Search: "inn NOT lake", QueryType: "full"}, "4", false},
		{"full: fuzzy", search.Query{Search: "name:palase~1", QueryType: "full"}, "2", false},
		{"full: near", search.Query{Search: `text:"quiet lake"~5`, QueryType: "full"}, "1", false},
		{"full: wildcard", search.Query{Search: "name:h?st*l", QueryType: "full"}, "3", false},
		{"full: regular expression", search.Query{Search: "name:/ha[r]+bour/", QueryType: "full"}, "3", false},
		{"full: boost decides", search.Query{Search: "name:hostel^9 name:palace", QueryType: "full"}, "3 2", true},
		{"text and filter", search.Query{Search: "luxury", Filter: "stars lt 5"}, "5", false},
	}
}

func orders() []queryTest {
	return []queryTest{
		{"nulls first", search.Query{OrderBy: []string{"price"}}, "6 3 4 1 5 2", true},
		{"nulls last", search.Query{OrderBy: []string{"price desc"}}, "2 5 1 4 3 6", true},
		{"two clauses", search.Query{OrderBy: []string{"stars desc", "id desc"}}, "2 5 4 1 3 6", true},
		{"64 bits", search.Query{OrderBy: []string{"views desc"}, Top: new(2)}, "1 2", true},
		{"dates", search.Query{OrderBy: []string{"built"}, Filter: "built ne null"}, "4 2 1 3 5", true},
		{"in a complex field", search.Query{OrderBy: []string{"address/city desc", "id"}, Filter: "address/city ne null"}, "2 3 1 4", true},
		{"by score", search.Query{Search: "luxury", OrderBy: []string{"search.score() desc"}, SearchFields: []string{"text"}}, "2 5", true},
		{"top and skip", search.Query{OrderBy: []string{"id"}, Top: new(2), Skip: 3}, "4 5", true},
		{"skip beyond", search.Query{OrderBy: []string{"id"}, Skip: 100}, "", true},
	}
}

func queries(t *testing.T, h *Harness) { //nolint:thelper // a test of the suite
	name := h.define(t, "hotels", hotelIndex)
	h.write(t, name, search.Upload, hotels()...)
	index, everyone := h.Service.Index(name), search.DangerouslyPublicOnly()
	for _, table := range [][]queryTest{filters(), textQueries(), orders()} {
		for _, test := range table {
			result, err := index.Search(t.Context(), everyone, &test.query)
			if err != nil {
				t.Errorf("%s: %v", test.desc, err)
				continue
			}
			got, want := keys(t, result.Hits), test.want
			if !test.ordered {
				got, want = sorted(got), sorted(want)
			}
			if got != want {
				t.Errorf("%s: %q, want %q", test.desc, got, want)
			}
		}
	}
	t.Run("parts of an answer", func(t *testing.T) { parts(t, index) })
	t.Run("facets", func(t *testing.T) { facets(t, index) })
	t.Run("highlights", func(t *testing.T) { highlights(t, index) })
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := index.Search(ctx, everyone, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", err)
		}
	})
}

func parts(t *testing.T, index search.Index) { //nolint:thelper // a test of the suite
	everyone := search.DangerouslyPublicOnly()
	result, err := index.Search(t.Context(), everyone, &search.Query{Filter: "id eq '1'", Select: []string{"views", "rooms/beds", "built", "address"}, Count: true})
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	wanted := `{"views":9007199254740993,"rooms":[{"beds":1},{"beds":2}],"built":"1999-05-01T12:00:00Z","address":{"city":"Annecy","zip":"74000"}}`
	if len(result.Hits) != 1 || result.Count == nil || *result.Count != 1 || result.Hits[0].Score != 1 {
		t.Fatalf("result %+v, want one hit with the score 1, counted", result)
	}
	if json.Unmarshal(result.Hits[0].Document, &got) != nil || json.Unmarshal([]byte(wanted), &want) != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("document %s, want %s", result.Hits[0].Document, wanted)
	}
	empty, err := index.Lookup(t.Context(), everyone, "6")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"name": "null", "tags": "[]", "rooms": "[]", "stars": "null", "built": "null"} {
		if got := field(t, empty, name); got != want {
			t.Errorf("%s of an empty document is %s, want %s", name, got, want)
		}
	}
	without, err := index.Search(t.Context(), everyone, &search.Query{Top: new(0), Count: true, MinimumCoverage: new(50.0)})
	if err != nil || len(without.Hits) != 0 || without.Count == nil || *without.Count != 6 || without.Coverage == nil || *without.Coverage != 100 || without.Next != nil {
		t.Errorf("only the count: %+v, %v", without, err)
	}
}

func facets(t *testing.T, index search.Index) { //nolint:thelper // a test of the suite
	result, err := index.Search(t.Context(), search.DangerouslyPublicOnly(), &search.Query{Filter: "stars ge 1", Top: new(0), Facets: []string{
		"kind,count:2", "tags,sort:value", "stars,values:2|4", "price,interval:100", "open", "address/city,sort:-value",
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"kind":         `[{"count":2,"value":"inn"},{"count":1,"value":"hostel"}]`,
		"tags":         `[{"count":1,"value":"boats"},{"count":1,"value":"cheap"},{"count":1,"value":"fishing"},{"count":1,"value":"harbour"},{"count":1,"value":"lake"},{"count":1,"value":"luxury"},{"count":2,"value":"quiet"},{"count":1,"value":"spa"}]`,
		"stars":        `[{"count":1,"to":2},{"count":3,"from":2,"to":4},{"count":1,"from":4}]`,
		"price":        `[{"count":3,"value":0.0},{"count":1,"value":100.0},{"count":1,"value":400.0}]`,
		"open":         `[{"count":4,"value":true},{"count":1,"value":false}]`,
		"address/city": `[{"count":1,"value":"Wien"},{"count":1,"value":"Porto"},{"count":2,"value":"Annecy"}]`,
	} {
		got, err := json.Marshal(result.Facets[name])
		if err != nil {
			t.Fatal(err)
		}
		if !sameJSON(t, string(got), want) {
			t.Errorf("facet %s: %s, want %s", name, got, want)
		}
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal([]byte(a), &x), json.Unmarshal([]byte(b), &y)); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(x) == fmt.Sprint(y)
}

func highlights(t *testing.T, index search.Index) { //nolint:thelper // a test of the suite
	result, err := index.Search(t.Context(), search.DangerouslyPublicOnly(), &search.Query{
		Search: "luxury", Filter: "id eq '2'", Highlight: []string{"text", "tags-1"}, HighlightPreTag: "[", HighlightPostTag: "]",
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Hits) != 1 {
		t.Fatalf("%d hits, want one", len(result.Hits))
	}
	marked := result.Hits[0].Highlights
	if len(marked["text"]) != 1 || !strings.HasPrefix(marked["text"][0], "[Luxury] in the old town") || fmt.Sprint(marked["tags"]) != "[[luxury]]" {
		t.Errorf("highlights %q", marked)
	}
}

// badQueries are refused as bad requests, in words that say where.
func badQueries(t *testing.T, h *Harness) { //nolint:thelper // a test of the suite
	name := h.define(t, "bad", hotelIndex)
	index, everyone := h.Service.Index(name), search.DangerouslyPublicOnly()
	for _, test := range []struct {
		query search.Query
		says  string
	}{
		{search.Query{Filter: "This is not a valid filter."}, "Invalid expression: Syntax error at position 7 in 'This is not a valid filter.'."},
		{search.Query{Filter: "nothing eq 1"}, "Could not find a property named 'nothing' on type 'search.document'."},
		{search.Query{Filter: "text eq 'a'"}, "text is not a filterable field. Only filterable fields can be used in filter expressions."},
		{search.Query{Filter: "stars eq 'a'"}, "Parameter name: $filter"},
		{search.Query{Filter: "tags/any(t: t ne 'a')"}, "Invalid lambda expression."},
		{search.Query{Filter: strings.Repeat("(", 5000)}, "$filter"},
		{search.Query{Select: []string{"nothing"}}, "Could not find a property named 'nothing' on type 'search.document'."},
		{search.Query{OrderBy: []string{"nothing"}}, "Could not find a property named 'nothing' on type 'search.document'."},
		{search.Query{OrderBy: []string{"tags"}}, "$orderby"},
		{search.Query{Skip: 100_001}, "Value must be between 0 and 100000."},
		{search.Query{Search: "name:", QueryType: "full"}, "Failed to parse query string at line 1, column"},
		{search.Query{SearchFields: []string{"stars"}, Search: "a"}, "stars"},
		{search.Query{SearchMode: "some", Search: "a"}, "some"},
		{search.Query{QueryType: "fancy", Search: "a"}, "fancy"},
		{search.Query{Facets: []string{"nothing"}}, "nothing"},
		{search.Query{Highlight: []string{"nothing"}}, "nothing"},
	} {
		_, err := index.Search(t.Context(), everyone, &test.query)
		if !errors.Is(err, search.ErrBadRequest) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%.200s: error %.300v, want ErrBadRequest with %q", fmt.Sprintf("%+v", test.query), err, test.says)
		}
	}
}
