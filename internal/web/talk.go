package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/dialog"
	"github.com/onbehalf/onbehalf/internal/history"
)

// talk is a conversation on the desk.
type talk struct {
	desk  *desk
	owner history.Person
	id    string
	users int // guarded by the desk's mutex

	saving sync.Mutex // held while the history is written; taken before mu is not: never both

	mu       sync.Mutex
	gone     bool // deleted
	item     history.Item
	conv     *dialog.Conversation    // while a turn runs it belongs to the agent
	thin     map[string]bool         // messages whose text was not kept
	fetched  map[string]*dialog.Call // by id: what was not kept, fetched again to be shown
	again    *again                  // what would be fetched again, if the person confirms it
	shown    *Conversation           // while a turn runs
	run      *run                    // nil: none runs
	later    []move                  // what the person decided while a turn ran
	refusals map[string]*dialog.Call // refused in the turn that runs
	viewers  map[*viewer]struct{}
}

// run is a turn at work.
type run struct {
	cancel  context.CancelCauseFunc
	lineage string // of the session that began it
	drawn   time.Time
	saver   *saver
}

// move is what a person decides about a call.
type move struct {
	session  *session
	call     string
	decision dialog.Decision // "": what was refused may run again
}

func (m move) apply(c *dialog.Conversation) error {
	if m.decision == "" {
		return c.Resume(m.call)
	}
	return c.Answer(m.call, m.decision)
}

var (
	errBusy       = &apiError{http.StatusConflict, "busy", "this conversation is being answered", "stop it first, or wait"}
	errNotWaiting = &apiError{http.StatusConflict, "not_waiting", "this call does not wait for an answer", "it may have been answered in another window"}
	errNoSession  = &apiError{http.StatusUnauthorized, "signed_out", "you are not signed in", "sign in again"}
	errNoAnswer   = &apiError{http.StatusConflict, "nothing_to_retry", "there is no answer to ask for again", ""}
)

func (t *talk) deleted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.gone
}

// view returns the conversation as it is shown now.
func (t *talk) view() Conversation {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.viewLocked()
}

func (t *talk) viewLocked() Conversation {
	if t.shown != nil {
		return t.shown.clone()
	}
	view := t.desk.app.show(t.item, t.withFetched(), t.thin)
	t.showAgain(&view)
	return view
}

func (t *talk) snapshotEvent(v *viewer) (event, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone {
		return event{}, errNoConversation
	}
	return t.eventFor(v.drawn, "snapshot", toldWhole{t.viewLocked()}), nil
}

// join adds a viewer and returns the whole; whatever changes afterwards reaches the viewer.
func (t *talk) join(v *viewer) (event, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone {
		return event{}, errNoConversation
	}
	t.viewers[v] = struct{}{}
	return t.eventFor(v.drawn, "snapshot", toldWhole{t.viewLocked()}), nil
}

func (t *talk) eventFor(drawn bool, name string, data any) event {
	if drawn {
		return t.desk.app.drawnEvent(t.id, name, data)
	}
	return newEvent(name, data)
}

func (t *talk) leave(v *viewer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.viewers, v)
}

func (t *talk) endViewers() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for v := range t.viewers {
		v.end()
	}
}

// tell is called with the mutex held.
func (t *talk) tell(name string, data any) {
	made := map[bool]event{}
	for v := range t.viewers {
		if _, ok := made[v.drawn]; !ok {
			made[v.drawn] = t.eventFor(v.drawn, name, data)
		}
		v.send(made[v.drawn])
	}
}

// ask appends a question and runs it.
func (t *talk) ask(s *session, text string) (Message, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.ready(); err != nil {
		return Message{}, err
	}
	a := t.desk.app
	now := a.cfg.Now()
	before := t.conv.Clone()
	t.conv.Ask(newID(), text, now.UTC())
	named := t.item.Title == ""
	if named {
		t.item.Title = titleOf(text)
	}
	t.item.Updated = now
	if err := t.start(s); err != nil {
		t.conv = before
		if named {
			t.item.Title = ""
		}
		return Message{}, err
	}
	if named {
		t.tell("item", Item{ID: t.id, Title: t.item.Title, Updated: now.UTC()})
	}
	asked := t.shown.Messages[len(t.shown.Messages)-1]
	t.tell("snapshot", toldWhole{*t.shown}) // what waited before was given up
	return asked, nil
}

// retry drops the last answer and asks again.
func (t *talk) retry(s *session) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.ready(); err != nil {
		return err
	}
	before := t.conv.Clone()
	if !t.conv.Retry() && len(t.conv.Messages) == 0 {
		return errNoAnswer
	}
	if err := t.start(s); err != nil {
		t.conv = before
		return err
	}
	t.tell("snapshot", toldWhole{*t.shown})
	return nil
}

// decide applies what a person decided about a call, now or when what runs has ended.
func (t *talk) decide(m move) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone {
		return errNoConversation
	}
	if t.run != nil {
		if !t.shown.awaits(m.call) {
			return errNotWaiting
		}
		t.later = append(t.later, m)
		return nil
	}
	before := t.conv.Clone()
	if err := m.apply(t.conv); err != nil {
		return errNotWaiting
	}
	if err := t.start(m.session); err != nil {
		t.conv = before
		return err
	}
	t.tell("snapshot", toldWhole{*t.shown})
	return nil
}

// awaits reports whether a call waits for its person.
func (c *Conversation) awaits(call string) bool {
	for i := range c.Messages {
		for j := range c.Messages[i].Calls {
			one := &c.Messages[i].Calls[j]
			if one.ID == call {
				return one.State == string(dialog.Asking) || one.Refusal.Button != nil
			}
		}
	}
	return false
}

// refused returns a call's server and why it was refused, or nil.
func (t *talk) refused(call string) (server string, r *dialog.Refusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.refusals[call]; c != nil {
		return c.Server, c.Refusal
	}
	if t.run != nil || t.gone {
		return "", nil
	}
	for i := range t.conv.Messages {
		for j := range t.conv.Messages[i].Calls {
			if c := &t.conv.Messages[i].Calls[j]; c.ID == call && c.State == dialog.Refused && c.Refusal != nil {
				return c.Server, new(*c.Refusal)
			}
		}
	}
	return "", nil
}

// ready reports why nothing may be asked now.
func (t *talk) ready() error {
	switch {
	case t.gone:
		return errNoConversation
	case t.run != nil:
		return errBusy
	default:
		return nil
	}
}

// goOn runs what was approved and not run before the process ended.
func (t *talk) goOn(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.gone && t.run == nil && t.conv.Phase() == dialog.PhaseRunning {
		_ = t.start(s) // busy: the next visit tries again
	}
}

// maxKept is up to which size a conversation may begin another turn: what is kept has room for one turn more.
const maxKept = history.MaxBody / 2

// start runs the conversation. It is called with the mutex held, as stop is: a turn that begins before its session ends is
// found there.
func (t *talk) start(s *session) error {
	if s.ended() {
		return errNoSession
	}
	a := t.desk.app
	body, err := pack(t.conv, t.thin, a.cfg.IDsOnly)
	if err != nil {
		return err
	}
	if len(body) > maxKept {
		return errTooLong
	}
	if err := t.desk.admit(t); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(context.Background()) // it outlives the request that began it
	shown := a.show(t.item, t.withFetched(), t.thin)
	shown.State = string(dialog.PhaseRunning)
	t.again = nil
	t.shown, t.run = &shown, &run{cancel: cancel, lineage: s.lineage, saver: newSaver(t)}
	t.refusals = map[string]*dialog.Call{}
	t.run.saver.put(t.item, body)
	person := a.personFor(s)
	go t.work(ctx, t.run, person)
	return nil
}

// work is the goroutine of a turn; the desk waits for it.
func (t *talk) work(ctx context.Context, r *run, person agent.Person) {
	a := t.desk.app
	defer t.desk.dismiss(t)
	defer r.cancel(nil)
	err := a.cfg.Agent.Run(ctx, person, t.conv, func(e agent.Event) { t.emit(r, e) })
	if err != nil {
		a.cfg.Logger.ErrorContext(ctx, "a turn failed", slog.Any("error", err))
		t.conv.GiveUp()
		if n := len(t.conv.Messages); n > 0 && t.conv.Messages[n-1].Role == dialog.User {
			t.conv.Messages = append(t.conv.Messages, dialog.Message{ID: newID(), Role: dialog.Assistant, At: a.cfg.Now().UTC()})
		}
		last := &t.conv.Messages[len(t.conv.Messages)-1]
		last.State, last.Failure = dialog.Failed, "This could not be answered: something is wrong here, not with your question."
	}
	t.mu.Lock()
	t.item.Updated = a.cfg.Now()
	body, packErr := pack(t.conv, t.thin, a.cfg.IDsOnly)
	if packErr == nil {
		r.saver.put(t.item, body)
	}
	t.mu.Unlock()
	r.saver.close()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.run, t.shown, t.refusals = nil, nil, nil
	if err != nil {
		t.tell("snapshot", toldWhole{t.viewLocked()})
	}
	if !t.applyLater() { //nolint:contextcheck // a turn outlives what began it
		t.tell("state", map[string]string{"state": string(t.conv.Phase())})
	}
}

// applyLater goes on with what was decided meanwhile, and reports whether there was anything. It is called with the
// mutex held, after a turn.
func (t *talk) applyLater() bool {
	moves := t.later
	t.later = nil
	var last *session
	for _, m := range moves {
		if !m.session.ended() && m.apply(t.conv) == nil {
			last = m.session
		}
	}
	if last == nil || t.gone || t.start(last) != nil {
		return false
	}
	t.tell("snapshot", toldWhole{*t.shown})
	return true
}

// drawEvery is how often the whole HTML of a growing text goes out.
const drawEvery = 80 * time.Millisecond

// saveEvery is how much of a growing text may be lost when the process is killed.
const saveEvery = 3 * time.Second

// emit shows what happens in a turn. While it runs the conversation may be read.
func (t *talk) emit(r *run, e agent.Event) {
	a := t.desk.app
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shown == nil {
		return
	}
	save := true
	switch e.Kind {
	case agent.EventText:
		save = a.cfg.Now().Sub(r.saver.last) > saveEvery
		t.emitText(r, e)
	case agent.EventCall:
		m := t.shown.message(e.Message)
		if m == nil || e.Call == nil {
			return
		}
		if e.Call.State == dialog.Refused {
			t.refusals[e.Call.ID] = e.Call
		} else {
			delete(t.refusals, e.Call.ID)
		}
		call := a.showCall(t.id, e.Call)
		m.put(call)
		t.shown.finishTurns()
		t.tell("call", toldCall{e.Message, call, m})
	case agent.EventMessage:
		t.emitMessage(e)
	case agent.EventState:
		save = false
		if e.Phase == dialog.PhaseRunning { // that it has ended is told when it has
			t.shown.State = string(e.Phase)
			t.tell("state", map[string]string{"state": string(e.Phase)})
		}
	}
	if save {
		if body, err := pack(t.conv, t.thin, a.cfg.IDsOnly); err == nil {
			r.saver.put(t.item, body)
		}
	}
}

func (t *talk) emitText(r *run, e agent.Event) {
	m := t.shown.message(e.Message)
	if m == nil {
		return
	}
	m.Text += e.Text
	data := map[string]any{"message": e.Message, "text": e.Text}
	if now := t.desk.app.cfg.Now(); now.Sub(r.drawn) >= drawEvery {
		r.drawn = now
		m.HTML = t.desk.app.markdown.HTML(m.Text)
		t.shown.finishTurns()
		data["html"] = m.HTML
	}
	t.tell("text", data)
}

func (t *talk) emitMessage(e agent.Event) {
	a := t.desk.app
	for i := range t.conv.Messages {
		m := &t.conv.Messages[i]
		if m.ID != e.Message {
			continue
		}
		next := a.showMessage(t.id, m, t.thin[m.ID])
		old := t.shown.message(m.ID)
		if old != nil {
			*old = next
		} else {
			t.shown.Messages = append(t.shown.Messages, next)
		}
		t.shown.finishTurns()
		if n := len(t.shown.Messages); old == nil && n > 1 && t.shown.Messages[n-2].Role != string(dialog.User) {
			t.tell("message", toldMessage{t.shown.Messages[n-2]}) // it is not the last of its turn any more
		}
		t.tell("message", toldMessage{*t.shown.message(m.ID)})
		return
	}
}

// put adds a call, or replaces it.
func (m *Message) put(call Call) {
	for i := range m.Calls {
		if m.Calls[i].ID == call.ID {
			m.Calls[i] = call
			return
		}
	}
	m.Calls = append(m.Calls, call)
}

// stop ends the turn that runs, if it was begun in these sessions ("": whoever began it).
func (t *talk) stop(lineage string, cause error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.run != nil && (lineage == "" || lineage == t.run.lineage) {
		t.later = nil
		t.run.cancel(cause)
	}
}

// remove forgets the conversation: nothing writes it again.
func (t *talk) remove(forget func() error) error {
	t.stop("", context.Canceled)
	t.mu.Lock()
	t.gone = true
	t.tell("gone", struct{}{})
	for v := range t.viewers {
		v.end()
	}
	t.mu.Unlock()
	t.saving.Lock()
	defer t.saving.Unlock()
	return forget()
}

// saver writes the newest state of a conversation, beside the turn: a slow disk does not hold the answer back.
type saver struct {
	talk *talk
	last time.Time // put; guarded by the talk's mutex

	mu      sync.Mutex
	item    history.Item
	body    []byte
	closed  bool
	working bool
	idle    *sync.Cond
}

func newSaver(t *talk) *saver {
	s := &saver{talk: t}
	s.idle = sync.NewCond(&s.mu)
	return s
}

// put is called with the talk's mutex held.
func (s *saver) put(item history.Item, body []byte) {
	s.last = s.talk.desk.app.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.item, s.body = item, body
	if !s.working && !s.closed {
		s.working = true
		go s.write()
	}
}

func (s *saver) write() {
	for {
		s.mu.Lock()
		item, body := s.item, s.body
		s.body = nil
		if body == nil {
			s.working = false
			s.idle.Broadcast()
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if err := s.talk.keep(item, body); err != nil {
			s.talk.desk.app.cfg.Logger.Error("a conversation could not be kept", slog.Any("error", err))
		}
	}
}

// close waits until everything is written.
func (s *saver) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.working {
		s.idle.Wait()
	}
	s.closed = true
}

// keep writes to the history, unless the conversation was deleted.
func (t *talk) keep(item history.Item, body []byte) error {
	t.saving.Lock()
	defer t.saving.Unlock()
	if t.deleted() {
		return nil
	}
	err := t.desk.app.cfg.History.Save(t.owner, item, body)
	if errors.Is(err, history.ErrFull) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.tell("full", errFull.problem())
	}
	return err
}
