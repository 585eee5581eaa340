package entraserver

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// authorization is a request to /authorize, understood: who asks for what, and where the answer goes.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#request-an-authorization-code
type authorization struct {
	params   url.Values
	client   *Application
	redirect string // registered
	mode     string // query, fragment, form_post
	state    string
	wantCode bool
	wantID   bool
	prompt   string
	want     wanted
	claims   claimsRequest
}

// maxAuthorize bounds a request's parameters, so that the sealed flow stays within a form field.
const maxAuthorize = 12 << 10

func (s *Server) authorizeRoutes() map[string]endpoint {
	v1 := endpoint{name: "authorize", handle: s.notEmulated("the v1 authorize endpoint; use /oauth2/v2.0/authorize")}
	return map[string]endpoint{
		"GET /{tenant}/oauth2/v2.0/authorize":  {name: "authorize", handle: s.authorize, fail: s.errorPage},
		"POST /{tenant}/oauth2/v2.0/authorize": {name: "authorize", handle: s.authorize, fail: s.errorPage},
		"GET /{tenant}/oauth2/authorize":       v1,
		"POST /{tenant}/oauth2/authorize":      v1,
	}
}

// authorize begins a sign-in.
func (s *Server) authorize(w http.ResponseWriter, c *call) error {
	params := c.URL.Query()
	if c.Method == http.MethodPost {
		form, err := readForm(w, c)
		if err != nil {
			return err
		}
		maps.Copy(params, form)
	}
	if len(params.Encode()) > maxAuthorize {
		return refuse(9002313)
	}
	b := s.readBrowser(c)
	s.writeBrowser(w, b)
	v := &visit{Server: s, w: w, c: c, b: &b, f: flow{Kind: flowAuthorize, Tenant: c.tenant.segment, Params: params}}
	return v.walk()
}

// understand checks a request in two parts. Until the redirect URI is known to be the client's, an error is for the
// person's eyes only (RFC 6749 §3.1.2.4); it is returned with a nil authorization.
func (s *Server) understand(c *call, params url.Values) (*authorization, error) {
	a := &authorization{params: params, state: params.Get("state"), prompt: params.Get("prompt")}
	id, err := need(params, "client_id")
	if err != nil {
		return nil, err
	}
	if a.client, err = s.findClient(c, id); err != nil {
		return nil, err
	}
	var ok bool
	if a.redirect, ok = a.client.redirectFor(params.Get("redirect_uri")); !ok {
		return nil, refuse(50011, quote(params.Get("redirect_uri")), a.client.AppID)
	}
	return a, s.understandRest(a)
}

// understandRest checks what can be told to the client.
func (s *Server) understandRest(a *authorization) (err error) {
	for name, values := range a.params {
		if len(values) > 1 {
			return refuse(90023, quote(name), "it occurs more than once.")
		}
	}
	if err = a.parseResponse(); err != nil {
		return err
	}
	if !slices.Contains([]string{"", "none", "login", "select_account", "consent", "create"}, a.prompt) {
		return refuse(90023, "prompt", "want none, login, select_account or consent.")
	}
	for _, unsupported := range []string{"request", "request_uri"} {
		if a.params.Has(unsupported) {
			return refuse(90023, unsupported, "request objects are not supported.")
		}
	}
	if err = a.checkPKCE(); err != nil {
		return err
	}
	if a.claims, err = parseClaims(a.params.Get("claims")); err != nil {
		return err
	}
	if strings.TrimSpace(a.params.Get("scope")) == "" {
		return refuse(900144, "scope")
	}
	if a.want, err = s.parseScopes(a.params.Get("scope")); err != nil {
		return err
	}
	if err = a.want.checkNames(a.client); err != nil {
		return err
	}
	return s.checkResource(a.params.Get("resource"), a.want)
}

// parseResponse reads response_type and response_mode. Tokens never travel in a query.
func (a *authorization) parseResponse() error {
	types := strings.Fields(a.params.Get("response_type"))
	if len(types) == 0 {
		a.mode = "query"
		return refuse(900144, "response_type")
	}
	for _, one := range types {
		switch one {
		case "code":
			a.wantCode = true
		case "id_token":
			a.wantID = true
		default:
			a.mode = "fragment"
			return refuse(700051, quote(a.params.Get("response_type")))
		}
	}
	a.mode = a.params.Get("response_mode")
	switch a.mode {
	case "":
		a.mode = "query"
		if a.wantID {
			a.mode = "fragment"
		}
	case "query", "fragment", "form_post":
	default:
		a.mode = "query"
		return refuse(90023, "response_mode", "want query, fragment or form_post.")
	}
	if a.wantID && a.mode == "query" {
		a.mode = "fragment"
		return refuse(70007)
	}
	if a.wantID && !a.client.Web.Implicit.IDToken {
		return refuse(700054)
	}
	if a.wantID && a.params.Get("nonce") == "" {
		return refuse(900144, "nonce")
	}
	return nil
}

// checkPKCE checks the challenge of RFC 7636; a single-page application must send one.
func (a *authorization) checkPKCE() error {
	challenge, method := a.params.Get("code_challenge"), a.params.Get("code_challenge_method")
	const shortest, longest = 43, 128
	switch {
	case challenge == "" && method != "":
		return refuse(900144, "code_challenge")
	case challenge == "" && slices.Contains(a.client.SPA.RedirectURIs, a.redirect):
		return refuse(9002325)
	case challenge == "":
		return nil
	case method != "" && method != "plain" && method != "S256":
		return refuse(90023, "code_challenge_method", "want S256 or plain.")
	case len(challenge) < shortest || len(challenge) > longest:
		return refuse(501491)
	}
	return nil
}

// redirectFor finds the registered redirect URI that a request names. They are compared character by character; only the
// port of http://localhost and http://127.0.0.1 is free. Without one in the request, the only registered one is meant.
//
// https://learn.microsoft.com/entra/identity-platform/reply-url#localhost-exceptions
func (a *Application) redirectFor(asked string) (string, bool) {
	registered := slices.Concat(a.Web.RedirectURIs, a.PublicClient.RedirectURIs, a.SPA.RedirectURIs)
	if asked == "" {
		if len(registered) == 1 && harmless(registered[0]) {
			return registered[0], true
		}
		return "", false
	}
	if !harmless(asked) {
		return "", false
	}
	for _, uri := range registered {
		if uri == asked || sameButPort(uri, asked) {
			return asked, true
		}
	}
	return "", false
}

// harmless refuses addresses that a browser would run, and those that do not parse.
func harmless(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" || u.Fragment != "" || strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' }) {
		return false
	}
	return !slices.Contains([]string{"javascript", "data", "vbscript", "file", "blob", "about"}, u.Scheme)
}

func sameButPort(registered, asked string) bool {
	r, errR := url.Parse(registered)
	a, errA := url.Parse(asked)
	if errR != nil || errA != nil || r.Scheme != "http" || a.Scheme != "http" || a.User != nil || r.Hostname() != a.Hostname() {
		return false
	}
	if r.Hostname() != "localhost" && r.Hostname() != "127.0.0.1" {
		return false
	}
	path := func(u *url.URL) string { return strings.TrimSuffix(u.EscapedPath(), "/") }
	return path(r) == path(a) && r.RawQuery == a.RawQuery
}
