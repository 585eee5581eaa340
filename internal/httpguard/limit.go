package httpguard

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limiter holds a token bucket per key, in two generations: when the young one is full, or as old as a bucket takes to
// fill, it becomes the old one, and the old one is forgotten. That bounds memory; a forgotten bucket is a full one.
type Limiter struct {
	limit rate.Limit
	burst int
	now   func() time.Time

	mu         sync.Mutex
	young, old map[string]*rate.Limiter
	turned     time.Time
}

// maxKeys bounds one generation, some 2 MiB.
const maxKeys = 10_000

// NewLimiter allows each key so many takings per second in the long run, and burst at once.
func NewLimiter(perSecond rate.Limit, burst int, now func() time.Time) *Limiter {
	return &Limiter{limit: perSecond, burst: burst, now: now, young: map[string]*rate.Limiter{}, turned: now()}
}

// Take takes one token of a key; where there is none it returns how long that will be so.
func (l *Limiter) Take(key string) (wait time.Duration) {
	if l.limit == rate.Inf {
		return 0
	}
	now := l.now()
	reservation := l.bucket(key, now).ReserveN(now, 1)
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

func (l *Limiter) bucket(key string, now time.Time) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	fill := time.Duration(float64(l.burst) / float64(l.limit) * float64(time.Second))
	if len(l.young) >= maxKeys || now.Sub(l.turned) > fill {
		l.old, l.young, l.turned = l.young, map[string]*rate.Limiter{}, now
	}
	b := l.young[key]
	if b == nil {
		if b = l.old[key]; b == nil {
			b = rate.NewLimiter(l.limit, l.burst)
		}
		l.young[key] = b
	}
	return b
}

// limitCalls bounds what one caller may ask, below the authentication.
func (g *Guard) limitCalls(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if outcome, ok := r.Context().Value(outcomeKey{}).(*outcome); ok {
			outcome.authenticated = true
		}
		if g.cfg.Caller != nil {
			if key := g.cfg.Caller(r); key != "" {
				if wait := g.calls.Take(key); wait > 0 {
					tooMany(w, wait, "too many calls: wait and try again")
					return
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// outcome of the authentication of a request; only its own goroutine touches it.
type outcome struct{ authenticated bool }

type outcomeKey struct{}

// limitFailures bounds how often an address may fail to authenticate: beyond that its failures, and nothing but its
// failures, are answered 429. People behind the same address are not hindered.
func (g *Guard) limitFailures(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		outcome := &outcome{}
		limited := &failureWriter{ResponseWriter: w, outcome: outcome, take: func() time.Duration { return g.failures.Take(Address(r, g.cfg.Proxies)) }}
		next.ServeHTTP(limited, r.WithContext(context.WithValue(r.Context(), outcomeKey{}, outcome)))
	})
}

type failureWriter struct {
	http.ResponseWriter
	outcome *outcome
	take    func() time.Duration
	decided bool
	dropped bool // the answer was replaced
}

// WriteHeader implements [http.ResponseWriter].
func (w *failureWriter) WriteHeader(status int) {
	if w.decided {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.decided = status >= 200
	if !w.outcome.authenticated && (status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusBadRequest) {
		if wait := w.take(); wait > 0 {
			w.dropped = true
			tooMany(w.ResponseWriter, wait, "too many requests without a good token: wait and try again")
			return
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *failureWriter) Write(b []byte) (int, error) {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	if w.dropped {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// FlushError is what [http.ResponseController] calls.
func (w *failureWriter) FlushError() error {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements [http.Flusher].
func (w *failureWriter) Flush() { _ = w.FlushError() }

// Address is where a request comes from: the peer, or, where the peer is one of our proxies, the last address that these
// did not add. Of IPv6 the network counts: one machine has as many addresses there as it likes.
func Address(r *http.Request, proxies []netip.Prefix) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	ours := func(addr netip.Addr) bool {
		return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
	}
	addr := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for i := len(hops) - 1; i >= 0 && ours(addr); i-- {
		forwarded, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = forwarded.Unmap()
	}
	if addr.Is6() {
		if prefix, err := addr.WithZone("").Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return addr.String()
}
