package httpguard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/internal/httpguard"
)

func guard(tb testing.TB, change func(*httpguard.Config)) *httpguard.Guard {
	tb.Helper()
	cfg := httpguard.Config{Hosts: []string{"mcp.contoso.com"}, AllowLoopback: true, Origins: []string{"https://inspector.contoso.com"}, MaxBody: 100}
	if change != nil {
		change(&cfg)
	}
	g, err := httpguard.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// authenticate stands for package bearer: who sends no token fails.
func authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "sign in", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func whole(g *httpguard.Guard, h http.Handler) http.Handler {
	return g.Outside(authenticate(g.Inside(h)))
}

var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })

func send(h http.Handler, method, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://mcp.contoso.com/mcp", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer x")
	for i := 0; i < len(headers); i += 2 {
		switch {
		case headers[i] == "Host":
			r.Host = headers[i+1]
		case headers[i+1] == "":
			r.Header.Del(headers[i])
		default:
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestWhoMayAsk(t *testing.T) {
	h := whole(guard(t, nil), echo)
	for _, test := range []struct {
		desc    string
		headers []string
		status  int
	}{
		{"a program", nil, 200},
		{"the public name in upper case, with a port", []string{"Host", "MCP.contoso.com:443"}, 200},
		{"by loopback name", []string{"Host", "localhost:8000"}, 200},
		{"by loopback address", []string{"Host", "[::1]:8000"}, 200},
		{"a page of ours", []string{"Origin", "https://inspector.contoso.com"}, 200},
		{"a page on this machine", []string{"Origin", "http://localhost:6274"}, 200},
		{"rebinding: Host and Origin of the attacker", []string{"Host", "evil.example", "Origin", "http://evil.example"}, 403},
		{"rebinding without an Origin", []string{"Host", "evil.example:8000"}, 403},
		{"a name that ends like ours", []string{"Host", "evil-mcp.contoso.com"}, 403},
		{"a name that begins like loopback", []string{"Host", "localhost.evil.example"}, 403},
		{"an address that is not ours", []string{"Host", "192.168.1.1"}, 403},
		{"an empty name", []string{"Host", ""}, 403},
		{"a foreign page", []string{"Origin", "https://evil.example"}, 403},
		{"our page over http", []string{"Origin", "http://inspector.contoso.com"}, 403},
		{"our page at another port", []string{"Origin", "https://inspector.contoso.com:8443"}, 403},
		{"a page below our name", []string{"Origin", "https://x.inspector.contoso.com"}, 403},
		{"a page without an origin (sandbox, file)", []string{"Origin", "null"}, 403},
		{"two origins", []string{"Origin", "https://inspector.contoso.com", "Origin", "https://evil.example"}, 403},
		{"a loopback origin of another scheme", []string{"Origin", "chrome-extension://localhost"}, 403},
	} {
		w := send(h, http.MethodPost, `{}`, test.headers...)
		if w.Code != test.status {
			t.Errorf("%s: %d %s, want %d", test.desc, w.Code, w.Body, test.status)
		}
		if w.Code == 403 && (w.Header().Get("Access-Control-Allow-Origin") != "" || !json.Valid(w.Body.Bytes())) {
			t.Errorf("%s: %v %s", test.desc, w.Header(), w.Body)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: the answer may be kept: %v", test.desc, w.Header())
		}
	}
}

func TestPreflight(t *testing.T) {
	h := whole(guard(t, nil), echo)
	w := send(h, http.MethodOptions, "", "Authorization", "", "Origin", "https://inspector.contoso.com", "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "authorization, mcp-param-region, x-evil, mcp-param-a\nb")
	allowed := w.Header().Get("Access-Control-Allow-Headers")
	if w.Code != http.StatusNoContent || !strings.Contains(allowed, "Authorization") || !strings.HasSuffix(allowed, ", mcp-param-region") {
		t.Errorf("%d %q", w.Code, allowed)
	}
	w = send(h, http.MethodPost, "", "Authorization", "", "Origin", "https://inspector.contoso.com")
	if w.Code != http.StatusUnauthorized || !strings.Contains(w.Header().Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
		t.Errorf("a page cannot read the challenge: %d %v", w.Code, w.Header())
	}
}

func TestWhatMayBeAsked(t *testing.T) {
	h := whole(guard(t, nil), echo)
	for _, test := range []struct {
		desc, body string
		headers    []string
		status     int
	}{
		{"a message", `{"jsonrpc":"2.0"}`, nil, 200},
		{"nothing", ``, nil, 200},
		{"a batch", `[{"jsonrpc":"2.0"}]`, nil, 400},
		{"a batch behind white space", " \r\n\t[]", nil, 400},
		{"a batch behind a byte order mark", "\ufeff[]", nil, 400},
		{"just not too large", strings.Repeat(" ", 100), nil, 200},
		{"too large", strings.Repeat(" ", 101), nil, 413},
		{"two protocol versions", `{}`, []string{"Mcp-Protocol-Version", "2025-11-25", "Mcp-Protocol-Version", "2026-07-28"}, 400},
		{"two tools", `{}`, []string{"Mcp-Name", "a", "Mcp-Name", "b"}, 400},
	} {
		if w := send(h, http.MethodPost, test.body, test.headers...); w.Code != test.status || w.Code == 200 && w.Body.String() != test.body {
			t.Errorf("%s: %d %q, want %d", test.desc, w.Code, w.Body, test.status)
		}
	}
}

func TestWithoutATokenNothingIsRead(t *testing.T) {
	h := whole(guard(t, nil), echo)
	body := &counting{}
	r := httptest.NewRequest(http.MethodPost, "http://mcp.contoso.com/mcp", body)
	h.ServeHTTP(httptest.NewRecorder(), r)
	if body.read > 0 {
		t.Errorf("%d bytes of a stranger's request were read", body.read)
	}
}

type counting struct{ read int }

func (c *counting) Read(b []byte) (int, error) { c.read += len(b); return len(b), nil }

func TestFailuresOfAnAddressAreLimited(t *testing.T) {
	now := time.Unix(0, 0)
	h := whole(guard(t, func(c *httpguard.Config) { c.Failures, c.FailureBurst, c.Now = 1, 3, func() time.Time { return now } }), echo)
	for i := range 5 {
		w := send(h, http.MethodPost, "", "Authorization", "")
		want := map[bool]int{true: 401, false: 429}[i < 3]
		if w.Code != want || (want == 429) != (w.Header().Get("Retry-After") == "1") || (want == 401) != (w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("failure %d: %d %v", i, w.Code, w.Header())
		}
	}
	if w := send(h, http.MethodPost, "x"); w.Code != 200 || w.Body.String() != "x" {
		t.Errorf("somebody else behind the address is hindered: %d", w.Code)
	}
	refusing := whole(guard(t, func(c *httpguard.Config) { c.FailureBurst = 1 }), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	for range 5 {
		if w := send(refusing, http.MethodPost, ""); w.Code != http.StatusForbidden {
			t.Errorf("a refusal behind a good token was counted: %d", w.Code)
		}
	}
	now = now.Add(time.Second)
	if w := send(h, http.MethodPost, "", "Authorization", ""); w.Code != 401 {
		t.Errorf("after a second: %d, want 401 again", w.Code)
	}
}

func TestCallsOfACallerAreLimited(t *testing.T) {
	now := time.Unix(0, 0)
	h := whole(guard(t, func(c *httpguard.Config) {
		c.Calls, c.CallBurst, c.Now = 0.5, 2, func() time.Time { return now }
		c.Caller = func(r *http.Request) string { return r.Header.Get("Authorization") }
	}), echo)
	for i, want := range []int{200, 200, 429, 429} {
		w := send(h, http.MethodPost, "")
		if w.Code != want || want == 429 && w.Header().Get("Retry-After") != "2" {
			t.Errorf("call %d: %d %v, want %d", i, w.Code, w.Header(), want)
		}
	}
	if w := send(h, http.MethodPost, "", "Authorization", "", "Authorization", "Bearer y"); w.Code != 200 {
		t.Errorf("another caller is hindered: %d", w.Code)
	}
	now = now.Add(2 * time.Second)
	if w := send(h, http.MethodPost, ""); w.Code != 200 {
		t.Errorf("two seconds later: %d", w.Code)
	}
}

func TestAddresses(t *testing.T) {
	for _, test := range []struct {
		desc, peer, forwarded string
		peer2, forwarded2     string
		same                  bool
	}{
		{"two machines", "192.0.2.1:1", "", "192.0.2.2:1", "", false},
		{"two ports", "192.0.2.1:1", "", "192.0.2.1:2", "", true},
		{"one IPv6 network", "[2001:db8::1]:1", "", "[2001:db8::2]:1", "", true},
		{"two IPv6 networks", "[2001:db8::1]:1", "", "[2001:db8:0:1::1]:1", "", false},
		{"a stranger's header is not believed", "192.0.2.1:1", "1.1.1.1", "192.0.2.1:1", "2.2.2.2", true},
		{"our proxy's is", "10.0.0.1:1", "1.1.1.1", "10.0.0.1:1", "2.2.2.2", false},
		{"what the client put in front of it is not", "10.0.0.1:1", "9.9.9.9, 1.1.1.1", "10.0.0.1:1", "8.8.8.8, 1.1.1.1", true},
		{"two proxies", "10.0.0.1:1", "1.1.1.1, 10.0.0.2", "10.0.0.1:1", "1.1.1.1, 10.0.0.3", true},
		{"nonsense", "10.0.0.1:1", "x", "10.0.0.1:1", "y", true},
	} {
		h := whole(guard(t, func(c *httpguard.Config) {
			c.FailureBurst, c.Now, c.Proxies = 1, func() time.Time { return time.Unix(0, 0) }, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		}), echo)
		var status int
		for _, from := range [][2]string{{test.peer, test.forwarded}, {test.peer2, test.forwarded2}} {
			r := httptest.NewRequest(http.MethodPost, "http://mcp.contoso.com/mcp", nil)
			r.RemoteAddr = from[0]
			r.Header.Set("X-Forwarded-For", from[1])
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			status = w.Code
		}
		if got := status == 429; got != test.same {
			t.Errorf("%s: counted together %v, want %v", test.desc, got, test.same)
		}
	}
}

// TestMemoryIsBounded lets many callers pass; the limiter keeps counting those that come again.
func TestMemoryIsBounded(t *testing.T) {
	h := whole(guard(t, func(c *httpguard.Config) {
		c.Calls, c.CallBurst, c.Now = 0.001, 1, func() time.Time { return time.Unix(0, 0) }
		c.Caller = func(r *http.Request) string { return r.Header.Get("Authorization") }
	}), echo)
	if w := send(h, http.MethodPost, ""); w.Code != 200 {
		t.Fatal(w.Code)
	}
	for i := range 9_000 {
		send(h, http.MethodPost, "", "Authorization", "", "Authorization", strconv.Itoa(i))
	}
	if w := send(h, http.MethodPost, ""); w.Code != 429 {
		t.Errorf("%d: the bucket of a caller was forgotten too early", w.Code)
	}
}

func TestPanics(t *testing.T) {
	h := whole(guard(t, nil), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Late") != "" {
			_, _ = io.WriteString(w, "some")
			_ = http.NewResponseController(w).Flush()
		}
		panic("secret of the inside")
	}))
	if w := send(h, http.MethodPost, ""); w.Code != 500 || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	at := httptest.NewServer(h)
	defer at.Close()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, at.URL, nil)
	r.Header.Set("Authorization", "x")
	r.Header.Set("Late", "x")
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	if body, err := io.ReadAll(w.Body); err == nil {
		t.Errorf("an answer that broke off looks whole: %q", body)
	}
}

func TestDeadline(t *testing.T) {
	h := whole(guard(t, func(c *httpguard.Config) { c.Timeout = 20 * time.Millisecond }), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		_, _ = io.WriteString(w, context.Cause(r.Context()).Error())
	}))
	at := httptest.NewServer(h)
	defer at.Close()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, at.URL, nil)
	r.Header.Set("Authorization", "x")
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	if body, _ := io.ReadAll(w.Body); string(body) != context.DeadlineExceeded.Error() {
		t.Errorf("%q", body)
	}
}

func TestAnswer(t *testing.T) {
	named := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			_, _ = io.WriteString(w, name+" "+strconv.Itoa(len(body)))
		})
	}
	h := whole(guard(t, nil), httpguard.Answer(named("json"), named("events"), `"tools/call"`))
	const progress = `{"params":{"_meta":{"progressToken":1}}}`
	for _, test := range []struct{ desc, body, accept, want string }{
		{"a call", `{"params":{}}`, "application/json, text/event-stream", "json 13"},
		{"a call with progress", progress, "application/json, text/event-stream", "events 40"},
		{"a client that does not understand events", progress, "application/json", "json 40"},
		{"a word", `{"method":"tools/call"}`, "application/json, text/event-stream", "events 23"},
		{"a subscription", `{"method":"subscriptions/listen"}`, "text/event-stream", "events 33"},
	} {
		w := send(h, http.MethodPost, test.body, "Accept", test.accept)
		if w.Body.String() != test.want || (w.Header().Get("X-Accel-Buffering") == "no") != strings.HasPrefix(test.want, "events") {
			t.Errorf("%s: %q %v, want %q", test.desc, w.Body, w.Header(), test.want)
		}
	}
}

func TestEventsAreNotHeldBack(t *testing.T) {
	release := make(chan struct{})
	h := whole(guard(t, nil), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		<-release
	}))
	at := httptest.NewServer(h)
	defer at.Close()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, at.URL, nil)
	r.Header.Set("Authorization", "x")
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	if line, err := bufio.NewReader(w.Body).ReadString('\n'); line != "first\n" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	close(release)
}

func TestHealth(t *testing.T) {
	var broken atomic.Bool
	health := &httpguard.Health{Checks: map[string]func(context.Context) error{
		"keys": func(context.Context) error { return nil },
		"disk": func(context.Context) error {
			if broken.Load() {
				return errors.New("secret path")
			}
			return nil
		},
	}}
	ask := func(path string) (int, string) {
		w := httptest.NewRecorder()
		health.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	if code, body := ask("/readyz"); code != 200 || body != `{"status":"ok","checks":{"disk":true,"keys":true}}` {
		t.Errorf("%d %s", code, body)
	}
	broken.Store(true)
	if code, body := ask("/readyz"); code != 503 || body != `{"status":"unavailable","checks":{"disk":false,"keys":true}}` {
		t.Errorf("%d %s", code, body)
	}
	broken.Store(false)
	health.Drain()
	if code, body := ask("/readyz"); code != 503 || !strings.Contains(body, "draining") {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := ask("/healthz"); code != 200 {
		t.Errorf("alive: %d", code)
	}
}

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := httpguard.New(httpguard.Config{Hosts: []string{"http://x", "*.x"}, Origins: []string{"x", "https://x/", "*"}, MaxBody: -1})
	for _, want := range []string{"http://x", "*.x", `"x"`, "https://x/", `"*"`, "negative"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant it to mention %s", err, want)
		}
	}
	if _, err := httpguard.New(httpguard.Config{}); err == nil {
		t.Error("a guard without a host was accepted")
	}
}

// FuzzGuard sends anything: only a request for our name, from no foreign page, in one message gets through.
func FuzzGuard(f *testing.F) {
	f.Add("POST", "mcp.contoso.com", "", "203.0.113.9, 10.0.0.1", `{"jsonrpc":"2.0"}`)
	f.Add("POST", "[::1]:80", "https://inspector.contoso.com", "::ffff:1.2.3.4", "\ufeff[")
	f.Add("OPTIONS", "LOCALHOST.", "null", ",,", "")
	f.Add("GET", "mcp.contoso.com.evil.example", "http://localhost.evil.example", "[::1%25x]:1", "")
	f.Add("POST", "mcp.contoso.com:99999", "http://127.0.0.1:1@evil.example", "", strings.Repeat("x", 101))
	through := false
	h := whole(guard(f, func(c *httpguard.Config) {
		c.Proxies, c.Calls, c.Failures = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, -1, -1
	}), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { through = true }))
	f.Fuzz(func(t *testing.T, method, host, origin, forwarded, body string) {
		r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(body))
		r.Method, r.Host = method, host
		r.Header.Set("Authorization", "Bearer x")
		r.Header.Set("X-Forwarded-For", forwarded)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		w := httptest.NewRecorder()
		through = false
		h.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError || w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if !through {
			return
		}
		page, err := url.Parse(origin)
		foreign := func(text string) bool { return strings.Contains(strings.ToLower(text), "evil") }
		if foreign(host) || err != nil || foreign(page.Hostname()) || method == http.MethodPost && (len(body) > 100 || strings.HasPrefix(strings.TrimLeft(body, " \t\r\n\ufeff"), "[")) {
			t.Errorf("%s, Host %q, Origin %q, %q got through", method, host, origin, body)
		}
	})
}
