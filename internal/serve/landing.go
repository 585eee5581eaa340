package serve

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// localPath is where the local Entra sends browsers after consent: its registration of the API has it on localhost.
const localPath = "/auth/done"

// LocalRedirect returns the redirect address of a server behind the local Entra, or "" when the server is not on this
// machine: no other address is registered there.
func LocalRedirect(server *url.URL) string {
	if server.Scheme != "http" || !loopback(server.Hostname()) || server.Port() == "" {
		return ""
	}
	return "http://localhost:" + server.Port() + localPath
}

// landingPath returns the path of the redirect address when the server itself has to answer there, "" when it is
// somebody else's. The path must be one that the server has no other use for.
func landingPath(redirect string, server *url.URL) (string, error) {
	if redirect == "" {
		return "", nil
	}
	u, err := url.Parse(redirect)
	if err != nil {
		return "", fmt.Errorf("serve: ConsentRedirect: %w", err)
	}
	if !sameOrigin(u, server) {
		return "", nil
	}
	taken := func(prefix string) bool { return u.Path == prefix || strings.HasPrefix(u.Path, prefix+"/") }
	if u.RawQuery != "" || len(u.Path) < 2 || path.Clean(u.Path) != u.Path || strings.ContainsAny(u.EscapedPath(), "%{} ") ||
		taken("/"+strings.Trim(server.Path, "/")) || taken("/api") || taken("/.well-known") {
		return "", fmt.Errorf("serve: ConsentRedirect %q: want a plain path of its own on this server, such as %s", redirect, localPath)
	}
	return u.Path, nil
}

// sameOrigin also takes the names of this machine as one, since they lead to the same listener.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && portOf(a) == portOf(b) &&
		(strings.EqualFold(a.Hostname(), b.Hostname()) || loopback(a.Hostname()) && loopback(b.Hostname()))
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

const landingPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Back from the sign-in</title>
<h1>Back from the sign-in</h1>
<p>You can close this page and repeat your question.</p>
</html>
`

// land answers a browser that comes back from Entra. It shows the same to everybody and ignores what the address holds:
// the code in it is never redeemed, and neither kept nor sent on.
func land(w http.ResponseWriter, _ *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, landingPage)
}
