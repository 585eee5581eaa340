package odata_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/odata"
)

func TestOrderBy(t *testing.T) {
	for _, test := range []struct {
		desc  string
		texts []string
		want  []odata.Order
	}{
		{"none", nil, nil},
		{"blank", []string{" ", ""}, nil},
		{"one", []string{"rating"}, []odata.Order{{Path: "rating"}}},
		{"directions", []string{"rating desc, name asc", "address/city  desc"}, []odata.Order{{Path: "rating", Desc: true}, {Path: "name"}, {Path: "address/city", Desc: true}}},
		{"score", []string{"search.score() desc,id"}, []odata.Order{{Score: true, Desc: true}, {Path: "id"}}},
	} {
		got, err := odata.OrderBy(test.texts, hotels())
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", test.desc, err, diff)
		}
	}
}

func TestOrderByErrors(t *testing.T) {
	for text, want := range map[string]string{
		"x":                              "Invalid expression: Could not find a property named 'x' on type 'search.document'.",
		"tags":                           "Invalid expression: tags is not a sortable field. Only sortable fields can be used in $orderby.",
		"number":                         "Invalid expression: number is not a sortable field. Only sortable fields can be used in $orderby.",
		"rooms/rate":                     "Invalid expression: The parent value for a property access of a property 'rate' is not a single value. Property access can only be applied to a single value.",
		"rating up":                      "Invalid expression: Syntax error at position 9 in 'rating up'.",
		"rating,":                        "Invalid expression: Syntax error at position 7 in 'rating,'.",
		"rating desc asc":                "Invalid expression: Syntax error at position 15 in 'rating desc asc'.",
		"geo.distance(a,b)":              "The function 'geo.distance' is not supported by the local search service.",
		strings.Repeat("id,", 32) + "id": "Invalid expression: The $orderby expression has more than 32 clauses.",
	} {
		_, err := odata.OrderBy([]string{text}, hotels())
		if e, ok := errors.AsType[*search.Error](err); !ok || e.Message != want+"\r\nParameter name: $orderby" {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestSelect(t *testing.T) {
	for _, test := range []struct {
		texts []string
		want  []string
	}{
		{nil, nil},
		{[]string{"*"}, nil},
		{[]string{"id, name,id", "rooms/rate"}, []string{"id", "name", "rooms/rate"}},
		{[]string{"address"}, []string{"address"}},
	} {
		got, err := odata.Select(test.texts, hotels())
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%v: %v (-want +got):\n%s", test.texts, err, diff)
		}
	}
	for text, want := range map[string]string{
		"X":         "Could not find a property named 'X' on type 'search.document'.",
		"id,,name":  "Could not find a property named '' on type 'search.document'.",
		"secret":    "secret is not a retrievable field. Only retrievable fields can be used in $select.",
		"address/x": "Could not find a property named 'x' on type 'search.complex.address'.",
	} {
		_, err := odata.Select([]string{text}, hotels())
		if e, ok := errors.AsType[*search.Error](err); !ok || e.Message != "Invalid expression: "+want+"\r\nParameter name: $select" {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestFacet(t *testing.T) {
	date := func(s string) odata.Value {
		ticks, ok := odata.ParseDate(s)
		if !ok {
			t.Fatal(s)
		}
		return odata.Value{Kind: odata.Date, Int: ticks}
	}
	for text, want := range map[string]odata.Facet{
		"tags":                                   {Path: "tags", Count: 10},
		"tags,count:3,sort:-value":               {Path: "tags", Count: 3, Sort: odata.ValueDesc},
		"tags, sort:-count , count: 5":           {Path: "tags", Count: 5, Sort: odata.CountAsc},
		"rating,sort:value":                      {Path: "rating", Count: 10, Sort: odata.ValueAsc},
		"rooms/rate,values:5|8.5|5":              {Path: "rooms/rate", Count: 10, Values: []odata.Value{dbl(5), dbl(8.5)}},
		"rating,values:4|2":                      {Path: "rating", Count: 10, Values: []odata.Value{num(2), num(4)}},
		"built,values:2000-01-01T00:00:00Z":      {Path: "built", Count: 10, Values: []odata.Value{date("2000-01-01T00:00:00Z")}},
		"rating,interval:2":                      {Path: "rating", Count: 10, Interval: odata.Interval{Int: 2}},
		"price,interval:50":                      {Path: "price", Count: 10, Interval: odata.Interval{Double: 50}},
		"built,interval:year":                    {Path: "built", Count: 10, Interval: odata.Interval{Unit: odata.Year}},
		"built,interval:day,timeoffset:-01:30":   {Path: "built", Count: 10, Interval: odata.Interval{Unit: odata.Day}, Offset: -54_000_000_000},
		"built,interval:minute,timeoffset:+0200": {Path: "built", Count: 10, Interval: odata.Interval{Unit: odata.Minute}, Offset: 72_000_000_000},
		"built,timeoffset:+02,interval:week":     {Path: "built", Count: 10, Interval: odata.Interval{Unit: odata.Week}, Offset: 72_000_000_000},
	} {
		got, err := odata.ParseFacet(text, hotels())
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestFacetErrors(t *testing.T) {
	for text, want := range map[string]string{
		"x":                                    "Unknown field 'x' in facet specification.",
		"":                                     "Unknown field '' in facet specification.",
		"address":                              "Unknown field 'address' in facet specification.",
		"number":                               "The field 'number' in the facet specification is not facetable.",
		"tags,count:0":                         "Invalid facet specification 'tags,count:0'. The value of 'count' must be a positive integer.",
		"tags,count:99999999999":               "…",
		"tags,":                                "Invalid facet specification 'tags,'. The option '' is not supported.",
		"tags,colour:red":                      "Invalid facet specification 'tags,colour:red'. The option 'colour' is not supported.",
		"tags,sort:name":                       "…",
		"tags,count:1,count:2":                 "…",
		"tags,interval:5":                      "…",
		"tags,values:a|b":                      "…",
		"rating,values:1.5":                    "…",
		"price,values:NaN":                     "…",
		"rating,values:":                       "…",
		"built,interval:decade":                "…",
		"rating,interval:0":                    "…",
		"rating,interval:1,values:5":           "…",
		"rating,interval:1,count:5":            "…",
		"built,timeoffset:+01:00":              "…",
		"rating,interval:5,timeoffset:+01:00":  "…",
		"built,interval:day,timeoffset:1":      "…",
		"built,interval:day,timeoffset:+25:00": "…",
		"rating,values:1" + strings.Repeat("|1", 1000): "…",
	} {
		_, err := odata.ParseFacet(text, hotels())
		e, ok := errors.AsType[*search.Error](err)
		if !ok || want != "…" && e.Message != want+"\r\nParameter name: facet" || !strings.HasSuffix(e.Message, "\r\nParameter name: facet") {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, text := range []string{"0001-01-01T00:00:00Z", "1600-02-29T12:00:00.1234567Z", "1969-12-31T23:59:59.9999999Z", "2300-01-01T00:00:00Z", "9999-12-31T23:59:59.9999999Z"} {
		ticks, ok := odata.ParseDate(text)
		if got := odata.Time(ticks).Format(time.RFC3339Nano); !ok || got != text {
			t.Errorf("got %s, want %s", got, text)
		}
	}
	if ticks, _ := odata.ParseDate("9999-12-31T23:59:59.9999999Z"); ticks != 3155378975999999999 {
		t.Errorf("the last date is %d", ticks)
	}
}

func TestParseNumber(t *testing.T) {
	for text, want := range map[string]odata.Value{
		"1": num(1), "+1": num(1), "-9223372036854775808": num(math.MinInt64), "9223372036854775808": dbl(9223372036854775808),
		"1.0": dbl(1), "1E-2": dbl(0.01), "INF": dbl(math.Inf(1)), "-INF": dbl(math.Inf(-1)),
	} {
		if got, ok := odata.ParseNumber(text); !ok || got != want {
			t.Errorf("%s: got %v, %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "0x10", "1_000", "Inf", "infinity", "nan", "1e999", "--1", "1.2.3", "1p5", "0b1"} {
		if got, ok := odata.ParseNumber(text); ok {
			t.Errorf("%s: got %v, want no number", text, got)
		}
	}
}

func FuzzParameters(f *testing.F) {
	for _, seed := range []string{"rating desc,search.score()", "*", "a/b, c", "built,interval:day,timeoffset:-01:30", "rating,values:1|2|3", "tags,count:5,sort:-value"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := hotels()
		if _, err := odata.OrderBy([]string{text}, s); err != nil && !errors.Is(err, search.ErrBadRequest) && !errors.Is(err, search.ErrUnsupported) {
			t.Error(err)
		}
		if _, err := odata.Select([]string{text}, s); err != nil && !errors.Is(err, search.ErrBadRequest) {
			t.Error(err)
		}
		if _, err := odata.ParseFacet(text, s); err != nil && !errors.Is(err, search.ErrBadRequest) {
			t.Error(err)
		}
	})
}
