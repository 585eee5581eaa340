package web

import (
	"errors"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/internal/agent/dialog"
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
		return decide(v, t, v.URL.Query().Get("call"), dialog.Decision(v.PostForm.Get("decision")))
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
			_ = v.ParseForm() // what cannot be read cannot be kept
			return a.welcome(w, v, backTo(v))
		}
		if err := v.checkForm(); err != nil {
			return err
		}
		path, err := handle(v)
		said, ok := errors.AsType[*apiError](err)
		switch {
		case err == nil:
		case !ok || path == "":
			return err
		case v.PostForm.Get(fieldText) != "":
			return a.notAsked(w, v, path, said)
		default:
			v.session.say(&Notice{Kind: "bad", Text: sentence(said)})
		}
		redirect(w, path)
		return nil
	}
}

// fieldText is the field of forms that holds a question.
const fieldText = "text"

// backTo is the page of the conversation that a form is about, or the start.
func backTo(v *visit) string {
	if id := v.PathValue("id"); id != "" {
		return "/c/" + id
	}
	return ""
}

// notAsked shows the page that a question was asked on, with why it could not be taken, and with the question: what a
// person has typed is not lost.
func (a *App) notAsked(w http.ResponseWriter, v *visit, path string, why *apiError) error {
	kept := unsent{status: why.status, notice: &Notice{Kind: "bad", Text: sentence(why)}, text: v.PostForm.Get(fieldText)}
	id, ok := strings.CutPrefix(path, "/c/")
	if !ok {
		return a.showChat(w, v, nil, kept)
	}
	t, err := a.desk.open(v.owner(), id)
	if err != nil {
		return err
	}
	defer a.desk.release(t)
	view := t.view()
	return a.showChat(w, v, &view, kept)
}

// unsent is a question that could not be taken, and why. The zero value is none.
type unsent struct {
	status int
	notice *Notice
	text   string
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
	id, err := a.begin(v, v.PostForm.Get(fieldText))
	if id == "" {
		return "/", err
	}
	return "/c/" + id, err
}

// begin begins a conversation with a question. With an id there may be an error: there is a conversation then, and the
// question is not in it.
func (a *App) begin(v *visit, text string) (id string, err error) {
	if _, err = question(text); err != nil {
		return "", err
	}
	if id, err = a.desk.create(v.owner()); err != nil {
		return "", err
	}
	t, err := a.desk.open(v.owner(), id)
	if err != nil {
		return "", err
	}
	defer a.desk.release(t)
	return id, a.askIn(v, t, text)
}

func (a *App) formAsk(v *visit, t *talk) error { return a.askIn(v, t, v.PostForm.Get(fieldText)) }

func (a *App) askIn(v *visit, t *talk, text string) error {
	text, err := question(text)
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
