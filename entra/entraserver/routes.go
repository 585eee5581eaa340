package entraserver

import (
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/localhost"
)

// endpoint is one row of the routing table. Handlers return errors; what is refused is an *[entra.Error], anything else
// is our own fault.
type endpoint struct {
	name   string // for faults and request counts: "token", "devicecode", "keys", …
	handle func(w http.ResponseWriter, c *call) error
	fail   func(w http.ResponseWriter, c *call, e *entra.Error) // nil: Entra's JSON error
}

// call is one request on its way through a handler.
type call struct {
	*http.Request
	tenant      tenantRef
	authority   authority // as whom we answer this request
	now         time.Time
	correlation string // the caller's client-request-id, or a new GUID
	trace       string // x-ms-request-id
	record      *localhost.Record
}

// table joins the rows of all parts. A key is "METHOD /path" in lower case; "{tenant}" stands for the first segment and
// a trailing "/*" for anything below.
func (s *Server) table() map[string]endpoint {
	routes := map[string]endpoint{}
	for _, part := range []map[string]endpoint{
		s.discoveryRoutes(), s.tokenRoutes(), s.controlRoutes(), s.graphRoutes(), s.identityRoutes(), s.pageRoutes(), s.authorizeRoutes(), s.adminConsentRoutes(),
	} {
		maps.Copy(routes, part)
	}
	return routes
}

// subtrees lists the paths of a table that end with "/*".
func subtrees(routes map[string]endpoint) []string {
	var paths []string
	for route := range routes {
		if _, path, _ := strings.Cut(route, " "); strings.HasSuffix(path, "/*") {
			paths = append(paths, path)
		}
	}
	return paths
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// serve finds the endpoint, and is the one place where errors are written.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	found, tenant, status := s.find(r)
	c := s.newCall(r)
	s.writeHeaders(w, c)
	if status != 0 {
		c.record.Outcome = http.StatusText(status)
		if status == http.StatusMethodNotAllowed {
			s.writeError(w, c, refuse(900561, r.Method))
			return
		}
		http.Error(w, "the local Entra has nothing at this path; see docs/local-entra.md for what is emulated", status)
		return
	}
	err := errors.Join(s.keys.replaceWhenDue(c.now), s.checkTenant(c, tenant))
	if err == nil {
		err = found.handle(w, c)
	}
	if err == nil {
		return
	}
	refused := new(entra.Error)
	if !errors.As(err, &refused) {
		s.log.ErrorContext(r.Context(), "local entra", slog.String("endpoint", found.name), slog.String("error", err.Error()))
		refused = refuse(90033)
	}
	c.record.Outcome = outcomeOf(refused)
	if found.fail != nil {
		found.fail(w, c, refused)
		return
	}
	s.writeError(w, c, refused)
}

// find returns the endpoint and the tenant segment of the path, or an HTTP status: 404, or 405 where another method
// would do.
func (s *Server) find(r *http.Request) (found endpoint, tenant string, status int) {
	path := strings.TrimSuffix(strings.ToLower(r.URL.Path), "/")
	if path == "" {
		path = "/"
	}
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	candidates := []string{path}
	if rest != "" {
		candidates = append(candidates, "/{tenant}/"+rest)
	}
	for _, subtree := range s.subtrees {
		if strings.HasPrefix(path, strings.TrimSuffix(subtree, "*")) {
			candidates = append(candidates, subtree)
		}
	}
	status = http.StatusNotFound
	for _, candidate := range candidates {
		for _, method := range []string{r.Method, "ANY"} {
			if e, ok := s.routes[method+" "+candidate]; ok {
				if !strings.HasPrefix(candidate, "/{tenant}/") {
					first = ""
				}
				return e, first, 0
			}
		}
		if s.otherMethod(candidate) {
			status = http.StatusMethodNotAllowed
		}
	}
	return endpoint{}, "", status
}

func (s *Server) otherMethod(candidate string) bool {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if _, ok := s.routes[method+" "+candidate]; ok {
			return true
		}
	}
	return false
}

// endpointName names a request for faults and counts.
func (s *Server) endpointName(r *http.Request) string {
	found, _, status := s.find(r)
	if status != 0 {
		return "unknown"
	}
	return found.name
}

func (s *Server) newCall(r *http.Request) *call {
	c := &call{Request: r, authority: s.authorityOf(r), now: s.now(), trace: newGUID(), record: localhost.RecordOf(r.Context())}
	c.correlation = correlationOf(r)
	return c
}

// correlationOf takes the caller's id from the header or the query; the body's is taken when it is parsed.
func correlationOf(r *http.Request) string {
	for _, id := range []string{r.Header.Get("client-request-id"), r.URL.Query().Get("client-request-id")} {
		if parsed := object(id); !parsed.IsZero() {
			return parsed.String()
		}
	}
	return newGUID()
}
