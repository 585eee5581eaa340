package searchengine

import (
	"cmp"
	"slices"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/column"
)

// The order of results: by the clauses of the orderby, nulls first where ascending and last where descending, strings by
// their bytes; then by score, highest first; then by key, so that pages never overlap.
//
// https://learn.microsoft.com/azure/search/search-query-odata-orderby

// compare orders two documents.
type compare func(a, b uint32) int

// page returns the documents of the page, of the count that matched.
func (r *run) page(count int) []uint32 {
	want := min(r.query.Skip+r.top, count)
	if want <= r.query.Skip {
		return nil
	}
	var docs []uint32
	switch field, desc, single := r.singleOrder(); {
	case single && count > want*2 && count > r.rows()/sparse:
		docs = r.orders.of(r.state, field).walk(r.within, desc, want)
	case r.scored && len(r.order) == 0:
		docs = r.best(want)
	default:
		docs = smallest(r.within, want, r.comparison())
	}
	return docs[r.query.Skip:]
}

// sparse is how many documents there must be for each that matches to make sorting what matches cheaper than walking
// through all in order.
const sparse = 64

// singleOrder returns the field that alone decides the order, apart from the key: one clause, or none where nothing was
// scored.
func (r *run) singleOrder() (field string, desc, single bool) {
	switch {
	case r.scored:
		return "", false, false
	case len(r.order) == 0 || len(r.order) == 1 && r.order[0].Score:
		return r.schema.Key.Path, false, true
	case len(r.order) == 1:
		return r.order[0].Path, r.order[0].Desc, true
	}
	return "", false, false
}

// comparison is the order of the results in full.
func (r *run) comparison() compare {
	var clauses []compare
	byScore := func(a, b uint32) int { return cmp.Compare(float32(r.scores[b]), float32(r.scores[a])) }
	for _, o := range r.order {
		var c compare
		switch {
		case o.Score && !r.scored:
			continue
		case o.Score:
			c = func(a, b uint32) int { return byScore(b, a) }
		default:
			c = compareColumn(r.table, o.Path)
		}
		if o.Desc {
			ascending := c
			c = func(a, b uint32) int { return ascending(b, a) }
		}
		clauses = append(clauses, c)
	}
	if r.scored {
		clauses = append(clauses, byScore)
	}
	clauses = append(clauses, r.orders.byKey(r.state))
	if len(clauses) == 1 {
		return clauses[0]
	}
	return func(a, b uint32) int {
		for _, c := range clauses {
			if n := c(a, b); n != 0 {
				return n
			}
		}
		return 0
	}
}

// compareColumn orders documents by a column, ascending.
func compareColumn(t *column.Table, path string) compare {
	if c := t.Strings[path]; c != nil {
		return func(a, b uint32) int {
			x, y := c.Numbers[a], c.Numbers[b]
			if x == y || x == 0 || y == 0 {
				return cmp.Compare(x, y)
			}
			return cmp.Compare(c.Values[x], c.Values[y])
		}
	}
	if c := t.Ints[path]; c != nil {
		return nullsFirst(c.Nulls, func(a, b uint32) int { return cmp.Compare(c.Values[a], c.Values[b]) })
	}
	if c := t.Floats[path]; c != nil {
		return nullsFirst(c.Nulls, func(a, b uint32) int { return cmp.Compare(c.Values[a], c.Values[b]) })
	}
	if c := t.Bools[path]; c != nil {
		return nullsFirst(c.Nulls, func(a, b uint32) int { return truth(c.True.Has(a)) - truth(c.True.Has(b)) })
	}
	return func(uint32, uint32) int { return 0 }
}

func nullsFirst(nulls bitset.Set, values compare) compare {
	return func(a, b uint32) int {
		if x, y := nulls.Has(a), nulls.Has(b); x || y {
			return truth(y) - truth(x)
		}
		return values(a, b)
	}
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// smallest returns the first n documents of the set in order.
func smallest(set bitset.Set, n int, order compare) []uint32 {
	heap := make([]uint32, 0, n) // the last in order on top
	for doc := range set.All() {
		switch {
		case len(heap) < n:
			if heap = append(heap, doc); len(heap) == n {
				for i := n/2 - 1; i >= 0; i-- {
					sink(heap, i, order)
				}
			}
		case order(doc, heap[0]) < 0:
			heap[0] = doc
			sink(heap, 0, order)
		}
	}
	slices.SortFunc(heap, order)
	return heap
}

func sink(heap []uint32, i int, order compare) {
	for {
		child := 2*i + 1
		if child >= len(heap) {
			return
		}
		if right := child + 1; right < len(heap) && order(heap[right], heap[child]) > 0 {
			child = right
		}
		if order(heap[child], heap[i]) <= 0 {
			return
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
	}
}
