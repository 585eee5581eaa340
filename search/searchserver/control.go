package searchserver

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/internal/localhost"
	"github.com/onbehalf/onbehalf/search"
)

// newControl is the API under /_local/, for tests and demos: how often each operation was called, faults to come.
func (s *Server) newControl() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_local/requests", s.traffic.ServeRequests)
	mux.HandleFunc("POST /_local/faults", s.traffic.ServeFaults)
	mux.HandleFunc("POST /_local/reset", func(w http.ResponseWriter, _ *http.Request) {
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	return localhost.Guard(mux)
}

// QueueFault spoils the next answers of an operation ("docs.search", …), as POST /_local/faults does.
func (s *Server) QueueFault(f localhost.Fault) error { return s.traffic.Queue(f) }

// Requests returns how often each operation was called, by outcome, since the last reset.
func (s *Server) Requests() []localhost.Counted { return s.traffic.Requests() }

// Reset forgets counts, faults and remembered groups, as POST /_local/reset does.
func (s *Server) Reset() {
	s.traffic.Reset()
	s.groups.reset()
}

func isControl(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/_local/") }

// endpointOf is the name by which requests are counted and spoiled: "docs.search", "indexes.put", …
func endpointOf(r *http.Request) string {
	if isControl(r) {
		return "control"
	}
	return string(routeOf(r.Method, r.URL.EscapedPath()).op)
}

// spoil answers with a fault: status, error code, description, and claims as a challenge.
func (s *Server) spoil(w http.ResponseWriter, r *http.Request, f localhost.Fault) {
	out, _ := s.begin(w, r)
	if f.Claims != "" {
		claims := base64.StdEncoding.EncodeToString([]byte(f.Claims))
		w.Header().Set("WWW-Authenticate", `Bearer realm="", error="insufficient_claims", claims="`+claims+`"`)
	}
	if f.Description == "" {
		f.Description = "A fault that was asked for by /_local/faults."
	}
	out.writeError(r.Context(), &search.Error{
		Status: f.Status, Code: f.Error, Message: f.Description,
		RetryAfter: time.Duration(f.RetryAfter) * time.Second,
	})
}
