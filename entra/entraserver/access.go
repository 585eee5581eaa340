package entraserver

import (
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// checkPerson says whether the account may be used at all.
func (s *Server) checkPerson(p *Person) error {
	if p == nil {
		return refuse(50034, "", s.dir.Domain())
	}
	if !p.Enabled || s.policies.current().disabled[p.ID] {
		return refuse(50057)
	}
	return nil
}

// authenticate checks a name and a password, as a sign-in page does.
func (s *Server) authenticate(upn, password string) (*Person, error) {
	p := s.dir.FindPerson(strings.TrimSpace(upn))
	if p == nil {
		return nil, refuse(50034, quote(upn), s.dir.Domain())
	}
	if !equalSecret(p.Password.Reveal(), password) {
		return nil, refuse(50126)
	}
	return p, s.checkPerson(p)
}

// granted returns the permissions that the client has for the person, or none when there is no consent to what is
// wanted (then the error is AADSTS65001).
func (s *Server) granted(client *Application, want wanted, person identity.ObjectID) ([]string, error) {
	missing, have := s.missingConsent(client, want, person)
	if len(missing) > 0 {
		return nil, refuse(65001, client.AppID, client.DisplayName)
	}
	return have, nil
}

// missingConsent returns which of the wanted permissions nobody has consented to (".default" when nothing at all is
// consented), and those that are.
func (s *Server) missingConsent(client *Application, want wanted, person identity.ObjectID) (missing, have []string) {
	resource := want.resource.AppID
	if !s.policies.consentHidden(client.AppID, resource, person) {
		have = s.dir.Granted(client.AppID, resource, person)
	}
	if want.bare && len(want.names) == 0 && !want.all {
		return nil, have // OpenID scopes alone need no consent here
	}
	for _, name := range want.names {
		if !slices.ContainsFunc(have, func(h string) bool { return strings.EqualFold(h, name) }) {
			missing = append(missing, name)
		}
	}
	if want.all && len(have) == 0 {
		missing = append(missing, ".default")
	}
	return missing, have
}

// consent is what an application may be allowed to ask of a resource.
type consent struct {
	resource *Application
	names    []string
}

// behind is what a page that asks for consent asks for beside the client's own permissions, when the client asks for all
// of them (.default) and the resource lists it among its known clients: the resource's own permissions at the APIs
// behind it. What is there already is left out unless it is to be asked anew.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow#default-and-combined-consent
func (s *Server) behind(client *Application, want wanted, person identity.ObjectID, anew bool) []consent {
	if !want.all || want.resource == nil || !slices.Contains(want.resource.API.KnownClientApplications, client.AppID) {
		return nil
	}
	var all []consent
	for _, required := range want.resource.RequiredResourceAccess {
		api := s.dir.Application(required.ResourceAppID)
		if api == nil {
			continue
		}
		names := registered(want.resource, api)
		if !anew {
			names, _ = s.missingConsent(want.resource, wanted{resource: api, names: names}, person)
		}
		if len(names) > 0 {
			all = append(all, consent{api, names})
		}
	}
	return all
}

// giveConsent records what a person agreed to, for herself or, an administrator, for everyone. The name ".default"
// stands for what the client's registration asks of the resource.
func (s *Server) giveConsent(client, resource *Application, person *Person, everyone bool, names []string) error {
	var whose identity.ObjectID
	if !everyone || !person.IsAdministrator() {
		whose = person.ID
	}
	if slices.Contains(names, ".default") {
		names = registered(client, resource)
	}
	if err := s.dir.Consent(client.AppID, resource.AppID, whose, names...); err != nil {
		return err
	}
	s.policies.consented(client.AppID, resource.AppID, whose)
	return nil
}

// registered returns the names of the delegated permissions that a registration asks of a resource.
func registered(client, resource *Application) []string {
	var names []string
	for _, required := range client.RequiredResourceAccess {
		if required.ResourceAppID != resource.AppID {
			continue
		}
		for _, access := range required.ResourceAccess {
			for _, scope := range resource.API.Scopes {
				if access.Type == "Scope" && access.ID == scope.ID {
					names = append(names, scope.Value)
				}
			}
		}
	}
	return names
}

// checkAssignment says whether the person is assigned where that is required. It asks of both ends, as Entra does: the
// application signed in to, and the resource.
func (s *Server) checkAssignment(person *Person, apps ...*Application) error {
	for _, app := range apps {
		sp := s.dir.PrincipalOf(app.AppID)
		if sp == nil || !sp.AppRoleAssignmentRequired && !s.policies.current().assignment[app.AppID] {
			continue
		}
		if _, assigned := s.dir.RolesOf(person.ID, app.AppID); !assigned {
			return refuse(50105, app.AppID, app.DisplayName, person.UPN)
		}
	}
	return nil
}

// needs is what a person has to do at an interactive sign-in, beside saying who they are.
type needs struct {
	mfa      bool
	contexts []byte
}

// signInNeeds says what policies and claims demand of an interactive sign-in; an error is a policy that no sign-in can
// satisfy. device says that the person sits at a compliant device.
func (s *Server) signInNeeds(person *Person, client *Application, want wanted, claims claimsRequest, device bool) (needs, error) {
	n := needs{mfa: len(claims.contexts) > 0, contexts: claims.contexts}
	if err := s.checkPerson(person); err != nil {
		return n, err
	}
	for _, r := range s.policies.current().rules {
		named := slices.ContainsFunc(claims.policies, func(id string) bool { return strings.EqualFold(id, r.id) })
		if !named && !r.covers(person.ID, client.AppID, want.resource.AppID) {
			continue
		}
		switch r.require {
		case requireBlock:
			return n, refuse(53003)
		case requireDevice:
			if !device {
				return n, refuse(53000, want.resource.ResourceURI())
			}
		case requireMFA, requireEnrolment:
			n.mfa = true
		}
	}
	return n, s.checkAssignment(person, client, want.resource)
}

// signIn makes the session of a person who has done what is needed.
func (s *Server) signIn(person *Person, done needs, device bool) session {
	n := s.ages.next()
	return session{person: person.ID, since: s.now(), mfa: done.mfa, device: device, contexts: done.contexts, origin: n, serial: n}
}

// isVoid reports whether a sign-in was revoked, by name or because a policy revokes all after a while.
func (s *Server) isVoid(now time.Time, sess session) bool {
	after := s.policies.current().revokeAfter
	return after > 0 && now.Sub(sess.since) >= after || s.ages.isRevoked(sess.person, sess.origin)
}

// checkSession says whether a session is good enough for a token, without asking the person: for the exchange, and for
// refresh tokens. Who says no says with which claims to sign in again.
func (s *Server) checkSession(c *call, sess session, client, resource *Application, claims claimsRequest) error {
	for _, r := range s.policies.current().rules {
		named := slices.ContainsFunc(claims.policies, func(id string) bool { return strings.EqualFold(id, r.id) })
		if !named && !r.covers(sess.person, client.AppID, resource.AppID) {
			continue
		}
		if err := s.checkRule(c, r, sess, resource); err != nil {
			return err
		}
	}
	for _, context := range claims.contexts {
		if !slices.Contains(sess.contexts, context) {
			e := refuse(50076, resource.ResourceURI())
			e.Claims = challenge("acrs", contextNames(claims.contexts)...)
			return e
		}
	}
	return nil
}

func (s *Server) checkRule(c *call, r rule, sess session, resource *Application) error {
	var e *entra.Error
	switch r.require {
	case requireBlock:
		e = refuse(53003)
	case requireDevice:
		if !sess.device {
			e = refuse(53000, resource.ResourceURI())
		}
	case requireMFA:
		if !sess.mfa {
			e = refuse(50076, resource.ResourceURI())
		}
	case requireEnrolment:
		if !sess.mfa {
			e = refuse(50079, resource.ResourceURI())
		}
	case requireFresh:
		if age := c.now.Sub(sess.since); age > r.age {
			e = refuse(70043, sess.since.UTC().Format(time.RFC3339), int(r.age.Seconds()))
		}
	}
	if e == nil {
		return nil
	}
	if r.require != requireBlock {
		e.Claims = challenge("capolids", r.id)
	}
	return e
}
