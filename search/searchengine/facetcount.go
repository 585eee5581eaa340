package searchengine

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"sort"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/column"
)

// bucket is a value with the number of documents that have it.
type bucket struct {
	key   int64 // the value, or what stands for it
	count int64
	last  uint32 // the document that was counted last, plus one
}

func byKey(a, b bucket) int { return cmp.Compare(a.key, b.key) }

// sees reports whether the document was counted.
func (b *bucket) sees(doc uint32) bool { return b.last == doc+1 }

// floatKey and keyFloat make a key of a double and back.
func floatKey(v float64) int64   { return int64(math.Float64bits(canonical(v))) } //nolint:gosec // the bits
func keyFloat(key int64) float64 { return math.Float64frombits(uint64(key)) }     //nolint:gosec // the bits

func canonical(v float64) float64 {
	switch {
	case v == 0:
		return 0 // not -0
	case math.IsNaN(v):
		return math.NaN()
	}
	return v
}

// eachRow calls visit for every row of the facet's column that belongs to a document that matched. Documents come in
// order.
func (r *run) eachRow(f *facet, visit func(doc, row uint32)) {
	if len(f.tables) == 0 {
		for doc := range r.within.All() {
			visit(doc, doc)
		}
		return
	}
	for row := range uint32(f.inner.Rows) { //nolint:gosec // fewer rows than that fit into memory
		doc := row
		for _, table := range slices.Backward(f.tables) {
			doc = table.Parents[doc]
		}
		if r.within.Has(doc) {
			visit(doc, row)
		}
	}
}

// countKeys counts by the key that a row has.
func (r *run) countKeys(f *facet, key func(row uint32) (int64, bool)) []bucket {
	var buckets []bucket
	places := map[int64]int{}
	r.eachRow(f, func(doc, row uint32) {
		k, ok := key(row)
		if !ok {
			return
		}
		at, known := places[k]
		if !known {
			at = len(buckets)
			places[k] = at
			buckets = append(buckets, bucket{key: k})
		}
		if b := &buckets[at]; !b.sees(doc) {
			b.count++
			b.last = doc + 1
		}
	})
	return buckets
}

// countStrings counts by the number of a value in the column.
func (r *run) countStrings(f *facet, c *column.Strings) []bucket {
	if len(f.tables) == 0 && !c.Collection() {
		return r.countNumbers(c)
	}
	counted := make([]bucket, len(c.Values))
	r.eachRow(f, func(doc, row uint32) {
		numbers := c.NumbersOf
		if !c.Collection() {
			numbers = func(row uint32) []uint32 { return c.Numbers[row : row+1] }
		}
		for _, n := range numbers(row) {
			if b := &counted[n]; !b.sees(doc) {
				b.count++
				b.last = doc + 1
			}
		}
	})
	var buckets []bucket
	for n, b := range counted {
		if n > 0 && b.count > 0 {
			buckets = append(buckets, bucket{key: int64(n), count: b.count})
		}
	}
	return buckets
}

// countNumbers is countStrings for the most frequent case: each document has one value or none.
func (r *run) countNumbers(c *column.Strings) []bucket {
	counts := make([]uint32, len(c.Values))
	for i, w := range r.within {
		numbers := c.Numbers[i<<6 : min(i<<6+64, len(c.Numbers))]
		for w != 0 {
			counts[numbers[bits.TrailingZeros64(w)]]++
			w &= w - 1
		}
	}
	var buckets []bucket
	for n, count := range counts {
		if n > 0 && count > 0 {
			buckets = append(buckets, bucket{key: int64(n), count: int64(count)})
		}
	}
	return buckets
}

func (r *run) countBools(f *facet, c *column.Bools) []bucket {
	return r.countKeys(f, func(row uint32) (int64, bool) { return int64(truth(c.True.Has(row))), !c.Nulls.Has(row) })
}

// countRanges counts what lies below the first bound, between each two, and from the last on.
func countRanges[T cmp.Ordered](r *run, f *facet, value func(row uint32) (T, bool), bounds []T) []int64 {
	buckets := make([]bucket, len(bounds)+1)
	r.eachRow(f, func(doc, row uint32) {
		v, ok := value(row)
		if !ok {
			return
		}
		b := &buckets[sort.Search(len(bounds), func(i int) bool { return bounds[i] > v })]
		if !b.sees(doc) {
			b.count++
			b.last = doc + 1
		}
	})
	counts := make([]int64, len(buckets))
	for i, b := range buckets {
		counts[i] = b.count
	}
	return counts
}
