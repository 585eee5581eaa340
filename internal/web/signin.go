package web

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/agent/dialog"
	"github.com/onbehalf/onbehalf/internal/history"
	"github.com/onbehalf/onbehalf/internal/httpguard"
	"github.com/onbehalf/onbehalf/internal/web/refusal"
	"github.com/onbehalf/onbehalf/signin"
)

// entrance keeps the sign-ins that have begun. Each is bound to the browser that began it, by a cookie that the browser
// has before it has a session, and is answered once.
type entrance struct {
	key []byte // makes the CSRF token of who is not signed in
	now func() time.Time

	mu       sync.Mutex
	attempts map[string]*attempt // by state
}

type attempt struct {
	*signin.Attempt
	browser string // the cookie's value
	back    string // a path of ours
	at      time.Time

	// What goes on after it: whose conversation, and the call in it. The zero owner is anybody, and nothing goes on.
	owner              history.Person
	conversation, call string
}

const (
	attemptLife = 15 * time.Minute
	maxAttempts = 10_000
)

func newEntrance(now func() time.Time) *entrance {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails since Go 1.24
	return &entrance{key: key, now: now, attempts: map[string]*attempt{}}
}

// keep remembers an attempt; false when there are too many.
func (e *entrance) keep(a *attempt) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	if len(e.attempts) >= maxAttempts {
		for state, old := range e.attempts {
			if now.Sub(old.at) > attemptLife {
				delete(e.attempts, state)
			}
		}
	}
	if len(e.attempts) >= maxAttempts {
		return false
	}
	e.attempts[a.State] = a
	return true
}

// take returns the attempt of this browser with this state, once.
func (e *entrance) take(state, browser string) *attempt {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.attempts[state]
	if a == nil || !sameText(a.browser, browser) {
		return nil
	}
	delete(e.attempts, state)
	if e.now().Sub(a.at) > attemptLife {
		return nil
	}
	return a
}

// beginSignIn is the button "Sign in".
func (a *App) beginSignIn(w http.ResponseWriter, v *visit) error {
	if err := v.checkForm(); err != nil {
		return err
	}
	start := signin.Start{Scopes: []entra.Scope{a.cfg.Scope}, Choose: v.PostForm.Get("choose") != ""}
	return a.sendToSignIn(w, v, start, attempt{back: ownPath(v.PostForm.Get("return"))})
}

// sendToSignIn sends the browser to Entra.
func (a *App) sendToSignIn(w http.ResponseWriter, v *visit, start signin.Start, kept attempt) error {
	begun, err := a.cfg.SignIn.Begin(v.Context(), start)
	if err != nil {
		a.cfg.Logger.WarnContext(v.Context(), "a sign-in cannot begin", slog.Any("error", err))
		return errSignInAway
	}
	kept.Attempt, kept.browser, kept.at = begun, v.browser, a.cfg.Now()
	if !a.entrance.keep(&kept) {
		return errTooMany
	}
	return a.away(w, "Signing you in", begun.URL)
}

// away sends the browser to Entra by a page of ours. A browser holds each redirect that follows a form against the page's
// form-action, and Entra sends on to a company's own identity provider, whose name nobody here knows: a redirect would end
// there.
//
// https://www.w3.org/TR/CSP3/#directive-form-action
func (a *App) away(w http.ResponseWriter, title, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	return a.pages.show(w, http.StatusOK, "away", AwayPage{Title: title, Address: address, Host: u.Host})
}

// signInForCall is the button of a refusal that a sign-in mends: it demands what the refusal wants, which is kept here,
// and the very call goes on afterwards.
func (a *App) signInForCall(w http.ResponseWriter, v *visit) error {
	if v.session == nil {
		return a.welcome(w, v, "/c/"+v.PathValue("id"))
	}
	if err := v.checkForm(); err != nil {
		return err
	}
	server, refusal, kept, err := a.refusedCall(v)
	if err != nil {
		return err
	}
	start := signin.Start{Scopes: a.scopesOf(v.session, server), Claims: refusal.Claims, Hint: v.session.person.UPN}
	return a.sendToSignIn(w, v, start, kept)
}

// consentTo asks for all that a server's API lists, so that what the API itself needs behind it is consented to as well.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow#default-and-combined-consent
func (a *App) consentTo(s *session, server string) (signin.Start, error) {
	all, err := entra.NewScope(a.scopesOf(s, server)[0].Resource(), ".default")
	return signin.Start{Scopes: []entra.Scope{all}, Consent: true, Hint: s.person.UPN}, err
}

// consentForCall is the button of a refusal that consent mends.
func (a *App) consentForCall(w http.ResponseWriter, v *visit) error {
	if v.session == nil {
		return a.welcome(w, v, "/c/"+v.PathValue("id"))
	}
	server, _, kept, err := a.refusedCall(v)
	if err != nil {
		return err
	}
	start, err := a.consentTo(v.session, server)
	if err != nil {
		return err
	}
	return a.sendToSignIn(w, v, start, kept)
}

// resumeCall is the button "Try again".
func (a *App) resumeCall(w http.ResponseWriter, v *visit) error {
	if v.session == nil {
		return a.welcome(w, v, "/c/"+v.PathValue("id"))
	}
	if err := v.checkForm(); err != nil {
		return err
	}
	_, _, kept, err := a.refusedCall(v)
	if err != nil {
		return err
	}
	a.resume(v.Context(), v.session, kept)
	redirect(w, kept.back)
	return nil
}

// refusedCall finds what a button of a refusal is about.
func (a *App) refusedCall(v *visit) (server string, refusal *dialog.Refusal, kept attempt, err error) {
	id, call := v.PathValue("id"), v.URL.Query().Get("call")
	t, err := a.desk.open(v.owner(), id)
	if err != nil {
		return "", nil, kept, err
	}
	defer a.desk.release(t)
	server, refusal = t.refused(call)
	if refusal == nil || !refusal.Resumable {
		return "", nil, kept, errDecided
	}
	return server, refusal, attempt{back: "/c/" + id, owner: v.owner(), conversation: id, call: call}, nil
}

// scopesOf is what was agreed with a server, or what the first sign-in asks for.
func (a *App) scopesOf(s *session, server string) []entra.Scope {
	s.mu.Lock()
	c := s.servers[server]
	s.mu.Unlock()
	if c != nil {
		if grants, err := c.ledger.Grants(context.Background()); err == nil && len(grants) > 0 && len(grants[0].Scopes) > 0 {
			return grants[0].Scopes
		}
	}
	return []entra.Scope{a.cfg.Scope}
}

// resume lets a refused call run again.
func (a *App) resume(ctx context.Context, s *session, kept attempt) {
	t, err := a.desk.open(s.owner(), kept.conversation)
	if err != nil {
		return
	}
	defer a.desk.release(t)
	if err := t.decide(move{session: s, call: kept.call}); err != nil { //nolint:contextcheck // a turn outlives what began it
		a.cfg.Logger.InfoContext(ctx, "a call does not go on", slog.Any("error", err))
		if !errors.Is(err, errNotWaiting) {
			s.say(&Notice{Kind: "bad", Text: "This could not go on yet: " + err.Error() + "."})
		}
	}
}

// ownPath returns a path of ours that a person may be brought back to, "/" for anything else: no scheme, no host, no
// backslash that a browser would read as a slash.
func ownPath(text string) string {
	u, err := url.Parse(text)
	if err != nil || len(text) > 512 || !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") || strings.ContainsAny(text, "\\\r\n\t") ||
		u.Scheme != "" || u.Host != "" || u.User != nil {
		return "/"
	}
	return u.EscapedPath()
}

// finishSignIn is where Entra sends the browser back.
func (a *App) finishSignIn(w http.ResponseWriter, v *visit) error {
	w.Header().Set("Referrer-Policy", "no-referrer") // the address holds a code
	begun := a.entrance.take(v.URL.Query().Get("state"), v.browser)
	if begun == nil {
		return errNotBegun
	}
	tokens, err := a.cfg.SignIn.Finish(v.Context(), begun.Attempt, v.URL.Query())
	if err != nil {
		return a.signInFailed(w, v, begun, err)
	}
	who := history.Person{Tenant: tokens.Person.Tenant, Object: tokens.Person.Object}
	if begun.call != "" && who != begun.owner {
		return a.somebodyElse(w, v, begun, tokens.Person)
	}
	before := v.session
	if before != nil && before.owner() != who {
		a.leave(before)
		before = nil
	}
	now := a.cfg.Now()
	s := a.sessions.open(w, tokens, chain.Hop{
		Station: chain.SignIn, Decision: chain.Allowed, Issuer: strings.TrimSuffix(a.cfg.Authority, "/"), Subject: who.Object.String(), Tenant: who.Tenant.String(),
		Scopes: []string{a.cfg.Scope.String()}, Start: begun.at, Took: now.Sub(begun.at),
	}, before)
	http.SetCookie(w, hostCookie(a.browserCookie(), "", -1)) // the next sign-in gets a new one
	if begun.call != "" {
		a.resume(v.Context(), s, *begun)
	}
	redirect(w, begun.back)
	return nil
}

// somebodyElse is for a sign-in that was to let a call go on, by another person than the one whose call it is.
func (a *App) somebodyElse(w http.ResponseWriter, v *visit, begun *attempt, who signin.Person) error {
	text := who.UPN + " signed in, but the conversation is another person's. Nothing was changed."
	if v.session != nil && v.owner() == begun.owner {
		v.session.say(&Notice{Kind: "bad", Text: text})
		redirect(w, begun.back)
		return nil
	}
	return &pageError{status: http.StatusForbidden, heading: "That was somebody else", text: text, signIn: true}
}

// cancelled is Entra's error_subcode for who pressed Cancel on one of its pages.
const cancelled = "cancel"

// signInFailed tells the person what Entra said; who was signed in stays so, and the conversation can go on.
func (a *App) signInFailed(w http.ResponseWriter, v *visit, begun *attempt, err error) error {
	shown := &pageError{status: errSignInAway.status, heading: errSignInAway.heading, text: errSignInAway.text, hint: errSignInAway.hint, signIn: true}
	if refused, ok := errors.AsType[*signin.Refused](err); ok {
		said := refusal.ByEntra(refused.Err)
		a.cfg.Logger.InfoContext(v.Context(), "a sign-in was refused", slog.String("reason", refused.Err.Error()), slog.String("correlation", refused.Err.Correlation))
		shown = &pageError{
			status: http.StatusForbidden, heading: "You are not signed in", text: said.Text, hint: said.Who,
			code: said.Code, correlation: said.Correlation, signIn: true,
		}
		if refused.Err.Sub == cancelled {
			shown.text, shown.hint, shown.code = "The sign-in was cancelled.", "Sign in again if that was not what you wanted.", ""
		}
	} else {
		a.cfg.Logger.WarnContext(v.Context(), "a sign-in failed", slog.Any("error", err))
	}
	if v.session == nil {
		shown.back = begun.back
		return shown
	}
	v.session.say(&Notice{Kind: "bad", Text: shown.text + " " + shown.hint, Correlation: shown.correlation})
	redirect(w, begun.back)
	return nil
}

// errSignedOut is why turns end: the person reads it.
var errSignedOut = errors.New("You signed out.") //nolint:staticcheck,revive // a sentence for people

// leave ends a session, what runs in it, and its tokens.
func (a *App) leave(s *session) {
	a.sessions.close(s)
	a.desk.stop(s.owner(), s.lineage, errSignedOut)
}

// signOut ends the session here and sends the browser to Entra to sign out there.
func (a *App) signOut(w http.ResponseWriter, v *visit) error {
	if err := v.checkForm(); err != nil {
		return err
	}
	if v.session == nil {
		redirect(w, "/")
		return nil
	}
	a.leave(v.session)
	a.sessions.forget(w)
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	return a.away(w, "Signing you out", a.cfg.SignIn.SignOutURL(v.session.person, a.cfg.URL.JoinPath(SignedOutPath)))
}

// signedOut is where Entra sends the browser after it.
func (a *App) signedOut(w http.ResponseWriter, v *visit) error {
	if v.session != nil {
		redirect(w, "/")
		return nil
	}
	page := WelcomePage{Page: a.frame(v, "Signed out")}
	page.Notice = &Notice{Kind: "info", Text: "You are signed out."}
	return a.pages.show(w, http.StatusOK, "welcome", page)
}

// frontChannel is what Entra loads in a hidden frame when the person signs out elsewhere. The frame's request has none of
// our cookies (SameSite): the session is found by the id that Entra gave it, which nobody else knows.
//
// https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc#single-sign-out
func (a *App) frontChannel(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors "+strings.TrimSuffix(a.cfg.Authority, "/"))
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	if wait := a.doors.Take(httpguard.Address(r, a.cfg.Proxies)); wait > 0 {
		slowDown(w, wait)
		return
	}
	if issuer := r.URL.Query().Get("iss"); issuer == "" || strings.HasPrefix(issuer, a.cfg.Authority) {
		for _, s := range a.sessions.ofEntra(r.URL.Query().Get("sid")) {
			a.leave(s)
		}
	}
	w.WriteHeader(http.StatusOK)
}

func redirect(w http.ResponseWriter, address string) {
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusSeeOther)
}
