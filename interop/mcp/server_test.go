//go:build conformance || interop

package mcp_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
)

// protected is the real server behind its real middleware, and an access token of alice's for it.
type protected struct {
	url    string // http://localhost:PORT/mcp
	token  string
	entra  *entratest.Entra
	server *onbehalf.Server
}

func startProtected(tb testing.TB, options func(*mcp.ServerOptions)) *protected {
	tb.Helper()
	return startRegistered(tb, options, false)
}

// startRegistered starts a server whose App ID URI is its own URL, when byURL is set: what clients need that send the
// parameter resource, as MCP asks them to (AADSTS9010010 otherwise).
func startRegistered(tb testing.TB, options func(*mcp.ServerOptions), byURL bool) *protected {
	tb.Helper()
	local := entratest.Start(tb, nil)
	cloud, err := entra.CloudOf(local.URL)
	if !errors.Is(err, entra.ErrUnknownCloud) {
		tb.Fatal(err)
	}
	at := httptest.NewServer(nil)
	tb.Cleanup(at.Close)
	endpoint := must(url.Parse("http://localhost:" + must(url.Parse(at.URL)).Port() + "/mcp"))
	appIDURI := ""
	if byURL {
		appIDURI = endpoint.String()
		if err = local.Server.Directory().UpdateApplication(must(identity.ParseClientID(local.API)), func(a *entraserver.Application) error {
			a.IdentifierURIs = []string{appIDURI}
			return nil
		}); err != nil {
			tb.Fatal(err)
		}
	}
	server, err := onbehalf.New(onbehalf.Config{
		Name: "onbehalf", Version: "1.0.0", URL: endpoint, Cloud: cloud, Tenants: []identity.TenantID{must(identity.ParseTenantID(local.Tenant))},
		Client: must(identity.ParseClientID(local.API)), HTTPClient: local.Client(), AppIDURI: appIDURI, MCP: options, CallsPerSecond: -1,
	})
	if err != nil {
		tb.Fatal(err)
	}
	at.Config.Handler = server.Handler()
	token := local.SignIn("alice", local.WebClient, server.Scope().String()).Reveal()
	return &protected{endpoint.String(), token, local, server}
}

// signedIn starts a proxy that adds the Authorization header, for clients that cannot. It keeps the Host.
func (p *protected) signedIn(tb testing.TB) string {
	tb.Helper()
	target := must(url.Parse(p.url))
	forward := &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
			r.Out.Host = r.In.Host
			r.Out.Header.Set("Authorization", "Bearer "+p.token)
		},
	}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Without it net/http closes the request's body as soon as the answer begins. When the server is quicker than the
		// goroutine that sends the body is to see its end, that goroutine fails then, and takes the answer down with it.
		_ = http.NewResponseController(w).EnableFullDuplex()
		forward.ServeHTTP(w, r)
	}))
	tb.Cleanup(proxy.Close)
	return "http://localhost:" + must(url.Parse(proxy.URL)).Port() + "/mcp"
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
