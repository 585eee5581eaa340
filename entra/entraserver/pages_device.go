package entraserver

import (
	"net"
	"net/http"
	"net/url"

	"github.com/onbehalf/onbehalf/entra"
)

// deviceLogin is where people enter the code that a device shows.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code
func (s *Server) deviceLogin(w http.ResponseWriter, c *call) error {
	b := s.readBrowser(c)
	s.writeBrowser(w, b)
	f := flow{Kind: flowDevice, Tenant: c.tenant.segment}
	return s.codeForm(w, c, &b, f, orElse(c.URL.Query().Get("otc"), c.URL.Query().Get("user_code")), "")
}

// codePage asks for the code again.
func (s *Server) codePage(w http.ResponseWriter, c *call, b *browser, f flow, problem string) error {
	typed := f.UserCode
	f.UserCode = ""
	return s.codeForm(w, c, b, f, typed, problem)
}

func (s *Server) codeForm(w http.ResponseWriter, c *call, b *browser, f flow, code, problem string) error {
	const longest = 20
	return s.render(w, c, http.StatusOK, "code", view{Title: "Enter the code", Flow: s.sealFlow(c, *b, f), Action: s.loginPath(c), Code: clipText(code, longest), Problem: problem})
}

// confirmDevice shows which application gets the sign-in, and who asked for it: the one defence against a code that
// somebody else has sent.
func (s *Server) confirmDevice(w http.ResponseWriter, c *call, b *browser, f flow, r *request, form url.Values, person *Person, sess session) error {
	who := s.faceOf(person)
	switch form.Get("device") {
	case "yes":
		if err := s.settleDevice(c, f.UserCode, &sess); err != nil {
			return s.turnAway(w, c, b, f, nil, err)
		}
		c.record.Outcome = "approved"
		return s.render(w, c, http.StatusOK, "done", view{Title: "You’re signed in", Text: "You have signed in to " + r.client.DisplayName + " on your device.", Good: true, Person: &who})
	case "no":
		return s.deviceTrouble(w, c, b, f, refuse(65004), false)
	}
	from := r.device.from
	if host, _, err := net.SplitHostPort(from); err == nil {
		from = host
	}
	if ip := net.ParseIP(from); ip != nil && ip.IsLoopback() {
		from = "this machine (" + from + ")"
	}
	names := r.want.names
	if r.want.all {
		names = registered(r.client, r.want.resource)
	}
	return s.render(w, c, http.StatusOK, "confirm", view{
		Title: "Are you trying to sign in?", App: r.client.DisplayName, Flow: s.sealFlow(c, *b, f), Action: s.loginPath(c),
		Person: &who, From: from, Permissions: s.permissions(r, names),
	})
}

// deviceTrouble ends a device's sign-in; a policy leaves the code open, so that somebody else can use it.
func (s *Server) deviceTrouble(w http.ResponseWriter, c *call, b *browser, f flow, e *entra.Error, policy bool) error {
	if policy {
		s.troublePage(w, c, e, view{Flow: s.sealFlow(c, *b, f), Action: s.loginPath(c)})
		return nil
	}
	if err := s.settleDevice(c, f.UserCode, nil); err != nil {
		return s.turnAway(w, c, b, f, nil, err)
	}
	return s.render(w, c, http.StatusOK, "done", view{Title: "Not signed in", Text: "The sign-in was cancelled, and the device has been told."})
}
