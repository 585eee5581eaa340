package httpguard

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Health answers what orchestrators ask: /healthz, whether the process runs, and /readyz, whether to send it requests.
// It belongs on an address of its own, not on the public one.
type Health struct {
	// Checks are asked by /readyz, all at once, within CheckTimeout; one that fails makes the answer 503. They must be
	// cheap and must not call what other replicas share: an outage there would take all replicas out at once.
	Checks map[string]func(context.Context) error
	Logger *slog.Logger // gets the reasons, which the answer leaves out; nil: nothing is logged

	draining atomic.Bool
}

// CheckTimeout bounds the checks of one /readyz.
const CheckTimeout = 2 * time.Second

// Drain makes /readyz answer 503 from now on: the process is about to stop and finishes what it has.
func (h *Health) Drain() { h.draining.Store(true) }

// LastAnswers closes the connections that a request comes in by once the process is about to stop: clients that keep
// theirs open find their way to another replica, and not to a closed port.
func (h *Health) LastAnswers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Handler serves /healthz and /readyz.
func (h *Health) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { report(w, nil, false) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		report(w, h.run(r.Context()), h.draining.Load())
	})
	return mux
}

// run returns for each check whether it passed.
func (h *Health) run(ctx context.Context) map[string]bool {
	ctx, cancel := context.WithTimeout(ctx, CheckTimeout)
	defer cancel()
	var (
		mu      sync.Mutex
		running sync.WaitGroup
		passed  = map[string]bool{}
	)
	for name, check := range h.Checks {
		running.Go(func() {
			err := check(ctx)
			if err != nil && h.Logger != nil {
				h.Logger.WarnContext(ctx, "not ready", slog.String("check", name), slog.Any("error", err))
			}
			mu.Lock()
			defer mu.Unlock()
			passed[name] = err == nil
		})
	}
	running.Wait()
	return passed
}

func report(w http.ResponseWriter, passed map[string]bool, draining bool) {
	answer := struct {
		Status string          `json:"status"` // "ok", "draining", "unavailable"
		Checks map[string]bool `json:"checks,omitempty"`
	}{"ok", passed}
	status := http.StatusOK
	switch {
	case draining:
		answer.Status, status = "draining", http.StatusServiceUnavailable
	case slices.Contains(slices.Collect(maps.Values(passed)), false):
		answer.Status, status = "unavailable", http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the asker may be gone
}
