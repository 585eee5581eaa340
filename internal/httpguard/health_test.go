package httpguard_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/onbehalf/onbehalf/internal/httpguard"
)

// A process that is about to stop says so, and answers what still comes, each on a connection that it closes.
func TestDrain(t *testing.T) {
	t.Parallel()
	health := &httpguard.Health{}
	answers := health.LastAnswers(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	ask := func(handler http.Handler, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		return w
	}
	if ready, answer := ask(health.Handler(), "/readyz"), ask(answers, "/"); ready.Code != http.StatusOK || answer.Header().Get("Connection") != "" {
		t.Errorf("before: ready %d, connection %q", ready.Code, answer.Header().Get("Connection"))
	}
	health.Drain()
	ready, alive, answer := ask(health.Handler(), "/readyz"), ask(health.Handler(), "/healthz"), ask(answers, "/")
	if ready.Code != http.StatusServiceUnavailable || alive.Code != http.StatusOK {
		t.Errorf("draining: ready %d, alive %d", ready.Code, alive.Code)
	}
	if answer.Code != http.StatusAccepted || answer.Header().Get("Connection") != "close" {
		t.Errorf("draining: %d, connection %q", answer.Code, answer.Header().Get("Connection"))
	}
}
