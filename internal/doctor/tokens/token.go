// Package tokens says what an access token is: who it speaks for, for which API, and every reason for which a set-up would
// refuse it. It decides nothing and verifies nothing for others: package bearer does that. Its answers are for people.
package tokens

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
)

// Setup is what a token is held against. What is not known is left out, and not compared.
type Setup struct {
	Cloud    entra.Cloud
	Tenant   string            // TENANT_ID
	API      string            // API_CLIENT_ID
	AppIDURI string            // API_APP_ID_URI
	Scope    string            // short name, "execute"
	Names    map[string]string // application ids that the settings name: "c11e…": "WEB_CLIENT_ID"
	Now      time.Time

	Keys   Keys  // of the authority; nil when they were not to be had
	NoKeys error // why not
}

// skew is how far the server lets clocks differ; see package bearer.
const skew = time.Minute

// Reason is one reason for which the server refuses a token.
type Reason struct {
	Claim string `json:"claim"` // "aud", "iss", …, or "signature"
	Seen  string `json:"seen"`
	Cause string `json:"cause"`
	Fix   string `json:"fix"`
}

// Token is what a token says. It is never the token itself, nor its signature.
type Token struct {
	Who     string         `json:"who"`     // the person, or the application where there is none
	For     string         `json:"for"`     // the API
	Client  string         `json:"client"`  // the application that the person signed in to
	Version string         `json:"version"` // "1.0", "2.0"
	Issuer  string         `json:"issuer"`
	Expires time.Time      `json:"expires,omitzero"`
	Scopes  []string       `json:"scopes"`
	Refused []Reason       `json:"refused"` // empty: the server would accept it
	Notes   []string       `json:"notes"`   // what does not decide but explains
	Claims  map[string]any `json:"claims"`
}

// maxClaim bounds a foreign text that is repeated.
const maxClaim = 200

// Explain explains a token against a set-up. It reads the token and verifies its signature with the keys of the set-up;
// nobody may rely on that: package bearer decides. An error says that the text holds no token that can be read.
func Explain(text string, s Setup) (*Token, error) {
	t, err := parseToken(text)
	if err != nil {
		return nil, err
	}
	e := &explanation{jwt: t, setup: s, out: &Token{
		Version: clip(t.claims.text("ver")), Issuer: clip(t.claims.text("iss")), Scopes: strings.Fields(t.claims.text("scp")),
		Refused: []Reason{}, Notes: []string{}, Claims: t.claims,
	}}
	e.out.Expires, _ = t.claims.time("exp")
	e.describe()
	for _, step := range []func(){e.form, e.audience, e.version, e.tenant, e.signature, e.times, e.person, e.scope, e.groups} {
		step()
	}
	return e.out, nil
}

// explanation is a token under explanation.
type explanation struct {
	*jwt
	setup   Setup
	out     *Token
	foreign bool // for an API of Microsoft's: its signature is not for us to check
	ours    bool // the audience is this API
}

func (e *explanation) refuse(claim, seen, cause, fix string) {
	e.out.Refused = append(e.out.Refused, Reason{claim, seen, cause, fix})
}

func (e *explanation) note(format string, args ...any) {
	e.out.Notes = append(e.out.Notes, fmt.Sprintf(format, args...))
}

// describe says who, for whom and by whom.
func (e *explanation) describe() {
	c := e.claims
	object, tenant := clip(c.text("oid")), clip(c.text("tid"))
	name := firstOf(c, "name", "preferred_username", "upn", "unique_name")
	if account := firstOf(c, "preferred_username", "upn", "unique_name"); account != name {
		name += " (" + account + ")"
	}
	e.out.Client = e.named(firstOf(c, "azp", "appid"))
	switch {
	case e.appOnly():
		e.out.Who = "no person: the application " + e.out.Client + " itself"
	case name == "":
		e.out.Who = "a person without a name"
	default:
		e.out.Who = name
	}
	if object != "" {
		e.out.Who += ", object id " + object + " in tenant " + tenant
	}
	e.out.For = e.named(strings.Join(clips(c.texts("aud")), ", "))
}

func firstOf(c claimSet, names ...string) string {
	for _, name := range names {
		if text := c.text(name); text != "" {
			return clip(text)
		}
	}
	return ""
}

// named adds to an id or App ID URI what it is.
func (e *explanation) named(id string) string {
	plain := strings.TrimSuffix(strings.ToLower(id), "/")
	s := &e.setup
	known := map[string]string{
		entra.GraphAppID: "Microsoft Graph", s.Cloud.GraphResource: "Microsoft Graph",
		entra.SearchAppID: "Azure AI Search", s.Cloud.SearchResource: "Azure AI Search",
		strings.ToLower(s.API): "this API", strings.ToLower(s.AppIDURI): "this API",
	}
	for app, setting := range s.Names {
		known[strings.ToLower(app)] = setting
	}
	if name := known[plain]; name != "" && plain != "" {
		return name + " (" + id + ")"
	}
	return id
}

func (e *explanation) appOnly() bool {
	c := e.claims
	return c.text("idtyp") == "app" || c.text("scp") == "" && c.text("idtyp") == "" && (c["roles"] != nil || c.text("sub") != "" && c.text("sub") == c.text("oid"))
}

// form is what the header says.
func (e *explanation) form() {
	h := e.header
	if h["nonce"] != nil {
		e.foreign = true // its signature is over another header: only Microsoft can verify it
	}
	if alg := h.text("alg"); alg != "RS256" {
		e.refuse("alg", quote(alg), "The token is not signed the way Entra signs.", "Send the access token that Entra issued, unchanged.")
	}
	switch typ := h.text("typ"); strings.ToLower(typ) {
	case "jwt", "at+jwt", "application/at+jwt":
	default:
		e.refuse("typ", quote(typ), "The token says that it is no access token.", "Send the access token.")
	}
	for _, name := range []string{"jwk", "jku", "x5c", "x5u", "crit", "enc", "b64"} {
		if h[name] != nil {
			e.refuse(name, "in the header", "The token brings along what Entra's never do.", "Find out who made this token: it is not Entra's.")
		}
	}
	if e.claims["cnf"] != nil {
		e.refuse("cnf", "present", "The token is bound to a key and does not work as a bearer token.", "Ask for a bearer token: switch proof of possession off in the client.")
	}
}

func (e *explanation) audience() {
	audiences := e.claims.texts("aud")
	_, single := e.claims["aud"].(string)
	if e.setup.API == "" {
		e.note("API_CLIENT_ID is not set: the audience was not compared")
		return
	}
	accepted := []string{e.setup.API, e.setup.AppIDURI}
	e.ours = single && slices.Contains(accepted, audiences[0])
	if e.ours {
		return
	}
	if e.setup.AppIDURI == "" {
		accepted = accepted[:1]
	}
	seen := strings.Join(clips(audiences), ", ")
	if named := e.named(seen); named != seen {
		seen = named
	}
	cause := "The token is for another API than this one, which takes " + strings.Join(accepted, " and ") + "."
	switch {
	case len(audiences) == 0:
		seen = "missing"
	case strings.HasPrefix(e.out.For, "this API"):
		cause = "The audience is this API's in another spelling; it is compared letter by letter."
	case e.foreign:
		cause += " It is for an API of Microsoft's, which alone can verify it."
	}
	e.refuse("aud", seen, cause, "Ask for the scope "+e.scopeName()+" in full; a bare name, and openid, profile and the like alone, mean Microsoft Graph.")
}

func (e *explanation) scopeName() string {
	uri := e.setup.AppIDURI
	if uri == "" {
		uri = "api://" + e.setup.API
	}
	return uri + "/" + e.setup.Scope
}

// version tells v1 from v2 tokens: other issuer, other names of claims.
func (e *explanation) version() {
	if e.out.Version == "2.0" || e.foreign {
		return
	}
	e.refuse("ver", quote(e.out.Version), "The server accepts v2 tokens alone; which ones Entra issues is set at the API's registration, whatever endpoint the client uses.",
		"Set api.requestedAccessTokenVersion to 2: App registrations > the API > Manifest; then sign in anew.")
}

func (e *explanation) tenant() {
	s, tenant := &e.setup, e.claims.text("tid")
	if s.Tenant == "" {
		e.note("TENANT_ID is not set: tenant and issuer were not compared")
		return
	}
	if tenant != strings.ToLower(s.Tenant) {
		e.refuse("tid", quote(clip(tenant)), "The person signed in to another tenant than TENANT_ID ("+s.Tenant+").", "Sign in with an account of that tenant: onbehalf login --tenant "+s.Tenant+".")
		return // the issuer follows from it
	}
	v1, v2 := s.Cloud.IssuerV1(tenant), s.Cloud.IssuerV2(tenant)
	if e.out.Issuer == v2 || e.out.Version == "1.0" && e.out.Issuer == v1 {
		return // a v1 token was refused by its version
	}
	e.refuse("iss", quote(e.out.Issuer), "The token comes from another authority than AZURE_AUTHORITY_HOST, whose tokens have the issuer "+v2+".", "Set AZURE_AUTHORITY_HOST to the cloud in which people sign in, or sign in there.")
}

func (e *explanation) signature() {
	kid := e.header.text("kid")
	key := e.setup.Keys[kid]
	switch {
	case e.foreign:
		e.note("the signature was not checked: tokens for Microsoft's own APIs are not for others to verify")
	case e.setup.Keys == nil && e.setup.NoKeys != nil:
		e.note("the signature was not checked: %v", e.setup.NoKeys)
	case e.setup.Keys == nil:
		e.note("the signature was not checked")
	case key == nil:
		e.refuse("signature", "key "+quote(clip(kid)), "The authority does not know the key that signed the token: it comes from elsewhere, or from before a local Entra was started anew.", "Sign in again at "+e.setup.Cloud.Authority+"; on the command line: onbehalf login.")
	case !e.signedBy(key):
		e.refuse("signature", "wrong", "The token was altered after it was signed, or cut.", "Send it exactly as Entra issued it.")
	}
}

func (e *explanation) times() {
	now := e.setup.Now
	starts, hasStart := e.claims.time("nbf")
	switch {
	case e.out.Expires.IsZero():
		e.refuse("exp", "missing", "The token does not say when it expires.", "Send an access token of Entra's.")
	case !now.Before(e.out.Expires.Add(skew)):
		e.refuse("exp", fmt.Sprintf("%s, %s ago", e.out.Expires.UTC().Format(time.DateTime+"Z"), span(now.Sub(e.out.Expires))), "The token has expired.", "Sign in again, or refresh; if fresh tokens have expired, set this machine's clock right.")
	case hasStart && now.Before(starts.Add(-skew)):
		e.refuse("nbf", fmt.Sprintf("%s, in %s", starts.UTC().Format(time.DateTime+"Z"), span(starts.Sub(now))), "The token is not valid yet: this machine's clock is behind.", "Set this machine's clock right.")
	}
}

// span rounds a time for reading.
func span(d time.Duration) string {
	if d < 2*time.Minute {
		return d.Round(time.Second).String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}

// person tells a person's token from an application's and from an id token.
func (e *explanation) person() {
	c, kind := e.claims, e.claims.text("idtyp")
	delegated := c.text("scp") != ""
	switch {
	case kind != "" && kind != "user" && kind != "app" || kind == "app" && delegated:
		e.refuse("idtyp", quote(clip(kind)), "The token is neither a person's nor an application's.", "Sign a person in (device code or browser).")
	case slices.Contains(strings.Fields(c.text("xms_sub_fct")), "13"):
		e.refuse("xms_sub_fct", "13", "The token is for an agent's own account; the server serves people.", "Sign a person in, on whose behalf the agent acts.")
	case !delegated && e.appOnly():
		e.refuse("idtyp", "no scp: app-only", "The token speaks for an application, so there is nobody to act for.", "Sign a person in (device code or browser) instead of using client credentials.")
	case !delegated:
		e.refuse("scp", "missing", "The token is an id token, or an access token without a permission.", "Send the access token, asked for with the scope "+e.scopeName()+".")
	case c.text("oid") == "":
		e.refuse("oid", "missing", "The token does not name a person.", "Ask for the scopes openid and profile, too.")
	case firstOf(c, "azp", "appid") == "":
		e.refuse("azp", "missing", "The token does not name its client.", "Send an access token of Entra's.")
	}
}

func (e *explanation) scope() {
	name := e.setup.Scope
	if name == "" || !e.ours || len(e.out.Scopes) == 0 || slices.Contains(e.out.Scopes, name) {
		return
	}
	e.refuse("scp", quote(clip(e.claims.text("scp"))), "The token lacks the permission "+name+".", "Ask for the scope "+e.scopeName()+", which has to exist at the API's registration (Expose an API).")
}

// groups explains what does not refuse.
func (e *explanation) groups() {
	c := e.claims
	if names, ok := c["_claim_names"].(map[string]any); ok && names["groups"] != nil || c["hasgroups"] != nil {
		e.note("the person is in more groups than a token holds: the server asks Microsoft Graph for them")
	}
	if !slices.ContainsFunc(c.texts("xms_cc"), func(s string) bool { return strings.EqualFold(s, "cp1") }) && !e.appOnly() {
		e.note("the client did not say that it handles claims challenges (xms_cc): where a policy demands more, the person gets words instead of a new sign-in")
	}
	if strings.Contains(c.text("xms_act_fct"), "11") {
		e.note("an agent acts for the person: %s", e.out.Client)
	}
	if idp := c.text("idp"); idp != "" {
		e.note("the person is a guest, from %s", clip(idp))
	}
}

// WriteText writes the explanation for people.
func (t *Token) WriteText(w io.Writer) {
	row(w, "who", t.Who)
	row(w, "for", t.For)
	row(w, "through", t.Client)
	row(w, "scopes", strings.Join(clips(t.Scopes), " "))
	row(w, "version", t.Version)
	row(w, "issuer", t.Issuer)
	if !t.Expires.IsZero() {
		row(w, "until", t.Expires.UTC().Format(time.DateTime+"Z"))
	}
	for _, note := range t.Notes {
		row(w, "note", note)
	}
	if len(t.Refused) == 0 {
		fmt.Fprintln(w, "this set-up accepts it")
		return
	}
	for _, r := range t.Refused {
		fmt.Fprintf(w, "refused: %s: %s\n", r.Claim, r.Seen)
		row(w, "cause", r.Cause)
		row(w, "fix", r.Fix)
	}
}

// row writes a label and a text that may be empty: then nothing.
func row(w io.Writer, label, text string) {
	if text != "" {
		fmt.Fprintf(w, "  %-9s %s\n", label, text)
	}
}

func quote(s string) string {
	if s == "" {
		return "missing"
	}
	return fmt.Sprintf("%q", s)
}

// clip bounds a foreign text and keeps it on one line.
func clip(s string) string {
	if len(s) > maxClaim {
		s = strings.ToValidUTF8(s[:maxClaim], "") + "…"
	}
	return strings.Join(strings.Fields(s), " ")
}

func clips(all []string) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = clip(s)
	}
	return out
}
