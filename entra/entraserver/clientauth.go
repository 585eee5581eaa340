package entraserver

import (
	"crypto/subtle"
	"net/url"
	"slices"

	"github.com/onbehalf/onbehalf/identity"
)

// clientAuth is a client and how it proved itself.
type clientAuth struct {
	app   *Application
	proof proof
}

// proof is the claim azpacr (v2) or appidacr (v1).
type proof string

const (
	proofNone      proof = "0" // a public client
	proofSecret    proof = "1"
	proofAssertion proof = "2" // certificate, federated credential
)

// confidential reports whether the client proved itself.
func (a clientAuth) confidential() bool { return a.proof != proofNone }

// findClient returns the application by the parameter client_id.
func (s *Server) findClient(c *call, id string) (*Application, error) {
	parsed, err := identity.ParseClientID(id)
	if err != nil || id == DefaultRole {
		return nil, refuse(700038, quote(id))
	}
	app := s.dir.Application(parsed)
	if app == nil || app.Foreign && len(app.PasswordCredentials) == 0 && !app.IsPublic() || s.dir.PrincipalOf(parsed) == nil {
		return nil, refuse(700016, parsed, s.dir.Domain())
	}
	if app.Disabled || !s.dir.PrincipalOf(parsed).AccountEnabled {
		return nil, refuse(7000112, parsed, app.DisplayName)
	}
	if c.tenant.anyTenant() && app.SignInAudience == "AzureADMyOrg" {
		return nil, refuse(50194, parsed, app.DisplayName)
	}
	if c.tenant.id.String() == consumersTenant {
		return nil, refuse(9002331, parsed, app.DisplayName)
	}
	return app, nil
}

// authenticateClient finds the client of a token request and checks what it proves itself with. Without a proof, the
// grant decides whether that will do.
func (s *Server) authenticateClient(c *call, form url.Values) (clientAuth, error) {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if user, password, ok := c.BasicAuth(); ok {
		var err1, err2 error
		if user, err1 = url.QueryUnescape(user); err1 == nil { // RFC 6749 §2.3.1
			password, err2 = url.QueryUnescape(password)
		}
		if err1 != nil || err2 != nil || id != "" && !equalFold(id, user) || secret != "" {
			return clientAuth{}, refuse(9002313)
		}
		id, secret = user, password
	}
	if id == "" {
		return clientAuth{}, refuse(900144, "client_id")
	}
	app, err := s.findClient(c, id)
	if err != nil {
		return clientAuth{}, err
	}
	assertion := form.Get("client_assertion")
	switch {
	case assertion == "" && secret == "":
		return clientAuth{app, proofNone}, nil
	case app.IsPublic():
		return clientAuth{}, refuse(700025)
	case assertion != "" && secret != "":
		return clientAuth{}, refuse(9002313)
	case assertion != "":
		return clientAuth{app, proofAssertion}, s.checkClientAssertion(c, app, form)
	default:
		return clientAuth{app, proofSecret}, s.checkSecret(c, app, secret)
	}
}

// checkSecret compares with every secret of the application; one that has expired is named as such only to who knows it.
func (s *Server) checkSecret(c *call, app *Application, secret string) error {
	i := slices.IndexFunc(app.PasswordCredentials, func(p PasswordCredential) bool { return equalSecret(p.Secret.Reveal(), secret) })
	switch {
	case i < 0:
		return refuse(7000215, app.AppID)
	case c.now.After(app.PasswordCredentials[i].End):
		return refuse(7000222, app.AppID)
	default:
		return nil
	}
}

// equalSecret compares in constant time; nothing equals the empty secret.
func equalSecret(want, got string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(want), []byte(got)) == 1
}
