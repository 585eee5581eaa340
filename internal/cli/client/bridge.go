package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
)

// Bounds of the bridge.
const (
	maxMessage    = 4 << 20
	maxConcurrent = 32
)

// bridge passes JSON-RPC messages between lines on one side and streamable HTTP on the other. It understands of them
// only what HTTP needs: the id of a request, its method and name, and the protocol version.
//
// https://modelcontextprotocol.io/specification/2025-11-25/basic/transports
type bridge struct {
	client  *http.Client
	handler auth.OAuthHandler
	server  string
	logger  *slog.Logger
	timeout time.Duration // of one request; 0: none
	explain func(ctx context.Context, err error) string

	outMu sync.Mutex
	out   io.Writer

	mu      sync.Mutex
	session string // Mcp-Session-Id, of servers before 2026-07-28
	version string // negotiated by initialize
	pending map[string]context.CancelFunc
	work    sync.WaitGroup
	life    context.Context //nolint:containedctx // of run: the stream of listen lives as long
}

// envelope is what the bridge reads of a message.
type envelope struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Name      string          `json:"name"`
		URI       string          `json:"uri"`
		RequestID json.RawMessage `json:"requestId"`
		Meta      struct {
			Version string `json:"io.modelcontextprotocol/protocolVersion"`
		} `json:"_meta"`
	} `json:"params"`
}

// rpcError is what JSON-RPC says of a failure.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// run reads lines until the input or the context ends.
func (b *bridge) run(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	b.pending, b.life = map[string]context.CancelFunc{}, ctx
	lines, readErr := make(chan []byte), make(chan error, 1)
	go func() { // a read of standard input cannot be ended: it is left behind when the context ends first
		readErr <- readLines(ctx, in, lines)
		close(lines)
	}()
	slots := make(chan struct{}, maxConcurrent)
	defer func() {
		b.drain(ctx)
		cancel()
		b.work.Wait()
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case line, ok := <-lines:
			if !ok {
				return <-readErr
			}
			b.accept(ctx, line, slots)
		}
	}
}

func readLines(ctx context.Context, in io.Reader, lines chan<- []byte) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 64<<10), maxMessage)
	for scanner.Scan() {
		line := bytes.TrimSpace(scanner.Bytes())
		if len(line) == 0 {
			continue
		}
		select {
		case lines <- bytes.Clone(line):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return scanner.Err()
}

// accept passes one message on. Requests run side by side; initialize and notifications keep their place.
func (b *bridge) accept(ctx context.Context, line []byte, slots chan struct{}) {
	var e envelope
	if err := json.Unmarshal(line, &e); err != nil || line[0] != '{' {
		b.fail(nil, -32700, "not a JSON-RPC message (batches are not passed on)")
		return
	}
	if e.Method == "" || len(e.ID) == 0 || e.Method == "initialize" {
		b.pass(ctx, e, line)
		b.cancelled(e)
		return
	}
	requestCtx, cancel := context.WithCancel(ctx)
	b.mu.Lock()
	b.pending[string(e.ID)] = cancel
	b.mu.Unlock()
	slots <- struct{}{}
	b.work.Go(func() {
		defer func() {
			<-slots
			cancel()
			b.mu.Lock()
			delete(b.pending, string(e.ID))
			b.mu.Unlock()
		}()
		b.pass(requestCtx, e, line)
	})
}

// cancelled ends the HTTP request of a request that the client has cancelled: since 2026-07-28 that is the cancellation.
func (b *bridge) cancelled(e envelope) {
	if e.Method != "notifications/cancelled" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if cancel, ok := b.pending[string(e.Params.RequestID)]; ok {
		cancel()
	}
}

// pass sends a message and writes what comes back; a failure of ours becomes the answer to the request.
func (b *bridge) pass(ctx context.Context, e envelope, line []byte) {
	if b.timeout > 0 && e.Method != "subscriptions/listen" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, b.timeout, fmt.Errorf("no answer within %s", b.timeout))
		defer cancel()
	}
	resp, err := b.post(ctx, e, line)
	if err == nil {
		err = b.answer(e, resp)
	}
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	text := b.explain(ctx, err)
	if len(e.ID) == 0 || e.Method == "" {
		b.logger.WarnContext(ctx, "a message was not passed on", slog.String("method", e.Method), slog.String("why", text))
		return
	}
	b.fail(e.ID, -32000, text)
}

// post sends the message, once more after a challenge that was answered.
func (b *bridge) post(ctx context.Context, e envelope, line []byte) (*http.Response, error) {
	for attempt := 0; ; attempt++ {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.server, bytes.NewReader(line))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		if err = b.headers(ctx, req, e); err != nil {
			return nil, err
		}
		resp, err := b.client.Do(req)
		if err != nil {
			return nil, err
		}
		refused := resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden
		if !refused || attempt > 0 {
			return resp, nil
		}
		if err := b.handler.Authorize(ctx, req, resp); err != nil {
			return nil, err
		}
	}
}

// headers are the token and what the protocol repeats of the message, for proxies on the way.
func (b *bridge) headers(ctx context.Context, req *http.Request, e envelope) error {
	source, err := b.handler.TokenSource(ctx)
	if err != nil {
		return err
	}
	if source != nil {
		token, err := source.Token()
		if err != nil {
			return err
		}
		token.SetAuthHeader(req)
	}
	b.mu.Lock()
	session, version := b.session, b.version
	b.mu.Unlock()
	if e.Params.Meta.Version != "" {
		version = e.Params.Meta.Version
	}
	if session != "" {
		req.Header.Set("Mcp-Session-Id", session)
	}
	if version != "" {
		req.Header.Set("Mcp-Protocol-Version", version)
	}
	if version >= "2026-07-28" && e.Method != "" {
		req.Header.Set("Mcp-Method", e.Method)
		if name := e.name(); name != "" {
			req.Header.Set("Mcp-Name", name)
		}
	}
	return nil
}

// name is what the header Mcp-Name repeats.
func (e envelope) name() string {
	switch e.Method {
	case "tools/call", "prompts/get":
		return e.Params.Name
	case "resources/read":
		return e.Params.URI
	}
	return ""
}

// answer writes what the server answered.
func (b *bridge) answer(e envelope, resp *http.Response) error {
	defer resp.Body.Close()
	if id := resp.Header.Get("Mcp-Session-Id"); id != "" && e.Method == "initialize" {
		b.mu.Lock()
		b.session = id
		b.mu.Unlock()
	}
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case mediaType == "text/event-stream" && resp.StatusCode == http.StatusOK:
		return b.stream(e, resp.Body)
	case resp.StatusCode == http.StatusAccepted || resp.StatusCode == http.StatusNoContent || len(e.ID) == 0 && resp.StatusCode == http.StatusOK:
		return nil
	case mediaType == "application/json":
		body, err := limited(resp.Body, maxMessage)
		if err != nil {
			return err
		}
		if isResponse(body) {
			return b.write(e, body)
		}
	}
	return fmt.Errorf("the server answered HTTP %d", resp.StatusCode)
}

// isResponse keeps a proxy's JSON from passing for the server's.
func isResponse(body []byte) bool {
	var r struct {
		Version string          `json:"jsonrpc"`
		Result  json.RawMessage `json:"result"`
		Error   json.RawMessage `json:"error"`
	}
	return json.Unmarshal(body, &r) == nil && r.Version == "2.0" && (r.Result != nil || r.Error != nil)
}

// stream writes the messages of a server-sent event stream until it ends.
func (b *bridge) stream(e envelope, body io.Reader) error {
	scanner := bufio.NewScanner(body)
	scanner.Buffer(make([]byte, 64<<10), maxMessage)
	var data []byte
	for scanner.Scan() {
		line := scanner.Text()
		if line == "" {
			if len(data) > 0 {
				if err := b.write(e, data); err != nil {
					return err
				}
			}
			data = nil
			continue
		}
		if value, ok := strings.CutPrefix(line, "data:"); ok {
			data = append(append(data, strings.TrimPrefix(value, " ")...), '\n')
			if len(data) > maxMessage {
				return errors.New("the server sent a message of more than 4 MiB")
			}
		}
	}
	return scanner.Err()
}

// write puts one message on one line. The answer to initialize says which version later requests name.
func (b *bridge) write(e envelope, message []byte) error {
	var line bytes.Buffer
	if err := json.Compact(&line, message); err != nil {
		return errors.New("the server sent something that is not JSON")
	}
	if e.Method == "initialize" {
		b.initialized(line.Bytes())
	}
	line.WriteByte('\n')
	b.outMu.Lock()
	defer b.outMu.Unlock()
	_, err := b.out.Write(line.Bytes())
	return err
}

func (b *bridge) initialized(message []byte) {
	var answer struct {
		Result struct {
			Version string `json:"protocolVersion"`
		} `json:"result"`
	}
	if json.Unmarshal(message, &answer) != nil || answer.Result.Version == "" {
		return
	}
	b.mu.Lock()
	b.version = answer.Result.Version
	hasSession := b.session != ""
	b.mu.Unlock()
	if hasSession {
		b.work.Go(func() { b.listen(b.life) })
	}
}

// listen opens the stream by which servers with sessions send of their own accord. Not all have one.
func (b *bridge) listen(ctx context.Context) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.server, nil)
	if err != nil {
		return
	}
	req.Header.Set("Accept", "text/event-stream")
	if b.headers(ctx, req, envelope{}) != nil {
		return
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		_ = b.stream(envelope{}, resp.Body) // it ends with the session, or the server ends it
	}
}

func (b *bridge) fail(id json.RawMessage, code int, message string) {
	if id == nil {
		id = json.RawMessage("null")
	}
	line, err := json.Marshal(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   rpcError        `json:"error"`
	}{"2.0", id, rpcError{code, message}})
	if err != nil {
		return
	}
	b.outMu.Lock()
	defer b.outMu.Unlock()
	_, _ = b.out.Write(append(line, '\n')) // a client that is gone needs no answer
}

// grace is how long answers on their way may take once the client has closed its side.
const grace = 5 * time.Second

// drain waits for answers on their way, then ends the session.
func (b *bridge) drain(ctx context.Context) {
	deadline := time.After(grace)
	for ctx.Err() == nil {
		b.mu.Lock()
		left := len(b.pending)
		b.mu.Unlock()
		if left == 0 {
			break
		}
		select {
		case <-deadline:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	b.mu.Lock()
	session := b.session
	b.mu.Unlock()
	if session == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, b.server, nil)
	if err != nil || b.headers(ctx, req, envelope{}) != nil {
		return
	}
	if resp, err := b.client.Do(req); err == nil {
		_ = resp.Body.Close() // the answer does not matter
	}
}
