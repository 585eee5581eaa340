package entraserver

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/onbehalf/onbehalf/identity"
)

// logout signs out of this browser. One account, or the one that a hint names, goes at once; of several, the person
// picks. The way back is taken only to a redirect URI that is registered: by the client that the request names, or by
// any application when it names none.
//
// https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc#send-a-sign-out-request
func (s *Server) logout(w http.ResponseWriter, c *call) error {
	b := s.readBrowser(c)
	f := flow{Kind: flowLogout, Tenant: c.tenant.segment, Params: url.Values{}}
	for _, name := range []string{"client_id", "post_logout_redirect_uri", "state"} {
		const longest = 2048
		if value := c.URL.Query().Get(name); value != "" && len(value) <= longest {
			f.Params.Set(name, value)
		}
	}
	hinted := s.hinted(c.URL.Query().Get("logout_hint")) // a name is none: "Don't use UPNs or phone numbers"
	if token, err := parseJWT(c.URL.Query().Get("id_token_hint")); err == nil && s.checkSignature(token) == nil {
		hinted = s.dir.Person(object(token.claims.text("oid")))
		if f.Params.Get("client_id") == "" {
			f.Params.Set("client_id", token.claims.text("aud"))
		}
	}
	before := slices.Clone(b.sessions)
	if hinted != nil {
		b.forget(hinted.ID)
		return s.signedOut(w, c, &b, f, before)
	}
	if len(b.sessions) > 1 {
		v := view{Title: "Sign out", Flow: s.sealFlow(c, b, f), Action: loginPath(c)}
		for _, one := range b.sessions {
			v.Signed = append(v.Signed, s.faceOf(s.dir.Person(one.person)))
		}
		return s.render(w, c, http.StatusOK, "signout", v)
	}
	b.sessions = nil
	return s.signedOut(w, c, &b, f, before)
}

// signOut takes the form of the page that offers several accounts.
func (s *Server) signOut(w http.ResponseWriter, c *call, b *browser, f flow, form url.Values) error {
	before := slices.Clone(b.sessions)
	if form.Get("everybody") != "" {
		b.sessions = nil
	} else {
		b.forget(object(form.Get("session")))
	}
	return s.signedOut(w, c, b, f, before)
}

// signedOut tells the applications that want to hear of it, and sends the person back.
func (s *Server) signedOut(w http.ResponseWriter, c *call, b *browser, f flow, before []session) error {
	frames := s.leave(c, b, before, f.Params.Get("client_id"))
	s.writeBrowser(w, *b)
	c.record.Outcome = "signed out"
	target, back := s.wayBack(f.Params)
	if back && len(frames) == 0 {
		w.Header().Set("Location", target)
		w.WriteHeader(http.StatusFound)
		return nil
	}
	if back {
		w.Header().Set("Refresh", "1;url="+target) // when the frames have had a moment
	}
	return s.render(w, c, http.StatusOK, "done", view{
		Title: "You’re signed out", Text: "You have signed out of this browser.", Good: true, Frames: frames, Target: target,
	})
}

// wayBack returns where a person goes after signing out, if that is registered.
func (s *Server) wayBack(params url.Values) (string, bool) {
	target := params.Get("post_logout_redirect_uri")
	if target == "" {
		return "", false
	}
	apps := s.dir.Applications()
	if named := params.Get("client_id"); named != "" {
		id, err := identity.ParseClientID(named)
		app := s.dir.Application(id)
		if err != nil || app == nil {
			return "", false
		}
		apps = []*Application{app}
	}
	known := slices.ContainsFunc(apps, func(a *Application) bool {
		_, ok := a.redirectFor(target)
		return ok
	})
	if !known {
		return "", false
	}
	if state := params.Get("state"); state != "" {
		u, err := url.Parse(target)
		if err != nil {
			return "", false
		}
		query := u.Query()
		query.Set("state", state)
		u.RawQuery = query.Encode()
		target = u.String()
	}
	return target, true
}
