package localhost

import (
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Guard protects a control API. It answers 403 unless the peer is on this machine, the Host header names loopback and
// an Origin header, where there is one, does too: a web page, also by DNS rebinding, cannot reach it. What changes
// anything must come as application/json, which a page cannot send across origins without asking first.
func Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		switch {
		case err != nil || !peer.Addr().Unmap().IsLoopback():
			http.Error(w, "the control API answers on loopback only", http.StatusForbidden)
		case !IsLoopbackHost(r.Host):
			http.Error(w, "the control API refuses a Host that is not loopback", http.StatusForbidden)
		case !originIsLocal(r.Header.Values("Origin")) || r.Header.Get("Sec-Fetch-Site") == "cross-site":
			http.Error(w, "the control API refuses a foreign Origin", http.StatusForbidden)
		case r.Method != http.MethodGet && r.Method != http.MethodHead && !isJSON(r.Header.Get("Content-Type")):
			http.Error(w, "the control API wants Content-Type: application/json", http.StatusUnsupportedMediaType)
		default:
			next.ServeHTTP(w, r)
			// A handler that needs no body leaves it unread: over HTTP/2 the stream is then reset after the answer, and
			// curl reports an error instead of it.
			_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, controlBody))
		}
	})
}

// IsLoopbackHost reports whether a host, with or without a port, is localhost or a loopback address.
func IsLoopbackHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

func originIsLocal(origins []string) bool {
	for _, origin := range origins {
		u, err := url.Parse(origin)
		if err != nil || !IsLoopbackHost(u.Host) {
			return false
		}
	}
	return true
}

func isJSON(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && mediaType == "application/json"
}
