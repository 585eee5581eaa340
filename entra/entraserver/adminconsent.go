package entraserver

import (
	"fmt"
	"net/http"
	"net/url"
)

// adminConsentRoutes is where an administrator consents for everyone: to all that a registration asks for, or, on the
// v2 endpoint, to the scopes of the request.
//
// https://learn.microsoft.com/entra/identity-platform/v2-admin-consent
func (s *Server) adminConsentRoutes() map[string]endpoint {
	return map[string]endpoint{
		"GET /{tenant}/adminconsent":      {name: "adminconsent", handle: s.adminConsent, fail: s.errorPage},
		"GET /{tenant}/v2.0/adminconsent": {name: "adminconsent", handle: s.adminConsent, fail: s.errorPage},
	}
}

func (s *Server) adminConsent(w http.ResponseWriter, c *call) error {
	const longest = 4096
	if len(c.URL.RawQuery) > longest {
		return refuse(9002313)
	}
	b := s.readBrowser(c)
	s.writeBrowser(w, b)
	v := &visit{Server: s, w: w, c: c, b: &b, f: flow{Kind: flowAdmin, Tenant: c.tenant.segment, Params: c.URL.Query()}}
	return v.walk()
}

// adminRequest understands the request. Without a redirect URI the administrator ends at a page that says so: Entra's
// own link in its portal works like that.
func (s *Server) adminRequest(c *call, f flow) (*request, error) {
	a := &authorization{params: f.Params, state: f.Params.Get("state"), mode: "query"}
	id, err := need(f.Params, "client_id")
	if err != nil {
		return nil, err
	}
	if a.client, err = s.findClient(c, id); err != nil {
		return nil, err
	}
	if asked := f.Params.Get("redirect_uri"); asked != "" {
		var ok bool
		if a.redirect, ok = a.client.redirectFor(asked); !ok {
			return nil, refuse(50011, quote(asked), a.client.AppID)
		}
	}
	if a.want, err = s.parseScopes(f.Params.Get("scope")); err != nil {
		return &request{authorization: a}, err
	}
	return &request{authorization: a}, a.want.checkNames(a.client)
}

// grantee is a resource and what is to be granted of it.
type grantee struct {
	resource *Application
	names    []string
}

// adminGrants returns what the request is about: its scopes, or all that the registration asks for.
func (s *visit) adminGrants() []grantee {
	a := s.r.authorization
	if len(a.want.names) > 0 {
		return []grantee{{a.want.resource, a.want.names}}
	}
	var out []grantee
	for _, required := range a.client.RequiredResourceAccess {
		resource := s.dir.Application(required.ResourceAppID)
		if resource == nil || a.want.all && resource.AppID != a.want.resource.AppID {
			continue
		}
		if names := registered(a.client, resource); len(names) > 0 {
			out = append(out, grantee{resource, names})
		}
	}
	return out
}

// adminStep asks the administrator, records the consent and sends them back.
func (s *visit) adminStep(person *Person) error {
	grants := s.adminGrants()
	if len(grants) == 0 {
		return s.turnAway(refuse(650056))
	}
	switch {
	case s.form.Get("consent") == "no":
		return s.turnAway(refuse(65004))
	case s.form.Get("consent") == "yes" && person.IsAdministrator():
		for _, g := range grants {
			if err := s.giveConsent(s.r.client, g.resource, person, true, g.names); err != nil {
				return fmt.Errorf("record consent: %w", err)
			}
		}
		return s.adminDone()
	}
	var asked []permission
	for _, g := range grants {
		for _, name := range g.names {
			asked = append(asked, describePermission(g.resource, g.resource.ResourceURI(), name))
		}
	}
	who := s.faceOf(person)
	return s.render(s.w, s.c, http.StatusOK, "consent", view{
		Title: "Permissions requested for your organization", App: s.r.client.DisplayName, Flow: s.sealed(), Action: loginPath(s.c), Person: &who,
		Permissions: asked, NeedsAdmin: !person.IsAdministrator(),
	})
}

func (s *visit) adminDone() error {
	s.c.record.Outcome = "consented"
	if s.r.redirect == "" {
		return s.render(s.w, s.c, http.StatusOK, "done", view{
			Title: "Consent is given", Good: true, Text: s.r.client.DisplayName + " may now do this for everyone in " + s.dir.Domain() + ".",
		})
	}
	answer := url.Values{"admin_consent": {"True"}, "tenant": {s.dir.Tenant().String()}}
	if scope := s.f.Params.Get("scope"); scope != "" {
		answer.Set("scope", scope)
	}
	return s.sendBack(s.w, s.c, s.r.authorization, answer)
}
