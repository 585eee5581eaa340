package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/internal/agent/dialog"
)

// Where only the ids of documents are kept, a person may have the sources of an answer fetched again: by the very calls
// that found them, as that person, with the rights of today. What comes is shown, and not kept. A call may do more than
// find: what does not run unasked by the operator's configuration is shown first, and made when the person has confirmed it.

// refetchTime bounds all calls of one answer.
const refetchTime = 30 * time.Second

// gone is the extract of a document that did not come back.
const gone = "You may not see this document today, or it is gone."

var (
	errNothingToFetch = &apiError{http.StatusConflict, "nothing_to_fetch", "the sources of this answer are all here", ""}
	errNotFetched     = &apiError{http.StatusConflict, "not_fetched", "the sources could not be fetched", "ask the question again"}
)

// thinCall reports whether of what a call returned nothing but ids was kept.
func thinCall(c *dialog.Call) bool {
	return c.State == dialog.Succeeded && c.Result == nil && len(c.Sources) > 0
}

// again is what a person has to confirm: calls of the turn that a message ends.
type again struct {
	message string
	calls   []dialog.Call
}

// showAgain puts what has to be confirmed below the answer that it is about. It is called with the mutex held.
func (t *talk) showAgain(view *Conversation) {
	if t.again == nil {
		return
	}
	if m := view.message(t.again.message); m != nil && m.Refetch {
		for i := range t.again.calls {
			m.Again = append(m.Again, t.desk.app.showCall(t.id, &t.again.calls[i]))
		}
	}
}

// refetch makes the calls of the turn that a message ends once more, as the session's person. Confirm holds the ids of
// the calls that the person has seen and confirmed; nil: none were shown yet, "": the person does not want it.
func (t *talk) refetch(ctx context.Context, s *session, message string, confirm *string) error {
	t.mu.Lock()
	err := t.ready()
	calls := t.thinCalls(message)
	if err == nil && t.again != nil {
		t.again = nil
		t.tell("snapshot", toldWhole{t.viewLocked()})
	}
	t.mu.Unlock()
	switch {
	case err != nil || confirm != nil && *confirm == "":
		return err
	case len(calls) == 0:
		return errNothingToFetch
	}
	var confirmed []string
	if confirm != nil {
		confirmed = strings.Fields(*confirm)
	}
	ctx, cancel := context.WithTimeout(ctx, refetchTime)
	defer cancel()
	person := t.desk.app.personFor(s)
	var group sync.WaitGroup
	for i := range calls {
		group.Go(func() {
			if made, err := t.desk.app.cfg.Agent.Repeat(ctx, person, calls[i], slices.Contains(confirmed, calls[i].ID)); err == nil {
				calls[i] = made
			}
		})
	}
	group.Wait()
	return t.take(message, calls)
}

// take shows what came of calls that were made again, and asks about those that were not.
func (t *talk) take(message string, calls []dialog.Call) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fetched == nil {
		t.fetched = map[string]*dialog.Call{}
	}
	var failed error
	ask := &again{message: message}
	for i := range calls {
		c := &calls[i]
		switch {
		case c.State == dialog.Succeeded && c.Result != nil:
			t.fetched[c.ID] = c
		case c.State == dialog.Asking:
			ask.calls = append(ask.calls, *c)
		case c.Refusal != nil:
			failed = &apiError{http.StatusConflict, "refused", trimmed(c.Refusal.Text), "ask the question again: then you can do something about it"}
		case failed == nil:
			failed = errNotFetched
		}
	}
	if t.again = nil; len(ask.calls) > 0 && t.run == nil {
		t.again = ask
	}
	t.tell("snapshot", toldWhole{t.viewLocked()})
	return failed
}

// trimmed is a sentence without its end, as errors are.
func trimmed(sentence string) string {
	if n := len(sentence); n > 0 && sentence[n-1] == '.' {
		return sentence[:n-1]
	}
	return sentence
}

// thinCalls returns copies of what a turn could fetch again. It is called with the mutex held.
func (t *talk) thinCalls(message string) []dialog.Call {
	at := slices.IndexFunc(t.conv.Messages, func(m dialog.Message) bool { return m.ID == message })
	var out []dialog.Call
	for ; at >= 0 && t.conv.Messages[at].Role == dialog.Assistant; at-- {
		for i := range t.conv.Messages[at].Calls {
			if c := &t.conv.Messages[at].Calls[i]; thinCall(c) && t.fetched[c.ID] == nil {
				out = append(out, *c)
			}
		}
	}
	return out
}

// withFetched is the conversation as it is shown, with what was fetched again. It is called with the mutex held.
func (t *talk) withFetched() *dialog.Conversation {
	if len(t.fetched) == 0 {
		return t.conv
	}
	out := t.conv.Clone()
	for i := range out.Messages {
		for j := range out.Messages[i].Calls {
			c := &out.Messages[i].Calls[j]
			if again := t.fetched[c.ID]; again != nil && thinCall(c) {
				fill(c, again)
			}
		}
	}
	return out
}

// fill puts what came back into a call of which the sources' ids were kept.
func fill(c, again *dialog.Call) {
	c.Result, c.Chain, c.Started, c.Took = again.Result, again.Chain, again.Started, again.Took
	for i := range c.Sources {
		c.Sources[i].Extract = gone
		for _, s := range again.Sources {
			if s.N == c.Sources[i].N {
				c.Sources[i] = s
			}
		}
	}
}

// refetchPage is the form for who has no scripts: it answers with the page, since what was fetched is kept nowhere.
func (a *App) refetchPage(w http.ResponseWriter, v *visit) error {
	if v.session == nil {
		return a.welcome(w, v, "/c/"+v.PathValue("id"))
	}
	if err := v.checkForm(); err != nil {
		return err
	}
	t, err := a.desk.open(v.owner(), v.PathValue("id"))
	if err != nil {
		return err
	}
	defer a.desk.release(t)
	var confirm *string
	if v.PostForm.Has("confirm") {
		confirm = new(v.PostForm.Get("confirm"))
	}
	err = a.asking(v, func() error { return t.refetch(v.Context(), v.session, v.URL.Query().Get("message"), confirm) })
	if said, ok := err.(*apiError); ok { //nolint:errorlint // it is returned as it is
		v.session.say(&Notice{Kind: "bad", Text: sentence(said)})
	} else if err != nil {
		return err
	}
	view := t.view()
	return a.showChat(w, v, &view, unsent{})
}
