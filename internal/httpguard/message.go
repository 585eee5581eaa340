package httpguard

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
)

// oneMessage reads a request's body, up to the limit, and refuses what the MCP server would read in more than one way:
// a batch (JSON-RPC's, which MCP has dropped, and behind which calls hide from whatever looks at one message), and two
// protocol versions. A request without the version header is left as it is: it means 2025-03-26, which old clients
// speak.
//
// https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
func (g *Guard) oneMessage(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Mcp-Protocol-Version", "Mcp-Session-Id", "Mcp-Method", "Mcp-Name", "Content-Type"} {
			if len(r.Header[name]) > 1 {
				refuse(w, http.StatusBadRequest, codeInvalidRequest, "a header comes twice: "+name)
				return
			}
		}
		if r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, g.cfg.MaxBody))
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			refuse(w, http.StatusRequestEntityTooLarge, codeInvalidRequest, "the request is too large")
			return
		}
		if err != nil {
			refuse(w, http.StatusBadRequest, codeInvalidRequest, "the request could not be read")
			return
		}
		if text := bytes.TrimLeft(body, " \t\r\n\ufeff"); len(text) > 0 && text[0] == '[' {
			refuse(w, http.StatusBadRequest, codeInvalidRequest, "batches are not supported: send one message a request")
			return
		}
		r.Body = &message{bytes.NewReader(body), body}
		next.ServeHTTP(w, r)
	})
}

// message is a body that was read already.
type message struct {
	*bytes.Reader
	text []byte
}

// Close implements [io.Closer].
func (*message) Close() error { return nil }

// Answer chooses how a message is answered: as a stream of events when the client asked to hear of progress or wants to
// listen, or when the message holds one of the words, otherwise in one piece of JSON, which costs less and passes every
// proxy. A wrong guess is harmless: clients must accept both.
func Answer(inJSON, inEvents http.Handler, words ...string) http.Handler {
	words = append([]string{`"progressToken"`, `"subscriptions/listen"`}, words...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := r.Body.(*message)
		streams := ok && slices.ContainsFunc(words, func(word string) bool { return bytes.Contains(body.text, []byte(word)) })
		if !streams || !strings.Contains(strings.Join(r.Header["Accept"], ","), "text/event-stream") {
			inJSON.ServeHTTP(w, r)
			return
		}
		w.Header().Set("X-Accel-Buffering", "no") // a proxy that collects events would keep progress to itself
		inEvents.ServeHTTP(w, r)
	})
}
