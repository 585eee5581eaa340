package entraserver

import (
	"net/http"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/localhost"
)

func (s *Server) controlRoutes() map[string]endpoint {
	control := http.NewServeMux()
	control.HandleFunc("GET /_local/requests", func(w http.ResponseWriter, r *http.Request) { s.traffic.ServeRequests(w, r) })
	control.HandleFunc("POST /_local/faults", func(w http.ResponseWriter, r *http.Request) { s.traffic.ServeFaults(w, r) })
	guarded := localhost.Guard(control)
	return map[string]endpoint{"ANY /_local/*": {name: "control", handle: func(w http.ResponseWriter, c *call) error {
		guarded.ServeHTTP(w, c.Request)
		return nil
	}}}
}

// writeFault answers a request with an error that was asked for.
func (s *Server) writeFault(w http.ResponseWriter, r *http.Request, f localhost.Fault) {
	e := &entra.Error{Status: f.Status, Code: f.Error, Sub: f.Sub, Claims: f.Claims, Description: f.Description}
	if f.AADSTS != 0 {
		e.AADSTS = []int{f.AADSTS}
		known := refusals[f.AADSTS]
		e.Code, e.Sub = orElse(e.Code, known.code), orElse(e.Sub, known.sub)
	}
	if e.Code == "" {
		e.Code = "server_error"
		if f.Status == http.StatusTooManyRequests || f.Status == http.StatusServiceUnavailable {
			e.Code = "temporarily_unavailable"
		}
	}
	e.Description = orElse(e.Description, "A fault that was asked for by /_local/faults.")
	c := s.newCall(r)
	s.writeHeaders(w, c)
	s.writeError(w, c, e)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
