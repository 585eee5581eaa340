package obo_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/obo"
)

// first answers the first n requests in one way, the others rightly.
func (a *authority) first(n int64, answer func(http.ResponseWriter, *http.Request)) {
	before := a.exchanges.Load()
	a.answer = func(w http.ResponseWriter, r *http.Request) {
		if a.exchanges.Load()-before <= n {
			answer(w, r)
			return
		}
		a.grant(w, r, nil)
	}
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func write(status int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestFaultsOfEntra(t *testing.T) {
	const always = 1 << 30
	secret := makeJWT(map[string]any{"oid": "x"})
	for _, tt := range []struct {
		desc   string
		answer func(http.ResponseWriter, *http.Request)
		times  int64
		want   entra.Kind // 0: a token
		reason string
		asked  int64
	}{
		{"a connection closed once", hangUp, 1, 0, "", 2},
		{"connections closed always", hangUp, always, entra.Unavailable, "connection", 2},
		{"a failure once", refuse(500, "server_error", 50033, ""), 1, 0, "", 2},
		{"failures always", refuse(503, "temporarily_unavailable", 90033, ""), always, entra.Unavailable, "AADSTS90033", 2},
		{"a proxy's page", write(502, "<html>Bad gateway</html>"), always, entra.Unavailable, "entra-server_error", 2},
		{"an answer that is not JSON", write(200, "<html>"+secret), always, entra.Unavailable, "malformed-answer", 1},
		{"an answer without a token", write(200, `{"token_type":"Bearer","expires_in":3600}`), always, entra.Unavailable, "malformed-answer", 1},
		{"an endless answer", write(200, `{"access_token":"`+strings.Repeat("x", 2<<20)+`"}`), always, entra.Unavailable, "malformed-answer", 1},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/", http.StatusTemporaryRedirect)
		}, always, entra.Misconfigured, "entra-server_error", 1},
		{"an empty refusal", write(400, ""), always, entra.Unavailable, "entra-server_error", 1},
		{"a refusal is not tried again", refuse(400, "invalid_grant", 50076, ""), always, entra.InteractionRequired, "AADSTS50076", 1},
		{"throttling is not tried again", refuse(429, "temporarily_unavailable", 90055, ""), always, entra.Throttled, "AADSTS90055", 1},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			a := startAuthority(t)
			a.first(tt.times, tt.answer)
			token, err := newClient(t, a, nil).Exchange(t.Context(), person(t, 1, 1), searchScope(t), "")
			if n := a.exchanges.Load(); n != tt.asked {
				t.Errorf("asked %d times, want %d", n, tt.asked)
			}
			if tt.want == 0 {
				if err != nil || token.Value.IsZero() {
					t.Errorf("got %v, want a token", err)
				}
				return
			}
			refusal := refusalOf(t, err)
			if refusal.Reason != tt.reason {
				t.Errorf("got %v (%s), want %s", err, refusal.Reason, tt.reason)
			}
			if strings.Contains(err.Error()+refusal.Say(), "eyJ") {
				t.Errorf("the refusal quotes a token: %v", err)
			}
		})
	}
}

func TestASlowEntraDoesNotHoldCallersForever(t *testing.T) {
	a := startAuthority(t)
	a.answer = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	client := newClient(t, a, func(c *obo.Config) { c.Timeout = 300 * time.Millisecond })
	_, err := client.Exchange(t.Context(), person(t, 1, 1), searchScope(t), "")
	if r := refusalOf(t, err); r.Kind != entra.Unavailable || r.Reason != "timeout" {
		t.Errorf("got %v", err)
	}
	if n := a.exchanges.Load(); n != 1 {
		t.Errorf("asked %d times, want 1", n)
	}
}

func TestEntraDownAndBack(t *testing.T) {
	a := startAuthority(t)
	client := newClient(t, a, nil)
	cached := person(t, 1, 1)
	get(t, client, cached, searchScope(t))
	a.answer = hangUp
	if _, err := client.Exchange(t.Context(), person(t, 2, 1), searchScope(t), ""); err == nil {
		t.Error("a token from an Entra that is down")
	}
	get(t, client, cached, searchScope(t)) // who has a token goes on
	a.answer = nil
	get(t, client, person(t, 2, 1), searchScope(t))
}

// The credential and the assertion go to the configured authority, wherever a discovery document points.
func TestNothingIsSentElsewhere(t *testing.T) {
	var reached bool
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer elsewhere.Close()
	a := startAuthority(t)
	a.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"issuer":"`+a.URL+`/t/v2.0","authorization_endpoint":"`+elsewhere.URL+`/a","token_endpoint":"`+elsewhere.URL+`/token"}`)
	})
	hc := a.Client()
	transport, ok := hc.Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	transport.TLSClientConfig.InsecureSkipVerify = true
	if _, err := newClient(t, a, func(c *obo.Config) { c.HTTPClient = hc }).Exchange(t.Context(), person(t, 1, 1), searchScope(t), ""); err == nil || reached {
		t.Errorf("got %v; reached: %t", err, reached)
	}
}
