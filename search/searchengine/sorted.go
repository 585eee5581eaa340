package searchengine

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
)

// orders keeps what queries have sorted.
type orders struct {
	mu      sync.Mutex
	byField map[string]*sorted
}

// sorted are the documents of a state in the order of one field, then of the key. Most are in main; those that were
// written lately are in fresh, so that a write does not make everything be sorted again.
type sorted struct {
	main, fresh []uint32
	rank        []uint32 // of the order of keys: where each document of main is
	order       compare  // by field and key
	field       compare  // by field alone
}

// of returns the order of a field, up to date. The result is never changed: queries go on with what they got.
func (o *orders) of(s *state, field string) sorted {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byField == nil {
		o.byField = map[string]*sorted{}
	}
	at := o.byField[field]
	if at == nil {
		at = &sorted{}
		o.byField[field] = at
	}
	have := len(at.main) + len(at.fresh)
	// The comparisons look at the columns as they are now, so they are made for each query.
	byField, byKey := compareColumn(s.table, field), compareColumn(s.table, s.schema.Key.Path)
	at.field = byField
	at.order = func(a, b uint32) int {
		if n := byField(a, b); n != 0 {
			return n
		}
		return byKey(a, b)
	}
	if have < s.rows() {
		at.extend(have, s.rows(), field == s.schema.Key.Path)
	}
	return *at
}

// prepare sorts another state by the fields that queries have asked for here.
func (o *orders) prepare(s *state) {
	o.mu.Lock()
	fields := slices.Collect(maps.Keys(o.byField))
	o.mu.Unlock()
	for _, field := range fields {
		s.orders.of(s, field)
	}
}

// byKey compares documents by their keys.
func (o *orders) byKey(s *state) compare {
	path := s.schema.Key.Path
	keys := compareColumn(s.table, path)
	rank := o.of(s, path).rank
	return func(a, b uint32) int {
		if int(a) < len(rank) && int(b) < len(rank) {
			return cmp.Compare(rank[a], rank[b])
		}
		return keys(a, b)
	}
}

// extend sorts new documents in.
func (o *sorted) extend(from, to int, ranked bool) {
	added := make([]uint32, 0, to-from)
	for doc := from; doc < to; doc++ {
		added = append(added, uint32(doc)) //nolint:gosec // a number of a document
	}
	slices.SortFunc(added, o.order)
	o.fresh = o.merge(o.fresh, added)
	if len(o.fresh) <= 4096+len(o.main)/16 {
		return
	}
	o.main, o.fresh = o.merge(o.main, o.fresh), nil
	if !ranked {
		return
	}
	o.rank = make([]uint32, len(o.main))
	for i, doc := range o.main {
		o.rank[doc] = uint32(i)
	}
}

func (o *sorted) merge(a, b []uint32) []uint32 {
	out := make([]uint32, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if o.order(b[0], a[0]) < 0 {
			out, b = append(out, b[0]), b[1:]
		} else {
			out, a = append(out, a[0]), a[1:]
		}
	}
	return append(append(out, a...), b...)
}

// walk returns the first n documents of the set in order. Descending, equal ones are still in the order of their keys.
func (o sorted) walk(set bitset.Set, desc bool, n int) []uint32 {
	out := make([]uint32, 0, n)
	if !desc {
		i, j := 0, 0
		for len(out) < n {
			i, j = seek(o.main, i, set), seek(o.fresh, j, set)
			switch {
			case i < len(o.main) && (j == len(o.fresh) || o.order(o.main[i], o.fresh[j]) < 0):
				out = append(out, o.main[i])
				i++
			case j < len(o.fresh):
				out = append(out, o.fresh[j])
				j++
			default:
				return out
			}
		}
		return out
	}
	return o.walkBack(set, n, out)
}

// seek returns the next place whose document is in the set.
func seek(docs []uint32, i int, set bitset.Set) int {
	for i < len(docs) && set[docs[i]>>6]>>(docs[i]&63)&1 == 0 {
		i++
	}
	return i
}

func (o sorted) walkBack(set bitset.Set, n int, out []uint32) []uint32 {
	i, j := len(o.main), len(o.fresh)
	for len(out) < n && (i > 0 || j > 0) {
		// The run of documents that are equal in the field, from the end.
		var last uint32
		if i > 0 && (j == 0 || o.field(o.main[i-1], o.fresh[j-1]) >= 0) {
			last = o.main[i-1]
		} else {
			last = o.fresh[j-1]
		}
		a, b := o.runStart(o.main[:i], last), o.runStart(o.fresh[:j], last)
		for _, doc := range o.merge(o.main[a:i], o.fresh[b:j]) {
			if set.Has(doc) && len(out) < n {
				out = append(out, doc)
			}
		}
		i, j = a, b
	}
	return out
}

// runStart returns where the documents at the end begin that are equal to one in the field.
func (o sorted) runStart(docs []uint32, to uint32) int {
	i := len(docs)
	for i > 0 && o.field(docs[i-1], to) == 0 {
		i--
	}
	return i
}
