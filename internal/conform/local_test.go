package conform_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/bearer"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/conform"
	"github.com/onbehalf/onbehalf/internal/httpguard"
)

// TestAgainstTheLocalEntra runs all checks over real HTTP, with tokens that the local Entra signs.
func TestAgainstTheLocalEntra(t *testing.T) {
	local := entratest.Start(t, nil)
	cloud, err := entra.CloudOf(local.URL)
	if !errors.Is(err, entra.ErrUnknownCloud) {
		t.Fatal(err)
	}
	at := httptest.NewUnstartedServer(nil)
	at.Start()
	defer at.Close()
	endpoint := must(url.Parse(at.URL + "/mcp"))
	v := must(bearer.New(bearer.Config{
		Cloud: cloud, Tenants: []identity.TenantID{must(identity.ParseTenantID(local.Tenant))}, Audiences: []string{local.API},
		Scopes: []entra.Scope{must(entra.ParseScope("api://" + local.API + "/execute"))}, Resource: endpoint, HTTPClient: local.Client(),
	}))
	guard := must(httpguard.New(httpguard.Config{AllowLoopback: true}))
	server := mcp.NewServer(&mcp.Implementation{Name: "x", Version: "1"}, &mcp.ServerOptions{
		Capabilities: &mcp.ServerCapabilities{}, SetCacheable: func(_ context.Context, _ mcp.Request, c *mcp.Cacheable) { c.CacheScope = "private" },
	})
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
	mux := http.NewServeMux()
	for _, path := range v.MetadataPaths() {
		mux.Handle(path, v.MetadataHandler())
	}
	mux.Handle("/mcp", guard.Outside(v.Middleware(guard.Inside(handler))))
	at.Config.Handler = mux

	report, err := conform.Run(t.Context(), conform.Config{
		URL: endpoint, Minter: &conform.Local{Entra: local.URL, HTTPClient: local.Client()}, HTTPClient: local.Client(), Now: time.Now,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range report.Results {
		if result.Verdict == conform.Fail || result.Verdict == conform.Skip && result.Seen != "needs the issuer's key" {
			t.Errorf("%s %s: %s", result.Verdict, result.ID, result.Seen)
		}
	}
	t.Log(report.Summary())
}

func TestBaseline(t *testing.T) {
	w := newWorld(t, false)
	other := w.minter()
	other.Audience = client
	_, err := conform.Run(t.Context(), conform.Config{URL: must(url.Parse(resource)), Minter: other, HTTPClient: &http.Client{Transport: w}}, nil)
	if !errors.Is(err, conform.ErrBaseline) {
		t.Errorf("a server that refuses the good token: %v, want ErrBaseline", err)
	}
}

// TestWithoutAMinter has no token at all: what can be checked from outside is checked.
func TestWithoutAMinter(t *testing.T) {
	w := newWorld(t, false)
	report, err := conform.Run(t.Context(), conform.Config{URL: must(url.Parse(resource)), HTTPClient: &http.Client{Transport: w}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if report.Count(conform.Fail) > 0 || report.Count(conform.Pass) < 20 || report.Count(conform.Skip) == 0 {
		t.Error(report.Summary())
	}
}
