package localhost_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/internal/localhost"
)

func TestCAVouchesForLoopbackAlone(t *testing.T) {
	ca, err := localhost.NewCA(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	config, err := ca.ServerTLS()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	server.TLS = config
	server.StartTLS()
	defer server.Close()

	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "https://"), ":")
	for _, host := range []string{"localhost", "127.0.0.1"} {
		resp, err := ca.Client().Get("https://" + host + ":" + port)
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		_ = resp.Body.Close()
	}
	if resp, err := http.Get(server.URL); err == nil {
		_ = resp.Body.Close()
		t.Error("a client without our CA trusts it")
	}
}

func TestPosingCAVouchesForItsHostAlone(t *testing.T) {
	ca, err := localhost.NewPosingCA(time.Now(), "login.contoso.test")
	if err != nil {
		t.Fatal(err)
	}
	config, err := ca.ServerTLS()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = config
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	client := ca.Client()
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("the client's transport is a %T", client.Transport)
	}
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
	}
	for host, want := range map[string]bool{"login.contoso.test": true, "localhost": false, "127.0.0.1": false, "other.test": false} {
		resp, err := client.Get("https://" + host)
		if err == nil {
			_ = resp.Body.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s: %v, want trusted = %v", host, err, want)
		}
	}
}

// A body that nobody wants is read all the same: over HTTP/2 the answer to it is else followed by a reset of the stream.
func TestGuardReadsTheBody(t *testing.T) {
	guard := localhost.Guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	body := strings.NewReader("{}")
	r := httptest.NewRequest(http.MethodPut, "/_local/scenario/mfa", body)
	r.RemoteAddr, r.Host = "127.0.0.1:5000", "localhost:8443"
	r.Header.Set("Content-Type", "application/json")
	guard.ServeHTTP(httptest.NewRecorder(), r)
	if body.Len() != 0 {
		t.Errorf("%d bytes are unread", body.Len())
	}
}

func TestGuard(t *testing.T) {
	guard := localhost.Guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for _, test := range []struct {
		desc, method, peer, host, origin, contentType string
		want                                          int
	}{
		{"a program of this machine reads", "GET", "127.0.0.1:5000", "localhost:8443", "", "", 204},
		{"it changes something", "POST", "[::1]:5000", "127.0.0.1:8443", "", "application/json; charset=utf-8", 204},
		{"our own page", "POST", "127.0.0.1:5000", "localhost:8443", "https://localhost:8443", "application/json", 204},
		{"another machine", "GET", "10.0.0.5:5000", "localhost:8443", "", "", 403},
		{"DNS rebinding", "GET", "127.0.0.1:5000", "evil.example:8443", "", "", 403},
		{"a name that only begins like ours", "GET", "127.0.0.1:5000", "localhost.evil.example", "", "", 403},
		{"a web page", "GET", "127.0.0.1:5000", "localhost:8443", "https://evil.example", "", 403},
		{"a sandboxed page", "GET", "127.0.0.1:5000", "localhost:8443", "null", "", 403},
		{"a form", "POST", "127.0.0.1:5000", "localhost:8443", "", "application/x-www-form-urlencoded", 415},
		{"a form posing as text", "POST", "127.0.0.1:5000", "localhost:8443", "", "text/plain", 415},
	} {
		r := httptest.NewRequest(test.method, "/_local/people", nil)
		r.RemoteAddr, r.Host = test.peer, test.host
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		if test.contentType != "" {
			r.Header.Set("Content-Type", test.contentType)
		}
		w := httptest.NewRecorder()
		guard.ServeHTTP(w, r)
		if w.Code != test.want {
			t.Errorf("%s: got %d, want %d", test.desc, w.Code, test.want)
		}
	}
}
