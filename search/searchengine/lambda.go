package searchengine

import (
	"fmt"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/column"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/odata"
)

// evaluateLambda evaluates any and all. all(p) is not any(not p).
func (r *run) evaluateLambda(e *odata.Lambda, t *column.Table, within bitset.Set) (bitset.Set, error) {
	if c := t.Strings[e.Path.Name]; c != nil && c.Collection() {
		return evaluateStrings(e, c, within)
	}
	inner := t.Tables[e.Path.Name]
	if inner == nil {
		return nil, noColumn(e.Path.Name)
	}
	elements := bitset.New(inner.Rows)
	if e.Body == nil {
		elements.Fill(inner.Rows)
		return both(inner.ParentsOf(elements, t.Rows), within), nil
	}
	elements = inner.ElementsOf(within)
	matched, err := r.evaluate(e.Body, inner, elements)
	if err != nil {
		return nil, err
	}
	if e.All {
		return without(within, inner.ParentsOf(without(elements, matched), t.Rows)), nil
	}
	return both(inner.ParentsOf(matched, t.Rows), within), nil
}

// evaluateStrings evaluates a lambda over a collection of strings, of which each value knows its rows: the values for
// which the body holds are found first.
func evaluateStrings(e *odata.Lambda, c *column.Strings, within bitset.Set) (bitset.Set, error) {
	if e.Body == nil {
		return without(within, c.Nulls(within)), nil
	}
	// One value, or a list of them, is looked up; what is more is asked of every value there is.
	if !e.All {
		switch body := e.Body.(type) {
		case *odata.In:
			return c.Any(body.Values, within), nil
		case *odata.Compare:
			if body.Op == odata.Eq && body.Value.Kind == odata.String {
				return c.Any([]string{body.Value.String}, within), nil
			}
		}
	}
	holds, err := stringTest(e.Body)
	if err != nil {
		return nil, err
	}
	if e.All {
		return without(within, c.Where(func(value string) bool { return !holds(value) }, within)), nil
	}
	return c.Where(holds, within), nil
}

// stringTest turns the body of a lambda over strings into a function of the element.
func stringTest(e odata.Expr) (func(string) bool, error) {
	switch e := e.(type) {
	case *odata.And:
		return combine(e.Of, false)
	case *odata.Or:
		return combine(e.Of, true)
	case *odata.Not:
		of, err := stringTest(e.Of)
		return func(s string) bool { return !of(s) }, err
	case *odata.Constant:
		return func(string) bool { return e.Value }, nil
	case *odata.In:
		values := make(map[string]struct{}, len(e.Values))
		for _, v := range e.Values {
			values[v] = struct{}{}
		}
		return func(s string) bool { _, ok := values[s]; return ok }, nil
	case *odata.Compare:
		return compareString(e), nil
	default:
		return nil, unsupported(fmt.Sprintf("a filter with %T over a collection of strings", e))
	}
}

// combine joins tests by or, or by and.
func combine(of []odata.Expr, or bool) (func(string) bool, error) {
	tests := make([]func(string) bool, len(of))
	for i := range of {
		var err error
		if tests[i], err = stringTest(of[i]); err != nil {
			return nil, err
		}
	}
	return func(s string) bool {
		for _, test := range tests {
			if test(s) == or {
				return or
			}
		}
		return !or
	}, nil
}

func compareString(e *odata.Compare) func(string) bool {
	v := e.Value.String
	if e.Value.Kind == odata.Null { // elements are never null
		return func(string) bool { return e.Op == odata.Ne }
	}
	switch e.Op {
	case odata.Eq:
		return func(s string) bool { return s == v }
	case odata.Ne:
		return func(s string) bool { return s != v }
	case odata.Lt:
		return func(s string) bool { return s < v }
	case odata.Le:
		return func(s string) bool { return s <= v }
	case odata.Gt:
		return func(s string) bool { return s > v }
	default:
		return func(s string) bool { return s >= v }
	}
}
