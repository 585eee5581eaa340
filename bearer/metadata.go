package bearer

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

const wellKnown = "/.well-known/oauth-protected-resource"

// metadataURL is where RFC 9728 §3.1 looks first: the well-known part comes between host and path.
func metadataURL(resource *url.URL) string {
	u := *resource
	u.Path, u.RawPath = wellKnown+strings.TrimSuffix(u.Path, "/"), ""
	return u.String()
}

func (cfg *Config) metadataDocument() ([]byte, error) {
	scopes := make([]string, len(cfg.Scopes))
	for i, scope := range cfg.Scopes {
		scopes[i] = scope.String()
	}
	return json.Marshal(struct {
		Resource             string   `json:"resource"`
		AuthorizationServers []string `json:"authorization_servers"`
		Scopes               []string `json:"scopes_supported"`
		Methods              []string `json:"bearer_methods_supported"`
		Documentation        string   `json:"resource_documentation,omitempty"`
	}{cfg.Resource.String(), cfg.AuthorizationServers, scopes, []string{"header"}, cfg.Documentation})
}

// MetadataPaths returns the paths at which [Verifier.MetadataHandler] is to be served: the one that challenges name
// (RFC 9728 §3.1), the root, where clients look next, and below the resource, where some look last.
func (v *Verifier) MetadataPaths() []string {
	path := strings.TrimSuffix(v.cfg.Resource.Path, "/")
	if path == "" {
		return []string{wellKnown}
	}
	return []string{wellKnown + path, wellKnown, path + wellKnown}
}

// MetadataURL is what challenges name as resource_metadata.
func (v *Verifier) MetadataURL() string { return v.metadataURL }

// MetadataHandler serves the protected resource metadata (RFC 9728 §3.2). Any web page may read it: there is nothing
// secret in it, and clients in a browser need it.
func (v *Verifier) MetadataHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("X-Content-Type-Options", "nosniff")
		switch r.Method {
		case http.MethodOptions:
			h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
			h.Set("Access-Control-Allow-Headers", "Accept, Content-Type, MCP-Protocol-Version")
			h.Set("Access-Control-Max-Age", "86400")
			w.WriteHeader(http.StatusNoContent)
		case http.MethodGet, http.MethodHead:
			h.Set("Content-Type", "application/json")
			h.Set("Cache-Control", "public, max-age=300")
			_, _ = w.Write(v.metadata) // the client may be gone
		default:
			h.Set("Allow", "GET, HEAD, OPTIONS")
			http.Error(w, "only GET", http.StatusMethodNotAllowed)
		}
	})
}
