package bearer

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Raise turns the answer of the HTTP request under way into the challenge: status and headers come from it, the body
// stays what the MCP server writes, so it should be a JSON-RPC error that says the same in words. ctx is that of a
// tool or of anything else below [Verifier.Middleware].
//
// It returns false when bytes of the answer are out already, as after a progress notification, or when the request did
// not come through the middleware: then the refusal has to be told in words alone. The last of several challenges
// counts.
func Raise(ctx context.Context, c *Challenge) bool {
	s, _ := ctx.Value(slotKey{}).(*slot)
	if s == nil || c == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.committed {
		return false
	}
	s.challenge = c
	return true
}

// slot is where the challenge of one HTTP request waits until its first byte goes out.
type slot struct {
	mu        sync.Mutex
	challenge *Challenge
	committed bool
}

type slotKey struct{}

// lateWriter writes nothing before the handler does. It has no Unwrap, so that nothing gets past it: what a handler may
// do by [http.ResponseController] stands here, taking over the connection does not.
type lateWriter struct {
	http.ResponseWriter
	slot    *slot
	server  about
	unframe bool   // the server framed the refusal as an event: take the frame off
	line    []byte // an incomplete line of such an event
}

func (w *lateWriter) commit(status int) {
	w.slot.mu.Lock()
	defer w.slot.mu.Unlock()
	if w.slot.committed {
		return
	}
	w.slot.committed = true
	if c := w.slot.challenge; c != nil {
		w.unframe = strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream")
		c.setHeaders(w.Header(), w.server)
		status = c.status()
	}
	w.ResponseWriter.WriteHeader(status)
}

// WriteHeader implements [http.ResponseWriter].
func (w *lateWriter) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		return // an interim answer would be out before the final one is known
	}
	w.commit(status)
}

// Write implements [http.ResponseWriter].
func (w *lateWriter) Write(b []byte) (int, error) {
	w.commit(http.StatusOK)
	if !w.unframe {
		return w.ResponseWriter.Write(b)
	}
	for line := range bytes.Lines(b) {
		w.line = append(w.line, line...)
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		data, isData := bytes.CutPrefix(w.line, []byte("data:"))
		w.line = nil
		if !isData {
			continue
		}
		if _, err := w.ResponseWriter.Write(bytes.TrimPrefix(data, []byte(" "))); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// FlushError is what [http.ResponseController] calls.
func (w *lateWriter) FlushError() error {
	w.commit(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// SetReadDeadline is what [http.ResponseController] calls, as are the next two.
func (w *lateWriter) SetReadDeadline(deadline time.Time) error {
	return http.NewResponseController(w.ResponseWriter).SetReadDeadline(deadline)
}

// SetWriteDeadline: see SetReadDeadline.
func (w *lateWriter) SetWriteDeadline(deadline time.Time) error {
	return http.NewResponseController(w.ResponseWriter).SetWriteDeadline(deadline)
}

// EnableFullDuplex: see SetReadDeadline.
func (w *lateWriter) EnableFullDuplex() error {
	return http.NewResponseController(w.ResponseWriter).EnableFullDuplex()
}

// Flush implements [http.Flusher].
func (w *lateWriter) Flush() { _ = w.FlushError() }
