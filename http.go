package onbehalf

import (
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/bearer"
	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/httpguard"
)

// ChainHeader is the header of every answer of the server that names the chain of the call.
const ChainHeader = "Onbehalf-Chain"

// maxBody bounds a request.
const maxBody = 4 << 20

// Handler returns the server over streamable HTTP, without sessions, so that any replica can answer any request: the
// MCP endpoint at the path of Config.URL, with and without a trailing slash, and the metadata of RFC 9728 beside it.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, path := range s.verifier.MetadataPaths() {
		mux.Handle(path, s.verifier.MetadataHandler())
	}
	path := "/" + strings.Trim(s.config.URL.Path, "/")
	endpoint := s.record(s.guard.Outside(s.verifier.Middleware(s.guard.Inside(s.gate.Middleware(s.endpoint())))))
	mux.Handle(path, endpoint)
	if path != "/" {
		mux.Handle(path+"/{$}", endpoint)
	}
	return mux
}

// Protect puts the server's verification in front of another handler, such as an API beside the MCP endpoint. The
// handler finds the caller with [CallerFrom].
func (s *Server) Protect(next http.Handler) http.Handler {
	return s.guard.Outside(s.verifier.Middleware(s.guard.Inside(next)))
}

// CallerFrom returns the verified caller of a request behind [Server.Protect].
func CallerFrom(r *http.Request) (*identity.Caller, bool) {
	return bearer.CallerFromContext(r.Context())
}

// endpoint is the SDK's handler in both its forms: JSON in one piece, or a stream where progress was asked for.
func (s *Server) endpoint() http.Handler {
	handler := func(inOnePiece bool) http.Handler {
		return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s.mcp }, &mcp.StreamableHTTPOptions{
			Stateless: true, JSONResponse: inOnePiece, PropagateRequestCancellation: true, MaxRequestBodyBytes: maxBody, Logger: s.config.Logger,
			DisableLocalhostProtection: true, // the guard's own list of hosts is stricter
		})
	}
	if s.logs {
		return httpguard.Answer(handler(true), handler(false), `"tools/call"`)
	}
	return httpguard.Answer(handler(true), handler(false))
}

// callerKey tells callers apart for the rate limit: person and client together, since one client may serve a whole
// company.
func callerKey(r *http.Request) string {
	caller, ok := CallerFrom(r)
	if !ok {
		return ""
	}
	return caller.Key() + "/" + caller.Client.String()
}

// record begins the chain of a call, names it in the answer, and hands it to the recorders when the call has ended.
func (s *Server) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, call := chain.Begin(r.Context())
		w.Header().Set(ChainHeader, call.ID())
		seen := &statusWriter{ResponseWriter: w}
		next.ServeHTTP(seen, r.WithContext(ctx))
		if hops, _ := call.Hops(); len(hops) == 0 || seen.status == http.StatusTooManyRequests {
			return // turned away at the door: a stranger must not be able to fill the audit log
		}
		for _, recorder := range s.config.Recorders {
			recorder.Record(ctx, call)
		}
	})
}

// statusWriter remembers how a request was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets [http.ResponseController] reach what is below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
