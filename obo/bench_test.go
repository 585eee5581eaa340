package obo_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/obo"
)

// inProcess answers requests without a network, for what is measured beside it.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	return w.Result(), nil
}

// offline is an authority without a network.
func offline(tb testing.TB) (*authority, *http.Client) {
	tb.Helper()
	a := startAuthority(tb)
	return a, &http.Client{Transport: inProcess{a.Config.Handler}}
}

// crowd are callers, of whom each has a token in the client's cache.
func crowd(tb testing.TB, x obo.Exchanger, people int) []*identity.Caller {
	tb.Helper()
	callers := make([]*identity.Caller, people)
	for n := range callers {
		callers[n] = person(tb, n, 1)
		get(tb, x, callers[n], searchScope(tb))
	}
	return callers
}

func msalClient(tb testing.TB, a *authority, hc *http.Client) confidential.Client {
	tb.Helper()
	credential, err := confidential.NewCredFromSecret("secret")
	if err != nil {
		tb.Fatal(err)
	}
	client, err := confidential.New(a.URL+"/"+tenantID, clientID, credential, confidential.WithInstanceDiscovery(false), confidential.WithHTTPClient(hc))
	if err != nil {
		tb.Fatal(err)
	}
	return client
}

// BenchmarkHit is a token from the cache: ours and MSAL Go's, for one person and for many, from one goroutine and from
// eight. p50-ns is the median of single calls, the reading of the clock included.
func BenchmarkHit(b *testing.B) {
	scope := searchScope(b)
	for _, people := range []int{1, 1000, 50_000} {
		a, hc := offline(b)
		client := newClient(b, a, func(c *obo.Config) { c.HTTPClient = hc })
		callers := crowd(b, client, people)
		b.Run(fmt.Sprintf("onbehalf/people=%d/goroutines=1", people), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := client.Exchange(b.Context(), callers[i%people], scope, ""); err != nil {
					b.Fatal(err)
				}
			}
			reportMedian(b, func(i int) error {
				_, err := client.Exchange(b.Context(), callers[i%people], scope, "")
				return err
			})
		})
		b.Run(fmt.Sprintf("onbehalf/people=%d/goroutines=8", people), func(b *testing.B) {
			b.ReportAllocs()
			inParallel(b, func(i int) error {
				_, err := client.Exchange(b.Context(), callers[i%people], scope, "")
				return err
			})
		})
		benchmarkFloor(b, callers)
		msal := msalClient(b, a, hc)
		for _, c := range callers {
			if _, err := msal.AcquireTokenOnBehalfOf(b.Context(), c.Assertion.Reveal(), []string{scope.String()}); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(fmt.Sprintf("msal/people=%d/goroutines=1", people), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := msal.AcquireTokenOnBehalfOf(b.Context(), callers[i%people].Assertion.Reveal(), []string{scope.String()}); err != nil {
					b.Fatal(err)
				}
			}
			reportMedian(b, func(i int) error {
				_, err := msal.AcquireTokenOnBehalfOf(b.Context(), callers[i%people].Assertion.Reveal(), []string{scope.String()})
				return err
			})
		})
	}
}

// benchmarkFloor is what no cache of so many people can do without: to read the caller, to hash what makes a key, and to
// find and read an entry in a locked map.
func benchmarkFloor(b *testing.B, callers []*identity.Caller) {
	b.Helper()
	type entry struct {
		token identity.Token
		until time.Time
	}
	var mu sync.Mutex
	entries := map[[sha256.Size]byte]*entry{}
	key := func(c *identity.Caller) [sha256.Size]byte {
		var space [512]byte
		return sha256.Sum256(append(append(append(space[:0], c.Tenant.String()...), make([]byte, 128)...), c.Digest[:]...))
	}
	for _, c := range callers {
		entries[key(c)] = &entry{until: c.Expires}
	}
	find := func(i int) error {
		k := key(callers[i%len(callers)])
		mu.Lock()
		defer mu.Unlock()
		if e := entries[k]; e == nil || e.until.IsZero() || !e.token.Value.IsZero() {
			return errors.New("no entry")
		}
		return nil
	}
	b.Run(fmt.Sprintf("floor/people=%d/goroutines=1", len(callers)), func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if err := find(i); err != nil {
				b.Fatal(err)
			}
		}
		reportMedian(b, find)
	})
}

// reportMedian times single calls, each of another person in turn.
func reportMedian(b *testing.B, call func(i int) error) {
	b.Helper()
	b.StopTimer()
	took := make([]time.Duration, 60_000)
	for i := range took {
		start := time.Now()
		if err := call(i); err != nil {
			b.Fatal(err)
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2]), "p50-ns")
}

// inParallel runs eight goroutines, whatever the number of processors.
func inParallel(b *testing.B, call func(i int) error) {
	b.Helper()
	const goroutines = 8
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range goroutines {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := call(int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkBurst is 100 identical calls at once that find nothing in the cache; requests/burst says how many of them
// reached Entra.
func BenchmarkBurst(b *testing.B) {
	a := startAuthority(b)
	a.answer = func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(20 * time.Millisecond)
		a.grant(w, r, nil)
	}
	burst := func(b *testing.B, call func(c *identity.Caller) error) {
		b.Helper()
		before := a.exchanges.Load()
		for i := 0; b.Loop(); i++ {
			caller := person(b, i, 1)
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					if err := call(caller); err != nil {
						b.Error(err)
					}
				})
			}
			wg.Wait()
		}
		b.ReportMetric(float64(a.exchanges.Load()-before)/float64(b.N), "requests/burst")
	}
	client, msal := newClient(b, a, nil), msalClient(b, a, a.Client())
	b.Run("onbehalf", func(b *testing.B) {
		burst(b, func(c *identity.Caller) error {
			_, err := client.Exchange(b.Context(), c, searchScope(b), "")
			return err
		})
	})
	b.Run("msal", func(b *testing.B) {
		burst(b, func(c *identity.Caller) error {
			_, err := msal.AcquireTokenOnBehalfOf(b.Context(), c.Assertion.Reveal(), []string{searchScope(b).String()})
			return err
		})
	})
}

// BenchmarkMiss is an exchange without a network: what we and MSAL cost besides Entra's time. A thousand people sign in
// anew again and again; heap/assertion is what stays in memory for each sign-in.
func BenchmarkMiss(b *testing.B) {
	const people = 1000
	scope := searchScope(b)
	measure := func(b *testing.B, now *clock, keep any, call func(ctx context.Context, c *identity.Caller) error) {
		b.Helper()
		b.ReportAllocs()
		before := heap()
		for i := 0; b.Loop(); i++ {
			caller := person(b, i%people, i/people)
			caller.Expires = now.Now().Add(time.Hour)
			if err := call(b.Context(), caller); err != nil {
				b.Fatal(err)
			}
			if i%people == 0 {
				now.advance(time.Minute)
			}
		}
		b.ReportMetric(float64(int64(heap())-int64(before))/float64(b.N), "heap/assertion")
		runtime.KeepAlive(keep)
	}
	b.Run("onbehalf/entries=1000", func(b *testing.B) {
		a, hc := offline(b)
		a.lifetime = 1000 * time.Hour
		now := &clock{}
		client := newClient(b, a, func(c *obo.Config) { c.HTTPClient, c.MaxEntries, c.Now = hc, 1000, now.Now })
		measure(b, now, client, func(ctx context.Context, c *identity.Caller) error {
			_, err := client.Exchange(ctx, c, scope, "")
			return err
		})
	})
	b.Run("msal", func(b *testing.B) {
		a, hc := offline(b)
		msal := msalClient(b, a, hc)
		measure(b, &clock{}, &msal, func(ctx context.Context, c *identity.Caller) error {
			_, err := msal.AcquireTokenOnBehalfOf(ctx, c.Assertion.Reveal(), []string{scope.String()})
			return err
		})
	})
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// What a person costs beside the token itself.
func TestMemoryOfAPerson(t *testing.T) {
	a, hc := offline(t)
	const people = 5000
	client := newClient(t, a, func(c *obo.Config) { c.HTTPClient = hc })
	get(t, client, person(t, people, 1), searchScope(t))
	scope := searchScope(t)
	before := heap()
	tokens := 0
	for n := range people {
		tokens += len(get(t, client, person(t, n, 1), scope).Value.Reveal())
	}
	perPerson := (int64(heap()) - int64(before) - int64(tokens)) / people
	runtime.KeepAlive(client)
	t.Logf("%d bytes a person beside the token", perPerson)
	if perPerson > 1024 {
		t.Errorf("%d bytes a person beside the token, want at most 1024", perPerson)
	}
}

// A month of 1,000 people who sign in anew each hour, 720,000 assertions, at a scale of 1:60, through MSAL: what is kept
// does not grow.
func TestAMonthStaysWithinTheBound(t *testing.T) {
	a, hc := offline(t)
	now := &clock{}
	client := newClient(t, a, func(c *obo.Config) { c.HTTPClient, c.Now, c.MaxEntries = hc, now.Now, 1000 })
	hours := func(from, to int) {
		for hour := from; hour < to; hour++ {
			for n := range 200 {
				caller := person(t, n, hour)
				caller.Expires = now.Now().Add(time.Hour)
				if _, err := client.Exchange(t.Context(), caller, searchScope(t), ""); err != nil {
					t.Fatal(err)
				}
			}
			now.advance(time.Hour)
		}
	}
	// The authority's tokens end by the real clock: as that of the client runs ahead, each is refreshed or replaced.
	a.lifetime = 60 * 24 * time.Hour
	hours(0, 10)
	before := heap()
	hours(10, 60)
	grown := int64(heap()) - int64(before)
	runtime.KeepAlive(client)
	t.Logf("grown by %d bytes in 10,000 assertions", grown)
	if grown > 1<<20 {
		t.Errorf("grown by %d bytes, want nothing to speak of", grown)
	}
}
