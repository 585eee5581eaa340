package conform_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/bearer"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/conform"
	"github.com/onbehalf/onbehalf/internal/httpguard"
)

const (
	tenant   = "7f1d3f0e-6d8e-5d6f-9c41-0d9f4f6f2b10"
	api      = "22222222-2222-4333-8444-555555555555"
	client   = "33333333-2222-4333-8444-555555555555"
	issuer   = "https://issuer.example/" + tenant + "/v2.0"
	resource = "https://mcp.example/mcp"
)

var issuerKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })

var consumersKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// world is a server and its issuer, both without a network: every request of a client ends in one of two handlers.
type world struct {
	server, issuer http.Handler
	good           func() string

	mu      sync.Mutex
	fetches int // of the keys
}

// RoundTrip implements [http.RoundTripper].
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	r.RequestURI, r.RemoteAddr = r.URL.RequestURI(), "192.0.2.1:1234"
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	recorder := httptest.NewRecorder()
	handler := w.server
	if r.URL.Host == "issuer.example" {
		handler = w.issuer
	}
	handler.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

func (w *world) minter() *minter {
	return &minter{
		Issuer: conform.Issuer{Key: issuerKey(), KeyID: "k1", Issuer: issuer, Tenant: tenant, Audience: api, Client: client, Scope: "execute", Now: time.Now},
		world:  w,
	}
}

// minter also has the key of personal accounts, and counts.
type minter struct {
	conform.Issuer
	world *world
}

func (m *minter) Mint(ctx context.Context, t conform.Token) (string, error) {
	if t.Key != "consumers" {
		return m.Issuer.Mint(ctx, t)
	}
	other := m.Issuer
	other.Key, other.KeyID = consumersKey(), "k2"
	return other.Mint(ctx, conform.Token{})
}

func (m *minter) KeyFetches(context.Context) (int, error) {
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	return m.world.fetches, nil
}

func (w *world) issue(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/" + tenant + "/v2.0/.well-known/openid-configuration":
		_, _ = fmt.Fprintf(rw, `{"issuer":%q,"jwks_uri":"https://issuer.example/%s/discovery/v2.0/keys"}`, issuer, tenant)
	case "/" + tenant + "/discovery/v2.0/keys":
		w.mu.Lock()
		w.fetches++
		w.mu.Unlock()
		_, _ = fmt.Fprintf(rw, `{"keys":[%s,%s]}`, jwk("k1", &issuerKey().PublicKey, issuer),
			jwk("k2", &consumersKey().PublicKey, "https://issuer.example/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"))
	default:
		http.NotFound(rw, r)
	}
}

func jwk(kid string, key *rsa.PublicKey, issuer string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"kty":"RSA","kid":%q,"issuer":%q,"n":%q,"e":%q}`, kid, issuer, encode(key.N.Bytes()), encode(big.NewInt(int64(key.E)).Bytes()))
}

// newWorld builds a right server: ours.
func newWorld(tb testing.TB, stateful bool) *world {
	tb.Helper()
	w := &world{}
	w.issuer = http.HandlerFunc(w.issue)
	w.good = func() string { return must(w.minter().Mint(context.Background(), conform.Token{})) }
	v := must(bearer.New(bearer.Config{
		Cloud: entra.Cloud{Authority: "https://issuer.example/"}, Tenants: []identity.TenantID{must(identity.ParseTenantID(tenant))},
		Audiences: []string{api}, Scopes: []entra.Scope{must(entra.ParseScope("api://" + api + "/execute"))},
		Resource: must(url.Parse(resource)), HTTPClient: &http.Client{Transport: w},
	}))
	guard := must(httpguard.New(httpguard.Config{Hosts: []string{"mcp.example"}, Failures: -1}))
	server := mcp.NewServer(&mcp.Implementation{Name: "right", Version: "1"}, &mcp.ServerOptions{
		Capabilities: &mcp.ServerCapabilities{}, Logger: slog.New(slog.DiscardHandler),
		SetCacheable: func(_ context.Context, _ mcp.Request, c *mcp.Cacheable) { c.CacheScope = "private" },
	})
	mcp.AddTool(server, &mcp.Tool{Name: "who"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "you"}}}, nil, nil
	})
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: !stateful, JSONResponse: true})
	mux := http.NewServeMux()
	for _, path := range v.MetadataPaths() {
		mux.Handle(path, v.MetadataHandler())
	}
	mux.Handle("/mcp", guard.Outside(v.Middleware(guard.Inside(handler))))
	w.server = mux
	return w
}

func (w *world) run(tb testing.TB, only ...string) *conform.Report {
	tb.Helper()
	report, err := conform.Run(tb.Context(), conform.Config{
		URL: must(url.Parse(resource)), Minter: w.minter(), Only: only, HTTPClient: &http.Client{Transport: w}, Now: time.Now,
	}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return report
}

// flaw makes a right server wrong.
type flaw func(w *world, next http.Handler) http.Handler

// letIn takes some requests for good ones.
func letIn(which func(r *http.Request) bool) flaw {
	return func(w *world, next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if which(r) {
				r.Header.Set("Authorization", "Bearer "+w.good())
				r.Host = "mcp.example"
				r.Header.Del("Origin")
				r.URL.RawQuery = ""
			}
			next.ServeHTTP(rw, r)
		})
	}
}

// accepting takes tokens with such headers and claims for good ones.
func accepting(which func(header, claims map[string]any, signature string) bool) flaw {
	return letIn(func(r *http.Request) bool {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		parts := strings.Split(token, ".")
		if len(parts) != 3 {
			return false
		}
		header, claims := lenient(parts[0]), lenient(parts[1])
		return header != nil && claims != nil && which(header, claims, parts[2])
	})
}

func lenient(segment string) (out map[string]any) {
	text, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		return nil
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	if decoder.Decode(&out) != nil {
		return nil
	}
	return out
}

// withHeader takes tokens with such a header member for good ones, whoever signed.
func withHeader(name string, value any) flaw {
	return accepting(func(h, _ map[string]any, _ string) bool { return h[name] == value })
}

// answering changes answers.
func answering(change func(r *http.Request, recorded *httptest.ResponseRecorder)) flaw {
	return func(_ *world, next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			recorded := httptest.NewRecorder()
			next.ServeHTTP(recorded, r)
			change(r, recorded)
			maps.Copy(rw.Header(), recorded.Header())
			rw.WriteHeader(recorded.Code)
			_, _ = rw.Write(recorded.Body.Bytes())
		})
	}
}

// challenging changes the text of challenges.
func challenging(old, replacement string) flaw {
	return answering(func(_ *http.Request, a *httptest.ResponseRecorder) {
		if value := a.Header().Get("WWW-Authenticate"); value != "" {
			a.Header().Set("WWW-Authenticate", strings.ReplaceAll(value, old, replacement))
		}
	})
}

// describing changes the metadata.
func describing(change func(document map[string]any, r *http.Request)) flaw {
	return answering(func(r *http.Request, a *httptest.ResponseRecorder) {
		if !strings.Contains(r.URL.Path, "well-known") {
			return
		}
		var document map[string]any
		if json.Unmarshal(a.Body.Bytes(), &document) != nil {
			return
		}
		change(document, r)
		a.Body.Reset()
		_ = json.NewEncoder(a.Body).Encode(document)
	})
}

// status turns an answer into another.
func status(when func(r *http.Request, code int) bool, code int) flaw {
	return answering(func(r *http.Request, a *httptest.ResponseRecorder) {
		if when(r, a.Code) {
			a.Code = code
		}
	})
}

// result answers some requests with a result, whatever they are.
func result(when func(r *http.Request) bool) flaw {
	return func(_ *world, next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if !when(r) {
				next.ServeHTTP(rw, r)
				return
			}
			rw.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(rw, `{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}`)
		})
	}
}
