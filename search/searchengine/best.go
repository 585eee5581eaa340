package searchengine

import (
	"math"
	"math/bits"
	"slices"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
)

// best returns the first n documents by score, then by key: what [smallest] would, with numbers instead of comparisons.
func (r *run) best(n int) []uint32 {
	keys := r.orders.of(r.state, r.schema.Key.Path)
	places := keys.bestPlaces(r.scratch.places[:0], r.within, r.scores, n)
	r.scratch.places = places
	docs := make([]uint32, len(places))
	for i, p := range places {
		docs[i] = keys.main[p.rank()]
	}
	if len(keys.fresh) == 0 {
		return docs
	}
	// Documents that were written lately have no rank.
	fresh, words := r.set(), len(keys.main)>>6
	copy(fresh[words:], r.within[words:])
	fresh[words] &^= 1<<(len(keys.main)&63) - 1
	order := r.comparison()
	docs = append(docs, smallest(fresh, n, order)...)
	slices.SortFunc(docs, order)
	return docs[:min(n, len(docs))]
}

// place is where a document stands in the order by score, highest first, and then by key, as a number: the score above,
// the rank of the key below.
type place uint64

func placeOf(score float32, rank uint32) place {
	b := math.Float32bits(score)
	switch {
	case math.IsNaN(float64(score)):
		b = 0 // last
	case score < 0:
		b = ^b
	case score == 0: // there is but one zero
		b = 1 << 31
	default:
		b |= 1 << 31
	}
	return place(^b)<<32 | place(rank)
}

func (p place) rank() uint32 { return uint32(p) } //nolint:gosec // the lower half

// bestPlaces returns the first n places of the documents in the set that have a rank.
//
// Whatever may be among them is collected. Each time there are twice as many as wanted, the worse half goes, and the worst
// of what stays has to be beaten from then on.
func (o *sorted) bestPlaces(places []place, set bitset.Set, scores []float64, n int) []place {
	places = slices.Grow(places, 2*n)
	least, last := float32(math.Inf(-1)), place(math.MaxUint64)
	for i, w := range set[:bitset.Words(len(o.rank))] {
		for ; w != 0; w &= w - 1 {
			doc := i<<6 + bits.TrailingZeros64(w)
			score := float32(scores[doc])
			if score < least || doc >= len(o.rank) {
				continue
			}
			p := placeOf(score, o.rank[doc])
			if p >= last {
				continue
			}
			if places = append(places, p); len(places) < 2*n {
				continue
			}
			slices.Sort(places)
			places = places[:n]
			last = places[n-1]
			least = float32(scores[o.main[last.rank()]])
		}
	}
	slices.Sort(places)
	return places[:min(n, len(places))]
}
