package agent

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	keepLink  = 5 * time.Minute // an MCP session that nobody uses
	keepList  = time.Minute     // a list of tools
	mostLinks = 4096
)

// links are the MCP sessions of people, by the key of their sign-in. What one person's sign-in opened no other is given.
type links struct {
	cfg *Config

	mu    sync.Mutex
	all   map[linkKey]*link
	swept time.Time
}

type linkKey struct{ person, server string }

func newLinks(cfg *Config) *links { return &links{cfg: cfg, all: map[linkKey]*link{}} }

// get returns the person's link to a server.
func (l *links) get(person string, server *Server) *link {
	now := l.cfg.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	key := linkKey{person, server.Name}
	one := l.all[key]
	if one == nil {
		one = &link{cfg: l.cfg, busy: make(chan struct{}, 1)}
		l.all[key] = one
	}
	one.used = now
	return one
}

// sweep is called with the mutex held.
func (l *links) sweep(now time.Time) {
	if now.Sub(l.swept) < keepLink/10 && len(l.all) < mostLinks {
		return
	}
	l.swept = now
	for key, one := range l.all {
		if now.Sub(one.used) > keepLink || len(l.all) >= mostLinks {
			delete(l.all, key)
			one.close()
		}
	}
}

// drop closes the links of a person, or all ("").
func (l *links) drop(person string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, one := range l.all {
		if person == "" || key.person == person {
			delete(l.all, key)
			one.close()
		}
	}
}

// link is one person's way to one server.
type link struct {
	cfg  *Config
	used time.Time     // guarded by the mutex of links
	busy chan struct{} // held while connecting and listing

	mu      sync.Mutex
	session *mcp.ClientSession
	list    *listing
}

// close ends the session when its calls have ended, without waiting for that.
func (l *link) close() {
	l.mu.Lock()
	session := l.session
	l.session, l.list = nil, nil
	l.mu.Unlock()
	if session != nil {
		go func() { _ = session.Close() }() // nothing is left to do about it
	}
}

// lost drops a session that failed: another is made when it is needed.
func (l *link) lost(session *mcp.ClientSession) {
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
func (l *link) hold(ctx context.Context) (release func(), err error) {
	select {
	case l.busy <- struct{}{}:
		return func() { <-l.busy }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// connect returns the session. It is called with the link held.
func (l *link) connect(ctx context.Context, server *Server) (*mcp.ClientSession, error) {
	l.mu.Lock()
	session := l.session
	l.mu.Unlock()
	if session != nil {
		return session, nil
	}
	transport, err := server.Transport(ctx)
	if err != nil {
		return nil, err
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "onbehalf-agent", Version: l.cfg.Version}, &mcp.ClientOptions{
		// No roots, no sampling, no forms: a server that asks for them is refused by the SDK. Links are shown as text, so that a
		// call can go on where its person opened one.
		Capabilities:   &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		MultiRoundTrip: &mcp.MultiRoundTripOptions{Disabled: true},
	})
	if session, err = client.Connect(ctx, transport, nil); err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.session = session
	l.mu.Unlock()
	return session, nil
}

// call makes a call. One that a forgotten session refused is made again in a new one.
func (l *link) call(ctx context.Context, server *Server, params *mcp.CallToolParams) (*mcp.CallToolResult, error) {
	for again := false; ; again = true {
		release, err := l.hold(ctx)
		if err != nil {
			return nil, err
		}
		session, err := l.connect(ctx, server)
		release()
		if err != nil {
			return nil, err
		}
		copied := *params
		result, err := session.CallTool(ctx, &copied)
		if err == nil {
			return result, nil
		}
		if said, ok := errors.AsType[*jsonrpc.Error](err); !ok || said == nil {
			l.lost(session)
		}
		if again || !errors.Is(err, mcp.ErrSessionMissing) {
			return nil, err
		}
	}
}

// BoundBodies bounds the bodies of answers: reading more is an error. What a server sends without end costs no memory.
func BoundBodies(base http.RoundTripper, most int64) http.RoundTripper { return bounded{base, most} }

// ErrTooLarge says that an answer was larger than is accepted.
var ErrTooLarge = errors.New("the server's answer is larger than is accepted")

type bounded struct {
	base http.RoundTripper
	most int64
}

// RoundTrip implements [http.RoundTripper].
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.base.RoundTrip(r)
	if err == nil {
		response.Body = &boundedBody{response.Body, b.most}
	}
	return response, err
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

// Read implements [io.Reader].
func (b *boundedBody) Read(into []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrTooLarge
	}
	n, err := b.ReadCloser.Read(into[:min(int64(len(into)), b.left)])
	b.left -= int64(n)
	return n, err
}
