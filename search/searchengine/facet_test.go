package searchengine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

const facetIndex = `{"name":"hotels","permissionFilterOption":"enabled","fields":[
	{"name":"id","type":"Edm.String","key":true},
	{"name":"users","type":"Collection(Edm.String)","permissionFilter":"userIds","retrievable":false},
	{"name":"category","type":"Edm.String"},
	{"name":"tags","type":"Collection(Edm.String)"},
	{"name":"rating","type":"Edm.Int32"},
	{"name":"visits","type":"Edm.Int64"},
	{"name":"price","type":"Edm.Double"},
	{"name":"open","type":"Edm.Boolean"},
	{"name":"built","type":"Edm.DateTimeOffset"},
	{"name":"sizes","type":"Collection(Edm.Int32)"},
	{"name":"address","type":"Edm.ComplexType","fields":[{"name":"city","type":"Edm.String"}]},
	{"name":"rooms","type":"Collection(Edm.ComplexType)","fields":[
		{"name":"rate","type":"Edm.Double"},
		{"name":"tags","type":"Collection(Edm.String)"},
		{"name":"beds","type":"Collection(Edm.Int32)"}]},
	{"name":"plain","type":"Edm.String","facetable":false}]}`

func openHotels(t *testing.T) search.Index {
	t.Helper()
	e := open(t, searchengine.Config{})
	define(t, e, facetIndex)
	all := `"users":["all"],`
	upload(t, e, "hotels",
		`{"id":"1",`+all+`"category":"Budget","tags":["pool","view","pool"],"rating":3,"visits":9007199254740993,"price":79.5,"open":true,
			"built":"2000-01-31T23:30:00Z","sizes":[1,2,2],"address":{"city":"Bern"},
			"rooms":[{"rate":5,"tags":["tv","tv"],"beds":[1,1]},{"rate":7.5,"tags":["tv","safe"],"beds":[2]}]}`,
		`{"id":"2",`+all+`"category":"Luxury","tags":["pool"],"rating":5,"visits":9007199254740992,"price":250,"open":false,
			"built":"2000-02-01T00:30:00Z","sizes":[2],"address":{"city":"Basel"},"rooms":[{"rate":5}]}`,
		`{"id":"3",`+all+`"category":"Budget","tags":[],"rating":4,"price":-0.0,"open":true,"built":"1999-12-31T00:00:00Z","address":{"city":"Bern"}}`,
		`{"id":"4",`+all+`"category":null,"rating":-3,"price":"NaN","built":"9999-12-31T23:59:59Z"}`,
		`{"id":"5","users":["`+u2+`"],"category":"Secret","tags":["pool","hidden"],"rating":1}`,
		`{"id":"6",`+all+`"category":"Gone","rating":9}`)
	if _, err := e.Write(t.Context(), "hotels", []search.Action{action(search.Delete, `{"id":"6"}`)}); err != nil {
		t.Fatal(err)
	}
	return e.Index("hotels")
}

// showFacets writes buckets as value:count or from..to:count.
func showFacets(facets []search.Facet) string {
	parts := make([]string, len(facets))
	for i, f := range facets {
		parts[i] = fmt.Sprintf("%s:%d", f.Value, f.Count)
		if f.Value == nil {
			parts[i] = fmt.Sprintf("%s..%s:%d", f.From, f.To, f.Count)
		}
	}
	return strings.Join(parts, " ")
}

func TestFacets(t *testing.T) {
	hotels := openHotels(t)
	for _, tt := range []struct{ facet, want string }{
		{"category", `"Budget":2 "Luxury":1`},
		{"category,sort:-count", `"Luxury":1 "Budget":2`},
		{"category,sort:-value", `"Luxury":1 "Budget":2`},
		{"category,count:1", `"Budget":2`},
		{"tags", `"pool":2 "view":1`},
		{"address/city", `"Bern":2 "Basel":1`},
		{"rating", `-3:1 3:1 4:1 5:1`},
		{"rating,count:2,sort:-value", `5:1 4:1`},
		{"rating,interval:2", `-4:1 2:1 4:2`},
		{"rating,values:4|3", `..3:1 3..4:1 4..:2`},
		{"visits", `9007199254740992:1 9007199254740993:1`},
		{"price,sort:value", `"NaN":1 0.0:1 79.5:1 250.0:1`},
		{"price,values:0|100|200", `..0.0:0 0.0..100.0:2 100.0..200.0:0 200.0..:1`},
		{"price,interval:100", `"NaN":1 0.0:2 200.0:1`},
		{"open", `true:2 false:1`},
		{"built,interval:day", `"1999-12-31T00:00:00Z":1 "2000-01-31T00:00:00Z":1 "2000-02-01T00:00:00Z":1 "9999-12-31T00:00:00Z":1`},
		{"built,interval:month", `"1999-12-01T00:00:00Z":1 "2000-01-01T00:00:00Z":1 "2000-02-01T00:00:00Z":1 "9999-12-01T00:00:00Z":1`},
		{"built,interval:month,timeoffset:+01:00", `"1999-11-30T23:00:00Z":1 "2000-01-31T23:00:00Z":2 "9999-12-31T23:00:00Z":1`},
		{"built,interval:day,timeoffset:-01:00", `"1999-12-30T01:00:00Z":1 "2000-01-31T01:00:00Z":2 "9999-12-31T01:00:00Z":1`},
		{"built,interval:quarter", `"1999-10-01T00:00:00Z":1 "2000-01-01T00:00:00Z":2 "9999-10-01T00:00:00Z":1`},
		{"built,interval:year", `"1999-01-01T00:00:00Z":1 "2000-01-01T00:00:00Z":2 "9999-01-01T00:00:00Z":1`},
		{"built,interval:week", `"1999-12-27T00:00:00Z":1 "2000-01-31T00:00:00Z":2 "9999-12-27T00:00:00Z":1`},
		{"built,values:2000-01-01T00:00:00Z", `.."2000-01-01T00:00:00.000+0000":1 "2000-01-01T00:00:00.000+0000"..:3`},
		{"sizes", `2:2 1:1`},
		{"rooms/rate", `5.0:2 7.5:1`},
		{"rooms/rate,values:6", `..6.0:2 6.0..:1`},
		{"rooms/tags", `"safe":1 "tv":1`},
		{"rooms/beds", `1:1 2:1`},
	} {
		r, err := hotels.Search(t.Context(), person(t, u1), &search.Query{Facets: []string{tt.facet}, Top: new(int)})
		if err != nil {
			t.Errorf("%s: %v", tt.facet, err)
			continue
		}
		name, _, _ := strings.Cut(tt.facet, ",")
		if got := showFacets(r.Facets[name]); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.facet, got, tt.want)
		}
	}
}

// What a person may not see is counted nowhere, and a filter or a text counts too.
func TestFacetsCountWhatMatches(t *testing.T) {
	hotels := openHotels(t)
	for _, tt := range []struct {
		user search.User
		q    search.Query
		want string
	}{
		{person(t, u2), search.Query{}, `"pool":3 "hidden":1 "view":1`},
		{search.DangerouslyPublicOnly(), search.Query{}, `"pool":2 "view":1`},
		{person(t, u1), search.Query{Filter: "rating gt 3"}, `"pool":1`},
		{person(t, u1), search.Query{Search: "luxury"}, `"pool":1`},
		{person(t, u1), search.Query{Search: "nothing"}, ``},
		{person(t, u1), search.Query{Skip: 3}, `"pool":2 "view":1`},
	} {
		tt.q.Facets = []string{"tags"}
		r, err := hotels.Search(t.Context(), tt.user, &tt.q)
		if err != nil {
			t.Errorf("%+v: %v", tt.q, err)
		} else if got := showFacets(r.Facets["tags"]); got != tt.want {
			t.Errorf("%s, %+v: got %s; want %s", tt.user.SeesAs(), tt.q, got, tt.want)
		}
	}
}

func TestFacetsThatAreRefused(t *testing.T) {
	hotels := openHotels(t)
	for _, facets := range [][]string{{"plain"}, {"nowhere"}, {"rooms"}, {"tags,count:x"}, make([]string, 101)} {
		_, err := hotels.Search(t.Context(), person(t, u1), &search.Query{Facets: facets})
		if !errors.Is(err, search.ErrBadRequest) {
			t.Errorf("%.20v: %v; want a bad request", facets, err)
		}
	}
}
