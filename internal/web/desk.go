package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/internal/history"
)

// Turns bounds what runs at once.
type Turns struct {
	PerPerson int // 0: 4
	Most      int // of all people; 0: 256
}

const (
	defaultPerPerson = 4
	defaultTurns     = 256

	maxViewersEach = 32   // pages of one person that watch
	maxViewers     = 8192 // of all
)

// desk is where conversations lie that somebody looks at, or that run. The others are in the history alone. Whose a
// conversation is stands in every question: there is no way to one without its person.
type desk struct {
	app *App

	mu      sync.Mutex
	talks   map[talkKey]*talk
	running map[history.Person]int
	viewers map[history.Person]int
	turns   int // of all people
	watched int // pages, of all people
	closed  bool
	work    sync.WaitGroup
}

type talkKey struct {
	owner history.Person
	id    string
}

func newDesk(a *App) *desk {
	return &desk{app: a, talks: map[talkKey]*talk{}, running: map[history.Person]int{}, viewers: map[history.Person]int{}}
}

var errNoConversation = &apiError{http.StatusNotFound, "not_found", "there is no such conversation of yours", "it may have been deleted"}

// open returns a person's conversation; release it afterwards.
func (d *desk) open(owner history.Person, id string) (*talk, error) {
	key := talkKey{owner, id}
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.talks[key]; t != nil {
		if t.deleted() {
			return nil, errNoConversation
		}
		t.users++
		return t, nil
	}
	item, body, err := d.app.cfg.History.Load(owner, id)
	if errors.Is(err, history.ErrNone) {
		return nil, errNoConversation
	}
	if err != nil {
		return nil, err
	}
	c, thin, err := unpack(body)
	if err != nil {
		return nil, err
	}
	c.Recover() // nothing runs of what is not on the desk
	t := &talk{desk: d, owner: owner, id: id, users: 1, item: item, conv: c, thin: thin, viewers: map[*viewer]struct{}{}}
	d.talks[key] = t
	return t, nil
}

func (d *desk) release(t *talk) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(d.talks, talkKey{t.owner, t.id})
	}
}

// list returns a person's conversations that hold anything.
func (d *desk) list(owner history.Person) ([]Item, error) {
	kept, err := d.app.cfg.History.List(owner)
	items := make([]Item, 0, len(kept))
	for _, item := range kept {
		if item.Title != "" {
			items = append(items, Item{ID: item.ID, Title: item.Title, Updated: item.Updated.UTC()})
		}
	}
	return items, err
}

// create makes a conversation, or returns the one that the person has without a question in it.
func (d *desk) create(owner history.Person) (string, error) {
	kept, err := d.app.cfg.History.List(owner)
	if err != nil {
		return "", err
	}
	for _, item := range kept {
		if item.Title == "" {
			return item.ID, nil
		}
	}
	now := d.app.cfg.Now()
	item := history.Item{ID: newID(), Created: now.UTC(), Updated: now}
	err = d.app.cfg.History.Save(owner, item, nil)
	if errors.Is(err, history.ErrFull) {
		return "", errFull
	}
	return item.ID, err
}

// remove forgets a conversation, running or not. It lies on the desk meanwhile, so that nobody else's copy of it is written
// back.
func (d *desk) remove(owner history.Person, id string) error {
	t, err := d.open(owner, id)
	if err != nil { // it is not there, or cannot be read
		return d.app.cfg.History.Delete(owner, id)
	}
	defer d.release(t)
	return t.remove(func() error { return d.app.cfg.History.Delete(owner, id) })
}

// removeAll forgets all conversations of a person: first those that are kept, which nobody can open then, then those that
// are open.
func (d *desk) removeAll(owner history.Person) error {
	_, err := d.app.cfg.History.Clear(owner)
	errs := []error{err}
	for _, t := range d.of(owner) {
		errs = append(errs, t.remove(func() error { return d.app.cfg.History.Delete(owner, t.id) }))
	}
	return errors.Join(errs...)
}

func (d *desk) of(owner history.Person) []*talk {
	d.mu.Lock()
	defer d.mu.Unlock()
	var mine []*talk
	for key, t := range d.talks {
		if key.owner == owner {
			mine = append(mine, t)
		}
	}
	return mine
}

// stop ends the turns of a person that this chain of sessions began.
func (d *desk) stop(owner history.Person, lineage string, cause error) {
	for _, t := range d.of(owner) {
		t.stop(lineage, cause)
	}
}

var (
	errBusyPerson = &apiError{http.StatusTooManyRequests, "slow_down", "several of your conversations are being answered", "wait until one of them is"}
	errBusyServer = &apiError{http.StatusServiceUnavailable, "busy_server", "too many people are being answered now", "try again in a moment"}
	errStopping   = &apiError{http.StatusServiceUnavailable, "stopping", "this server is being restarted", "try again in a moment"}
	errFull       = &apiError{http.StatusConflict, "full", "you have as many conversations as can be kept", "delete some of them first"}
	errTooLong    = &apiError{http.StatusConflict, "conversation_too_long", "this conversation is as long as can be kept", "go on in a new one"}
)

// admit counts a turn in, and keeps its conversation on the desk.
func (d *desk) admit(t *talk) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return errStopping
	case d.running[t.owner] >= d.app.cfg.Turns.PerPerson:
		return errBusyPerson
	case d.turns >= d.app.cfg.Turns.Most:
		return errBusyServer
	}
	d.running[t.owner]++
	d.turns++
	t.users++
	d.work.Add(1)
	return nil
}

func (d *desk) dismiss(t *talk) {
	d.mu.Lock()
	d.turns--
	if d.running[t.owner]--; d.running[t.owner] == 0 {
		delete(d.running, t.owner)
	}
	d.mu.Unlock()
	d.release(t)
	d.work.Done()
}

func (d *desk) admitViewer(owner history.Person) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.viewers[owner] >= maxViewersEach || d.watched >= maxViewers {
		return false
	}
	d.viewers[owner]++
	d.watched++
	return true
}

func (d *desk) dismissViewer(owner history.Person) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watched--
	if d.viewers[owner]--; d.viewers[owner] == 0 {
		delete(d.viewers, owner)
	}
}

// errRestart is why turns end when the process does: the person reads it.
var errRestart = errors.New("The server was restarted in the middle of this answer.") //nolint:staticcheck,revive // a sentence for people

// close ends all turns and streams, and waits for the turns.
func (d *desk) close() {
	d.mu.Lock()
	d.closed = true
	all := make([]*talk, 0, len(d.talks))
	for _, t := range d.talks {
		all = append(all, t)
	}
	d.mu.Unlock()
	for _, t := range all {
		t.stop("", errRestart)
		t.endViewers()
	}
	d.work.Wait()
	for _, t := range all {
		t.endViewers()
	}
}

// sweepEvery is how often what is too old is forgotten.
const sweepEvery = time.Hour

// sweep forgets what is too old, until the context ends.
func (d *desk) sweep(ctx context.Context) {
	if d.app.cfg.KeepDays <= 0 {
		<-ctx.Done()
		return
	}
	ticks := time.NewTicker(sweepEvery)
	defer ticks.Stop()
	for {
		before := d.app.cfg.Now().AddDate(0, 0, -d.app.cfg.KeepDays)
		if n, err := d.app.cfg.History.Sweep(before); err != nil {
			d.app.cfg.Logger.ErrorContext(ctx, "old conversations could not be forgotten", slog.Any("error", err))
		} else if n > 0 {
			d.app.cfg.Logger.InfoContext(ctx, "old conversations were forgotten", slog.Int("count", n))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}
