package searchengine

import (
	"fmt"
	"math"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/column"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/odata"
)

// evaluate returns the rows of a table, among within, for which a checked filter holds. The table is that of the
// documents, or below a lambda that of the elements. Neither within nor what is returned may be changed.
func (r *run) evaluate(e odata.Expr, t *column.Table, within bitset.Set) (bitset.Set, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	switch e := e.(type) {
	case *odata.And:
		return r.evaluateAnd(e, t, within)
	case *odata.Or:
		return r.evaluateOr(e, t, within)
	case *odata.Not:
		not, err := r.evaluate(e.Of, t, within)
		if err != nil {
			return nil, err
		}
		return without(within, not), nil
	case *odata.Constant:
		if e.Value {
			return within, nil
		}
		return make(bitset.Set, len(within)), nil
	case *odata.Compare:
		return compareWith(t, e, within)
	case *odata.In:
		c := t.Strings[e.Path.Name]
		if c == nil {
			return nil, noColumn(e.Path.Name)
		}
		return c.Any(e.Values, within), nil
	case *odata.Lambda:
		return r.evaluateLambda(e, t, within)
	case *odata.Match:
		return r.evaluateMatch(e, within)
	default:
		return nil, unsupported(fmt.Sprintf("a filter with %T", e))
	}
}

// evaluateAnd narrows within by one condition after the other. What is said of one column of numbers is one range.
func (r *run) evaluateAnd(e *odata.And, t *column.Table, within bitset.Set) (bitset.Set, error) {
	ranges := map[*column.Ints]intRange{}
	for _, of := range e.Of {
		if c, in, ok := asRange(of, t); ok {
			ranges[c] = ranges[c].and(in)
			continue
		}
		var err error
		if within, err = r.evaluate(of, t, within); err != nil {
			return nil, err
		}
	}
	for c, in := range ranges {
		within = c.Between(in.low, in.high, within)
	}
	return within, nil
}

// intRange are the numbers from low to high, both included; none where low is the greater. set tells it from a zero value.
type intRange struct {
	low, high int64
	set       bool
}

func (a intRange) and(b intRange) intRange {
	if !a.set {
		return b
	}
	return intRange{max(a.low, b.low), min(a.high, b.high), true}
}

// asRange returns the range that a comparison with a number or a date stands for.
func asRange(e odata.Expr, t *column.Table) (*column.Ints, intRange, bool) {
	c, ok := e.(*odata.Compare)
	if !ok || c.Op == odata.Ne || c.Value.Kind == odata.Null || t.Ints[c.Path.Name] == nil {
		return nil, intRange{}, false
	}
	return t.Ints[c.Path.Name], rangeOf(c.Op, c.Value.Int), true
}

func rangeOf(op odata.Op, n int64) intRange {
	all := intRange{math.MinInt64, math.MaxInt64, true}
	switch {
	case op == odata.Eq:
		return intRange{n, n, true}
	case op == odata.Le:
		all.high = n
	case op == odata.Ge:
		all.low = n
	case op == odata.Lt && n > math.MinInt64:
		all.high = n - 1
	case op == odata.Gt && n < math.MaxInt64:
		all.low = n + 1
	default: // below the smallest, or above the largest
		return intRange{1, 0, true}
	}
	return all
}

func (r *run) evaluateOr(e *odata.Or, t *column.Table, within bitset.Set) (bitset.Set, error) {
	out := make(bitset.Set, len(within))
	for _, of := range e.Of {
		matched, err := r.evaluate(of, t, within)
		if err != nil {
			return nil, err
		}
		out.Or(matched)
	}
	return out, nil
}

func without(within, not bitset.Set) bitset.Set {
	out := make(bitset.Set, len(within))
	copy(out, within)
	out.AndNot(not)
	return out
}

func noColumn(path string) error {
	return fmt.Errorf("search engine: no column for %q, though a filter on it was accepted", path)
}

// compareWith evaluates a comparison. What null and NaN mean is told at [odata.Compare].
func compareWith(t *column.Table, e *odata.Compare, within bitset.Set) (bitset.Set, error) {
	op := e.Op
	if op == odata.Ne { // true exactly where Eq is not, for null and NaN too
		op = odata.Eq
	}
	path := e.Path.Name
	var out bitset.Set
	switch {
	case t.Strings[path] != nil:
		out = compareStrings(t.Strings[path], op, e.Value, within)
	case t.Ints[path] != nil:
		out = compareInts(t.Ints[path], op, e.Value, within)
	case t.Floats[path] != nil:
		out = compareFloats(t.Floats[path], op, e.Value, within)
	case t.Bools[path] != nil:
		out = compareBools(t.Bools[path], e.Value, within)
	default:
		return nil, noColumn(path)
	}
	if e.Op == odata.Ne {
		return without(within, out), nil
	}
	return out, nil
}

func both(a, b bitset.Set) bitset.Set {
	out := make(bitset.Set, len(a))
	copy(out, a)
	out.And(b)
	return out
}

func compareStrings(c *column.Strings, op odata.Op, v odata.Value, within bitset.Set) bitset.Set {
	switch {
	case v.Kind == odata.Null:
		return c.Nulls(within)
	case op == odata.Eq:
		return c.Any([]string{v.String}, within)
	}
	return c.Where(func(value string) bool {
		switch op {
		case odata.Lt:
			return value < v.String
		case odata.Le:
			return value <= v.String
		case odata.Gt:
			return value > v.String
		default:
			return value >= v.String
		}
	}, within)
}

func compareInts(c *column.Ints, op odata.Op, v odata.Value, within bitset.Set) bitset.Set {
	if v.Kind == odata.Null {
		return both(within, c.Nulls)
	}
	in := rangeOf(op, v.Int)
	return c.Between(in.low, in.high, within)
}

func compareFloats(c *column.Floats, op odata.Op, v odata.Value, within bitset.Set) bitset.Set {
	if v.Kind == odata.Null {
		return both(within, c.Nulls)
	}
	low, high := math.Inf(-1), math.Inf(1)
	f := v.Double
	switch {
	case math.IsNaN(f):
		return make(bitset.Set, len(within))
	case op == odata.Eq:
		low, high = f, f
	case op == odata.Le:
		high = f
	case op == odata.Ge:
		low = f
	case op == odata.Lt && f > math.Inf(-1):
		high = math.Nextafter(f, math.Inf(-1))
	case op == odata.Gt && f < math.Inf(1):
		low = math.Nextafter(f, math.Inf(1))
	default: // below the smallest, or above the largest
		return make(bitset.Set, len(within))
	}
	return c.Between(low, high, within)
}

func compareBools(c *column.Bools, v odata.Value, within bitset.Set) bitset.Set {
	switch {
	case v.Kind == odata.Null:
		return both(within, c.Nulls)
	case v.Bool:
		return both(within, c.True)
	default:
		return without(without(within, c.Nulls), c.True)
	}
}

// evaluateMatch evaluates search.ismatch and search.ismatchscoring, which stand for whole documents.
func (r *run) evaluateMatch(e *odata.Match, within bitset.Set) (bitset.Set, error) {
	fields, err := r.searchFields(e.Fields)
	if err != nil {
		return nil, err
	}
	parsed, err := parseText(e.Search, e.Full, e.All)
	if err != nil {
		return nil, err
	}
	n, err := r.compile(parsed, fields, 1)
	if err != nil || n == nil {
		return make(bitset.Set, len(within)), err
	}
	out := make(bitset.Set, len(within))
	if !e.Scoring {
		n.run(r, within, out, nil)
		return out, nil
	}
	r.wantScores()
	r.spilled = true // what it scores may fail another part of the filter
	n.run(r, within, out, r.scores)
	return out, nil
}
