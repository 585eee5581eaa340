package web

import (
	"errors"
	"net/http"
	"unicode"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/internal/agent"
)

// Forms do what the API does for who has no scripts, and begin conversations for everybody. What cannot be done is said
// on the page that they lead to.

func (a *App) formRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /c", a.page(a.form(a.formBegin)))
	mux.HandleFunc("POST /c/{id}/ask", a.page(a.form(a.onTalk(a.formAsk))))
	mux.HandleFunc("POST /c/{id}/retry", a.page(a.form(a.onTalk(func(v *visit, t *talk) error {
		return a.asking(v, func() error { return t.retry(v.session) })
	}))))
	mux.HandleFunc("POST /c/{id}/stop", a.page(a.form(a.onTalk(func(_ *visit, t *talk) error {
		t.stop("", nil)
		return nil
	}))))
	mux.HandleFunc("POST /c/{id}/decide", a.page(a.form(a.onTalk(func(v *visit, t *talk) error {
		return decide(v, t, v.URL.Query().Get("call"), agent.Decision(v.PostForm.Get("decision")))
	}))))
	mux.HandleFunc("POST /c/{id}/delete", a.page(a.form(func(v *visit) (string, error) {
		return "/", a.desk.remove(v.owner(), v.PathValue("id"))
	})))
	mux.HandleFunc("POST /c/{id}/sources", a.page(a.refetchPage))
	mux.HandleFunc("POST /forget", a.page(a.form(func(v *visit) (string, error) { return "/me", a.desk.removeAll(v.owner()) })))
}

// form makes a handler of one that says where it leads to.
func (a *App) form(handle func(*visit) (path string, err error)) func(http.ResponseWriter, *visit) error {
	return func(w http.ResponseWriter, v *visit) error {
		if v.session == nil {
			return a.welcome(w, v, "")
		}
		if err := v.checkForm(); err != nil {
			return err
		}
		path, err := handle(v)
		if said, ok := errors.AsType[*apiError](err); ok && path != "" {
			v.session.say(&Notice{Kind: "bad", Text: sentence(said)})
		} else if err != nil {
			return err
		}
		redirect(w, path)
		return nil
	}
}

// onTalk opens the conversation that the path names, and leads back to it.
func (a *App) onTalk(handle func(*visit, *talk) error) func(*visit) (string, error) {
	return func(v *visit) (string, error) {
		t, err := a.desk.open(v.owner(), v.PathValue("id"))
		if err != nil {
			return "", err
		}
		defer a.desk.release(t)
		return "/c/" + t.id, handle(v, t)
	}
}

// formBegin begins a conversation with a question.
func (a *App) formBegin(v *visit) (string, error) {
	if _, err := question(v.PostForm.Get("text")); err != nil {
		return "/", err
	}
	id, err := a.desk.create(v.owner())
	if err != nil {
		return "/", err
	}
	t, err := a.desk.open(v.owner(), id)
	if err != nil {
		return "/", err
	}
	defer a.desk.release(t)
	return "/c/" + id, a.formAsk(v, t)
}

func (a *App) formAsk(v *visit, t *talk) error {
	text, err := question(v.PostForm.Get("text"))
	if err != nil {
		return err
	}
	return a.asking(v, func() error {
		_, err := t.ask(v.session, text)
		return err
	})
}

// errTooFast says that a person asks too often.
var errTooFast = &apiError{http.StatusTooManyRequests, "slow_down", "that was too much at once", "wait a moment, then try again"}

// asking bounds how often a person asks.
func (a *App) asking(v *visit, ask func() error) error {
	if a.asks.Take(v.owner().String()) > 0 {
		return errTooFast
	}
	return ask()
}

// sentence says an error of the API to a person.
func sentence(e *apiError) string {
	text := upperFirst(e.message) + "."
	if e.hint != "" {
		text += " " + upperFirst(e.hint) + "."
	}
	return text
}

func upperFirst(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}
