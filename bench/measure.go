package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// bench measures one peer after the other.
type bench struct {
	options
	corpus  *corpus
	dir     string
	answers map[cell][]*answer // of the first peer
	results []*result
}

// cell is a place in the table of latencies.
type cell struct {
	kind   kind
	groups int
}

// result is what was measured of one peer.
type result struct {
	name       string
	load       time.Duration
	disk, heap int64
	reopen     time.Duration // only ours: open and a first query
	cold       map[int]time.Duration
	latencies  map[cell][]time.Duration // sorted
	rates      map[rate]throughput
	differ     map[cell]int // answers that are not those of the first peer
}

type rate struct{ groups, goroutines int }

func (b *bench) rates() []rate {
	if b.quick {
		return nil
	}
	some, many := b.corpus.groupSizes[1], b.corpus.groupSizes[2]
	return []rate{{some, 1}, {some, 2}, {many, 2}, {some, 16}, {many, 16}}
}

type throughput struct {
	perSecond float64
	p99       time.Duration
}

func (b *bench) measure(ctx context.Context, name string, open open) error {
	dir := filepath.Join(b.dir, strconv.Itoa(len(b.results)))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s: loading %d documents\n", name, b.docs)
	before := heap()
	p, err := open(dir)
	if err != nil {
		return err
	}
	r := &result{name: name, latencies: map[cell][]time.Duration{}, cold: map[int]time.Duration{}, differ: map[cell]int{}, rates: map[rate]throughput{}}
	start := time.Now()
	if err = p.load(ctx, b.corpus); err != nil {
		return err
	}
	r.load = time.Since(start)
	if err = p.settle(ctx); err != nil {
		return err
	}
	r.heap = heap() - before
	if p, err = b.reopen(ctx, r, p, dir, open); err != nil {
		return err
	}
	r.disk = size(dir)
	for _, groups := range b.corpus.groupSizes {
		for _, k := range kinds() {
			if err = b.latency(ctx, p, r, cell{k, groups}); err != nil {
				return err
			}
		}
	}
	for _, at := range b.rates() {
		for start := time.Now(); r.rates[at].perSecond == 0 || time.Since(start) < longEnough; {
			now, err := b.throughput(ctx, p, at)
			if err != nil {
				return err
			}
			if now.perSecond > r.rates[at].perSecond {
				r.rates[at] = now
			}
		}
	}
	b.results = append(b.results, r)
	return p.close()
}

// reopen measures how long ours takes from its files to the first answer.
func (b *bench) reopen(ctx context.Context, r *result, p peer, dir string, open open) (peer, error) {
	if _, ours := p.(engine); !ours {
		return p, nil
	}
	if err := p.close(); err != nil {
		return nil, err
	}
	start := time.Now()
	p, err := open(dir)
	if err != nil {
		return nil, err
	}
	_, err = p.ask(ctx, b.corpus.callers(1, 1)[0], b.corpus.queries(matchAll, 1)[0])
	r.reopen = time.Since(start)
	return p, err
}

const callerCount = 6

// latency asks one by one, with a warm permission cache.
func (b *bench) latency(ctx context.Context, p peer, r *result, at cell) error {
	callers, queries := b.corpus.callers(callerCount, at.groups), b.corpus.queries(at.kind, b.queries)
	for i, c := range callers {
		start := time.Now()
		if _, err := p.ask(ctx, c, queries[i%len(queries)]); err != nil {
			return err
		}
		if at.kind == matchAll && i > 0 {
			r.cold[at.groups] = max(r.cold[at.groups], time.Since(start))
		}
	}
	var best []time.Duration
	start := time.Now()
	for round := range rounds {
		if round > 0 && (b.quick || time.Since(start) > longEnough) {
			break
		}
		time.Sleep(pause)
		took, err := b.round(ctx, p, r, at, callers, queries)
		if err != nil {
			return err
		}
		if best == nil || percentile(took, 50) < percentile(best, 50) {
			best = took
		}
	}
	r.latencies[at] = best
	return nil
}

// Other programs on the machine take time from single rounds. Of each figure the best of a few is taken, with pauses
// between them, unless that takes long.
const (
	rounds     = 7
	pause      = 50 * time.Millisecond
	longEnough = 5 * time.Second
)

// round asks every query once, and returns how long each took, sorted.
func (b *bench) round(ctx context.Context, p peer, r *result, at cell, callers []*caller, queries []*task) ([]time.Duration, error) {
	first := b.answers[at] == nil
	took := make([]time.Duration, len(queries))
	answers := make([]*answer, len(queries))
	for i, q := range queries {
		start := time.Now()
		a, err := p.ask(ctx, callers[i%callerCount], q)
		if err != nil {
			return nil, err
		}
		took[i], answers[i] = time.Since(start), a
	}
	slices.Sort(took)
	if first {
		b.answers[at] = answers
		return took, nil
	}
	differ := 0
	for i, a := range answers {
		if want := b.answers[at][i]; !want.same(a, at.kind) {
			differ++
			fmt.Fprintf(os.Stderr, "%s: %s, %d groups, differs: %+v: %s\n", r.name, at.kind, at.groups, *queries[i], want.difference(a))
		}
	}
	r.differ[at] = max(r.differ[at], differ)
	return took, nil
}

// throughput asks the mix of all kinds from several goroutines for a while.
func (b *bench) throughput(ctx context.Context, p peer, at rate) (throughput, error) {
	var mix []*task
	for _, k := range kinds() {
		mix = append(mix, b.corpus.queries(k, 50)...)
	}
	callers := b.corpus.callers(callerCount, at.groups)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var mu sync.Mutex
	var took []time.Duration
	var failed error
	var next atomic.Int64
	var work sync.WaitGroup
	start := time.Now()
	const long = time.Second
	for range at.goroutines {
		work.Go(func() {
			var own []time.Duration
			var err error
			for err == nil && time.Since(start) < long {
				i := int(next.Add(1))
				began := time.Now()
				_, err = p.ask(ctx, callers[i%callerCount], mix[i*7919%len(mix)])
				own = append(own, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, own...)
			if err != nil && ctx.Err() == nil { // what was too slow for its time counts as asked
				failed = err
			}
		})
	}
	work.Wait()
	elapsed := time.Since(start)
	slices.Sort(took)
	return throughput{perSecond: float64(len(took)) / elapsed.Seconds(), p99: percentile(took, 99)}, failed
}

func percentile(sorted []time.Duration, n int) time.Duration {
	return sorted[min(len(sorted)-1, len(sorted)*n/100)]
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func size(dir string) int64 {
	total := int64(0)
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil {
				total += info.Size()
			}
		}
		return nil
	})
	return total
}
