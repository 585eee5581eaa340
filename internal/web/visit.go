package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/onbehalf/onbehalf/internal/history"
	"github.com/onbehalf/onbehalf/internal/httpguard"
)

// visit is one request of a browser: who is signed in, and which browser it is if nobody is.
type visit struct {
	*http.Request
	session *session // nil: nobody is signed in
	browser string   // the value of the cookie of who is not signed in yet
	fresh   bool     // the browser brought no such cookie
	csrf    string
}

func (v *visit) owner() history.Person { return v.session.owner() }

// browserCookie names the cookie of a browser without a session.
func (a *App) browserCookie() string { return a.sessions.cookie + "-signin" }

// page makes a handler of one that returns its error, which is shown as a page.
func (a *App) page(handle func(http.ResponseWriter, *visit) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := &visit{Request: r, session: a.sessions.of(r)}
		cookie, err := r.Cookie(a.browserCookie())
		if err == nil && len(cookie.Value) == len(randomText()) {
			v.browser = cookie.Value
		} else {
			v.browser, v.fresh = randomText(), true
			http.SetCookie(w, hostCookie(a.browserCookie(), v.browser, 0))
		}
		v.csrf = keyed(a.entrance.key, v.browser)
		if v.session != nil {
			v.csrf = v.session.csrf
		}
		if err := handle(w, v); err != nil {
			a.showError(r.Context(), w, v, err)
		}
	}
}

// atTheDoor bounds how often an address can make us ask Entra.
func (a *App) atTheDoor(handle func(http.ResponseWriter, *visit) error) func(http.ResponseWriter, *visit) error {
	return func(w http.ResponseWriter, v *visit) error {
		if wait := a.doors.Take(httpguard.Address(v.Request, a.cfg.Proxies)); wait > 0 {
			w.Header().Set("Retry-After", "5")
			return errTooMany
		}
		return handle(w, v)
	}
}

// checkForm refuses a form that is not from a page of ours.
func (v *visit) checkForm() error {
	if err := v.ParseForm(); err != nil {
		return &pageError{status: http.StatusBadRequest, heading: "That could not be read", text: "The form is too large or damaged."}
	}
	if !sameText(v.PostForm.Get("csrf"), v.csrf) {
		if v.fresh && v.session == nil {
			return errNoCookie
		}
		return errOldForm
	}
	return nil
}

// pageError is an error that a person sees as a page.
type pageError struct {
	status                           int
	heading, text, hint, correlation string
	code                             string // AADSTS…
	signIn                           bool
	back                             string // where that sign-in leads to
}

// Error implements error.
func (e *pageError) Error() string { return e.heading }

var (
	errNoPage     = &pageError{status: http.StatusNotFound, heading: "There is no such page", text: "The address is mistyped, or what was there has been deleted."}
	errOldForm    = &pageError{status: http.StatusForbidden, heading: "This page was too old", text: "You have signed in or out since it was opened.", hint: "Go back to the start and try again."}
	errNoCookie   = &pageError{status: http.StatusForbidden, heading: "Your browser keeps no cookie of this page", text: "Without one nobody can be signed in.", hint: "Allow cookies for this site. Safari keeps none for http://localhost: there use Firefox, Chrome or Edge, or reach this page by https."}
	errNotBegun   = &pageError{status: http.StatusBadRequest, heading: "This sign-in was not begun here", text: "It was begun in another browser, was finished before, or took longer than 15 minutes.", hint: "Sign in again from here.", signIn: true}
	errDecided    = &pageError{status: http.StatusConflict, heading: "This is decided already", text: "The call does not wait for you any more.", hint: "Look at the conversation again."}
	errSignInAway = &pageError{status: http.StatusBadGateway, heading: "The sign-in did not work", text: "Entra could not be asked, or its answer could not be used.", hint: "Try again in a moment.", signIn: true}
	errTooLarge   = &pageError{status: http.StatusRequestEntityTooLarge, heading: "That is too long", text: "It has more than " + strconv.Itoa(maxBody>>20) + " MB; a question has at most " + strconv.Itoa(maxMessage) + " characters. Nothing of it was sent on.", hint: "Go back: what you wrote is still there."}
	errTooMany    = &pageError{status: http.StatusServiceUnavailable, heading: "Too many people are signing in", text: "This server has no room for another sign-in now.", hint: "Try again in a minute."}
)

func (a *App) showError(ctx context.Context, w http.ResponseWriter, v *visit, err error) {
	shown, ok := errors.AsType[*pageError](err)
	if errors.Is(err, errNoConversation) {
		shown, ok = errNoPage, true
	}
	if !ok {
		a.cfg.Logger.ErrorContext(ctx, "page failed", slog.String("page", v.Pattern), slog.Any("error", err))
		shown = &pageError{status: http.StatusInternalServerError, heading: "Something went wrong here", text: "It was not your fault.", hint: "Try again in a moment."}
	}
	page := ProblemPage{
		Page: a.frame(v, shown.heading), Status: shown.status, Heading: shown.heading, Text: shown.text, Hint: shown.hint,
		Code: shown.code, Correlation: shown.correlation, Return: shown.back, SignIn: shown.signIn && v.session == nil, Kept: v.PostForm.Get(fieldText),
	}
	if err := a.pages.show(w, shown.status, "problem", page); err != nil {
		a.cfg.Logger.ErrorContext(ctx, "page failed", slog.Any("error", err))
	}
}
