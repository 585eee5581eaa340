package searchclient_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient"
)

const (
	alice   = "11111111-1111-4111-8111-111111111111"
	tenant  = "22222222-2222-4222-8222-222222222222"
	testKey = "K3y-that-must-not-leak"
)

// fake is a service that answers what it is told and remembers what it was asked.
type fake struct {
	*httptest.Server
	mu   sync.Mutex
	seen []seen
}

type seen struct {
	method, uri string
	header      http.Header
	body        string
}

func newFake(t *testing.T, answer http.HandlerFunc) *fake {
	t.Helper()
	f := &fake{}
	f.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.seen = append(f.seen, seen{r.Method, r.RequestURI, r.Header.Clone(), string(body)})
		f.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) requests() []seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]seen(nil), f.seen...)
}

func (f *fake) client(t *testing.T, change func(*searchclient.Config)) *searchclient.Client {
	t.Helper()
	config := searchclient.Config{Endpoint: f.URL, Key: identity.NewSecret(testKey), HTTPClient: f.Client(), MaxRetries: -1}
	if change != nil {
		change(&config)
	}
	client, err := searchclient.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// says answers with JSON.
func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; odata.metadata=none")
		w.Header().Set("request-id", "r-1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// jwt makes a token that no one signed: the client verifies nothing.
func jwt(tb testing.TB, claims map[string]any) string {
	tb.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"RS256"}`)) + "." + encode(payload) + "." + encode([]byte("signature"))
}

func asAlice(t *testing.T) search.ByToken {
	t.Helper()
	return byToken(t, jwt(t, map[string]any{"aud": "https://search.azure.com", "oid": alice, "tid": tenant}))
}

func byToken(t *testing.T, token string) search.ByToken {
	t.Helper()
	object, err := identity.ParseObjectID(alice)
	if err != nil {
		t.Fatal(err)
	}
	tid, err := identity.ParseTenantID(tenant)
	if err != nil {
		t.Fatal(err)
	}
	return search.ByToken{Token: identity.Token{Value: identity.NewSecret(token), Object: object, Tenant: tid}}
}
