package bearer_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/bearer"
)

func TestTheHeadersOfARequest(t *testing.T) {
	a := newAuthority(t)
	v := a.verifier(t, nil)
	h := v.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "in") }))
	good := "Bearer " + a.token(nil)
	const scope, meta = `scope="api://` + api + `/execute", `, `resource_metadata="` + metadataAt + `"`
	malformed := `Bearer error="invalid_request", error_description="the Authorization header must be: Bearer, a space, the token", ` + meta
	for _, test := range []struct {
		desc    string
		query   string
		headers []string
		status  int
		want    string
	}{
		{desc: "a good token", headers: []string{good}, status: 200},
		{desc: "the scheme in lower case", headers: []string{"b" + good[1:]}, status: 200},
		{desc: "no header", status: 401, want: "Bearer " + scope + meta},
		{desc: "another scheme", headers: []string{"Basic YTpi"}, status: 401, want: "Bearer " + scope + meta},
		{desc: "two headers", headers: []string{good, good}, status: 400, want: `Bearer error="invalid_request", error_description="send exactly one Authorization header", ` + meta},
		{desc: "two tokens in one header", headers: []string{good + ", " + good}, status: 400, want: malformed},
		{desc: "no token", headers: []string{"Bearer "}, status: 400, want: malformed},
		{desc: "no space", headers: []string{"Bearer"}, status: 400, want: malformed},
		{desc: "a tab", headers: []string{"Bearer\t" + good[7:]}, status: 401, want: "Bearer " + scope + meta},
		{desc: "a token in the URL", query: "?access_token=" + good[7:], status: 400, want: `Bearer error="invalid_request", error_description="the token belongs into the Authorization header; one in a URL must be taken for leaked", ` + meta},
		{desc: "a token in the URL and in the header", query: "?a=b&access%5ftoken=x", headers: []string{good}, status: 400, want: `Bearer error="invalid_request", error_description="the token belongs into the Authorization header; one in a URL must be taken for leaked", ` + meta},
		{desc: "no JWT", headers: []string{"Bearer undefined"}, status: 401, want: `Bearer error="invalid_token", error_description="the token is not a JWT: it must have three parts", ` + scope + meta},
		{
			desc: "the scope missing", headers: []string{"Bearer " + a.token(object{"scp": "other"})}, status: 403,
			want: `Bearer error="insufficient_scope", error_description="the token lacks a scope that this server needs", ` + scope + meta,
		},
	} {
		r := httptest.NewRequest(http.MethodPost, "/mcp"+test.query, strings.NewReader("{}"))
		for _, header := range test.headers {
			r.Header.Add("Authorization", header)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("WWW-Authenticate"); w.Code != test.status || got != test.want {
			t.Errorf("%s: %d %s\nwant %d %s", test.desc, w.Code, got, test.status, test.want)
		}
		if test.status == 200 {
			continue
		}
		var body struct{ Error struct{ Message string } }
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Error.Message == "" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: body %q, %v", test.desc, w.Body, err)
		}
	}
}

func TestMetadata(t *testing.T) {
	v := newAuthority(t).verifier(t, nil)
	if diff := cmp.Diff([]string{"/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource", "/mcp/.well-known/oauth-protected-resource"}, v.MetadataPaths()); diff != "" {
		t.Error(diff)
	}
	w := httptest.NewRecorder()
	v.MetadataHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got["resource"] != resource || !cmp.Equal(got["scopes_supported"], []any{"api://" + api + "/execute"}) || !cmp.Equal(got["bearer_methods_supported"], []any{"header"}) {
		t.Errorf("got %v", got)
	}
	if w.Header().Get("Access-Control-Allow-Origin") != "*" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", w.Header())
	}
	w = httptest.NewRecorder()
	v.MetadataHandler().ServeHTTP(w, httptest.NewRequest(http.MethodDelete, "/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: %d", w.Code)
	}
}

const stepUp = `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`

// TestRaise lets a tool refuse, over the SDK's real handler, and looks at the HTTP answer.
func TestRaise(t *testing.T) {
	a := newAuthority(t)
	v := a.verifier(t, nil)
	server := mcp.NewServer(&mcp.Implementation{Name: "x", Version: "1"}, &mcp.ServerOptions{Capabilities: &mcp.ServerCapabilities{}})
	var late bool
	mcp.AddTool(server, &mcp.Tool{Name: "get"}, func(ctx context.Context, req *mcp.CallToolRequest, in struct {
		First bool `json:"first,omitempty"`
	},
	) (*mcp.CallToolResult, any, error) {
		caller, ok := bearer.CallerFrom(req.Extra.TokenInfo)
		if !ok || caller.Object.String() != alice || req.Extra.TokenInfo.UserID != caller.Key() {
			t.Errorf("CallerFrom = %v, %v", caller, ok)
		}
		if in.First {
			_ = req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: 1})
		}
		late = !bearer.Raise(ctx, &bearer.Challenge{Status: 401, Code: bearer.CodeInsufficientClaims, Description: "MFA", Claims: stepUp})
		return nil, nil, &jsonrpc.Error{Code: -32001, Message: "sign in again with MFA"}
	})
	for _, test := range []struct {
		desc      string
		json      bool
		arguments string
		status    int
	}{
		{"JSON", true, `{}`, 401},
		{"SSE", false, `{}`, 401},
		{"SSE after progress", false, `{"first":true}`, 200},
	} {
		handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: test.json})
		at := httptest.NewServer(v.Middleware(handler))
		status, headers, body := post(t, at.URL, a.token(nil), `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get","_meta":{"progressToken":"p"},"arguments":`+test.arguments+`}}`)
		at.Close()
		if status != test.status || late != (test.status == 200) {
			t.Errorf("%s: %d, too late %v; want %d\n%s", test.desc, status, late, test.status, body)
		}
		if test.status == 200 {
			continue
		}
		want := `Bearer error="insufficient_claims", error_description="MFA", scope="api://` + api + `/execute", claims="` +
			base64.StdEncoding.EncodeToString([]byte(stepUp)) + `", resource_metadata="` + metadataAt + `"`
		if got := headers.Get("WWW-Authenticate"); got != want {
			t.Errorf("%s: %s\nwant %s", test.desc, got, want)
		}
		var message struct {
			ID    int `json:"id"`
			Error struct{ Message string }
		}
		if err := json.Unmarshal(body, &message); err != nil || message.ID != 7 || message.Error.Message != "sign in again with MFA" {
			t.Errorf("%s: body %q, %v; want it to stay JSON-RPC", test.desc, body, err)
		}
	}
	if bearer.Raise(t.Context(), &bearer.Challenge{}) {
		t.Error("Raise is true outside of a request")
	}
}

// A challenge without a status, or with one that is no refusal, is a refusal all the same.
func TestAChallengeWithoutAStatus(t *testing.T) {
	a := newAuthority(t)
	for _, test := range []struct {
		challenge bearer.Challenge
		want      int
	}{
		{bearer.Challenge{}, 401},
		{bearer.Challenge{Status: 200, Code: bearer.CodeInvalidToken}, 401},
		{bearer.Challenge{Code: bearer.CodeInsufficientClaims}, 401},
		{bearer.Challenge{Code: bearer.CodeInvalidRequest}, 400},
		{bearer.Challenge{Code: bearer.CodeInsufficientScope}, 403},
		{bearer.Challenge{Status: 999, Code: bearer.CodeAccessDenied}, 403},
		{bearer.Challenge{Code: bearer.CodeUnavailable}, 503},
	} {
		for _, writes := range []bool{false, true} {
			h := a.verifier(t, nil).Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				bearer.Raise(r.Context(), &test.challenge)
				if writes {
					_, _ = io.WriteString(w, "{}")
				}
			}))
			r := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
			r.Header.Set("Authorization", "Bearer "+a.token(nil))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if asks := w.Header().Get("WWW-Authenticate") != ""; w.Code != test.want || asks == (test.want == 503) {
				t.Errorf("%+v: %d, %v; want %d", test.challenge, w.Code, w.Header(), test.want)
			}
		}
	}
}

func post(tb testing.TB, url, token, body string) (status int, headers http.Header, text []byte) {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Mcp-Protocol-Version", "2025-11-25")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer response.Body.Close()
	if text, err = io.ReadAll(response.Body); err != nil {
		tb.Fatal(err)
	}
	return response.StatusCode, response.Header, text
}

func TestUnavailableIsNoRefusal(t *testing.T) {
	a := newAuthority(t)
	a.setDown(true)
	h := a.verifier(t, nil).Middleware(http.NotFoundHandler())
	r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
	r.Header.Set("Authorization", "Bearer "+a.token(nil))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "5" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v: want 503 and when to try again, and nothing that makes the client sign in", w.Code, w.Header())
	}
	if strings.Contains(w.Body.String(), "example") || strings.Contains(w.Body.String(), "502") {
		t.Errorf("the answer tells of the inside: %s", w.Body)
	}
}
