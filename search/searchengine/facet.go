package searchengine

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/column"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/odata"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/schema"
)

// Facets count, for each value or range of values of a field, the documents that have it: among all that match and that
// the caller may see, whatever the page. A document counts once, also where it has a value twice.
//
// https://learn.microsoft.com/azure/search/search-faceted-navigation

// maxFacets bounds the facets of one query; the service gives no number.
const maxFacets = 100

// facet is a facet expression that was checked.
type facet struct {
	*odata.Facet
	field  *schema.Field
	tables []*column.Table // those that lead from a document to the field's values, outermost first; none for the root
	inner  *column.Table   // that which holds the column
}

func (s *state) planFacets(expressions []string) ([]facet, error) {
	if len(expressions) > maxFacets {
		return nil, badParameter("facet", "The request has %d facets, more than %d.", len(expressions), maxFacets)
	}
	facets := make([]facet, len(expressions))
	for i, text := range expressions {
		parsed, err := odata.ParseFacet(text, s.schema)
		if err != nil {
			return nil, err
		}
		f := facet{Facet: parsed, field: s.schema.Lookup(parsed.Path), inner: s.table}
		for _, part := range lineage(f.field) {
			if part.HasTable() {
				f.inner = f.inner.Tables[part.Path]
				f.tables = append(f.tables, f.inner)
			}
		}
		facets[i] = f
	}
	return facets, nil
}

// lineage returns the complex fields around a field, outermost first, and the field.
func lineage(f *schema.Field) []*schema.Field {
	var line []*schema.Field
	for ; f != nil; f = f.Parent {
		line = append(line, f)
	}
	slices.Reverse(line)
	return line
}

// facets counts. within holds what matched.
func (r *run) facets() (map[string][]search.Facet, error) {
	if len(r.plan.facets) == 0 {
		return nil, nil
	}
	out := make(map[string][]search.Facet, len(r.plan.facets))
	for i := range r.plan.facets {
		if err := r.ctx.Err(); err != nil {
			return nil, err
		}
		f := &r.plan.facets[i]
		out[f.Path] = r.facet(f)
	}
	return out, nil
}

func (r *run) facet(f *facet) []search.Facet {
	switch f.field.Type {
	case odata.StringType:
		c := f.inner.Strings[f.Path]
		buckets := r.countStrings(f, c)
		return f.shape(buckets, func(a, b bucket) int { return strings.Compare(c.Values[a.key], c.Values[b.key]) },
			func(key int64) []byte { return quote(c.Values[key]) })
	case odata.BooleanType:
		return f.shape(r.countBools(f, f.inner.Bools[f.Path]), byKey,
			func(key int64) []byte { return strconv.AppendBool(nil, key != 0) })
	case odata.DoubleType:
		return r.facetFloats(f, f.inner.Floats[f.Path])
	case odata.DateType:
		return r.facetInts(f, f.inner.Ints[f.Path], formatDate)
	default:
		return r.facetInts(f, f.inner.Ints[f.Path], func(n int64) []byte { return strconv.AppendInt(nil, n, 10) })
	}
}

func (r *run) facetInts(f *facet, c *column.Ints, format func(int64) []byte) []search.Facet {
	value := func(row uint32) (int64, bool) { return c.Values[row], !c.Nulls.Has(row) }
	switch {
	case f.Values != nil:
		bounds := make([]int64, len(f.Values))
		for i, v := range f.Values {
			bounds[i] = v.Int
		}
		if f.field.Type == odata.DateType {
			format = formatBound
		}
		return ranges(countRanges(r, f, value, bounds), bounds, format)
	case f.Interval.Unit != odata.NoUnit:
		floor := dateFloor(f.Interval.Unit, f.Offset)
		buckets := r.countKeys(f, func(row uint32) (int64, bool) {
			v, ok := value(row)
			return floor(v), ok
		})
		return f.shape(buckets, byKey, format)
	case f.Interval.Int > 0:
		width := f.Interval.Int
		buckets := r.countKeys(f, func(row uint32) (int64, bool) {
			v, ok := value(row)
			return floorTo(v, width), ok
		})
		return f.shape(buckets, byKey, format)
	}
	return f.shape(r.countKeys(f, value), byKey, format)
}

// facetFloats counts by the bits of the values, which tell all but the two zeros and the many NaNs apart.
func (r *run) facetFloats(f *facet, c *column.Floats) []search.Facet {
	value := func(row uint32) (float64, bool) { return c.Values[row], !c.Nulls.Has(row) }
	if f.Values != nil {
		bounds := make([]float64, len(f.Values))
		for i, v := range f.Values {
			bounds[i] = v.Double
		}
		number := func(row uint32) (float64, bool) { // NaN lies nowhere
			v, ok := value(row)
			return v, ok && !math.IsNaN(v)
		}
		return ranges(countRanges(r, f, number, bounds), bounds, formatDouble)
	}
	width := f.Interval.Double
	buckets := r.countKeys(f, func(row uint32) (int64, bool) {
		v, ok := value(row)
		if width > 0 {
			v = math.Floor(v/width) * width
		}
		return floatKey(v), ok
	})
	byValue := func(a, b bucket) int { return cmp.Compare(keyFloat(a.key), keyFloat(b.key)) }
	return f.shape(buckets, byValue, func(key int64) []byte { return formatDouble(keyFloat(key)) })
}

// shape orders the buckets and writes the first of them.
func (f *facet) shape(buckets []bucket, byValue func(a, b bucket) int, format func(key int64) []byte) []search.Facet {
	order, n := byValue, f.Count
	switch {
	case f.Interval != odata.Interval{}:
		n = len(buckets)
	case f.Sort == odata.ValueAsc:
	case f.Sort == odata.ValueDesc:
		order = func(a, b bucket) int { return byValue(b, a) }
	case f.Sort == odata.CountAsc:
		order = func(a, b bucket) int { return cmp.Or(cmp.Compare(a.count, b.count), byValue(a, b)) }
	default:
		order = func(a, b bucket) int { return cmp.Or(cmp.Compare(b.count, a.count), byValue(a, b)) }
	}
	buckets = first(buckets, n, order)
	out := make([]search.Facet, len(buckets))
	for i, b := range buckets {
		out[i] = search.Facet{Count: b.count, Value: format(b.key)}
	}
	return out
}

// first returns the first n buckets in order.
func first(buckets []bucket, n int, order func(a, b bucket) int) []bucket {
	const few = 64
	if n > few || n >= len(buckets) {
		slices.SortFunc(buckets, order)
		return buckets[:min(n, len(buckets))]
	}
	best := make([]bucket, 0, n+1)
	for _, b := range buckets {
		if len(best) == n && order(b, best[n-1]) >= 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, b, order)
		best = slices.Insert(best, at, b)
		best = best[:min(len(best), n)]
	}
	return best
}

// ranges writes the counts of what lies below the first bound, between each two, and from the last on.
func ranges[T any](counts []int64, bounds []T, format func(T) []byte) []search.Facet {
	out := make([]search.Facet, len(counts))
	for i, n := range counts {
		out[i].Count = n
		if i > 0 {
			out[i].From = format(bounds[i-1])
		}
		if i < len(bounds) {
			out[i].To = format(bounds[i])
		}
	}
	return out
}
