package searchengine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

// Readers always see each document once, in the version of some write, while writers replace all of them over and over,
// and snapshots and compactions go on.
func TestReadersBesideWriters(t *testing.T) {
	e := open(t, searchengine.Config{Dir: t.TempDir()})
	e.MaintainOften()
	define(t, e, aclIndex)
	const documents, writers, rounds = 40, 3, 60
	docs := func(round int) []string {
		out := make([]string, documents)
		for i := range out {
			out[i] = fmt.Sprintf(`{"id":"%02d","name":"round%d fox","userIds":[%q]}`, i, round, u1)
		}
		return out
	}
	upload(t, e, "acl", docs(0)...)
	var stop atomic.Bool
	var reading, writing sync.WaitGroup
	for range 3 {
		reading.Go(func() {
			u, x := person(t, u1), e.Index("acl")
			for !stop.Load() {
				r, err := x.Search(t.Context(), u, &search.Query{Search: "fox", Count: true, OrderBy: []string{"id"}})
				if err != nil || *r.Count != documents || len(strings.Fields(keysOf(t, r))) != documents {
					t.Errorf("got %+v, %v; want %d documents", r, err, documents)
					return
				}
				if got := keys(t, x, person(t, u2), nil); got != "" {
					t.Errorf("another person sees %q", got)
				}
			}
		})
	}
	for w := range writers {
		writing.Go(func() {
			for n := range rounds {
				var batch []search.Action
				for _, doc := range docs(w*rounds + n) {
					batch = append(batch, action("", doc))
				}
				if _, err := e.Write(t.Context(), "acl", batch); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	stop.Store(true)
	reading.Wait()
	e.WaitForMaintenance("acl")
	if rows := e.Rows("acl"); rows > 1000 {
		t.Errorf("%d numbers for %d documents: nothing was compacted", rows, documents)
	}
}

// Scopes of life: a definition grows while documents are written, an index is deleted and made anew.
func TestDefinitionsBesideWriters(t *testing.T) {
	e := open(t, searchengine.Config{Dir: t.TempDir()})
	define(t, e, aclIndex)
	var writing sync.WaitGroup
	for w := range 2 {
		writing.Go(func() {
			for n := range 50 {
				_, err := e.Write(t.Context(), "acl", []search.Action{action("", fmt.Sprintf(`{"id":"%d-%d","userIds":["all"]}`, w, n))})
				if err != nil && !errors.Is(err, search.ErrNotFound) && !errors.Is(err, search.ErrConflict) {
					t.Error(err)
				}
			}
		})
	}
	for n := range 20 {
		if n == 10 {
			if err := e.Delete(t.Context(), "acl", ""); err != nil {
				t.Error(err)
			}
			define(t, e, aclIndex)
		}
		var fields strings.Builder
		for k := range n%10 + 1 {
			fmt.Fprintf(&fields, `{"name":"extra%d","type":"Edm.String"},`, k)
		}
		define(t, e, strings.Replace(aclIndex, `"fields":[`, `"fields":[`+fields.String(), 1))
	}
	writing.Wait()
	r, err := e.Index("acl").Search(t.Context(), person(t, u1), &search.Query{Count: true, Filter: "extra3 eq null"})
	if n, errCount := e.Count(t.Context(), "acl"); err != nil || errCount != nil || *r.Count != n {
		t.Errorf("got %+v, %v; want %d documents", r, err, n)
	}
}

// Closing waits for no one who waits for it.
func TestCloseBesideWriters(t *testing.T) {
	for range 10 {
		e := open(t, searchengine.Config{Dir: t.TempDir()})
		define(t, e, aclIndex)
		var writing sync.WaitGroup
		for w := range 4 {
			writing.Go(func() {
				for n := 0; ; n++ {
					if _, err := e.Write(t.Context(), "acl", []search.Action{action("", fmt.Sprintf(`{"id":"%d-%d"}`, w, n))}); err != nil {
						return // closed
					}
				}
			})
		}
		for {
			if n, err := e.Count(t.Context(), "acl"); err != nil || n > 20 {
				break
			}
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		writing.Wait()
	}
}

func TestCancelledSearch(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, textIndex)
	upload(t, e, "docs", `{"id":"a","text":"fox"}`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Index("docs").Search(ctx, person(t, u1), &search.Query{Search: "fox"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want context.Canceled", err)
	}
	if _, err := e.Write(ctx, "docs", []search.Action{action("", `{"id":"b"}`)}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want context.Canceled", err)
	}
}
