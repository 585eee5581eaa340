package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/signin"
)

// always is an acquirer that has a token.
type always struct{ err error }

func (a always) Token(context.Context, signin.Request) (identity.Token, error) {
	return identity.Token{Value: identity.NewSecret("good"), Expires: time.Now().Add(time.Hour)}, a.err
}

// protected is an MCP server that wants the token "good".
func protected(t *testing.T, options *mcp.StreamableHTTPOptions) *httptest.Server {
	t.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	type in struct {
		Text string `json:"text"`
	}
	mcp.AddTool(server, &mcp.Tool{Name: "echo"}, func(ctx context.Context, r *mcp.CallToolRequest, args in) (*mcp.CallToolResult, any, error) {
		if token := r.Params.GetProgressToken(); token != nil {
			_ = r.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: 1, Total: 2, Message: "half"})
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: args.Text}}}, nil, nil
	})
	inner := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, options)
	mux := http.NewServeMux()
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	mux.HandleFunc("GET /.well-known/oauth-protected-resource/mcp", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"resource":"`+web.URL+`/mcp","authorization_servers":["https://login.microsoftonline.com/contoso.example/v2.0"],"scopes_supported":["execute"]}`)
	})
	mux.HandleFunc("/mcp", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer good" {
			w.Header().Set("WWW-Authenticate", `Bearer realm=""`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	})
	return web
}

// run starts a bridge to the server and returns the client's side of it.
func run(t *testing.T, server string, acquirer signin.Acquirer) (toBridge io.WriteCloser, fromBridge io.ReadCloser) {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := signin.NewHandler(u, acquirer, signin.HandlerConfig{Scopes: []entra.Scope{}})
	if err != nil {
		t.Fatal(err)
	}
	in, toBridge := io.Pipe()
	fromBridge, out := io.Pipe()
	b := &bridge{
		client: http.DefaultClient, handler: handler, server: server, out: out, logger: slog.New(slog.DiscardHandler), timeout: 10 * time.Second,
		explain: func(_ context.Context, err error) string { return err.Error() },
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.run(t.Context(), in); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("bridge: %v", err)
		}
		_ = out.Close()
	}()
	t.Cleanup(func() {
		_ = toBridge.Close()
		_ = fromBridge.Close()
		<-done
	})
	return toBridge, fromBridge
}

func TestBridge(t *testing.T) {
	for _, tt := range []struct {
		desc     string
		options  mcp.StreamableHTTPOptions
		version  string // pinned; "": the newest that both have
		progress bool   // whether progress can reach the client
	}{
		{desc: "without sessions, JSON", options: mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true}},
		{desc: "without sessions, streams", options: mcp.StreamableHTTPOptions{Stateless: true}, progress: true},
		{desc: "without sessions, an old client", options: mcp.StreamableHTTPOptions{Stateless: true}, version: "2025-06-18", progress: true},
		{desc: "with sessions", options: mcp.StreamableHTTPOptions{}, version: "2025-11-25", progress: true},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			server := protected(t, &tt.options)
			toBridge, fromBridge := run(t, server.URL+"/mcp", always{})
			progressed := make(chan string, 8)
			client := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, &mcp.ClientOptions{
				ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { progressed <- r.Params.Message },
			})
			session, err := client.Connect(t.Context(), &mcp.IOTransport{Reader: fromBridge, Writer: toBridge}, &mcp.ClientSessionOptions{ProtocolVersion: tt.version})
			if err != nil {
				t.Fatal(err)
			}
			params := &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{"text": "héllo"}}
			if tt.progress {
				params.SetProgressToken("p")
			}
			result, err := session.CallTool(t.Context(), params)
			if err != nil {
				t.Fatal(err)
			}
			if text, ok := result.Content[0].(*mcp.TextContent); !ok || text.Text != "héllo" {
				t.Errorf("got %+v", result.Content[0])
			}
			if tt.progress {
				select {
				case message := <-progressed:
					if message != "half" {
						t.Errorf("progress %q", message)
					}
				case <-time.After(5 * time.Second):
					t.Error("no progress")
				}
			}
			if err := session.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBridgeAnswersForTheServer(t *testing.T) {
	server := protected(t, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, `{"error":"the proxy's"}`)
	}))
	defer page.Close()
	for _, tt := range []struct {
		desc, server, line, want string
		acquirer                 signin.Acquirer
	}{
		{desc: "not JSON", server: server.URL + "/mcp", line: `hello`, want: `"id":null,"error":{"code":-32700`},
		{desc: "a batch", server: server.URL + "/mcp", line: `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, want: `"code":-32700`},
		{desc: "a proxy's page", server: page.URL + "/mcp", line: `{"jsonrpc":"2.0","id":7,"method":"ping"}`, want: `{"jsonrpc":"2.0","id":7,"error":{"code":-32000,"message":"the server answered HTTP 502"}}`},
		{
			desc: "no sign-in", server: server.URL + "/mcp", line: `{"jsonrpc":"2.0","id":"a","method":"ping"}`, want: `"id":"a","error":{"code":-32000,"message":"sign-in needed`,
			acquirer: always{err: &signin.Needed{}},
		},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			if tt.acquirer == nil {
				tt.acquirer = always{}
			}
			toBridge, fromBridge := run(t, tt.server, tt.acquirer)
			if _, err := io.WriteString(toBridge, tt.line+"\n"); err != nil {
				t.Fatal(err)
			}
			answer := make([]byte, 4096)
			n, err := fromBridge.Read(answer)
			if got := string(answer[:n]); err != nil || !strings.Contains(got, tt.want) {
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
		})
	}
}

// FuzzBridgeAnswer answers a message with anything: what comes out is JSON, a message a line.
func FuzzBridgeAnswer(f *testing.F) {
	f.Add("text/event-stream", ": ping\n\nid: 1\r\nevent: message\r\ndata: {\"jsonrpc\":\"2.0\",\ndata:\"id\":1,\"result\":{\"protocolVersion\":\"2025-11-25\"}}\n\ndata: x\n\n", "initialize")
	f.Add("application/json; charset=utf-8", `{"jsonrpc":"2.0","id":1,"result":{"a":"\u2028\n"}}`, "tools/call")
	f.Add("application/json", `{"jsonrpc":"2.0","id":1,"error":null}`, "x")
	f.Fuzz(func(t *testing.T, mediaType, body, method string) {
		var out bytes.Buffer
		b := &bridge{out: &out, logger: slog.New(slog.DiscardHandler)}
		e := envelope{ID: json.RawMessage("1"), Method: method}
		_ = b.answer(e, &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {mediaType}}, Body: io.NopCloser(strings.NewReader(body))})
		for line := range bytes.Lines(out.Bytes()) {
			if !json.Valid(line) || line[len(line)-1] != '\n' {
				t.Errorf("%q came out of %q", line, body)
			}
		}
	})
}

// FuzzBridgeMessage gives the bridge any line of a client.
func FuzzBridgeMessage(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
		`{"method":"notifications/cancelled","params":{"requestId":1}}`, `{"id":{},"method":"x"}`, `[{}]`, `{"params":[]}`, `{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"a\nb","uri":"ü"}}`,
	} {
		f.Add([]byte(seed))
	}
	server, err := url.Parse("http://localhost:1/mcp")
	if err != nil {
		f.Fatal(err)
	}
	handler, err := signin.NewHandler(server, always{err: &signin.Needed{}}, signin.HandlerConfig{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var out bytes.Buffer
		b := &bridge{
			out: &out, logger: slog.New(slog.DiscardHandler), handler: handler, server: server.String(),
			explain: func(_ context.Context, err error) string { return err.Error() },
			client: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				sent, _ := io.ReadAll(r.Body)
				if !json.Valid(sent) {
					t.Errorf("%q was sent", sent)
				}
				return &http.Response{StatusCode: http.StatusAccepted, Body: http.NoBody}, nil
			})},
		}
		_ = b.run(t.Context(), bytes.NewReader(line))
		for line := range bytes.Lines(out.Bytes()) {
			if !json.Valid(line) {
				t.Errorf("%q came out", line)
			}
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements [http.RoundTripper].
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
