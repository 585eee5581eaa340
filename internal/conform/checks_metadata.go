package conform

import (
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const wellKnown = "/.well-known/oauth-protected-resource"

// at returns another path of the server.
func (s *session) at(path string) string {
	u := *s.cfg.URL
	u.Path, u.RawPath, u.RawQuery = path, "", ""
	return u.String()
}

func (s *session) metadataURL() string {
	return s.at(wellKnown + strings.TrimSuffix(s.cfg.URL.Path, "/"))
}

// metadata is the protected resource metadata, as far as it is looked at.
type metadata struct {
	Resource string    `json:"resource"`
	Servers  []string  `json:"authorization_servers"`
	Scopes   []string  `json:"scopes_supported"`
	Methods  *[]string `json:"bearer_methods_supported"`
}

func (s *session) metadata(ctx context.Context) (m metadata, a answer, ok bool) {
	a = s.send(ctx, http.MethodGet, s.metadataURL(), "", nil, "")
	ok = a.err == nil && a.status == http.StatusOK && json.Unmarshal(a.body, &m) == nil
	return m, a, ok
}

// onMetadata runs a check that needs the metadata.
func onMetadata(run func(m metadata, a answer) outcome) func(context.Context, *session) outcome {
	return func(ctx context.Context, s *session) outcome {
		m, a, ok := s.metadata(ctx)
		if !ok {
			return failed("no metadata: %s", a.seen())
		}
		return run(m, a)
	}
}

func (s *session) metadataAt(ctx context.Context, url string) outcome {
	a := s.send(ctx, http.MethodGet, url, "", nil, "")
	var m metadata
	if a.err != nil || a.status != http.StatusOK || json.Unmarshal(a.body, &m) != nil || m.Resource == "" {
		return failed("%s at %s", a.seen(), url)
	}
	return passed("resource %s", shorten(m.Resource, 100))
}

func metadataChecks() []check {
	return []check{
		{"metadata.path", "the metadata is at the well-known path followed by the resource's path (RFC 9728 §3.1)", nothing, func(ctx context.Context, s *session) outcome {
			return s.metadataAt(ctx, s.metadataURL())
		}},
		{"metadata.root", "the metadata is at the root, too, where clients look next (MCP authorization, discovery)", nothing, func(ctx context.Context, s *session) outcome {
			return s.metadataAt(ctx, s.at(wellKnown))
		}},
		{"metadata.content-type", "the metadata is application/json (RFC 9728 §3.2)", nothing, onMetadata(func(_ metadata, a answer) outcome {
			mediaType, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
			return verdictOn(mediaType == "application/json", "%s", a.header.Get("Content-Type"))
		})},
		{"metadata.resource", "resource is the URL that the client connects to, character by character (RFC 9728 §3.3)", nothing, metadataResource},
		{"metadata.host", "resource does not follow the Host header, which a stranger chooses (RFC 9728 §3.3)", nothing, metadataHost},
		{"metadata.authorization-servers", "at least one authorization server, each an https URL (MCP authorization, RFC 9728 §2)", nothing, onMetadata(metadataServers)},
		{"metadata.scopes", "scopes_supported is there, fully qualified: Entra reads a short name as one of Microsoft Graph (RFC 9728 §2)", nothing, onMetadata(func(m metadata, _ answer) outcome {
			return verdictOn(qualified(m.Scopes), "%q", m.Scopes)
		})},
		{"metadata.offline-access", "scopes_supported does not hold offline_access (MCP authorization, refresh tokens)", nothing, onMetadata(func(m metadata, _ answer) outcome {
			return verdictOn(!slices.Contains(m.Scopes, "offline_access"), "%q", m.Scopes)
		})},
		{"metadata.bearer-methods", "tokens are taken from the header alone (MCP authorization, token handling; RFC 9728 §2)", nothing, onMetadata(func(m metadata, _ answer) outcome {
			if m.Methods == nil {
				return passed("not said")
			}
			return verdictOn(slices.Equal(*m.Methods, []string{"header"}), "%q", *m.Methods)
		})},
		{"metadata.cors", "clients in a browser may read the metadata (Fetch, CORS)", nothing, func(ctx context.Context, s *session) outcome {
			a := s.send(ctx, http.MethodGet, s.metadataURL(), "", http.Header{"Origin": {"https://client.example"}}, "")
			allowed := a.header.Get("Access-Control-Allow-Origin")
			return verdictOn(allowed == "*" || allowed == "https://client.example", "Access-Control-Allow-Origin %q", allowed)
		}},
		{"metadata.issuer", "the authorization server's own metadata can be had and names itself (RFC 8414 §3.3)", nothing, metadataIssuer},
	}
}

func verdictOn(good bool, format string, args ...any) outcome {
	if good {
		return passed(format, args...)
	}
	return failed(format, args...)
}

// qualified reports whether all scopes name their resource.
func qualified(scopes []string) bool {
	return len(scopes) > 0 && !slices.ContainsFunc(scopes, func(s string) bool { return !strings.Contains(s, "/") })
}

func metadataResource(ctx context.Context, s *session) outcome {
	return onMetadata(func(m metadata, _ answer) outcome {
		return verdictOn(m.Resource == s.cfg.URL.String(), "resource %q", m.Resource)
	})(ctx, s)
}

func metadataHost(ctx context.Context, s *session) outcome {
	a := s.send(ctx, http.MethodGet, s.metadataURL(), "", nil, "evil.example")
	return verdictOn(!strings.Contains(string(a.body), "evil.example") && !strings.Contains(a.header.Get("Location"), "evil.example"), "%s", a.seen())
}

func metadataServers(m metadata, _ answer) outcome {
	for _, server := range m.Servers {
		if u, err := url.Parse(server); err != nil || u.Scheme != "https" || u.Host == "" {
			return failed("%q", m.Servers)
		}
	}
	return verdictOn(len(m.Servers) > 0, "%q", m.Servers)
}

func metadataIssuer(ctx context.Context, s *session) outcome {
	m, a, ok := s.metadata(ctx)
	if !ok || len(m.Servers) == 0 {
		return failed("no metadata: %s", a.seen())
	}
	document, found := s.issuerMetadata(ctx, m.Servers[0])
	return verdictOn(found && document.Issuer == m.Servers[0], "issuer %q", document.Issuer)
}

// issuerDocument is the authorization server's metadata, as far as it is looked at.
type issuerDocument struct {
	Issuer string `json:"issuer"`
	Keys   string `json:"jwks_uri"`
}

// issuerMetadata looks where clients look (RFC 8414 §3.1, OpenID Connect Discovery §4).
func (s *session) issuerMetadata(ctx context.Context, issuer string) (document issuerDocument, ok bool) {
	u, err := url.Parse(issuer)
	if err != nil {
		return document, false
	}
	origin, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.Path, "/")
	for _, at := range []string{
		origin + "/.well-known/oauth-authorization-server" + path, origin + "/.well-known/openid-configuration" + path,
		origin + path + "/.well-known/openid-configuration",
	} {
		a := s.send(ctx, http.MethodGet, at, "", nil, "")
		if a.err == nil && a.status == http.StatusOK && json.Unmarshal(a.body, &document) == nil && document.Issuer != "" {
			return document, true
		}
	}
	return document, false
}
