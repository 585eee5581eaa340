package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// event is one event of a conversation, as it goes to all who watch.
type event struct {
	name string
	data []byte // JSON
}

func newEvent(name string, data any) event {
	text, err := json.Marshal(data)
	if err != nil {
		return event{"error", []byte(`{}`)}
	}
	return event{name, text}
}

// viewer is a page that watches a conversation. What it has not read yet is bounded: who falls behind gets the whole
// anew in place of what was missed.
type viewer struct {
	wake  chan struct{} // holds one
	drawn bool          // gets pieces of HTML: see draw.go

	mu      sync.Mutex
	waiting []event
	size    int
	behind  bool // what waited was dropped
	ended   bool
}

// maxWaiting bounds what waits for one page, in bytes.
const maxWaiting = 256 << 10

func newViewer(drawn bool) *viewer { return &viewer{wake: make(chan struct{}, 1), drawn: drawn} }

func (v *viewer) send(e event) {
	v.mu.Lock()
	switch {
	case v.behind:
	case v.size+len(e.data) > maxWaiting:
		v.waiting, v.size, v.behind = nil, 0, true
	default:
		v.waiting, v.size = append(v.waiting, e), v.size+len(e.data)
	}
	v.mu.Unlock()
	v.notify()
}

func (v *viewer) end() {
	v.mu.Lock()
	v.ended = true
	v.mu.Unlock()
	v.notify()
}

func (v *viewer) notify() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

func (v *viewer) take() (events []event, behind, ended bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	events, behind, ended = v.waiting, v.behind, v.ended
	v.waiting, v.size, v.behind = nil, 0, false
	return events, behind, ended
}

const (
	heartbeat    = 20 * time.Second // comments, by which proxies and browsers know that the stream lives
	writeTimeout = 10 * time.Second // of one write to a page that does not read
)

// watch is GET /api/conversations/{id}/events: first the whole conversation, then what changes. With as=page it tells it
// in HTML.
func (a *App) watch(w http.ResponseWriter, v *visit) error {
	t, err := a.desk.open(v.owner(), v.PathValue("id"))
	if err != nil {
		return err
	}
	defer a.desk.release(t)
	if !a.desk.admitViewer(v.owner()) {
		return &apiError{http.StatusTooManyRequests, "too_many_pages", "too many of your pages watch at once", "close some of them"}
	}
	defer a.desk.dismissViewer(v.owner())
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no")
	out := &stream{w: w, control: http.NewResponseController(w)}
	_ = out.control.SetReadDeadline(time.Time{}) // the server's own deadline for requests would end the stream
	w.WriteHeader(http.StatusOK)
	watcher := newViewer(v.URL.Query().Get("as") == "page")
	snapshot, err := t.join(watcher)
	if err != nil {
		return nil // the status is out: the page tries again
	}
	defer t.leave(watcher)
	out.write("retry: 1000\n\n")
	out.event(snapshot)
	a.follow(v, t, watcher, out)
	return nil
}

// follow writes events until somebody ends it.
func (a *App) follow(v *visit, t *talk, watcher *viewer, out *stream) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for out.err == nil {
		select {
		case <-v.Context().Done():
			return
		case <-v.session.over:
			if !v.session.wasReplaced() { // else the browser comes back with its new cookie
				out.event(event{"signed-out", []byte("{}")})
			}
			return
		case <-beat.C:
			if !a.sessions.stale(v.session) { // else over is closed now
				out.write(": here\n\n")
			}
		case <-watcher.wake:
			events, behind, ended := watcher.take()
			if behind {
				snapshot, err := t.snapshotEvent(watcher)
				if err != nil {
					return
				}
				events = []event{snapshot}
			}
			for _, e := range events {
				out.event(e)
			}
			if ended {
				return
			}
		}
	}
}

// stream writes server-sent events; after an error it does nothing.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	err     error
}

func (s *stream) event(e event) { s.write(fmt.Sprintf("event: %s\ndata: %s\n\n", e.name, e.data)) }

func (s *stream) write(text string) {
	if s.err != nil {
		return
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(writeTimeout)) //nolint:forbidigo // the kernel's clock, not ours
	if _, s.err = s.w.Write([]byte(text)); s.err == nil {
		s.err = s.control.Flush()
	}
}
