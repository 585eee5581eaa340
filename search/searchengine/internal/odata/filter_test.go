package odata_test

import (
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/odata"
)

type schema map[string]odata.Field

func (s schema) Field(path string) (odata.Field, bool) {
	f, ok := s[path]
	return f, ok
}

func hotels() schema {
	field := func(t odata.Type, collection bool) odata.Field {
		return odata.Field{
			Type: t, Collection: collection, Filterable: true, Sortable: !collection, Facetable: true, Retrievable: true,
			Searchable: t == odata.StringType,
		}
	}
	return schema{
		"id":              field(odata.StringType, false),
		"name":            field(odata.StringType, false),
		"tags":            field(odata.StringType, true),
		"rating":          field(odata.Int32Type, false),
		"visits":          field(odata.Int64Type, false),
		"price":           field(odata.DoubleType, false),
		"ratings":         field(odata.Int32Type, true),
		"margins":         field(odata.DoubleType, true),
		"open":            field(odata.BooleanType, false),
		"flags":           field(odata.BooleanType, true),
		"built":           field(odata.DateType, false),
		"dates":           field(odata.DateType, true),
		"address":         {Type: odata.ComplexType},
		"address/city":    field(odata.StringType, false),
		"rooms":           {Type: odata.ComplexType, Collection: true},
		"rooms/rate":      field(odata.DoubleType, false),
		"rooms/kind":      field(odata.StringType, false),
		"rooms/smoking":   field(odata.BooleanType, false),
		"rooms/tags":      field(odata.StringType, true),
		"rooms/beds":      {Type: odata.ComplexType, Collection: true},
		"rooms/beds/size": field(odata.Int32Type, false),
		"secret":          {Type: odata.StringType, Searchable: true},
		"number":          {Type: odata.Int32Type, Filterable: true},
		"größe":           field(odata.Int32Type, false),
	}
}

func path(name string) odata.Path            { return odata.Path{Name: name} }
func bound(name, variable string) odata.Path { return odata.Path{Name: name, Var: variable} }
func str(s string) odata.Value               { return odata.Value{Kind: odata.String, String: s} }
func num(n int64) odata.Value                { return odata.Value{Kind: odata.Int, Int: n} }
func dbl(f float64) odata.Value              { return odata.Value{Kind: odata.Double, Double: f} }
func boolean(b bool) odata.Value             { return odata.Value{Kind: odata.Boolean, Bool: b} }

func compare(name string, op odata.Op, v odata.Value) *odata.Compare {
	return &odata.Compare{Path: path(name), Op: op, Value: v}
}

func and(of ...odata.Expr) odata.Expr { return &odata.And{Of: of} }
func or(of ...odata.Expr) odata.Expr  { return &odata.Or{Of: of} }
func not(of odata.Expr) odata.Expr    { return &odata.Not{Of: of} }

func sameTrees() cmp.Options {
	return cmp.Options{cmpopts.IgnoreUnexported(odata.Compare{}), cmpopts.EquateNaNs()}
}

var (
	isA, isB, isC = compare("id", odata.Eq, str("a")), compare("id", odata.Eq, str("b")), compare("id", odata.Eq, str("c"))
	goodFilters   = []struct {
		desc, filter string
		want         odata.Expr
	}{
		{"blank is no filter", " \t", nil},
		{"and binds tighter than or", "id eq 'a' or id eq 'b' and id eq 'c'", or(isA, and(isB, isC))},
		{"parentheses", "(id eq 'a' or id eq 'b') and id eq 'c'", and(or(isA, isB), isC)},
		{"not binds tightest", "not (id eq 'a') and id eq 'b'", and(not(isA), isB)},
		{"not twice is nothing", "not not (id eq 'a')", isA},
		{"long chains are flat", "id eq 'a' or id eq 'b' or id eq 'c'", or(isA, isB, isC)},
		{"literal first", "5 gt rating", compare("rating", odata.Lt, num(5))},
		{"literal first, equality", "'a' eq id", isA},
		{"true first", "true ne open", compare("open", odata.Ne, boolean(true))},
		{"Boolean field alone", "open", compare("open", odata.Eq, boolean(true))},
		{"Boolean field negated", "not open", not(compare("open", odata.Eq, boolean(true)))},
		{"Boolean literal", "true and open", and(&odata.Constant{Value: true}, compare("open", odata.Eq, boolean(true)))},
		{"quote in a string", "name eq 'O''Brien''s'", compare("name", odata.Eq, str("O'Brien's"))},
		{"empty string", "name ne ''", compare("name", odata.Ne, str(""))},
		{"strings have an order", "id ge 'b'", compare("id", odata.Ge, str("b"))},
		{"null", "name eq null", compare("name", odata.Eq, odata.Value{})},
		{"null first", "null ne rating", compare("rating", odata.Ne, odata.Value{})},
		{"the largest integer", "visits eq 9223372036854775807", compare("visits", odata.Eq, num(math.MaxInt64))},
		{"above 2 to the 53", "visits eq 9007199254740993", compare("visits", odata.Eq, num(9007199254740993))},
		{"negative", "visits lt -5", compare("visits", odata.Lt, num(-5))},
		{"Double", "price ge 1.5e2", compare("price", odata.Ge, dbl(150))},
		{"Double field, integer literal", "price eq 3", compare("price", odata.Eq, dbl(3))},
		{"INF", "price lt INF", compare("price", odata.Lt, dbl(math.Inf(1)))},
		{"-INF", "price gt -INF", compare("price", odata.Gt, dbl(math.Inf(-1)))},
		{"NaN", "price ne NaN", compare("price", odata.Ne, dbl(math.NaN()))},
		{"integer field, whole Double", "rating eq 4.0", compare("rating", odata.Eq, num(4))},
		{"integer field, fraction", "rating gt 4.5", compare("rating", odata.Gt, num(4))},
		{"integer field, fraction, at least", "rating ge -4.5", compare("rating", odata.Gt, num(-5))},
		{"integer field, fraction, below", "rating lt 4.5", compare("rating", odata.Le, num(4))},
		{"no integer is a fraction", "rating eq 4.5", &odata.Constant{Value: false}},
		{"all integers differ from a fraction", "rating ne 4.5", &odata.Constant{Value: true}},
		{"all integers are below 1e300", "visits lt 1e300", compare("visits", odata.Ne, odata.Value{})},
		{"no integer is above 1e300", "visits gt 1e300", &odata.Constant{Value: false}},
		{"all integers are above -1e300", "visits ge -1e300", compare("visits", odata.Ne, odata.Value{})},
		{"2 to the 63 is above all", "visits ge 9223372036854775808", &odata.Constant{Value: false}},
		{"date", "built ge 1970-01-01T00:00:00Z", compare("built", odata.Ge, odata.Value{Kind: odata.Date, Int: 621355968000000000})},
		{"date with an offset", "built eq 1970-01-01T02:00:00.0000001+02:00", compare("built", odata.Eq, odata.Value{Kind: odata.Date, Int: 621355968000000001})},
		{"date without seconds", "built eq 0001-01-01T00:00Z", compare("built", odata.Eq, odata.Value{Kind: odata.Date})},
		{"the last date", "built le 9999-12-31T23:59:59.9999999Z", compare("built", odata.Le, odata.Value{Kind: odata.Date, Int: 3155378975999999999})},
		{"complex field", "address/city eq 'Bern'", compare("address/city", odata.Eq, str("Bern"))},
		{"letters beyond ASCII", "größe gt 1", compare("größe", odata.Gt, num(1))},
		{"search.in", "search.in(id, 'a, b,,c')", &odata.In{Path: path("id"), Values: []string{"a", "b", "c"}}},
		{"search.in, delimiter", "search.in(id, 'a b|c', '|')", &odata.In{Path: path("id"), Values: []string{"a b", "c"}}},
		{"search.in, delimiters", "search.in(id, 'a;b|c', '|;')", &odata.In{Path: path("id"), Values: []string{"a", "b", "c"}}},
		{"search.in, nothing", "search.in(id, '')", &odata.In{Path: path("id"), Values: []string{}}},
		{"search.in compared", "search.in(id, 'a') eq false", not(&odata.In{Path: path("id"), Values: []string{"a"}})},
		{"search.ismatch", "search.ismatch('big +dog')", &odata.Match{Search: "big +dog"}},
		{
			"search.ismatchscoring", "search.ismatchscoring('x', 'name, rooms/kind', 'full', 'all')",
			&odata.Match{Scoring: true, Search: "x", Fields: []string{"name", "rooms/kind"}, Full: true, All: true},
		},
		{"search.ismatch, null for the fields", "search.ismatch('x', null, 'simple', 'any')", &odata.Match{Search: "x"}},
		{"any()", "tags/any()", &odata.Lambda{Path: path("tags")}},
		{"not any()", "not rooms/any()", not(&odata.Lambda{Path: path("rooms")})},
		{"any", "tags/any(t: t eq 'x')", &odata.Lambda{
			Path: path("tags"), Var: "t",
			Body: &odata.Compare{Path: bound("tags", "t"), Value: str("x")},
		}},
		{"all, negation moves in", "tags/all(t: not (t eq 'x' or search.in(t, 'y')))", &odata.Lambda{
			Path: path("tags"), Var: "t", All: true,
			Body: and(&odata.Compare{Path: bound("tags", "t"), Op: odata.Ne, Value: str("x")}, not(&odata.In{Path: bound("tags", "t"), Values: []string{"y"}})),
		}},
		{"any over complex", "rooms/any(r: r/rate lt 100.0 and r/smoking)", &odata.Lambda{
			Path: path("rooms"), Var: "r",
			Body: and(&odata.Compare{Path: bound("rooms/rate", "r"), Op: odata.Lt, Value: dbl(100)}, &odata.Compare{Path: bound("rooms/smoking", "r"), Value: boolean(true)}),
		}},
		{"nested", "rooms/any(r: r/tags/any(t: t eq 'x') and r/kind eq 'y')", &odata.Lambda{
			Path: path("rooms"), Var: "r",
			Body: and(&odata.Lambda{Path: bound("rooms/tags", "r"), Var: "t", Body: &odata.Compare{Path: bound("rooms/tags", "t"), Value: str("x")}},
				&odata.Compare{Path: bound("rooms/kind", "r"), Value: str("y")}),
		}},
		{"a variable hides a field", "tags/any(id: id eq 'x')", &odata.Lambda{Path: path("tags"), Var: "id", Body: &odata.Compare{Path: bound("tags", "id"), Value: str("x")}}},
		{"negation of an order with a Double stays", "margins/any(m: not (m gt 1.0))", &odata.Lambda{
			Path: path("margins"), Var: "m",
			Body: not(&odata.Compare{Path: bound("margins", "m"), Op: odata.Gt, Value: dbl(1)}),
		}},
	}
)

func TestFilter(t *testing.T) {
	for _, test := range goodFilters {
		got, err := odata.Filter(test.filter, hotels())
		if err != nil {
			t.Errorf("%s: %s: %v", test.desc, test.filter, err)
		} else if diff := cmp.Diff(test.want, got, sameTrees()); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", test.desc, test.filter, diff)
		}
	}
}

// badFilters are answered 400 with the message, "Invalid expression: " before and "\r\nParameter name: $filter" behind it.
// Where the message ends in "…" only its beginning counts.
var badFilters = []struct{ desc, filter, want string }{
	// Recorded from the service: search-wire §4 and run-llama/llama_index#13513.
	{"recorded", "This is not a valid filter.", "Syntax error at position 7 in 'This is not a valid filter.'."},
	{
		"recorded", "country eq 'United Kingdom' {metadata_filters.condition.value} country eq 'Ireland'",
		"Syntax error at position 62 in 'country eq 'United Kingdom' {metadata_filters.condition.value} country eq 'Ireland''.",
	},
	{"recorded", "X eq 1", "Could not find a property named 'X' on type 'search.document'."},
	{"recorded", "secret eq 'a'", "secret is not a filterable field. Only filterable fields can be used in filter expressions."},
	{
		"recorded", "tags/any(k: k eq 'a' and search.ismatch('b', 'name'))",
		"The function 'search.ismatch' has no parameters bound to the range variable 'k'. Only bound field references are supported inside lambda expressions ('any' or 'all'). Please change your filter so that the 'search.ismatch' function is outside the lambda expression and try again.",
	},

	{"positions count UTF-16", "name eq '😀ä' x", "Syntax error at position 15 in 'name eq '😀ä' x'."},
	{"nothing behind an operator", "rating eq", "Expression expected at position 9 in 'rating eq'."},
	{"nothing behind and", "open and ", "Expression expected at position 9 in 'open and '."},
	{"string without end", "name eq 'abc", "There is an unterminated string literal at position 12 in 'name eq 'abc'."},
	{"parenthesis without end", "(open", "')' or operator expected at position 5 in '(open'."},
	{"parenthesis without beginning", "open)", "Syntax error at position 5 in 'open)'."},
	{"strange character", "open & open", "The character '&' is not valid at position 5 in 'open & open'."},
	{"bracket without end", "open [", "Found an unbalanced bracket expression."},
	{"date without time", "built gt 2020-01-01", "Unrecognized 'Edm.DateTimeOffset' literal '2020-01-01' at '9' in 'built gt 2020-01-01'."},
	{"month 13", "built gt 2020-13-01T00:00:00Z", "Unrecognized 'Edm.DateTimeOffset' literal …"},
	{"year 0", "built gt 0000-01-01T00:00:00Z", "Unrecognized 'Edm.DateTimeOffset' literal …"},
	{"before year 1 by its offset", "built gt 0001-01-01T00:00:00+01:00", "Unrecognized 'Edm.DateTimeOffset' literal …"},
	{"two fields", "id eq name", "Comparison must be between a field, range variable or function call and a literal value."},
	{"two literals", "1 eq 1", "Comparison must be between a field, range variable or function call and a literal value."},
	{"literal alone", "'a'", "The $filter expression must evaluate to a single boolean value."},
	{"field alone", "name", "The $filter expression must evaluate to a single boolean value."},
	{"unknown function", "startswith(name, 'a')", "An unknown function with name 'startswith' was found. …"},
	{"no in", "id in ('a','b')", "Syntax error at position 5 in 'id in ('a','b')'."},
	{"arithmetic", "rating add 1 gt 2", "Syntax error at position 10 in 'rating add 1 gt 2'."},
	{"names are case-sensitive", "Name eq 'a'", "Could not find a property named 'Name' on type 'search.document'."},
	{"unknown in complex", "address/street eq 'a'", "Could not find a property named 'street' on type 'search.complex.address'."},
	{"path ends in a slash", "address/ eq 'a'", "Could not find a property named '' on type 'search.complex.address'."},
	{"string with number", "name eq 1", "A binary operator with incompatible types was detected. Found operand types 'Edm.String' and 'Edm.Int32' for operator kind 'Equal'."},
	{"the other way round", "1 gt name", "A binary operator with incompatible types was detected. Found operand types 'Edm.Int32' and 'Edm.String' for operator kind 'GreaterThan'."},
	{"integer with NaN", "rating eq NaN", "A binary operator with incompatible types was detected. Found operand types 'Edm.Int32' and 'Edm.Double' for operator kind 'Equal'."},
	{"integer with INF", "visits lt INF", "A binary operator with incompatible types was detected. Found operand types 'Edm.Int64' and 'Edm.Double' for operator kind 'LessThan'."},
	{"Boolean has no order", "open gt false", "A binary operator with incompatible types was detected. …"},
	{"collection compared", "tags eq 'a'", "A binary operator with incompatible types was detected. Found operand types 'Collection(Edm.String)' and 'Edm.String' for operator kind 'Equal'."},
	{"complex compared", "address eq null", "A binary operator with incompatible types was detected. …"},
	{"null has no order", "rating gt null", "Only the operators 'eq' and 'ne' can be used with null."},
	{"through a collection", "rooms/rate gt 5", "The parent value for a property access of a property 'rate' is not a single value. Property access can only be applied to a single value."},
	{"any of one value", "name/any(n: n eq 'a')", "Any/All may only be used following a collection."},
	{"all()", "tags/all()", "Syntax error at position 10 in 'tags/all()'."},
	{"variable twice", "rooms/any(r: r/tags/any(r: r eq 'a'))", "The range variable 'r' has already been declared."},
	{"free field", "rooms/any(r: rating gt 5)", "The field 'rating' is not bound to the range variable 'r'. …"},
	{"variable from outside", "rooms/any(r: r/tags/any(t: r/kind eq 'a'))", "The field 'rooms/kind' is not bound to the range variable 't'. …"},
	{"search.in with numbers", "search.in(rating, '1,2')", "No function signature for the function with name 'search.in' matches …"},
	{"search.in with one argument", "search.in(id)", "')' or ',' expected at position 12 in 'search.in(id)'."},
	{"search.in with four arguments", "search.in(id, 'a', ',', 'b')", "')' or ',' expected at position 22 in …"},
	{"search.ismatch of unknown field", "search.ismatch('a', 'x')", "Could not find a property named 'x' on type 'search.document'."},
	{"search.ismatch of a number", "search.ismatch('a', 'rating')", "rating is not a searchable field. …"},
	{"search.ismatch with a field as argument", "search.ismatch(name)", "Syntax error at position 19 in 'search.ismatch(name)'."},
	{"search.ismatch, bad type", "search.ismatch('a', 'name', 'semantic')", "The third argument of the function 'search.ismatch' must be 'simple' or 'full'."},
	{"search.ismatch, bad mode", "search.ismatch('a', 'name', 'full', 'some')", "The fourth argument of the function 'search.ismatch' must be 'any' or 'all'."},
	{"function compared with a number", "search.in(id, 'a') eq 1", "A binary operator with incompatible types was detected. …"},

	{"strings: any wants eq", "tags/any(t: t ne 'a')", opposite},
	{"strings: any wants search.in", "tags/any(t: not search.in(t, 'a'))", opposite},
	{"strings: all wants ne", "tags/all(t: t eq 'a')", opposite},
	{"strings: all wants not search.in", "tags/all(t: search.in(t, 'a'))", opposite},
	{"strings: any wants or", "tags/any(t: t eq 'a' and t eq 'b')", "Invalid lambda expression. Complex Boolean expressions aren't supported in lambda expressions that iterate over fields of type Collection(Edm.String). For 'any', join subexpressions with 'or'; 'and' isn't supported. For 'all', join subexpressions with 'and'; 'or' isn't supported."},
	{"strings: all wants and", "tags/all(t: t ne 'a' or t ne 'b')", "Invalid lambda expression. Complex Boolean expressions aren't supported …"},
	{"strings: no order", "tags/any(t: t gt 'a')", "Invalid lambda expression. Found a comparison operator (one of 'lt', 'le', 'gt', or 'ge'). Only equality operators …"},
	{"Boolean: one test", "flags/any(f: f or not f)", "Invalid lambda expression. Complex Boolean expressions aren't supported in lambda expressions that iterate over fields of type Collection(Edm.Boolean). …"},
	{"numbers: any is an or of ands", "ratings/any(r: (r gt 1 or r lt 5) and r gt 2)", "Invalid lambda expression. Found an unsupported form of complex Boolean expression. For 'any', use expressions that are 'ORs of ANDs', …"},
	{"numbers: all is an and of ors", "ratings/all(r: (r gt 1 and r lt 5) or r gt 7)", "Invalid lambda expression. Found an unsupported form …"},
	{"numbers: ne in an and", "ratings/any(r: r ne 5 and r gt 2)", "Invalid lambda expression. Found an unsupported form …"},
	{"numbers: eq in an or", "ratings/all(r: r eq 5 or r le 2)", "Invalid lambda expression. Found an unsupported form …"},
}

const opposite = "Invalid lambda expression. Found a test for equality or inequality where the opposite was expected in a lambda expression that iterates over a field of type Collection(Edm.String). For 'any', use expressions of the form 'x eq y' or 'search.in(...)'. For 'all', use expressions of the form 'x ne y', 'not (x eq y)', or 'not search.in(...)'."

func TestFilterErrors(t *testing.T) {
	for _, test := range badFilters {
		_, err := odata.Filter(test.filter, hotels())
		e, ok := errors.AsType[*search.Error](err)
		if !ok || e.Status != http.StatusBadRequest || e.Code != "" {
			t.Errorf("%s: %s: got %v, want 400", test.desc, test.filter, err)
			continue
		}
		got, tail := strings.CutSuffix(e.Message, "\r\nParameter name: $filter")
		got, head := strings.CutPrefix(got, "Invalid expression: ")
		want, open := strings.CutSuffix(test.want, "…")
		if !head || !tail || got != want && (!open || !strings.HasPrefix(got, want)) {
			t.Errorf("%s: %s:\n got %s\nwant %s", test.desc, test.filter, e.Message, test.want)
		}
	}
}

// The examples of the rules for lambda expressions that the service's documentation calls allowed.
func TestLambdasAllowed(t *testing.T) {
	for _, filter := range []string{
		"tags/any(t: t eq 'a' or t eq 'b')", "tags/all(t: t ne 'a' and not (t eq 'b'))", "tags/any(t: search.in(t, 'a, b'))",
		"flags/any(f: f)", "flags/all(f: f)", "flags/any(f: f ne true)", "flags/all(f: not f)", "flags/all(f: not (f eq true))",
		"ratings/any(r: r ne 5)", "not margins/all(m: m eq 3.5)", "dates/any(d: d gt 2017-08-24T00:00:00Z)",
		"ratings/any(r: r ne 5 or r gt 7)", "ratings/any(r: (r gt 2 and r le 5) or (r gt 7 and r lt 10))",
		"ratings/all(r: r eq 5 and r le 7)", "ratings/all(r: (r le 2 or r gt 5) and (r lt 7 or r ge 10))",
		"rooms/any(r: r/beds/any(b: b/size gt 1) or not (r/smoking eq true and r/rate ne NaN))",
	} {
		if _, err := odata.Filter(filter, hotels()); err != nil {
			t.Errorf("%s: %v", filter, err)
		}
	}
}

func TestGeographyIsRefusedByName(t *testing.T) {
	for filter, function := range map[string]string{
		"geo.distance(place, geography'POINT(-122.1 47.6)') le 10":                        "geo.distance",
		"10 gt geo.distance(geography'POINT(-122.1 47.6)', place)":                        "geo.distance",
		"open and geo.intersects(place, geography'POLYGON((0 0, 1 0, 1 1, 0 0))')":        "geo.intersects",
		"not geo.intersects(place, geography'POLYGON((0 0, 1 0, 1 1, 0 0))') or not open": "geo.intersects",
	} {
		_, err := odata.Filter(filter, hotels())
		if !errors.Is(err, search.ErrUnsupported) || !strings.Contains(err.Error(), function) {
			t.Errorf("%s: got %v, want 501 naming %s", filter, err, function)
		}
	}
}

func TestFilterIsBounded(t *testing.T) {
	for desc, filter := range map[string]string{
		"parentheses": strings.Repeat("(", 1<<20),
		"lambdas":     strings.Repeat("tags/any(t:", 1<<16),
		"clauses":     strings.Repeat("open or ", 1<<18) + "open",
	} {
		if _, err := odata.Filter(filter, hotels()); !errors.Is(err, search.ErrBadRequest) {
			t.Errorf("%s: got %v, want 400", desc, err)
		} else if len(err.Error()) > 20<<10 {
			t.Errorf("%s: the error has %d bytes", desc, len(err.Error()))
		}
	}
	if _, err := odata.Filter(strings.Repeat("not ", 1<<20)+"open", hotels()); err != nil {
		t.Errorf("many nots: %v", err)
	}
}

func FuzzFilter(f *testing.F) {
	for _, test := range goodFilters {
		f.Add(test.filter)
	}
	for _, test := range badFilters {
		f.Add(test.filter)
	}
	f.Fuzz(func(t *testing.T, filter string) {
		e, err := odata.Filter(filter, hotels())
		if err == nil {
			walk(t, e)
			return
		}
		if e, ok := errors.AsType[*search.Error](err); !ok || e.Status != http.StatusBadRequest && e.Status != http.StatusNotImplemented {
			t.Errorf("got %v, want 400 or 501", err)
		}
	})
}

// walk checks what Check promises of every tree.
func walk(t *testing.T, e odata.Expr) {
	t.Helper()
	switch e := e.(type) {
	case nil, *odata.Constant, *odata.In, *odata.Match:
	case *odata.And:
		for _, of := range e.Of {
			walk(t, of)
		}
	case *odata.Or:
		for _, of := range e.Of {
			walk(t, of)
		}
	case *odata.Not:
		walk(t, e.Of)
	case *odata.Lambda:
		if (e.Body == nil) != (e.Var == "") {
			t.Errorf("lambda %+v", e)
		}
		if e.Body != nil {
			walk(t, e.Body)
		}
	case *odata.Compare:
		f := hotels()[e.Path.Name]
		want := map[odata.Type]odata.Kind{
			odata.StringType: odata.String, odata.Int32Type: odata.Int, odata.Int64Type: odata.Int,
			odata.DoubleType: odata.Double, odata.BooleanType: odata.Boolean, odata.DateType: odata.Date,
		}[f.Type]
		if !f.Filterable || e.Value.Kind != want && (e.Value.Kind != odata.Null || e.Op > odata.Ne) {
			t.Errorf("comparison %+v", e)
		}
	default:
		t.Errorf("%T in a checked tree", e)
	}
}

func BenchmarkSearchIn2000(b *testing.B) {
	guids := make([]string, 2000)
	for i := range guids {
		guids[i] = "c2b9d3f4-0000-4000-8000-" + strings.Repeat("0", 8) + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + "00"
	}
	filter := "tags/any(g: search.in(g, '" + strings.Join(guids, ",") + "', ','))"
	s := hotels()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := odata.Filter(filter, s); err != nil {
			b.Fatal(err)
		}
	}
}
