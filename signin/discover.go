package signin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/entra"
)

// Bounds of protected resource metadata.
const (
	maxMetadata  = 64 << 10
	maxAuthority = 8
	maxScopes    = 16
)

// metadata is what a server says of itself (RFC 9728 §2), as far as it matters here.
type metadata struct {
	Resource string   `json:"resource"`
	Servers  []string `json:"authorization_servers"`
	Scopes   []string `json:"scopes_supported"`
}

// ServerURL checks the address of an MCP server: https, or http to this machine, without user, query and fragment. It
// returns the address in the one form in which it is compared and remembered.
func ServerURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return nil, fmt.Errorf("server %q: want a URL such as https://HOST/mcp", address)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("server %q: want a URL without user, query and fragment", u.Redacted())
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("server %q: want https: a token may go in clear to this machine only", address)
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("server %q: want https", address)
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if port := u.Port(); port == "443" && u.Scheme == "https" || port == "80" && u.Scheme == "http" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	return u, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// canonical is the form under which a server is remembered: without a trailing slash (RFC 8707 §2).
func canonical(u *url.URL) string { return strings.TrimSuffix(u.String(), "/") }

// discover asks the server whom it trusts: at the address in its challenge, else at the well-known addresses, the one
// with the path first.
//
// https://www.rfc-editor.org/rfc/rfc9728#section-3
func (h *Handler) discover(ctx context.Context, c challenge) (metadata, error) {
	if c.metadata != "" {
		address, err := url.Parse(c.metadata)
		if err != nil || address.Scheme != h.server.Scheme || !sameHost(address, h.server) {
			return metadata{}, fmt.Errorf("%w: the server names metadata at another host: %q", ErrNotTrusted, c.metadata)
		}
		m, found, err := h.fetchMetadata(ctx, address)
		if err == nil && !found {
			err = fmt.Errorf("the server has no metadata where it says: %s", address)
		}
		return m, err
	}
	path := strings.TrimSuffix(h.server.EscapedPath(), "/")
	for _, candidate := range slices.Compact([]string{path, ""}) {
		address := *h.server
		address.Path, address.RawPath = "/.well-known/oauth-protected-resource"+candidate, ""
		m, found, err := h.fetchMetadata(ctx, &address)
		if err != nil || found {
			return m, err
		}
	}
	return metadata{}, errors.New("the server says neither in its answer nor at /.well-known/oauth-protected-resource where to sign in (RFC 9728)")
}

func sameHost(a, b *url.URL) bool {
	return strings.EqualFold(a.Hostname(), b.Hostname()) && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	return cmp.Or(u.Port(), map[string]string{"https": "443", "http": "80"}[u.Scheme])
}

func (h *Handler) fetchMetadata(ctx context.Context, address *url.URL) (m metadata, found bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return metadata{}, false, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := h.client.Do(req)
	if err != nil {
		return metadata{}, false, fmt.Errorf("metadata of the server: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		if resp.StatusCode >= http.StatusInternalServerError {
			return metadata{}, false, fmt.Errorf("metadata of the server: HTTP %d at %s", resp.StatusCode, address)
		}
		return metadata{}, false, nil
	}
	if mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); mediaType != "application/json" {
		return metadata{}, false, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMetadata+1))
	if err != nil {
		return metadata{}, false, fmt.Errorf("metadata of the server: %w", err)
	}
	if len(body) > maxMetadata || json.Unmarshal(body, &m) != nil {
		return metadata{}, false, fmt.Errorf("metadata of the server: not RFC 9728's JSON of at most %d bytes, at %s", maxMetadata, address)
	}
	return m, true, nil
}

// checkResource refuses metadata of another resource: whoever serves it could be somebody else's front. As the MCP SDKs
// do, metadata for a folder above the server's path is accepted.
//
// https://www.rfc-editor.org/rfc/rfc9728#section-3.3
func (h *Handler) checkResource(resource string) error {
	if h.cfg.Resource != "" && h.cfg.Resource == resource {
		return nil // the person said so
	}
	u, err := url.Parse(resource)
	if err == nil && u.Scheme == h.server.Scheme && sameHost(u, h.server) {
		above, path := strings.TrimSuffix(u.Path, "/"), strings.TrimSuffix(h.server.Path, "/")
		if path == above || strings.HasPrefix(path, above+"/") {
			return nil
		}
	}
	return fmt.Errorf("%w: the metadata is of another resource, %q, not of %s: somebody may be posing as that server", ErrNotTrusted, resource, h.server)
}

// authorityOf takes the first authorization server that has the form of an Entra authority, https://HOST/TENANT/v2.0.
// Whether HOST is trusted decides the Acquirer.
func authorityOf(servers []string) (authority, tenant string, err error) {
	if len(servers) == 0 || len(servers) > maxAuthority {
		return "", "", fmt.Errorf("the server's metadata names %d authorization servers, want 1 to %d", len(servers), maxAuthority)
	}
	for _, server := range servers {
		u, err := url.Parse(server)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			continue
		}
		tenant := strings.TrimSuffix(strings.Trim(u.Path, "/"), "/v2.0")
		if isTenant(tenant) && net.ParseIP(tenant) == nil {
			return "https://" + strings.ToLower(u.Host) + "/", strings.ToLower(tenant), nil
		}
	}
	return "", "", fmt.Errorf("%w: the server's authorization server is not Entra ID: %q", ErrNotTrusted, servers[0])
}

// isOIDC reports scopes that belong to the sign-in, not to an API; MSAL asks for them by itself.
func isOIDC(scope string) bool {
	return slices.Contains([]string{"openid", "profile", "email", "offline_access"}, scope)
}

// qualify completes a bare name, which Entra would read as a permission of Microsoft Graph. Many servers' middleware
// asks for the short names that a token's scp holds: known are the names that the server gives elsewhere, whose API is
// meant. Else it is a permission of the server's own URL.
func (h *Handler) qualify(name string, known []string) string {
	if strings.Contains(name, "/") {
		return name
	}
	for _, full := range known {
		if scope, err := entra.ParseScope(full); err == nil {
			return scope.Resource() + "/" + name
		}
	}
	return canonical(h.server) + "/" + name
}

// apiScopes parses the scopes that a server asks for.
func (h *Handler) apiScopes(names, known []string) ([]entra.Scope, error) {
	var scopes []entra.Scope
	for _, name := range names {
		if isOIDC(name) {
			continue
		}
		scope, err := entra.ParseScope(h.qualify(name, known))
		if err != nil {
			return nil, fmt.Errorf("the server asks for a %w", err)
		}
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	if len(scopes) > maxScopes {
		return nil, fmt.Errorf("the server asks for %d scopes, at most %d are granted", len(scopes), maxScopes)
	}
	for _, scope := range scopes[min(1, len(scopes)):] {
		if !strings.EqualFold(scope.Resource(), scopes[0].Resource()) {
			return nil, fmt.Errorf("%w: the server asks for scopes of several APIs: %s and %s", ErrNotTrusted, scopes[0], scope)
		}
	}
	return scopes, nil
}
