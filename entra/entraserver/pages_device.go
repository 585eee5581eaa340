package entraserver

import (
	"net"
	"net/http"

	"github.com/onbehalf/onbehalf/entra"
)

// deviceLogin is where people enter the code that a device shows.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code
func (s *Server) deviceLogin(w http.ResponseWriter, c *call) error {
	b := s.readBrowser(c)
	s.writeBrowser(w, b)
	v := &visit{Server: s, w: w, c: c, b: &b, f: flow{Kind: flowDevice, Tenant: c.tenant.segment}}
	v.f.UserCode = orElse(c.URL.Query().Get("otc"), c.URL.Query().Get("user_code"))
	return v.codePage("")
}

// codePage asks for the code, with what was typed last.
func (s *visit) codePage(problem string) error {
	const longest = 20
	typed := clipText(s.f.UserCode, longest)
	s.f.UserCode = ""
	return s.render(s.w, s.c, http.StatusOK, "code", view{Title: "Enter the code", Flow: s.sealed(), Action: loginPath(s.c), Code: typed, Problem: problem})
}

// confirmDevice shows which application gets the sign-in, and who asked for it: the one defence against a code that
// somebody else has sent.
func (s *visit) confirmDevice(person *Person, sess session) error {
	who := s.faceOf(person)
	switch s.form.Get("device") {
	case "yes":
		if err := s.settleDevice(s.c, s.f.UserCode, &sess); err != nil {
			s.r = nil
			return s.turnAway(err)
		}
		s.c.record.Outcome = "approved"
		return s.render(s.w, s.c, http.StatusOK, "done", view{
			Title: "You’re signed in", Text: "You have signed in to " + s.r.client.DisplayName + " on your device.", Good: true, Person: &who,
		})
	case "no":
		return s.deviceTrouble(refuse(65004), false)
	}
	names := s.r.want.names
	if s.r.want.all {
		names = registered(s.r.client, s.r.want.resource)
	}
	return s.render(s.w, s.c, http.StatusOK, "confirm", view{
		Title: "Are you trying to sign in?", App: s.r.client.DisplayName, Flow: s.sealed(), Action: loginPath(s.c),
		Person: &who, From: origin(s.r.device.from), Permissions: s.permissions(names),
	})
}

// origin words an address for people.
func origin(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return "this machine (" + host + ")"
	}
	return host
}

// deviceTrouble ends a device's sign-in; a policy leaves the code open, so that somebody else can use it.
func (s *visit) deviceTrouble(e *entra.Error, policy bool) error {
	if policy {
		s.troublePage(s.w, s.c, e, view{Flow: s.sealed(), Action: loginPath(s.c)})
		return nil
	}
	if err := s.settleDevice(s.c, s.f.UserCode, nil); err != nil {
		s.r = nil
		return s.turnAway(err)
	}
	return s.render(s.w, s.c, http.StatusOK, "done", view{Title: "Not signed in", Text: "The sign-in was cancelled, and the device has been told."})
}
