package entraserver

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/identity"
)

// Grant types. Device code has two names: MSAL for Go and Node send the short one.
//
//nolint:gosec // names, not credentials
const (
	grantCode        = "authorization_code"
	grantRefresh     = "refresh_token"
	grantClient      = "client_credentials"
	grantBearer      = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantDevice      = "urn:ietf:params:oauth:grant-type:device_code"
	grantDeviceShort = "device_code"
)

func (s *Server) tokenRoutes() map[string]endpoint {
	v1 := s.notEmulated("the v1 endpoints for tokens; use those below /oauth2/v2.0")
	return map[string]endpoint{
		"POST /{tenant}/oauth2/v2.0/token":      {name: "token", handle: s.token},
		"OPTIONS /{tenant}/oauth2/v2.0/token":   {name: "token", handle: s.preflight},
		"POST /{tenant}/oauth2/v2.0/devicecode": {name: "devicecode", handle: s.deviceCode},
		"POST /{tenant}/oauth2/token":           {name: "token", handle: v1},
		"POST /{tenant}/oauth2/devicecode":      {name: "devicecode", handle: v1},
	}
}

// token answers the token endpoint: each grant in a function of its own.
func (s *Server) token(w http.ResponseWriter, c *call) error {
	form, err := readForm(w, c)
	if err != nil {
		return err
	}
	s.allowPage(w, c)
	grant, err := need(form, "grant_type")
	if err != nil {
		return err
	}
	grants := map[string]func(http.ResponseWriter, *call, url.Values) error{
		grantCode: s.redeemCode, grantRefresh: s.refresh, grantClient: s.clientCredentials, grantBearer: s.onBehalfOf,
		grantDevice: s.pollDevice, grantDeviceShort: s.pollDevice,
	}
	handle, ok := grants[grant]
	if !ok {
		return refuse(70003, quote(grant))
	}
	c.record.Detail = strings.TrimPrefix(strings.TrimPrefix(grant, "urn:ietf:params:oauth:grant-type:"), "urn:")
	if s.traffic.Spoil(w, c.Request, "token/"+c.record.Detail) {
		return nil
	}
	return handle(w, c, form)
}

// preflight answers a page that asks whether it may.
func (s *Server) preflight(w http.ResponseWriter, c *call) error {
	s.allowPage(w, c)
	w.Header().Set("Access-Control-Allow-Methods", "POST, OPTIONS")
	w.Header().Set("Access-Control-Allow-Headers", "Content-Type, client-request-id, return-client-request-id, x-client-sku, x-client-ver, x-client-os, x-client-cpu, x-ms-lib-capability")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// allowPage lets a page read the answer: whether it gets a token is decided by the code that it holds.
func (s *Server) allowPage(w http.ResponseWriter, c *call) {
	if c.Header.Get("Origin") != "" {
		s.openToPages(w)
	}
}

// tokenAnswer is the body of a success.
type tokenAnswer struct {
	Type         string `json:"token_type"`
	Scope        string `json:"scope,omitempty"`
	ExpiresIn    int    `json:"expires_in"`
	ExtExpiresIn int    `json:"ext_expires_in"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	ClientInfo   string `json:"client_info,omitempty"`
}

// delegatedRequest asks for tokens of a person, who signed in as the session says.
type delegatedRequest struct {
	auth      clientAuth
	session   session
	scope     string
	nonce     string
	spa       bool
	refreshed time.Time // when the refresh token at hand was issued; zero when the person has just signed in
}

// grantDelegated checks scopes, resource, person, consent, assignment and policies, in the order in which Entra does
// for an exchange, and answers with tokens.
func (s *Server) grantDelegated(w http.ResponseWriter, c *call, form url.Values, r delegatedRequest) error {
	person := s.dir.Person(r.session.person)
	if err := s.checkPerson(person); err != nil {
		return err
	}
	want, err := s.parseScopes(r.scope)
	if err != nil {
		return err
	}
	app := r.auth.app
	if err = errors.Join(want.checkNames(app), s.checkResource(form.Get("resource"), want)); err != nil {
		return err
	}
	scopes, err := s.granted(app, want, person.ID)
	if err != nil {
		return err
	}
	if err = s.checkAssignment(person, want.resource); err != nil {
		return err
	}
	claims, err := parseClaims(form.Get("claims"))
	if err != nil {
		return err
	}
	if err = s.checkSession(c, r.session, app, want.resource, claims); err != nil {
		return err
	}
	d := delegation{client: r.auth, person: person, session: r.session, want: want, scopes: scopes, claims: claims, nonce: r.nonce, spa: r.spa}
	return s.answer(w, c, form, d, r)
}

// answer signs what was asked for.
func (s *Server) answer(w http.ResponseWriter, c *call, form url.Values, d delegation, r delegatedRequest) (err error) {
	out := tokenAnswer{Type: "Bearer", Scope: d.want.qualified(d.scopes)}
	if d.confirm, err = proofOfPossession(form); err != nil {
		return err
	}
	if d.confirm != nil {
		out.Type = "pop"
	}
	if len(d.scopes) == 0 {
		d.scopes = d.want.openID
	}
	life := s.life()
	out.ExpiresIn = int(life.Seconds())
	out.ExtExpiresIn = out.ExpiresIn
	if out.AccessToken, err = s.accessToken(c, d, life); err != nil {
		return err
	}
	if len(d.want.openID) > 0 {
		if out.IDToken, err = s.idToken(c, d); err != nil {
			return err
		}
	}
	if d.want.offline {
		out.RefreshToken = s.newRefreshToken(refreshToken{
			client: d.client.app.AppID, issued: refreshIssued(c, r), scope: r.scope, public: !d.client.confidential(), spa: d.spa, session: d.session,
		})
	}
	if form.Get("client_info") == "1" {
		out.ClientInfo = clientInfo(d.person.ID, s.dir.Tenant())
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// refreshIssued returns when the life of a refresh token begins: a page's does not begin anew with each use.
func refreshIssued(c *call, r delegatedRequest) time.Time {
	if r.spa && !r.refreshed.IsZero() {
		return r.refreshed
	}
	return c.now
}

func clientInfo(person identity.ObjectID, tenant identity.TenantID) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"uid":"` + person.String() + `","utid":"` + tenant.String() + `"}`))
}

// proofOfPossession reads the key that the token is to be bound to: token_type=pop with req_cnf, base64url of a JSON
// object such as {"kid":"…"}, which becomes the claim cnf (RFC 7800).
func proofOfPossession(form url.Values) (map[string]any, error) {
	if form.Get("token_type") != "pop" {
		return nil, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(form.Get("req_cnf"), "="))
	var confirm map[string]any
	if err == nil {
		err = json.Unmarshal(text, &confirm)
	}
	if err != nil || len(confirm) == 0 {
		return nil, refuse(90023, "req_cnf", "want base64url of a JSON object.")
	}
	return confirm, nil
}

// clientCredentials gives an application a token of its own.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
func (s *Server) clientCredentials(w http.ResponseWriter, c *call, form url.Values) error {
	auth, err := s.authenticateClient(c, form)
	if err != nil {
		return err
	}
	if !auth.confidential() {
		return refuse(7000216)
	}
	if c.tenant.anyTenant() {
		return refuse(9001023, grantClient)
	}
	scope, err := need(form, "scope")
	if err != nil {
		return err
	}
	want, err := s.parseScopes(scope)
	if err != nil {
		return err
	}
	if !want.all {
		return refuse(1002012, quote(scope))
	}
	if err = s.checkResource(form.Get("resource"), want); err != nil {
		return err
	}
	life := s.life()
	text, err := s.appToken(c, auth, want, life)
	if err != nil {
		return err
	}
	seconds := int(life.Seconds())
	writeJSON(w, http.StatusOK, tokenAnswer{Type: "Bearer", ExpiresIn: seconds, ExtExpiresIn: seconds, AccessToken: text})
	return nil
}
