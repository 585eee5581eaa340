package entraserver

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/identity"
)

// What sealed texts of the pages are for, beside those of sessions and refresh tokens.
const (
	sealedBrowser byte = 0x41
	sealedFlow    byte = 0x42
)

// Bounds of a browser.
const (
	browserCookie = "__Host-local-entra"
	maxSignedIn   = 8
	signedInFor   = 24 * time.Hour
	flowLife      = 15 * time.Minute
	maxFlow       = 24 << 10
)

// browser is what the server knows of a browser, all of it in one sealed cookie: who is signed in, and a nonce that
// binds forms to this browser (a page of another site cannot submit them, RFC 6749 §10.12).
type browser struct {
	nonce    string
	sessions []session
	visits   []appVisit // of applications that want to hear of the sign-out
	known    bool       // it came with a cookie
}

type browserWire struct {
	Nonce    string     `json:"n"`
	Sessions [][]byte   `json:"s"`
	Visits   []appVisit `json:"v,omitempty"`
}

// readBrowser drops sign-ins that are too old, revoked, or of people who are gone or disabled.
func (s *Server) readBrowser(c *call) browser {
	fresh := browser{nonce: rand.Text()}
	cookie, err := c.Cookie(browserCookie)
	if err != nil {
		return fresh
	}
	plain, err := s.unseal(sealedBrowser, cookie.Value)
	var wire browserWire
	if err != nil || json.Unmarshal(plain, &wire) != nil || wire.Nonce == "" {
		return fresh
	}
	b := browser{nonce: wire.Nonce, visits: wire.Visits, known: true}
	for _, raw := range wire.Sessions {
		one, err := unmarshalSession(raw)
		if err != nil || s.checkPerson(s.dir.Person(one.person)) != nil || s.isVoid(c.now, one) {
			continue
		}
		if c.now.Sub(one.since)+s.ages.of(one.serial) < signedInFor {
			b.sessions = append(b.sessions, one)
		}
	}
	return b
}

// writeBrowser stores the browser's state with the browser.
func (s *Server) writeBrowser(w http.ResponseWriter, b browser) {
	wire := browserWire{Nonce: b.nonce, Visits: b.visits}
	for _, one := range b.sessions {
		wire.Sessions = append(wire.Sessions, one.marshal())
	}
	plain, _ := json.Marshal(wire) // strings and bytes
	http.SetCookie(w, &http.Cookie{
		Name: browserCookie, Value: s.seal(sealedBrowser, plain), Path: "/", MaxAge: int(signedInFor.Seconds()),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// session returns the browser's sign-in of a person.
func (b *browser) session(person identity.ObjectID) (session, bool) {
	i := slices.IndexFunc(b.sessions, func(one session) bool { return one.person == person })
	if i < 0 {
		return session{}, false
	}
	return b.sessions[i], true
}

// remember puts a sign-in first, in place of an older one of the same person.
func (b *browser) remember(one session) {
	b.forget(one.person)
	b.sessions = slices.Insert(b.sessions, 0, one)
	if len(b.sessions) > maxSignedIn {
		b.sessions = b.sessions[:maxSignedIn]
	}
}

func (b *browser) forget(person identity.ObjectID) {
	b.sessions = slices.DeleteFunc(b.sessions, func(one session) bool { return one.person == person })
}

// flow is how far a sign-in has come. It travels sealed in the forms; the server keeps none. What it says about the
// request is checked anew at each step.
type flow struct {
	Kind     string            `json:"k"` // "authorize", "device", "logout"
	Tenant   string            `json:"t"`
	Params   url.Values        `json:"p,omitempty"` // of the request to /authorize or /logout
	UserCode string            `json:"c,omitempty"`
	Person   identity.ObjectID `json:"u,omitzero"`  // who was picked or signed in
	Fresh    bool              `json:"f,omitempty"` // proved it in this flow
	Agreed   bool              `json:"a,omitempty"` // consented in this flow
	Another  bool              `json:"o,omitempty"` // wants to sign in as somebody who is not signed in
	Nonce    string            `json:"n"`
	Until    int64             `json:"e"`
}

// Kinds of flow.
const (
	flowAuthorize = "authorize"
	flowDevice    = "device"
	flowLogout    = "logout"
	flowAdmin     = "admin"
)

// sealFlow binds the flow to the browser and to the next quarter of an hour.
func (s *Server) sealFlow(c *call, b browser, f flow) string {
	f.Nonce, f.Until = b.nonce, c.now.Add(flowLife).Unix()
	plain, _ := json.Marshal(f) // strings and numbers
	return s.seal(sealedFlow, plain)
}

// openFlow reads the flow of a form and says why it may not be used.
func (s *Server) openFlow(c *call, b browser, sealed string) (flow, error) {
	var f flow
	if origin := c.Header.Get("Origin"); origin != "" && !sameHost(origin, c.Host) {
		return f, refuse(9002313)
	}
	plain, err := s.unseal(sealedFlow, sealed)
	if err != nil || json.Unmarshal(plain, &f) != nil {
		return flow{}, refuse(9002313)
	}
	if subtle.ConstantTimeCompare([]byte(f.Nonce), []byte(b.nonce)) != 1 {
		return flow{}, refuse(90023, "flow", "it belongs to another browser, or this browser keeps no cookies.")
	}
	if c.now.Unix() > f.Until {
		return flow{}, refuse(90023, "flow", "the page is older than a quarter of an hour. Start again from the application.")
	}
	return f, nil
}

func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Scheme == "https" && strings.EqualFold(u.Host, host)
}

// loginPath is where the forms of all pages go.
func loginPath(c *call) string { return "/" + c.tenant.segment + "/login" }
