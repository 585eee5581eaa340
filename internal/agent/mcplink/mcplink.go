// Package mcplink keeps the way to MCP servers open for a while: a session and what the server listed, for one server
// and one sign-in each. What one person's sign-in opened no other is given.
package mcplink

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	keepLink  = 5 * time.Minute // a session that nobody uses
	keepList  = time.Minute
	mostLinks = 4096
	mostTools = 1000 // that are read of one server
)

// Links are the links of all people. L is what is kept of a list of tools.
type Links[L any] struct {
	version string
	now     func() time.Time

	mu    sync.Mutex
	all   map[key]*Link[L]
	swept time.Time
}

type key struct{ person, server string }

// New makes none yet. Version is what servers are told.
func New[L any](version string, now func() time.Time) *Links[L] {
	return &Links[L]{version: version, now: now, all: map[key]*Link[L]{}}
}

// Open makes the transport to a server, as one person.
type Open func(ctx context.Context) (mcp.Transport, error)

// Get returns the link of a sign-in to a server. It keeps no connection until it is used.
func (l *Links[L]) Get(person, server string, open Open) *Link[L] {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	k := key{person, server}
	one := l.all[k]
	if one == nil {
		one = &Link[L]{links: l, open: open, busy: make(chan struct{}, 1)}
		l.all[k] = one
	}
	one.used = now
	return one
}

// sweep is called with the mutex held.
func (l *Links[L]) sweep(now time.Time) {
	if now.Sub(l.swept) < keepLink/10 && len(l.all) < mostLinks {
		return
	}
	l.swept = now
	for k, one := range l.all {
		if now.Sub(one.used) > keepLink || len(l.all) >= mostLinks {
			delete(l.all, k)
			one.close()
		}
	}
}

// Drop closes the links of a sign-in. Calls that run go on.
func (l *Links[L]) Drop(person string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, one := range l.all {
		if k.person == person {
			delete(l.all, k)
			one.close()
		}
	}
}

// Close closes all links.
func (l *Links[L]) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, one := range l.all {
		delete(l.all, k)
		one.close()
	}
}

// Link is one sign-in's way to one server.
type Link[L any] struct {
	links *Links[L]
	open  Open
	used  time.Time     // guarded by the mutex of links
	busy  chan struct{} // held while connecting and listing

	mu      sync.Mutex
	session *mcp.ClientSession
	list    *kept[L]
}

type kept[L any] struct {
	list L
	at   time.Time
}

// close ends the session when its calls have ended, without waiting for that.
func (l *Link[L]) close() {
	l.mu.Lock()
	session := l.session
	l.session, l.list = nil, nil
	l.mu.Unlock()
	if session != nil {
		go func() { _ = session.Close() }() // nothing is left to do about it
	}
}

// lost drops a session that failed: another is made when it is needed.
func (l *Link[L]) lost(session *mcp.ClientSession) {
	l.mu.Lock()
	same := l.session == session
	if same {
		l.session = nil
	}
	l.mu.Unlock()
	if same {
		go func() { _ = session.Close() }() // as above
	}
}

// hold waits for its turn to connect or list.
func (l *Link[L]) hold(ctx context.Context) (release func(), err error) {
	select {
	case l.busy <- struct{}{}:
		return func() { <-l.busy }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// connect returns the session. It is called with the link held.
func (l *Link[L]) connect(ctx context.Context) (*mcp.ClientSession, error) {
	l.mu.Lock()
	session := l.session
	l.mu.Unlock()
	if session != nil {
		return session, nil
	}
	transport, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "onbehalf-agent", Version: l.links.version}, &mcp.ClientOptions{
		// No roots, no sampling, no forms. Links are shown as text, so that a call can go on where its person opened one.
		Capabilities:   &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		MultiRoundTrip: &mcp.MultiRoundTripOptions{Disabled: true},
	})
	client.AddReceivingMiddleware(refuse)
	if session, err = client.Connect(ctx, transport, nil); err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.session = session
	l.mu.Unlock()
	return session, nil
}

// refuse answers whatever a server asks of this client, whether it was told that it may or not: no sampling, no roots, no
// elicitation on the way.
func refuse(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if method != "ping" && !strings.HasPrefix(method, "notifications/") {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "this client does not do " + method}
		}
		return next(ctx, method, req)
	}
}

// List returns what read makes of the server's tools, or made of them lately. More says that there are more than it is
// given.
func (l *Link[L]) List(ctx context.Context, read func(tools []*mcp.Tool, more bool) L) (L, error) {
	var none L
	release, err := l.hold(ctx)
	if err != nil {
		return none, err
	}
	defer release()
	l.mu.Lock()
	before := l.list
	l.mu.Unlock()
	now := l.links.now()
	if before != nil && now.Sub(before.at) < keepList && now.Sub(before.at) >= 0 {
		return before.list, nil
	}
	session, err := l.connect(ctx)
	if err != nil {
		return none, err
	}
	var tools []*mcp.Tool
	more := false
	for tool, err := range session.Tools(ctx, nil) {
		if err != nil {
			l.lost(session)
			return none, err
		}
		if more = len(tools) == mostTools; more {
			break
		}
		tools = append(tools, tool)
	}
	fresh := &kept[L]{read(tools, more), now}
	l.mu.Lock()
	l.list = fresh
	l.mu.Unlock()
	return fresh.list, nil
}

// Call makes a call. One that a forgotten session refused is made again in a new one.
func (l *Link[L]) Call(ctx context.Context, params *mcp.CallToolParams) (*mcp.CallToolResult, error) {
	for again := false; ; again = true {
		release, err := l.hold(ctx)
		if err != nil {
			return nil, err
		}
		session, err := l.connect(ctx)
		release()
		if err != nil {
			return nil, err
		}
		copied := *params
		result, err := session.CallTool(ctx, &copied)
		if err == nil {
			return result, nil
		}
		if !answered(err) {
			l.lost(session)
		}
		if again || !errors.Is(err, mcp.ErrSessionMissing) {
			return nil, err
		}
	}
}

// codeRejected is the code of the error by which the SDK marks what it did not bring across, and the session survives.
const codeRejected = -32005

// Said returns the error that a server answered with, nil where it answered with none or nothing came of it.
func Said(err error) *jsonrpc.Error {
	said, ok := errors.AsType[*jsonrpc.Error](err)
	if !ok || said.Code == codeRejected && said.Data == nil {
		return nil
	}
	return said
}

// answered reports whether the session is as good as before an error.
func answered(err error) bool {
	_, ok := errors.AsType[*jsonrpc.Error](err)
	return ok
}
