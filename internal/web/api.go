package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/internal/agent/dialog"
)

// apiError is an error as scripts get it.
type apiError struct {
	status              int
	code, message, hint string
}

// Error implements error.
func (e *apiError) Error() string { return e.message }

func (e *apiError) problem() map[string]any {
	return map[string]any{"error": problem{e.code, e.message, e.hint}}
}

// api makes a handler of one that needs somebody to be signed in. What changes anything needs the session's token in a
// header, which no page of another site can send.
func (a *App) api(handle func(http.ResponseWriter, *visit) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := &visit{Request: r, session: a.sessions.of(r)}
		if v.session == nil {
			writeJSON(w, errNoSession.status, errNoSession.problem())
			return
		}
		if wait := a.calls.Take(v.owner().String()); wait > 0 {
			slowDown(w, wait)
			return
		}
		if r.Method != http.MethodGet && !sameText(r.Header.Get("X-CSRF-Token"), v.session.csrf) {
			writeProblem(w, http.StatusForbidden, "csrf", "this page is too old", "load it again")
			return
		}
		if err := handle(w, v); err != nil {
			a.apiFailed(r.Context(), w, v, err)
		}
	}
}

func slowDown(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	writeProblem(w, http.StatusTooManyRequests, "slow_down", "that was too much at once", "wait a moment, then try again")
}

func (a *App) apiFailed(ctx context.Context, w http.ResponseWriter, v *visit, err error) {
	if shown, ok := errors.AsType[*apiError](err); ok {
		writeJSON(w, shown.status, shown.problem())
		return
	}
	a.cfg.Logger.ErrorContext(ctx, "request failed", slog.String("path", v.Pattern), slog.Any("error", err))
	writeProblem(w, http.StatusInternalServerError, "internal", "something went wrong here", "try again in a moment")
}

func (a *App) apiRoutes(mux *http.ServeMux) {
	const one = "/api/conversations/{id}"
	mux.HandleFunc("GET /api/conversations", a.api(a.listConversations))
	mux.HandleFunc("POST /api/conversations", a.api(a.createConversation))
	mux.HandleFunc("DELETE /api/conversations", a.api(func(w http.ResponseWriter, v *visit) error { return done(w, a.desk.removeAll(v.owner())) }))
	mux.HandleFunc("GET "+one, a.api(a.getConversation))
	mux.HandleFunc("DELETE "+one, a.api(func(w http.ResponseWriter, v *visit) error {
		return done(w, a.desk.remove(v.owner(), v.PathValue("id")))
	}))
	mux.HandleFunc("GET "+one+"/events", a.api(a.watch))
	mux.HandleFunc("POST "+one+"/messages", a.api(a.limitAsking(a.askQuestion)))
	mux.HandleFunc("POST "+one+"/retry", a.api(a.limitAsking(a.with(func(_ http.ResponseWriter, v *visit, t *talk) error { return t.retry(v.session) }))))
	mux.HandleFunc("POST "+one+"/stop", a.api(a.with(func(_ http.ResponseWriter, _ *visit, t *talk) error {
		t.stop("", nil)
		return nil
	})))
	mux.HandleFunc("POST "+one+"/messages/{message}/sources", a.api(a.limitAsking(a.with(func(_ http.ResponseWriter, v *visit, t *talk) error {
		var in struct {
			Confirm *string `json:"confirm"`
		}
		if v.ContentLength != 0 {
			if err := readJSON(v.Request, &in); err != nil {
				return err
			}
		}
		return t.refetch(v.Context(), v.session, v.PathValue("message"), in.Confirm)
	}))))
	mux.HandleFunc("POST "+one+"/calls/{call}", a.api(a.with(a.decideCall)))
	mux.HandleFunc("GET "+one+"/calls/{call}/chain", a.api(a.showChain))
	mux.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusNotFound, "not_found", "there is no such address", "")
	})
}

// done answers 204.
func done(w http.ResponseWriter, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// with opens the conversation that the path names and answers 202.
func (a *App) with(handle func(http.ResponseWriter, *visit, *talk) error) func(http.ResponseWriter, *visit) error {
	return func(w http.ResponseWriter, v *visit) error {
		t, err := a.desk.open(v.owner(), v.PathValue("id"))
		if err != nil {
			return err
		}
		defer a.desk.release(t)
		if err = handle(w, v, t); err == nil {
			writeJSON(w, http.StatusAccepted, map[string]string{"status": "accepted"})
		}
		return err
	}
}

func (a *App) listConversations(w http.ResponseWriter, v *visit) error {
	items, err := a.desk.list(v.owner())
	if err == nil {
		writeJSON(w, http.StatusOK, items)
	}
	return err
}

// createConversation makes a conversation; with a text in its body it begins with that question.
func (a *App) createConversation(w http.ResponseWriter, v *visit) error {
	var in struct {
		Text *string `json:"text"`
	}
	if v.ContentLength != 0 {
		if err := readJSON(v.Request, &in); err != nil {
			return err
		}
	}
	var id string
	var err error
	if in.Text != nil {
		id, err = a.begin(v, *in.Text)
	} else {
		id, err = a.desk.create(v.owner())
	}
	if err == nil {
		writeJSON(w, http.StatusCreated, map[string]string{"id": id})
	}
	return err
}

func (a *App) getConversation(w http.ResponseWriter, v *visit) error {
	t, err := a.desk.open(v.owner(), v.PathValue("id"))
	if err != nil {
		return err
	}
	defer a.desk.release(t)
	writeJSON(w, http.StatusOK, t.view())
	return nil
}

// limitAsking bounds how often a person asks: each question costs a model's answer.
func (a *App) limitAsking(handle func(http.ResponseWriter, *visit) error) func(http.ResponseWriter, *visit) error {
	return func(w http.ResponseWriter, v *visit) error {
		if wait := a.asks.Take(v.owner().String()); wait > 0 {
			slowDown(w, wait)
			return nil
		}
		return handle(w, v)
	}
}

func (a *App) askQuestion(w http.ResponseWriter, v *visit) error {
	var in struct {
		Text string `json:"text"`
	}
	if err := readJSON(v.Request, &in); err != nil {
		return err
	}
	text, err := question(in.Text)
	if err != nil {
		return err
	}
	t, err := a.desk.open(v.owner(), v.PathValue("id"))
	if err != nil {
		return err
	}
	defer a.desk.release(t)
	message, err := t.ask(v.session, text)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, map[string]any{"message": message, "conversation": map[string]string{"id": t.id, "title": t.view().Title}})
	return nil
}

// question is what a person asks, as it is taken.
func question(text string) (string, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n") // forms send lines so
	text = strings.TrimSpace(strings.ToValidUTF8(text, "\ufffd"))
	switch {
	case text == "":
		return "", &apiError{http.StatusBadRequest, "empty", "there is no question", "type one"}
	case utf8.RuneCountInString(text) > maxMessage:
		return "", &apiError{http.StatusRequestEntityTooLarge, "too_long", "a question has at most " + strconv.Itoa(maxMessage) + " characters", "ask with fewer words"}
	}
	return text, nil
}

func (a *App) decideCall(_ http.ResponseWriter, v *visit, t *talk) error {
	var in struct {
		Decision dialog.Decision `json:"decision"`
	}
	if err := readJSON(v.Request, &in); err != nil {
		return err
	}
	return decide(v, t, v.PathValue("call"), in.Decision)
}

func decide(v *visit, t *talk, call string, decision dialog.Decision) error {
	switch decision {
	case dialog.Allow, dialog.AllowAlways, dialog.Deny:
		return t.decide(move{v.session, call, decision})
	default:
		return &apiError{http.StatusBadRequest, "decision", "want allow, allow-always or deny", ""}
	}
}

// readJSON reads a request's body, which protect has bounded.
func readJSON(r *http.Request, into any) error {
	err := json.NewDecoder(r.Body).Decode(into)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return &apiError{http.StatusRequestEntityTooLarge, "too_large", "that is too large", "send less at once"}
	}
	if err != nil {
		return &apiError{http.StatusBadRequest, "json", "the request is not the JSON that is wanted", ""}
	}
	return nil
}
