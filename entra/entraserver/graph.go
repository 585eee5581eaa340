package entraserver

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/identity"
)

// graphAPI is the part of Microsoft Graph v1.0 that resolving people's groups and setting up applications need. It reads
// and changes the same [Directory] that tokens are issued from. What it does not have, it refuses with 501 and its name.
//
// https://learn.microsoft.com/graph/api/overview
type graphAPI struct {
	dir    *Directory
	now    func() time.Time
	verify func(r *http.Request, raw string) (graphToken, error)
	base   func(r *http.Request) string // as which host the request is answered: "https://localhost:8443"
	delay  func() int                   // how many requests a new object stays invisible for
	// verifiedURIs says that web addresses are App ID URIs only below the tenant's own domain.
	verifiedURIs func() bool

	mu    sync.Mutex
	fresh map[string]int // id of a new object → requests that still miss it
}

// graphToken is what a verified access token for Microsoft Graph allows.
type graphToken struct {
	Object  identity.ObjectID // the person, or the service principal of an app-only token
	AppOnly bool
	Grants  []string // scp, or roles of an app-only token
}

// Bounds of a request to Graph.
const (
	maxGraphBody   = 256 << 10
	maxGraphFresh  = 1000
	maxGroupsAsked = 20 // checkMemberGroups takes no more
	maxGroupIDs    = 11000
	maxIDsAsked    = 1000 // getByIds
)

// graphCall is one request, verified and allowed.
type graphCall struct {
	*graphAPI
	r     *http.Request
	token graphToken
	keys  []string // values of the {} in the route's pattern
	query graphQuery
}

// graphRoute is one operation. Permissions are alternatives; the words within one are needed together. Self holds those
// that are enough for a person who asks about herself.
type graphRoute struct {
	method, pattern string
	status          int
	need, self      []string
	handle          func(*graphCall) (any, error)
}

// graphPrefix is where Graph lives on the local host.
const graphPrefix = "/v1.0/"

func (g *graphAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, body, err := g.serve(r)
	if err != nil {
		g.refuse(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Request-Id", newGUID())
	if body == nil {
		w.WriteHeader(status)
		return
	}
	writeGraphJSON(w, status, body)
}

func writeGraphJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8")
	w.Header().Set("OData-Version", "4.0")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone, or a string does not encode, which none of ours does
}

func (g *graphAPI) serve(r *http.Request) (int, any, error) {
	token, err := g.authenticate(r)
	if err != nil {
		return 0, nil, err
	}
	segments, err := graphSegments(r.URL)
	if err != nil {
		return 0, nil, err
	}
	self := ""
	if strings.EqualFold(segments[0], "me") {
		if token.AppOnly {
			return 0, nil, &graphError{400, "BadRequest", "/me request is only valid with delegated authentication flow."}
		}
		self = token.Object.String()
		segments = append([]string{"users", self}, segments[1:]...)
	}
	route, keys, err := findGraphRoute(r.Method, segments)
	if err != nil {
		return 0, nil, err
	}
	if len(keys) > 0 && strings.EqualFold(segments[0], "users") && g.isPerson(keys[0], token) {
		self = token.Object.String()
	}
	if !token.allows(route, self != "") || route.writes() && !g.mayWrite(token) {
		return 0, nil, errGraphDenied()
	}
	call := &graphCall{graphAPI: g, r: r, token: token, keys: keys}
	if call.query, err = parseGraphQuery(r.URL.RawQuery); err != nil {
		return 0, nil, err
	}
	body, err := route.handle(call)
	return route.status, body, err
}

// isPerson reports whether a key of /users names the person of the token.
func (g *graphAPI) isPerson(key string, token graphToken) bool {
	if token.AppOnly || !strings.ContainsAny(key, "@-") {
		return false
	}
	person := g.dir.FindPerson(key)
	return person != nil && person.ID == token.Object
}

// writes reports whether the operation changes the directory; some actions are POST but read.
func (route *graphRoute) writes() bool {
	reads := strings.HasSuffix(route.pattern, "MemberGroups") || strings.HasSuffix(route.pattern, "getByIds")
	return route.method != http.MethodGet && !reads
}

// mayWrite says that a person needs a directory role beside the delegated permission; an application does not.
func (g *graphAPI) mayWrite(token graphToken) bool {
	if token.AppOnly {
		return true
	}
	person := g.dir.Person(token.Object)
	return person != nil && person.IsAdministrator()
}

func (t graphToken) allows(route *graphRoute, self bool) bool {
	alternatives := route.need
	if self && !t.AppOnly {
		alternatives = slices.Concat(alternatives, route.self)
	}
	return slices.ContainsFunc(alternatives, t.has)
}

// has reports whether the token holds all permissions of a list separated by spaces.
func (t graphToken) has(permissions string) bool {
	for name := range strings.FieldsSeq(permissions) {
		if !slices.Contains(t.Grants, name) {
			return false
		}
	}
	return true
}

func (g *graphAPI) authenticate(r *http.Request) (graphToken, error) {
	scheme, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	raw = strings.TrimSpace(raw)
	if !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return graphToken{}, &graphError{401, codeInvalidToken, "Access token is empty."}
	}
	return g.verify(r, raw)
}

// graphSegments splits the path after /v1.0/. A key in parentheses, as in servicePrincipals(appId='…'), becomes a
// segment of its own.
func graphSegments(u *url.URL) ([]string, error) {
	path := u.EscapedPath()
	if len(path) < len(graphPrefix) {
		return nil, errNoSegment("")
	}
	var segments []string
	for part := range strings.SplitSeq(strings.Trim(path[len(graphPrefix):], "/"), "/") {
		text, err := url.PathUnescape(part)
		if err != nil || text == "" || len(text) > 512 {
			return nil, errNoSegment(part)
		}
		name, key, ok := strings.Cut(text, "(")
		if !ok {
			segments = append(segments, text)
			continue
		}
		key, ok = strings.CutSuffix(key, ")")
		if !ok || key == "" || name == "" {
			return nil, errNoSegment(text)
		}
		if plain, quoted := unquote(key); quoted {
			key = plain
		}
		segments = append(segments, name, key)
	}
	return segments, nil
}

// unquote reads an OData string: 'O”Neill'.
func unquote(s string) (string, bool) {
	if len(s) < 2 || s[0] != '\'' || s[len(s)-1] != '\'' {
		return s, false
	}
	return strings.ReplaceAll(s[1:len(s)-1], "''", "'"), true
}

// findGraphRoute matches without regard to case, as Graph does.
func findGraphRoute(method string, segments []string) (*graphRoute, []string, error) {
	known := false
	for _, route := range graphRoutes() {
		keys, ok := matchRoute(route.pattern, segments)
		if !ok {
			continue
		}
		if route.method == method {
			return &route, keys, nil
		}
		known = true
	}
	name := method + " " + graphPrefix + strings.Join(segments, "/")
	if known {
		return nil, nil, &graphError{405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target: the local Microsoft Graph has no " + name + "."}
	}
	return nil, nil, &graphError{501, "NotImplemented", "The local Microsoft Graph has no " + name + "; docs/local-entra.md lists what it has."}
}

func matchRoute(pattern string, segments []string) (keys []string, ok bool) {
	want := strings.Split(pattern, "/")
	if len(want) != len(segments) {
		return nil, false
	}
	for i, w := range want {
		if w == "{}" {
			keys = append(keys, segments[i])
		} else if !strings.EqualFold(w, segments[i]) {
			return nil, false
		}
	}
	return keys, true
}

// decode reads the JSON body into v. An unknown property is an error that names it: nothing is silently ignored.
func (c *graphCall) decode(v any) error {
	body, err := c.body()
	if err != nil {
		return err
	}
	return strictJSON(body, v)
}

func strictJSON(body []byte, v any) error {
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(v)
	if err == nil {
		return nil
	}
	if _, field, ok := strings.Cut(err.Error(), "unknown field "); ok {
		return errGraphBad("Invalid property " + strings.ReplaceAll(field, `"`, "'") + ": the local Microsoft Graph does not have it.")
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return errGraphBad("Invalid value specified for property '" + wrong.Field + "'.")
	}
	return errGraphBad("Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
}

// appear notes that an object is new; seen reports whether requests can see it by now, and counts this one.
func (g *graphAPI) appear(ids ...string) {
	delay := g.delay()
	if delay == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fresh == nil || len(g.fresh) > maxGraphFresh {
		g.fresh = map[string]int{}
	}
	for _, id := range ids {
		g.fresh[id] = delay
	}
}

func (g *graphAPI) seen(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	left := g.fresh[id]
	if left == 0 {
		return true
	}
	if left--; left == 0 {
		delete(g.fresh, id)
	} else {
		g.fresh[id] = left
	}
	return false
}
