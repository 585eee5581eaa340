package serve_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/serve"
	"github.com/onbehalf/onbehalf/obo"
)

func start(t *testing.T, address, redirect string) (http.Handler, error) {
	t.Helper()
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := identity.ParseTenantID("7f1d3f0e-6d8e-5d6f-9c41-0d9f4f6f2b10")
	if err != nil {
		t.Fatal(err)
	}
	client, err := identity.ParseClientID("99999999-9999-4999-8999-999999999999")
	if err != nil {
		t.Fatal(err)
	}
	server, err := serve.New(serve.Config{
		Server:     onbehalf.Config{URL: at, Cloud: entra.Clouds()[0], Tenants: []identity.TenantID{tenant}, Client: client},
		Credential: obo.Secret(identity.NewSecret("secret")), ConsentRedirect: redirect,
		Search:      serve.Search{Endpoint: "https://contoso.search.windows.net", Index: "documents", Key: identity.NewSecret("key")},
		EntraClient: http.DefaultClient, SearchClient: http.DefaultClient,
	})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = server.Close() })
	return server.Handler(), nil
}

func TestLandingPage(t *testing.T) {
	for _, tt := range []struct {
		desc, server, redirect, path string
		want                         int
	}{
		{"on the server", "https://mcp.contoso.com/mcp", "https://mcp.contoso.com/auth/done", "/auth/done", http.StatusOK},
		{"with the port written out", "https://mcp.contoso.com/mcp", "https://mcp.contoso.com:443/auth/done", "/auth/done", http.StatusOK},
		{"another name of this machine", "http://127.0.0.1:8000/mcp", "http://localhost:8000/auth/done", "/auth/done", http.StatusOK},
		{"another server", "https://mcp.contoso.com/mcp", "https://www.contoso.com/auth/done", "/auth/done", http.StatusNotFound},
		{"another port", "http://localhost:8000/mcp", "http://localhost:8001/auth/done", "/auth/done", http.StatusNotFound},
		{"none", "https://mcp.contoso.com/mcp", "", "/auth/done", http.StatusNotFound},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			handler, err := start(t, tt.server, tt.redirect)
			if err != nil {
				t.Fatal(err)
			}
			const foreign = "?code=secret-code&error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E&state=x"
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, tt.path+foreign, http.NoBody))
			body, header := answer.Body.String(), answer.Header()
			if answer.Code != tt.want {
				t.Fatalf("got %d: %s", answer.Code, body)
			}
			if tt.want != http.StatusOK {
				return
			}
			if !strings.Contains(body, "close this page") || strings.Contains(body, "secret-code") || strings.Contains(body, "script") || strings.Contains(body, "denied") {
				t.Errorf("got %s", body)
			}
			if header.Get("Content-Security-Policy") != "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" ||
				header.Get("Referrer-Policy") != "no-referrer" || header.Get("Cache-Control") != "no-store" || len(header.Values("Set-Cookie")) > 0 {
				t.Errorf("got %v", header)
			}
		})
	}
}

func TestLandingPageInTheWay(t *testing.T) {
	for _, redirect := range []string{
		"https://mcp.contoso.com/mcp", "https://mcp.contoso.com/mcp/done", "https://mcp.contoso.com/api/chain", "https://mcp.contoso.com/.well-known/done",
		"https://mcp.contoso.com", "https://mcp.contoso.com/", "https://mcp.contoso.com/a/../b", "https://mcp.contoso.com/{x}", "https://mcp.contoso.com/a?b=c",
		"https://mcp.contoso.com/%61", "https://mcp.contoso.com/done/", "not a url",
	} {
		if _, err := start(t, "https://mcp.contoso.com/mcp", redirect); err == nil || !strings.Contains(err.Error(), "ConsentRedirect") {
			t.Errorf("%s: got %v", redirect, err)
		}
	}
}

func TestLocalRedirect(t *testing.T) {
	for server, want := range map[string]string{
		"http://localhost:8000/mcp":   "http://localhost:8000/auth/done",
		"http://127.0.0.1:4711/mcp":   "http://localhost:4711/auth/done",
		"http://localhost/mcp":        "",
		"https://localhost:8000/mcp":  "",
		"https://mcp.contoso.com/mcp": "",
	} {
		at, err := url.Parse(server)
		if err != nil {
			t.Fatal(err)
		}
		if got := serve.LocalRedirect(at); got != want {
			t.Errorf("%s: got %q, want %q", server, got, want)
		}
	}
}
