package searchengine_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

// benchDocuments is how many documents the benchmarks have: 100,000, or ONBEHALF_BENCH_DOCUMENTS.
func benchDocuments() int {
	if n, err := strconv.Atoi(os.Getenv("ONBEHALF_BENCH_DOCUMENTS")); err == nil {
		return n
	}
	return 100_000
}

// questions are the kinds of query of the speed goals.
func (c *corpus) questions() map[string][]*search.Query {
	out := map[string][]*search.Query{}
	for range 50 {
		common, rare := c.words[20+c.IntN(480)], c.words[500+c.IntN(4500)]
		from := 2015 + c.IntN(6)
		out["page"] = append(out["page"], &search.Query{Count: true})
		out["terms"] = append(out["terms"], &search.Query{Search: common + " " + rare, SearchFields: []string{"content"}, Count: true})
		out["filter"] = append(out["filter"], &search.Query{
			Filter: fmt.Sprintf("number ge %d and created ge %d-01-01T00:00:00Z and created lt %d-01-01T00:00:00Z", c.IntN(500_000), from, from+3),
			Facets: []string{"category"}, Count: true,
		})
	}
	return out
}

func BenchmarkEngine(b *testing.B) {
	c := newCorpus(benchDocuments())
	e := open(b, searchengine.Config{Dir: b.TempDir()})
	before := heap()
	c.fill(b, e, c.total)
	b.Run("heap", func(b *testing.B) {
		for b.Loop() {
		}
		b.ReportMetric(float64(heap()-before)/float64(c.total), "B/document")
	})
	x, questions := e.Index("corpus"), c.questions()
	for _, groups := range []int{3, 200, 2000} {
		u := c.caller(b, groups)
		for _, kind := range []string{"page", "terms", "filter"} {
			b.Run(fmt.Sprintf("%s/groups=%d", kind, groups), func(b *testing.B) {
				ask(b, x, u, questions[kind])
			})
		}
		b.Run(fmt.Sprintf("mix/groups=%d", groups), func(b *testing.B) {
			askTogether(b, x, u, slices.Concat(questions["page"], questions["terms"], questions["filter"]))
		})
	}
	b.Run("cold/groups=2000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			u := c.caller(b, 2000)
			b.StartTimer()
			if _, err := x.Search(b.Context(), u, &search.Query{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// ask puts one question after the other, and reports the median.
func ask(b *testing.B, x search.Index, u search.User, questions []*search.Query) {
	b.Helper()
	if _, err := x.Search(b.Context(), u, questions[0]); err != nil { // the permission cache is warm
		b.Fatal(err)
	}
	b.ReportAllocs()
	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		start := time.Now()
		if _, err := x.Search(b.Context(), u, questions[n%len(questions)]); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	report(b, took)
}

// askTogether puts questions from 16 goroutines.
func askTogether(b *testing.B, x search.Index, u search.User, questions []*search.Query) {
	b.Helper()
	b.ReportAllocs()
	b.SetParallelism(16 / runtime.GOMAXPROCS(0))
	var n atomic.Int64
	all := make(chan []time.Duration, 64)
	b.RunParallel(func(p *testing.PB) {
		var took []time.Duration
		for p.Next() {
			start := time.Now()
			if _, err := x.Search(b.Context(), u, questions[int(n.Add(1))%len(questions)]); err != nil {
				b.Error(err)
				return
			}
			took = append(took, time.Since(start))
		}
		all <- took
	})
	close(all)
	var took []time.Duration
	for some := range all {
		took = append(took, some...)
	}
	report(b, took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "queries/s")
}

func report(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

func BenchmarkIngest(b *testing.B) {
	c := newCorpus(20_000)
	batches := c.batches(b, c.total)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		e := open(b, searchengine.Config{Dir: b.TempDir()})
		define(b, e, corpusIndex)
		b.StartTimer()
		for _, batch := range batches {
			if _, err := e.Write(b.Context(), "corpus", batch); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N*c.total)/b.Elapsed().Seconds(), "documents/s")
}

func BenchmarkOpen(b *testing.B) {
	c := newCorpus(benchDocuments())
	dir := b.TempDir()
	e, err := searchengine.Open(searchengine.Config{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	c.fill(b, e, c.total)
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		e, err := searchengine.Open(searchengine.Config{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkUpsert(b *testing.B) {
	c := newCorpus(10_000)
	e := open(b, searchengine.Config{Dir: b.TempDir()})
	c.fill(b, e, c.total)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Write(b.Context(), "corpus", []search.Action{c.next(b)}); err != nil {
			b.Fatal(err)
		}
	}
}
