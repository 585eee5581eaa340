package inverted

import (
	"math"
	"slices"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
)

// Phrase is a row of terms that must follow each other in one field.
type Phrase struct {
	Field    *Field
	Postings []*Posting // of the terms, in order
	Offsets  []uint32   // the position of each, from that of the first: stop words leave holes
	Slop     int        // how many moves of a term Lucene allows, in all; 0 is exactly in place
}

// Each calls found for every document among within that holds the phrase, with how often: where terms may be out of
// place, each occurrence counts for the less the further they are.
//
// It stops soon after stop says so: one document may hold millions of a word that the phrase has a thousand times.
func (p *Phrase) Each(within bitset.Set, stop func() bool, found func(doc uint32, freq float32)) {
	rarest := slices.MinFunc(p.Postings, func(a, b *Posting) int { return len(a.Docs) - len(b.Docs) })
	cursors := make([]int, len(p.Postings)) // into the documents of each posting
	positions := make([][]uint32, len(p.Postings))
	repeats := p.repeats()
	pace := pace{stop: stop}
	for _, doc := range rarest.Docs {
		if pace.stopped(1) {
			return
		}
		if !within.Has(doc) || !p.seek(doc, cursors) {
			continue
		}
		for k, posting := range p.Postings {
			if same := repeats[k]; same < k {
				positions[k] = positions[same]
				continue
			}
			positions[k] = posting.PositionsOf(cursors[k], positions[k][:0])
			pace.work += len(positions[k])
		}
		if freq := p.freq(positions, &pace); freq > 0 && !pace.stopped(0) {
			found(doc, freq)
		}
	}
}

// repeats returns, for each term, where it is in the phrase for the first time.
func (p *Phrase) repeats() []int {
	first := make(map[*Posting]int, len(p.Postings))
	out := make([]int, len(p.Postings))
	for k, posting := range p.Postings {
		at, ok := first[posting]
		if !ok {
			at = k
			first[posting] = k
		}
		out[k] = at
	}
	return out
}

// pace asks now and then whether to stop.
type pace struct {
	stop func() bool
	work int // steps since the last time
	over bool
}

// stopped notes some steps, and reports whether to stop.
func (p *pace) stopped(steps int) bool {
	const often = 1 << 16
	if p.work += steps; p.work >= often {
		p.work = 0
		p.over = p.over || p.stop()
	}
	return p.over
}

// seek moves the cursors to the document, and reports whether all postings hold it.
func (p *Phrase) seek(doc uint32, cursors []int) bool {
	for k, posting := range p.Postings {
		n, ok := slices.BinarySearch(posting.Docs[cursors[k]:], doc)
		cursors[k] += n
		if !ok {
			return false
		}
	}
	return true
}

func (p *Phrase) freq(positions [][]uint32, pace *pace) float32 {
	if p.Slop == 0 {
		return p.exact(positions, pace)
	}
	return p.sloppy(positions, pace)
}

// exact counts the places where every term stands at its offset.
func (p *Phrase) exact(positions [][]uint32, pace *pace) float32 {
	freq := float32(0)
next:
	for _, first := range positions[0] {
		if pace.stopped(len(positions)) {
			break
		}
		for k := 1; k < len(positions); k++ {
			if _, ok := slices.BinarySearch(positions[k], first-p.Offsets[0]+p.Offsets[k]); !ok {
				continue next
			}
		}
		freq++
	}
	return freq
}

// sloppy counts the places where the terms stand at most Slop moves away from their offsets, each for 1/(1+moves), the
// way Lucene's SloppyPhraseScorer does: with every position less its term's offset, the moves are the distance from the
// least to the greatest. The window moves on by its least position.
func (p *Phrase) sloppy(positions [][]uint32, pace *pace) float32 {
	at := make([]int, len(positions))
	place := func(k int) int64 { return int64(positions[k][at[k]]) - int64(p.Offsets[k]) }
	freq, best, least := float32(0), int64(math.MaxInt64), -1
	for !pace.stopped(len(positions) * len(positions)) {
		low, high := 0, int64(math.MinInt64)
		for k := range positions {
			high = max(high, place(k))
			if place(k) < place(low) {
				low = k
			}
		}
		// One occurrence goes on as long as the same term is the least.
		if low != least && best <= int64(p.Slop) {
			freq += 1 / (1 + float32(best))
			best = math.MaxInt64
		}
		if low != least {
			least, best = low, math.MaxInt64
		}
		if p.distinct(positions, at) {
			best = min(best, high-place(low))
		}
		if at[low]++; at[low] == len(positions[low]) {
			break
		}
	}
	if best <= int64(p.Slop) {
		freq += 1 / (1 + float32(best))
	}
	return freq
}

// distinct reports whether no two terms of the phrase, which may be the same, stand in the same place.
func (p *Phrase) distinct(positions [][]uint32, at []int) bool {
	for a := range positions {
		for b := range a {
			if p.Postings[a] == p.Postings[b] && positions[a][at[a]] == positions[b][at[b]] {
				return false
			}
		}
	}
	return true
}

// Weight is the part of the phrase's score that is the same for all documents: that of its terms together. live is as
// for [Posting.LiveDocs].
func (p *Phrase) Weight(formula BM25, live bitset.Set, boost float64) float32 {
	sum := float32(0)
	for _, posting := range p.Postings {
		sum += formula.Weight(p.Field, posting.LiveDocs(live), boost)
	}
	return sum
}
