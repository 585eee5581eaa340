package searchengine

import (
	"context"
	"math/bits"
	"sync"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
)

// scratch is memory that one query after the other uses: sets and scores for every document.
type scratch struct {
	sets   []bitset.Set
	used   int
	scores []float64 // all zero between queries
	record record    // one stored document
	out    []byte    // the documents of a page, one after the other
	ends   []int     // of each of them in out
	places []place   // of the best documents
}

// maxKept bounds the memory for documents that is kept from one query to the next.
const maxKept = 4 << 20

func newRun(ctx context.Context, s *state, p *plan) *run {
	sc, _ := s.scratches.Get().(*scratch)
	if sc == nil {
		sc = &scratch{}
	}
	r := &run{state: s, plan: p, ctx: ctx, scratch: sc}
	r.within = r.set()
	return r
}

// set returns an empty set for all documents, which is taken back at the end of the query.
func (r *run) set() bitset.Set {
	sc, words := r.scratch, bitset.Words(r.rows())
	if sc.used == len(sc.sets) {
		sc.sets = append(sc.sets, nil)
	}
	set := sc.sets[sc.used]
	if cap(set) < words {
		set = make(bitset.Set, words, words+words/8+8)
	}
	set = set[:words]
	clear(set)
	sc.sets[sc.used] = set
	sc.used++
	return set
}

// giveBack takes sets back early, all but the first so many.
func (r *run) giveBack(but int) { r.scratch.used = but }

// wantScores makes r.scores ready.
func (r *run) wantScores() {
	if n := r.rows(); cap(r.scratch.scores) < n {
		r.scratch.scores = make([]float64, n, n+n/8+8)
	}
	r.scores = r.scratch.scores[:r.rows()]
	r.scored = true
}

// release gives the memory back. Only documents in within can have a score, unless the filter spilled some.
func (r *run) release() {
	switch {
	case r.spilled:
		clear(r.scores)
	case r.scores != nil:
		for i, w := range r.within {
			for ; w != 0; w &= w - 1 {
				r.scores[i<<6+bits.TrailingZeros64(w)] = 0
			}
		}
	}
	sc := r.scratch
	sc.used = 0
	if cap(sc.out)+cap(sc.record.buf) > maxKept {
		sc.out, sc.record = nil, record{}
	}
	r.scratches.Put(sc)
}

type scratches = sync.Pool
