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
	v := &visit{Server: s, w: w, c: c, b: &b, f: f, form: form}
	return v.walk()
}

// request is what a flow is about: a request to /authorize or a device code.
type request struct {
	*authorization
	device *deviceFlow
}

// visit is one request of a browser on this walk.
type visit struct {
	*Server
	w    http.ResponseWriter
	c    *call
	b    *browser
	f    flow
	r    *request   // nil when there is none that could be understood
	form url.Values // of the last page; nil at the beginning
}

// sealed is the flow as the next page carries it.
func (s *visit) sealed() string { return s.sealFlow(s.c, *s.b, s.f) }

// walk applies the form of the last page and goes on.
func (s *visit) walk() (err error) {
	if s.r, err = s.requestOf(s.c, s.f); err != nil {
		return s.turnAway(err)
	}
	if s.form.Get("cancel") != "" {
		e := refuse(65004)
		e.Sub = "cancel"
		return s.turnAway(e)
	}
	s.f.Another = s.f.Another || s.form.Get("another") != ""
	if s.form.Get("another") != "" {
		s.f.Person, s.f.Fresh, s.f.Agreed = identity.ObjectID{}, false, false
	}
	if problem := s.identify(); problem != nil {
		return s.choosePage(problem)
	}
	person, sess, ok := s.whoIsIt()
	if !ok {
		if s.r.prompt == "none" {
			return s.turnAway(refuse(50058))
		}
		return s.choosePage(nil)
	}
	return s.afterSignIn(person, sess)
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
	if f.Kind == flowAdmin {
		return s.adminRequest(c, f)
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
func (s *visit) identify() error {
	if id := s.form.Get("session"); id != "" {
		if one, ok := s.b.session(object(id)); ok {
			s.f.Person, s.f.Another = one.person, false
		}
		return nil
	}
	var person *Person
	switch {
	case s.form.Get("person") != "":
		person = s.dir.Person(object(s.form.Get("person")))
		if err := s.checkPerson(person); err != nil {
			return err
		}
	case s.form.Has("login"):
		var err error
		if person, err = s.authenticate(s.form.Get("login"), s.form.Get("passwd")); err != nil {
			return err
		}
	default:
		return nil
	}
	s.f.Person, s.f.Fresh, s.f.Another = person.ID, true, false
	sess := s.signIn(person, needs{}, false)
	sess.serial = sess.origin // the cookie ages from now on
	s.b.remember(sess)
	s.writeBrowser(s.w, *s.b)
	return nil
}

// whoIsIt picks the account: the one of this flow, the one that login_hint names, or the only one that is signed in.
// With prompt=login a person has to prove anew who she is.
func (s *visit) whoIsIt() (*Person, session, bool) {
	if s.f.Another {
		return nil, session{}, false
	}
	picked := s.f.Person
	if picked.IsZero() {
		hint := s.dir.FindPerson(orElse(s.loginHint(), "\x00"))
		switch {
		case s.r.prompt == "login" || s.r.prompt == "select_account":
		case hint != nil:
			picked = hint.ID
		case len(s.b.sessions) == 1 && s.r.params.Get("login_hint") == "" && s.r.device == nil:
			picked = s.b.sessions[0].person
		}
	}
	one, ok := s.b.session(picked)
	if !ok || s.r.prompt == "login" && !s.f.Fresh {
		return nil, session{}, false
	}
	s.f.Person = picked
	return s.dir.Person(picked), one, true
}

// loginHint is the name of who is to sign in: login_hint is that name, or what an earlier id_token had as login_hint.
func (s *visit) loginHint() string {
	hint := s.r.params.Get("login_hint")
	if person := s.hinted(hint); person != nil {
		return person.UPN
	}
	return hint
}

// afterSignIn checks policies, claims and consent.
func (s *visit) afterSignIn(person *Person, sess session) error {
	need, err := s.signInNeeds(person, s.r.client, s.r.want, s.r.claims, sess.device)
	if err != nil {
		return s.turnAway(err)
	}
	if s.form.Get("mfa") == "denied" {
		return s.turnAway(refuse(500121))
	}
	if s.form.Get("mfa") == "approved" {
		sess.mfa = true
		sess.contexts = append(slices.Clone(sess.contexts), need.contexts...)
		slices.Sort(sess.contexts)
		sess.contexts = slices.Compact(sess.contexts)
		s.b.remember(sess)
		s.writeBrowser(s.w, *s.b)
	}
	if need.mfa && !sess.mfa || !containsAll(sess.contexts, need.contexts) {
		return s.mfaPage(person)
	}
	if err = s.checkSession(s.c, sess, s.r.client, s.r.want.resource, s.r.claims); err != nil {
		if e, ok := errors.AsType[*entra.Error](err); ok && e.Number() == 70043 && s.r.prompt != "none" && !s.f.Fresh {
			s.f.Another = true // the sign-in is too old for a policy: once more
			return s.choosePage(nil)
		}
		return s.turnAway(err)
	}
	return s.afterPolicies(person, sess)
}

func containsAll(have, want []byte) bool {
	return !slices.ContainsFunc(want, func(w byte) bool { return !slices.Contains(have, w) })
}

// afterPolicies asks for consent, records it, and finishes.
func (s *visit) afterPolicies(person *Person, sess session) error {
	if s.f.Kind == flowAdmin {
		return s.adminStep(person)
	}
	missing, _ := s.missingConsent(s.r.client, s.r.want, person.ID)
	anew := s.r.prompt == "consent" && !s.f.Agreed
	if anew {
		missing = s.r.want.names
		if s.r.want.all {
			missing = registered(s.r.client, s.r.want.resource)
		}
	}
	if len(missing) > 0 {
		agreed, err := s.askConsent(person, missing, s.behind(s.r.client, s.r.want, person.ID, anew))
		if err != nil || !agreed {
			return err
		}
	}
	if s.r.device != nil {
		return s.confirmDevice(person, sess)
	}
	if s.b.visit(s.r.authorization, person.ID) {
		s.writeBrowser(s.w, *s.b)
	}
	return s.finish(s.w, s.c, s.r.authorization, person, sess)
}

// askConsent applies the answer of the page that asks for consent, or shows it; agreed says that the walk goes on.
func (s *visit) askConsent(person *Person, missing []string, behind []consent) (agreed bool, err error) {
	asked := s.permissions(missing)
	for _, one := range behind {
		for _, name := range one.names {
			asked = append(asked, describePermission(one.resource, one.resource.ResourceURI(), name))
		}
	}
	switch s.form.Get("consent") {
	case "no":
		return false, s.turnAway(refuse(65004))
	case "yes":
		if needsAdministrator(asked) && !person.IsAdministrator() {
			return false, s.consentPage(person, asked)
		}
		everyone := s.form.Get("everybody") != ""
		if err = s.giveConsent(s.r.client, s.r.want.resource, person, everyone, missing); err != nil {
			return false, fmt.Errorf("record consent: %w", err)
		}
		for _, one := range behind {
			if err = s.giveConsent(s.r.want.resource, one.resource, person, everyone, one.names); err != nil {
				return false, fmt.Errorf("record consent: %w", err)
			}
		}
		s.f.Agreed = true
		return true, nil
	default:
		return false, s.consentPage(person, asked)
	}
}

// permissions describes what is asked for in the words of the resource.
func (s *visit) permissions(names []string) []permission {
	if slices.Contains(names, ".default") {
		names = registered(s.r.client, s.r.want.resource)
	}
	var out []permission
	for _, name := range names {
		out = append(out, describePermission(s.r.want.resource, s.r.want.prefix, name))
	}
	return out
}

func describePermission(resource *Application, prefix, name string) permission {
	p := permission{Title: name, Scope: prefix + "/" + name}
	if scope, ok := resource.Scope(name); ok {
		p.Title = orElse(orElse(scope.UserConsentDisplayName, scope.AdminConsentDisplayName), name)
		p.Description = orElse(scope.UserConsentDescription, scope.AdminConsentDescription)
		p.admin = scope.Type == "Admin"
	}
	return p
}

// needsAdministrator reports whether one of the permissions is not a person's own to give.
func needsAdministrator(asked []permission) bool {
	return slices.ContainsFunc(asked, func(p permission) bool { return p.admin })
}

// turnAway tells the application, where it can be told and may know, else the person.
func (s *visit) turnAway(err error) error {
	e, ok := errors.AsType[*entra.Error](err)
	if !ok {
		return err
	}
	s.c.record.Outcome = outcomeOf(e)
	n := e.Number()
	policy := n == 53003 || n == 53000 || n == 50105 || n == 50057 || n == 70043
	switch {
	case s.r != nil && s.r.device != nil:
		return s.deviceTrouble(e, policy)
	case s.r == nil && s.f.Kind == flowDevice:
		return s.codePage(e.Description)
	case s.r == nil || s.r.redirect == "":
		s.troublePage(s.w, s.c, e, view{})
		return nil
	case policy && s.form.Get("back") != "": // the application learns why
		told := *e
		told.Code = "access_denied"
		return s.answerError(s.w, s.c, s.r.authorization, &told)
	case policy && s.r.prompt != "none":
		s.troublePage(s.w, s.c, e, view{Flow: s.sealed(), Action: loginPath(s.c), Return: true})
		return nil
	default:
		return s.answerError(s.w, s.c, s.r.authorization, e)
	}
}

// samplePeople is how many people the page offers by name.
const samplePeople = 12

// choosePage offers accounts that are signed in, else people.
func (s *visit) choosePage(problem error) error {
	v := view{Title: "Sign in", App: s.r.client.DisplayName, Flow: s.sealed(), Action: loginPath(s.c), Hint: s.loginHint()}
	if e, ok := errors.AsType[*entra.Error](problem); ok {
		v.Problem = e.Description
		s.c.record.Outcome = outcomeOf(e)
	}
	if !s.f.Another && s.r.prompt != "login" && problem == nil {
		for _, one := range s.b.sessions {
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
	return s.render(s.w, s.c, http.StatusOK, "choose", v)
}

func (s *visit) mfaPage(person *Person) error {
	if s.r.prompt == "none" {
		return s.turnAway(silentMFA(s.r))
	}
	n, err := rand.Int(rand.Reader, big.NewInt(90))
	if err != nil {
		return fmt.Errorf("number: %w", err)
	}
	who := s.faceOf(person)
	return s.render(s.w, s.c, http.StatusOK, "mfa", view{
		Title: "Approve the sign-in", Flow: s.sealed(), Action: loginPath(s.c), Person: &who, Number: strconv.FormatInt(n.Int64()+10, 10),
		Why: "A policy of your organization, or what " + s.r.client.DisplayName + " asks for, needs a second proof that it is you.",
	})
}

// silentMFA is the refusal where no page may be shown.
func silentMFA(r *request) error {
	e := refuse(50076, r.want.resource.ResourceURI())
	e.Code = interaction
	return e
}

func (s *visit) consentPage(person *Person, asked []permission) error {
	if s.r.prompt == "none" || len(asked) == 0 {
		e := refuse(65001, s.r.client.AppID, s.r.client.DisplayName)
		e.Code = "consent_required"
		return s.turnAway(e)
	}
	who := s.faceOf(person)
	return s.render(s.w, s.c, http.StatusOK, "consent", view{
		Title: "Permissions requested", App: s.r.client.DisplayName, Flow: s.sealed(), Action: loginPath(s.c), Person: &who, Permissions: asked,
		Admin: person.IsAdministrator(), NeedsAdmin: needsAdministrator(asked) && !person.IsAdministrator(),
	})
}
