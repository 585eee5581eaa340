package entraserver

import (
	"errors"
	"fmt"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
)

// SignIn signs a person in to an application, without a page, and returns an access token for the scopes: for tests.
// Whatever MFA policies and claims demand counts as done, and missing consent as given; who is disabled, blocked or not
// assigned is refused as at the page. claims is the JSON of a claims challenge, or "".
func (s *Server) SignIn(person, application, claims string, scopes ...string) (identity.Secret, error) {
	id, err := s.personID(person)
	if err != nil {
		return identity.Secret{}, err
	}
	app := s.dir.FindApplication(application)
	if app == nil {
		return identity.Secret{}, fmt.Errorf("no application is called %q", application)
	}
	c := s.internalCall()
	asked, err := s.readSignIn(app, strings.Join(scopes, " "), claims)
	if err != nil {
		return identity.Secret{}, err
	}
	sess, err := s.signInAs(asked, s.dir.Person(id), false, true)
	if err != nil {
		return identity.Secret{}, err
	}
	_, have := s.missingConsent(app, asked.want, id)
	auth := clientAuth{app, proofSecret}
	if app.IsPublic() {
		auth.proof = proofNone
	}
	text, err := s.accessToken(c, delegation{client: auth, person: s.dir.Person(id), session: sess, want: asked.want, scopes: have, claims: asked.claims}, s.life())
	return identity.NewSecret(text), err
}

// ApproveDevice signs a person in with a device code, as the page would.
func (s *Server) ApproveDevice(userCode, person string) error {
	id, err := s.personID(person)
	if err != nil {
		return err
	}
	return s.approveDevice(s.internalCall(), userCode, s.dir.Person(id), false, true)
}

// internalCall is the call of somebody within this process.
func (s *Server) internalCall() *call {
	return &call{now: s.now(), authority: s.self(), tenant: tenantRef{s.dir.Tenant().String(), s.dir.Tenant()}, trace: newGUID(), correlation: newGUID()}
}

// signInAsked is what an application asks of a sign-in, understood.
type signInAsked struct {
	app    *Application
	want   wanted
	claims claimsRequest
}

func (s *Server) readSignIn(app *Application, scope, claims string) (signInAsked, error) {
	want, err := s.parseScopes(scope)
	if err != nil {
		return signInAsked{}, err
	}
	demands, err := parseClaims(claims)
	return signInAsked{app, want, demands}, errors.Join(err, want.checkNames(app))
}

// signInAs is an interactive sign-in at which the person does whatever is demanded; consent says whether they also
// agree to what nobody has consented to yet.
func (s *Server) signInAs(a signInAsked, person *Person, device, consent bool) (session, error) {
	need, err := s.signInNeeds(person, a.app, a.want, a.claims, device)
	if err != nil {
		return session{}, err
	}
	if missing, _ := s.missingConsent(a.app, a.want, person.ID); len(missing) > 0 {
		if !consent {
			return session{}, refuse(65001, a.app.AppID, a.app.DisplayName)
		}
		if err = s.giveConsent(a.app, a.want.resource, person, false, missing); err != nil {
			return session{}, err
		}
	}
	return s.signIn(person, need, device), nil
}
