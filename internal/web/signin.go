package web

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/entra"
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
	until   time.Time
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
			if now.After(old.until) {
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
	if e.now().After(a.until) {
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
	return a.sendToSignIn(w, v, start, ownPath(v.PostForm.Get("return")))
}

// sendToSignIn sends the browser to Entra, to come back to a path of ours.
func (a *App) sendToSignIn(w http.ResponseWriter, v *visit, start signin.Start, back string) error {
	begun, err := a.cfg.SignIn.Begin(v.Context(), start)
	if err != nil {
		a.cfg.Logger.WarnContext(v.Context(), "a sign-in cannot begin", slog.Any("error", err))
		return errSignInAway
	}
	if !a.entrance.keep(&attempt{Attempt: begun, browser: v.browser, back: back, until: a.cfg.Now().Add(attemptLife)}) {
		return errTooMany
	}
	w.Header().Set("Location", begun.URL)
	w.WriteHeader(http.StatusSeeOther)
	return nil
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
		return a.signInFailed(w, v, err)
	}
	if v.session != nil {
		a.sessions.close(w, v.session)
	}
	a.sessions.open(w, tokens)
	http.SetCookie(w, hostCookie(a.browserCookie(), "", -1)) // the next sign-in gets a new one
	redirect(w, begun.back)
	return nil
}

// signInFailed tells the person what Entra said; who was signed in stays so.
func (a *App) signInFailed(w http.ResponseWriter, v *visit, err error) error {
	refused, ok := errors.AsType[*signin.Refused](err)
	if !ok {
		a.cfg.Logger.WarnContext(v.Context(), "a sign-in failed", slog.Any("error", err))
		return errSignInAway
	}
	advice := refused.Err.Advice()
	a.cfg.Logger.InfoContext(v.Context(), "a sign-in was refused", slog.String("reason", refused.Err.Error()), slog.String("correlation", refused.Err.Correlation))
	return &pageError{
		status: http.StatusForbidden, heading: "You are not signed in", text: advice.Cause, hint: adviceText(advice),
		correlation: refused.Err.Correlation, signIn: true,
	}
}

func adviceText(advice entra.Advice) string {
	if advice.Who == entra.You {
		return advice.Fix
	}
	return "This is for " + advice.Who + ": " + advice.Fix
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
	a.sessions.close(w, v.session)
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	w.Header().Set("Location", a.cfg.SignIn.SignOutURL(v.session.person, a.cfg.URL.JoinPath(SignedOutPath)))
	w.WriteHeader(http.StatusSeeOther)
	return nil
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

func redirect(w http.ResponseWriter, path string) {
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}
