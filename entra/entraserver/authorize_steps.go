package entraserver

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// A sign-in is a walk along fixed steps: who is it, has she proven it, do policies and claims want more, has she agreed.
// Each step either shows a page, whose form leads back here, or lets pass. Everything is looked at again at each step.

// login takes the forms of all pages.
func (s *Server) login(w http.ResponseWriter, c *call) error {
	form, err := readForm(w, c)
	if err != nil {
		return err
	}
	if len(form.Get("flow")) > maxFlow {
		return refuse(9002313)
	}
	b := s.readBrowser(c)
	f, err := s.openFlow(c, b, form.Get("flow"))
	if err != nil {
		return err
	}
	if err = s.checkTenant(c, f.Tenant); err != nil {
		return err
	}
	if f.Kind == flowLogout {
		return s.signOut(w, c, &b, f, form)
	}
	if f.Kind == flowDevice && form.Get("user_code") != "" {
		f.UserCode = form.Get("user_code")
	}
	return s.signInStep(w, c, &b, f, form)
}

// request is what a flow is about: a request to /authorize or a device code.
type request struct {
	*authorization
	device *deviceFlow
}

// signInStep applies the form of the last page, which may be nil, and goes on.
func (s *Server) signInStep(w http.ResponseWriter, c *call, b *browser, f flow, form url.Values) error {
	r, err := s.requestOf(c, f)
	if err != nil {
		return s.turnAway(w, c, b, f, r, err)
	}
	if form.Get("cancel") != "" {
		return s.turnAway(w, c, b, f, r, refuse(65004))
	}
	f.Another = f.Another || form.Get("another") != ""
	if form.Get("another") != "" {
		f.Person, f.Fresh, f.Agreed = identity.ObjectID{}, false, false
	}
	if problem := s.identify(w, b, &f, form); problem != nil {
		return s.choosePage(w, c, b, f, r, problem)
	}
	person, sess, ok := s.whoIsIt(b, &f, r)
	if !ok {
		if r.prompt == "none" {
			return s.turnAway(w, c, b, f, r, refuse(50058))
		}
		return s.choosePage(w, c, b, f, r, nil)
	}
	return s.afterSignIn(w, c, b, f, r, form, person, sess)
}

// requestOf understands a flow's request anew.
func (s *Server) requestOf(c *call, f flow) (*request, error) {
	if f.Kind == flowAuthorize {
		a, err := s.understand(c, f.Params)
		if a == nil {
			return nil, err
		}
		return &request{authorization: a}, err
	}
	device, err := s.findDevice(c, f.UserCode)
	if err != nil {
		return nil, err
	}
	a := &authorization{params: url.Values{}}
	if a.client, err = s.findClient(c, device.client.String()); err != nil {
		return nil, err
	}
	if a.want, err = s.parseScopes(device.scope); err != nil {
		return nil, err
	}
	a.claims, err = parseClaims(device.claims)
	return &request{a, &device}, err
}

// identify applies a click on a person, on an account, or a name with a password. An error is shown on the page.
func (s *Server) identify(w http.ResponseWriter, b *browser, f *flow, form url.Values) error {
	if id := form.Get("session"); id != "" {
		if one, ok := b.session(object(id)); ok {
			f.Person, f.Another = one.person, false
		}
		return nil
	}
	var person *Person
	switch {
	case form.Get("person") != "":
		person = s.dir.Person(object(form.Get("person")))
		if err := s.checkPerson(person); err != nil {
			return err
		}
	case form.Has("login"):
		var err error
		if person, err = s.authenticate(form.Get("login"), form.Get("passwd")); err != nil {
			return err
		}
	default:
		return nil
	}
	f.Person, f.Fresh, f.Another = person.ID, true, false
	sess := s.signIn(person, needs{}, false)
	sess.serial = sess.origin // the cookie ages from now on
	b.remember(sess)
	s.writeBrowser(w, *b)
	return nil
}

// whoIsIt picks the account: the one of this flow, the one that login_hint names, or the only one that is signed in.
// With prompt=login a person has to prove anew who she is.
func (s *Server) whoIsIt(b *browser, f *flow, r *request) (*Person, session, bool) {
	if f.Another {
		return nil, session{}, false
	}
	picked := f.Person
	if picked.IsZero() {
		hint := s.dir.FindPerson(orElse(r.params.Get("login_hint"), "\x00"))
		switch {
		case r.prompt == "login" || r.prompt == "select_account":
		case hint != nil:
			picked = hint.ID
		case len(b.sessions) == 1 && r.params.Get("login_hint") == "" && r.device == nil:
			picked = b.sessions[0].person
		}
	}
	one, ok := b.session(picked)
	if !ok || r.prompt == "login" && !f.Fresh {
		return nil, session{}, false
	}
	f.Person = picked
	return s.dir.Person(picked), one, true
}

// afterSignIn checks policies, claims and consent.
func (s *Server) afterSignIn(w http.ResponseWriter, c *call, b *browser, f flow, r *request, form url.Values, person *Person, sess session) error {
	need, err := s.signInNeeds(person, r.client, r.want, r.claims, sess.device)
	if err != nil {
		return s.turnAway(w, c, b, f, r, err)
	}
	if form.Get("mfa") == "denied" {
		return s.turnAway(w, c, b, f, r, refuse(500121))
	}
	if form.Get("mfa") == "approved" {
		sess.mfa = true
		sess.contexts = append(slices.Clone(sess.contexts), need.contexts...)
		slices.Sort(sess.contexts)
		sess.contexts = slices.Compact(sess.contexts)
		b.remember(sess)
		s.writeBrowser(w, *b)
	}
	if need.mfa && !sess.mfa || !containsAll(sess.contexts, need.contexts) {
		return s.mfaPage(w, c, b, f, r, person)
	}
	if err = s.checkSession(c, sess, r.client, r.want.resource, r.claims); err != nil {
		if e, ok := errors.AsType[*entra.Error](err); ok && e.Number() == 70043 && r.prompt != "none" && !f.Fresh {
			f.Another = true // the sign-in is too old for a policy: once more
			return s.choosePage(w, c, b, f, r, nil)
		}
		return s.turnAway(w, c, b, f, r, err)
	}
	return s.afterPolicies(w, c, b, f, r, form, person, sess)
}

func containsAll(have, want []byte) bool {
	return !slices.ContainsFunc(want, func(w byte) bool { return !slices.Contains(have, w) })
}

// afterPolicies asks for consent, records it, and finishes.
func (s *Server) afterPolicies(w http.ResponseWriter, c *call, b *browser, f flow, r *request, form url.Values, person *Person, sess session) error {
	missing, _ := s.missingConsent(r.client, r.want, person.ID)
	if r.prompt == "consent" && !f.Agreed {
		missing = r.want.names
		if r.want.all {
			missing = registered(r.client, r.want.resource)
		}
	}
	if len(missing) > 0 {
		asked := s.permissions(r, missing)
		switch form.Get("consent") {
		case "no":
			return s.turnAway(w, c, b, f, r, refuse(65004))
		case "yes":
			if needsAdministrator(r, asked) && !person.IsAdministrator() {
				return s.consentPage(w, c, b, f, r, person, asked)
			}
			if err := s.giveConsent(r.client, r.want.resource, person, form.Get("everybody") != "", missing); err != nil {
				return fmt.Errorf("record consent: %w", err)
			}
			f.Agreed = true
		default:
			return s.consentPage(w, c, b, f, r, person, asked)
		}
	}
	if r.device != nil {
		return s.confirmDevice(w, c, b, f, r, form, person, sess)
	}
	return s.finish(w, c, r.authorization, person, sess)
}

// permissions describes what is asked for in the words of the resource.
func (s *Server) permissions(r *request, names []string) []permission {
	if slices.Contains(names, ".default") {
		names = registered(r.client, r.want.resource)
	}
	var out []permission
	for _, name := range names {
		p := permission{Title: name, Scope: r.want.prefix + "/" + name}
		if scope, ok := r.want.resource.Scope(name); ok {
			p.Title = orElse(orElse(scope.UserConsentDisplayName, scope.AdminConsentDisplayName), name)
			p.Description = orElse(scope.UserConsentDescription, scope.AdminConsentDescription)
		}
		out = append(out, p)
	}
	return out
}

// needsAdministrator reports whether one of the permissions is not a person's own to give.
func needsAdministrator(r *request, asked []permission) bool {
	return slices.ContainsFunc(asked, func(p permission) bool {
		scope, ok := r.want.resource.Scope(p.Scope[strings.LastIndexByte(p.Scope, '/')+1:])
		return ok && scope.Type == "Admin"
	})
}

// turnAway tells the application, where it can be told and may know, else the person.
func (s *Server) turnAway(w http.ResponseWriter, c *call, b *browser, f flow, r *request, err error) error {
	e, ok := errors.AsType[*entra.Error](err)
	if !ok {
		return err
	}
	c.record.Outcome = e.Error()
	n := e.Number()
	policy := n == 53003 || n == 53000 || n == 50105 || n == 50057 || n == 70043
	switch {
	case r != nil && r.device != nil:
		return s.deviceTrouble(w, c, b, f, e, policy)
	case r == nil && f.Kind == flowDevice:
		return s.codePage(w, c, b, f, e.Description)
	case r == nil || r.redirect == "":
		s.troublePage(w, c, e, view{})
		return nil
	case policy && r.prompt != "none":
		s.troublePage(w, c, e, view{Flow: s.sealFlow(c, *b, f), Action: s.loginPath(c), Return: true})
		return nil
	default:
		return s.answerError(w, c, r.authorization, e)
	}
}

func (s *Server) loginPath(c *call) string { return "/" + c.tenant.segment + "/login" }

// samplePeople is how many people the page offers by name.
const samplePeople = 12

// choosePage offers accounts that are signed in, else people.
func (s *Server) choosePage(w http.ResponseWriter, c *call, b *browser, f flow, r *request, problem error) error {
	v := view{Title: "Sign in", App: r.client.DisplayName, Flow: s.sealFlow(c, *b, f), Action: s.loginPath(c), Hint: r.params.Get("login_hint")}
	if e, ok := errors.AsType[*entra.Error](problem); ok {
		v.Problem = e.Description
		c.record.Outcome = e.Error()
	}
	if !f.Another && r.prompt != "login" && problem == nil {
		for _, one := range b.sessions {
			if p := s.dir.Person(one.person); p != nil {
				v.Signed = append(v.Signed, s.faceOf(p))
			}
		}
	}
	people := s.dir.People()
	for i, p := range people {
		if i < samplePeople {
			v.People = append(v.People, s.faceOf(p))
		}
	}
	v.More = len(people) - len(v.People)
	return s.render(w, c, http.StatusOK, "choose", v)
}

func (s *Server) mfaPage(w http.ResponseWriter, c *call, b *browser, f flow, r *request, person *Person) error {
	if r.prompt == "none" {
		return s.turnAway(w, c, b, f, r, silentMFA(r))
	}
	n, err := rand.Int(rand.Reader, big.NewInt(90))
	if err != nil {
		return fmt.Errorf("number: %w", err)
	}
	who := s.faceOf(person)
	return s.render(w, c, http.StatusOK, "mfa", view{
		Title: "Approve the sign-in", Flow: s.sealFlow(c, *b, f), Action: s.loginPath(c), Person: &who, Number: strconv.FormatInt(n.Int64()+10, 10),
		Why: "A policy of your organization, or what " + r.client.DisplayName + " asks for, needs a second proof that it is you.",
	})
}

// silentMFA is the refusal where no page may be shown.
func silentMFA(r *request) error {
	e := refuse(50076, r.want.resource.ResourceURI())
	e.Code = interaction
	return e
}

func (s *Server) consentPage(w http.ResponseWriter, c *call, b *browser, f flow, r *request, person *Person, asked []permission) error {
	if r.prompt == "none" || len(asked) == 0 {
		e := refuse(65001, r.client.AppID, r.client.DisplayName)
		e.Code = "consent_required"
		return s.turnAway(w, c, b, f, r, e)
	}
	who := s.faceOf(person)
	return s.render(w, c, http.StatusOK, "consent", view{
		Title: "Permissions requested", App: r.client.DisplayName, Flow: s.sealFlow(c, *b, f), Action: s.loginPath(c), Person: &who, Permissions: asked,
		Admin: person.IsAdministrator(), NeedsAdmin: needsAdministrator(r, asked) && !person.IsAdministrator(),
	})
}
