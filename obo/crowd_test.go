package obo_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/obo"
)

func TestIdenticalCallsAreOneRequest(t *testing.T) {
	a := startAuthority(t)
	a.answer = func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(50 * time.Millisecond)
		a.grant(w, r, nil)
	}
	client := newClient(t, a, nil)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if token, err := client.Exchange(t.Context(), person(t, 1, 1), searchScope(t), ""); err != nil || token.Value.IsZero() {
				t.Errorf("got %v, %v", token, err)
			}
		})
	}
	wg.Wait()
	if n := a.exchanges.Load(); n != 1 {
		t.Errorf("100 identical calls were %d requests, want 1", n)
	}
}

func TestWaitersSurviveTheFirstCallersCancellation(t *testing.T) {
	a := startAuthority(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	a.answer = func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		a.grant(w, r, nil)
	}
	client := newClient(t, a, nil)
	first, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := client.Exchange(first, person(t, 1, 1), searchScope(t), "")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the caller that left got %v", err)
		}
	})
	<-arrived
	wg.Go(func() {
		if _, err := client.Exchange(t.Context(), person(t, 1, 1), searchScope(t), ""); err != nil {
			t.Errorf("the caller that stayed got %v", err)
		}
	})
	cancel()
	time.Sleep(10 * time.Millisecond)
	close(release)
	wg.Wait()
	if n := a.exchanges.Load(); n != 1 {
		t.Errorf("got %d requests, want 1", n)
	}
}

func TestRequestsToEntraAreCapped(t *testing.T) {
	a := startAuthority(t)
	var now, most atomic.Int64
	a.answer = func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
		now.Add(-1)
		a.grant(w, r, nil)
	}
	client := newClient(t, a, func(c *obo.Config) { c.MaxConcurrent = 4 })
	var wg sync.WaitGroup
	for n := range 40 {
		wg.Go(func() { get(t, client, person(t, n, 1), searchScope(t)) })
	}
	wg.Wait()
	if most.Load() > 4 || a.exchanges.Load() != 40 {
		t.Errorf("up to %d at once for %d requests, want at most 4 for 40", most.Load(), a.exchanges.Load())
	}
}

// 200 people, 50 calls each, all at once: everybody gets her own token and nobody else's.
func TestACrowd(t *testing.T) {
	a := startAuthority(t)
	client := newClient(t, a, nil)
	var wg sync.WaitGroup
	var wrong atomic.Int64
	for n := range 200 {
		caller := person(t, n, 1)
		for range 50 {
			wg.Go(func() {
				token, err := client.Exchange(t.Context(), caller, searchScope(t), "")
				if err != nil || token.Object != caller.Object || readJWT(token.Value.Reveal())["oid"] != caller.Object.String() {
					wrong.Add(1)
				}
			})
		}
	}
	wg.Wait()
	if wrong.Load() != 0 {
		t.Errorf("%d of 10,000 answers were wrong", wrong.Load())
	}
	if n := a.exchanges.Load(); n != 200 {
		t.Errorf("got %d requests, want 200", n)
	}
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	a := startAuthority(t)
	arrived := make(chan struct{})
	a.answer = func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}
	client := newClient(t, a, nil)
	done := make(chan error)
	go func() {
		_, err := client.Exchange(t.Context(), person(t, 1, 1), searchScope(t), "")
		done <- err
	}()
	<-arrived
	_ = client.Close()
	if err := <-done; err == nil {
		t.Error("an exchange outlived its client")
	}
	if _, err := client.Exchange(t.Context(), person(t, 2, 1), searchScope(t), ""); err == nil {
		t.Error("a closed client exchanged")
	}
}
