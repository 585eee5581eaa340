package entraserver

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/url"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
)

// Front-channel sign-out: the page that signs a person out loads, in hidden frames, the logout URL of each application
// that she signed in to in this browser. It names the session by the id that the application had in the claim sid.
//
// https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc#single-sign-out

// appVisit is a sign-in to an application with a logout URL. Port is that of the redirect URI: a logout URL on localhost
// takes it, since redirect URIs there may have any. (Microsoft's has the port that was registered.)
type appVisit struct {
	App    identity.ClientID `json:"a"`
	Person identity.ObjectID `json:"p"`
	Port   string            `json:"o,omitempty"`
}

// maxVisits bounds the cookie.
const maxVisits = 16

// visit remembers a sign-in, and reports whether there is anything new to remember.
func (b *browser) visit(a *authorization, person identity.ObjectID) bool {
	u, err := url.Parse(a.redirect)
	if err != nil || a.client.Web.LogoutURL == nil {
		return false
	}
	one := appVisit{a.client.AppID, person, u.Port()}
	if slices.Contains(b.visits, one) {
		return false
	}
	b.visits = slices.Insert(b.visits, 0, one)
	b.visits = b.visits[:min(len(b.visits), maxVisits)]
	return true
}

// leave forgets what was visited by whom is signed in no more, and returns the addresses to tell: not that of the
// application that asks for the sign-out, which knows.
func (s *Server) leave(c *call, b *browser, before []session, asking string) (frames []string) {
	var visits []appVisit
	for _, one := range b.visits {
		if _, still := b.session(one.Person); still {
			visits = append(visits, one)
			continue
		}
		i := slices.IndexFunc(before, func(sess session) bool { return sess.person == one.Person })
		app := s.dir.Application(one.App)
		if i < 0 || app == nil || app.Web.LogoutURL == nil || one.App.String() == asking {
			continue
		}
		if u, err := url.Parse(*app.Web.LogoutURL); err == nil && harmless(u.String()) {
			if sameButPort(u.String(), u.String()) && one.Port != "" { // on this machine
				u.Host = u.Hostname() + ":" + one.Port
			}
			query := u.Query()
			query.Set("iss", c.authority.issuer(2, s.dir.Tenant().String()))
			query.Set("sid", s.sessionID(before[i]))
			u.RawQuery = query.Encode()
			frames = append(frames, u.String())
		}
	}
	b.visits = visits
	return frames
}

// sessionID is the claim sid: of one sign-in in one browser, the same for all applications.
func (s *Server) sessionID(sess session) string {
	mac := hmac.New(sha256.New, s.pairwise)
	mac.Write(binary.BigEndian.AppendUint64([]byte("sid/"+sess.person.String()), sess.origin))
	return formatGUID([16]byte(mac.Sum(nil)[:16]))
}

// hintOf is the claim login_hint: it names the account, to nobody but this server, at the sign-in (login_hint) and at the
// sign-out (logout_hint).
//
// https://learn.microsoft.com/entra/identity-platform/optional-claims-reference
func (s *Server) hintOf(person identity.ObjectID) string {
	return hintPrefix + s.seal(sealedHint, []byte(person.String()))
}

// hintPrefix is what a login_hint of Entra's begins with.
const hintPrefix = "O."

// hinted returns the person that a claim login_hint names, or nil.
func (s *Server) hinted(hint string) *Person {
	sealed, ok := strings.CutPrefix(hint, hintPrefix)
	plain, err := s.unseal(sealedHint, sealed)
	if !ok || err != nil {
		return nil
	}
	return s.dir.Person(object(string(plain)))
}

// wantsInIDToken reports whether the application's manifest asks for an optional claim of ID tokens.
func (a *Application) wantsInIDToken(claim string) bool {
	return a.OptionalClaims != nil && slices.ContainsFunc(a.OptionalClaims.IDToken, func(c OptionalClaim) bool { return c.Name == claim })
}

// frameSources returns the origins of addresses, for a content security policy.
func frameSources(frames []string) string {
	var out strings.Builder
	for _, frame := range frames {
		if u, err := url.Parse(frame); err == nil {
			out.WriteString(" " + u.Scheme + "://" + u.Host)
		}
	}
	return out.String()
}
