package web

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
)

// protect is what every request meets first.
func (a *App) protect(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	crossOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusForbidden, "cross_origin", "this came from another site's page", "open this site itself and try again there")
	}))
	for _, layer := range []func(http.Handler) http.Handler{ // from the inside out
		a.bound, crossOrigin.Handler, a.onlyHere, a.headers, a.recover,
	} {
		next = layer(next)
	}
	return next
}

// maxBody bounds what a browser sends; a message is bounded further.
const maxBody = 1 << 20

// maxDrained is how much of a form that is too large is read, and thrown away, so that its person sees a page of ours: a
// browser that is still sending when the connection ends shows an error of its own.
const maxDrained = 64 << 20

func (a *App) bound(next http.Handler) http.Handler {
	tooLarge := a.page(func(http.ResponseWriter, *visit) error { return errTooLarge })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > maxBody && r.ContentLength <= maxDrained && r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
			_, _ = io.Copy(io.Discard, r.Body) // the browser may be gone
			tooLarge(w, r)
			return
		}
		if r.ContentLength > maxBody {
			w.Header().Set("Connection", "close") // what is left of the body is not read
			writeProblem(w, http.StatusRequestEntityTooLarge, "too_large", "that is too large", "send less at once")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// recover keeps a panic from ending the process.
func (a *App) recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		defer func() {
			if reason := recover(); reason != nil {
				a.cfg.Logger.ErrorContext(ctx, "panic", slog.String("path", r.Pattern), slog.Any("reason", reason), slog.String("stack", string(debug.Stack())))
				writeProblem(w, http.StatusInternalServerError, "internal", "something went wrong here", "try again")
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// headers are those of every answer. Scripts, styles and images come from here alone and from files; forms lead here alone.
func (a *App) headers(next http.Handler) http.Handler {
	policy := strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
		"form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
	}, "; ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
		h.Set("Cache-Control", "no-store")
		if a.cfg.URL.Scheme == "https" {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// onlyHere refuses requests for names that are not ours (DNS rebinding), and brings who took another name of this machine
// to the one that cookies and the sign-in go by.
func (a *App) onlyHere(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: r.Host}).Hostname()
		switch {
		case strings.EqualFold(r.Host, a.cfg.URL.Host), r.URL.Path == "/healthz",
			slices.ContainsFunc(a.cfg.Hosts, func(allowed string) bool { return strings.EqualFold(allowed, host) }):
			next.ServeHTTP(w, r)
		case isLoopback(host) && isLoopback(a.cfg.URL.Hostname()) && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			there := *a.cfg.URL
			there.Path, there.RawPath, there.RawQuery = r.URL.Path, r.URL.RawPath, r.URL.RawQuery
			w.Header().Set("Location", there.String())
			w.WriteHeader(http.StatusTemporaryRedirect)
		default:
			writeProblem(w, http.StatusMisdirectedRequest, "host", "this server does not answer under that name", "use "+a.cfg.URL.String())
		}
	})
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

// writeProblem answers programs and pages' scripts.
func writeProblem(w http.ResponseWriter, status int, code, message, hint string) {
	writeJSON(w, status, map[string]any{"error": problem{code, message, hint}})
}

type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":{"code":"internal","message":"something went wrong here"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // the asker may be gone
}
