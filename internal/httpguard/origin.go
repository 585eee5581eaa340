package httpguard

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// allowHost refuses requests for names that are not ours: a page on evil.example whose name was pointed at this
// machine (DNS rebinding) arrives with Host: evil.example, and its Origin then is the same, so that comparing the two
// does not help.
//
// https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http (Security Warning)
func (g *Guard) allowHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		host = strings.ToLower(strings.Trim(host, "[]"))
		if !g.hosts[host] && (!g.cfg.AllowLoopback || !isLoopback(host)) {
			refuse(w, http.StatusForbidden, codeRefused, "this server does not answer under that name (Host)")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// What pages of an allowed origin may send and read.
const (
	corsMethods = "POST, GET, DELETE, OPTIONS"
	corsHeaders = "Authorization, Content-Type, Accept, Last-Event-ID, Mcp-Protocol-Version, Mcp-Session-Id, Mcp-Method, Mcp-Name"
	corsExposed = "WWW-Authenticate, Retry-After, Mcp-Session-Id, Mcp-Protocol-Version, Onbehalf-Chain"
)

// allowOrigin refuses web pages that are not on the list, and lets those on it read the answers (CORS).
func (g *Guard) allowOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Origin")
		origins := r.Header["Origin"]
		if len(origins) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		if len(origins) > 1 || !g.knows(origins[0]) {
			refuse(w, http.StatusForbidden, codeRefused, "this server does not answer pages of that origin (Origin)")
			return
		}
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origins[0])
		h.Set("Access-Control-Expose-Headers", corsExposed)
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", corsMethods)
			h.Set("Access-Control-Allow-Headers", allowedHeaders(r.Header.Get("Access-Control-Request-Headers")))
			h.Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allowedHeaders adds the headers of tool parameters, whose names the tools choose: Mcp-Param-….
func allowedHeaders(requested string) string {
	allowed := []string{corsHeaders}
	for name := range strings.SplitSeq(requested, ",") {
		name = strings.TrimSpace(name)
		isName := !strings.ContainsFunc(name, func(r rune) bool {
			return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		})
		if isName && len(name) <= 128 && strings.HasPrefix(strings.ToLower(name), "mcp-param-") {
			allowed = append(allowed, name)
		}
	}
	return strings.Join(allowed, ", ")
}

func (g *Guard) knows(origin string) bool {
	if g.origins[strings.ToLower(origin)] {
		return true
	}
	u, err := url.Parse(origin)
	return g.cfg.AllowLoopback && err == nil && (u.Scheme == "http" || u.Scheme == "https") && isLoopback(strings.ToLower(u.Hostname()))
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
