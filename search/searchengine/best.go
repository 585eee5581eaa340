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
func (o *sorted) bestPlaces(places []place, set bitset.Set, scores []float64, n int) []place {
	least := float32(math.Inf(-1)) // what the worst of n has, once there are as many
	for i, w := range set[:bitset.Words(len(o.rank))] {
		for ; w != 0; w &= w - 1 {
			doc := i<<6 + bits.TrailingZeros64(w)
			score := float32(scores[doc])
			if score < least || doc >= len(o.rank) {
				continue
			}
			p := placeOf(score, o.rank[doc])
			switch {
			case len(places) < n:
				if places = append(places, p); len(places) < n {
					continue
				}
				slices.Sort(places)
				slices.Reverse(places) // is a heap
			case p < places[0]:
				replaceTop(places, p)
			default:
				continue
			}
			least = float32(scores[o.main[places[0].rank()]])
		}
	}
	slices.Sort(places)
	return places
}

// replaceTop puts a place into a heap in place of the worst, which is on top.
func replaceTop(heap []place, p place) {
	i := 0
	for {
		child := 2*i + 1
		if child >= len(heap) {
			break
		}
		if right := child + 1; right < len(heap) && heap[right] > heap[child] {
			child = right
		}
		if heap[child] <= p {
			break
		}
		heap[i] = heap[child]
		i = child
	}
	heap[i] = p
}
