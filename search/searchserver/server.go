// Package searchserver is the local Azure AI Search: the engine of package searchengine behind the service's REST API,
// with its keys, roles, tokens, ETags and error texts. Microsoft's own clients are the referee of what it says.
//
// It stands in for the service on a laptop and in tests. What it does not do (vectors, semantic ranking, suggesters,
// indexers, …) it refuses by name; where the service's behaviour is not on record, docs/local-search.md says what was
// chosen. It verifies tokens with code of its own, so that it proves something about package searchclient and obo.
package searchserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/localhost"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

// Server is one search service. It is an [http.Handler] and safe for concurrent use.
type Server struct {
	config   settings
	engine   *searchengine.Engine
	verifier *verifier
	groups   *groupCache
	adminKey identity.Secret
	queryKey identity.Secret
	handlers map[operation]handler
	traffic  *localhost.Traffic
	control  http.Handler
	watched  http.Handler // everything, counted and spoiled on demand
	buffers  sync.Pool    // of *[]byte, for answers
}

// handler serves one operation for who has the right to it.
type handler struct {
	needs right
	serve func(s *Server, w http.ResponseWriter, c *call) error
}

// call is one request on its way.
type call struct {
	*http.Request
	route
	version   apiVersion
	query     url.Values // parameters by name, with "$"
	principal principal
	minimal   bool // metadata in the answer: odata.metadata=minimal or full
}

func handlers() map[operation]handler {
	return map[operation]handler{
		opListIndexes:  {readDefinitions, (*Server).listIndexes},
		opCreateIndex:  {writeDefinitions, (*Server).createIndex},
		opGetIndex:     {readDefinitions, (*Server).getIndex},
		opPutIndex:     {writeDefinitions, (*Server).putIndex},
		opDeleteIndex:  {writeDefinitions, (*Server).deleteIndex},
		opIndexStats:   {readDefinitions, (*Server).indexStats},
		opAnalyze:      {writeDefinitions, (*Server).analyze},
		opServiceStats: {readDefinitions, (*Server).serviceStats},
		opWrite:        {writeDocuments, (*Server).write},
		opSearch:       {readDocuments, (*Server).search},
		opLookup:       {readDocuments, (*Server).lookup},
		opCount:        {readDocuments, (*Server).count},
		opUnsupported:  {readDocuments, (*Server).unsupported},
	}
}

// AdminKey returns the key that may do everything but see documents past their ACLs unasked.
func (s *Server) AdminKey() identity.Secret { return s.adminKey }

// QueryKey returns the key that may query.
func (s *Server) QueryKey() identity.Secret { return s.queryKey }

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.watched.ServeHTTP(w, r) }

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if isControl(r) {
		s.control.ServeHTTP(w, r)
		return
	}
	out, c := s.begin(w, r)
	ctx, cancel := context.WithTimeout(r.Context(), s.config.timeout)
	defer cancel()
	c.Request = r.WithContext(ctx)
	if err := s.guarded(ctx, out, c); err != nil {
		out.writeError(ctx, err)
	}
}

// guarded turns a panic into an error: one broken request is not the end of the service.
func (s *Server) guarded(ctx context.Context, w http.ResponseWriter, c *call) (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("panic in %s: %v\n%s", c.op, broken, debug.Stack())
		}
	}()
	return s.serve(ctx, w, c)
}

// serve asks, in this order: is somebody there, what do they want, in which version, may they.
func (s *Server) serve(ctx context.Context, w http.ResponseWriter, c *call) error {
	var malformed error
	c.query, malformed = parameters(c.URL.RawQuery)
	who, err := s.authenticate(ctx, c)
	if err = cmp.Or(err, malformed); err != nil {
		return err
	}
	c.principal = who
	if c.op == opUnknown {
		return unknownRoute(w, c)
	}
	if c.version, err = parseVersion(c.query["api-version"]); err != nil {
		return err
	}
	h := s.handlers[c.op]
	if !who.may(h.needs) {
		return s.forbidden(c, "The key or the role does not permit this operation.")
	}
	c.minimal = wantsMetadata(c.Header.Values("Accept"))
	c.Body = http.MaxBytesReader(w, c.Body, maxBody)
	return h.serve(s, w, c)
}

func (s *Server) unsupported(_ http.ResponseWriter, c *call) error {
	return &search.Error{Status: http.StatusNotImplemented, Code: "NotImplemented", Message: "The local search service has no '" + clip(c.absent) + "'."}
}

func unknownRoute(w http.ResponseWriter, c *call) error {
	if c.allow != "" {
		w.Header().Set("Allow", strings.Join(strings.Fields(c.allow), ", "))
		return &search.Error{Status: http.StatusMethodNotAllowed, Code: "", Message: "The requested resource does not support http method '" + clip(c.Method) + "'."}
	}
	return &search.Error{Status: http.StatusNotFound, Code: "", Message: "No HTTP resource was found that matches the request URI."}
}

// parameters reads the query string; "%2524select", which one of Microsoft's clients sends, counts as "$select", and a
// semicolon is part of a value. What cannot be read is an error: a query without its filter would find too much.
func parameters(raw string) (url.Values, error) {
	values, err := url.ParseQuery(strings.ReplaceAll(raw, ";", "%3B"))
	if err != nil {
		err = badRequest("InvalidRequestParameter", "The query string is not well formed.")
	}
	for name, value := range values {
		if rest, found := strings.CutPrefix(name, "%24"); found {
			delete(values, name)
			values["$"+rest] = append(values["$"+rest], value...)
		}
	}
	return values, err
}

// wantsMetadata reads "application/json;odata.metadata=none|minimal|full"; the default is minimal.
func wantsMetadata(accept []string) bool {
	return !strings.Contains(strings.ToLower(strings.Join(accept, ",")), "metadata=none")
}

// base is the service's own URL, without a slash at its end.
func (s *Server) base(c *call) string {
	if s.config.url != "" {
		return s.config.url
	}
	return "https://" + c.Host
}

func (s *Server) begin(w http.ResponseWriter, r *http.Request) (*answer, *call) {
	c := &call{Request: r, route: routeOf(r.Method, r.URL.EscapedPath())}
	out := &answer{ResponseWriter: w, server: s, call: c, start: s.config.now()}
	out.setHeaders()
	return out, c
}

// isGone reports that nobody waits for an answer any more.
func isGone(err error) bool { return errors.Is(err, context.Canceled) }

const defaultTimeout = 30 * time.Second
