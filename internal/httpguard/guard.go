// Package httpguard is what stands around an MCP endpoint besides authentication: who may ask (Host and Origin), what
// may be asked (size, one message at a time, one protocol version), how often, how long, and what happens when a
// handler panics. It knows nothing of tokens: package bearer stands between [Guard.Outside] and [Guard.Inside].
//
//	guard.Outside(verifier.Middleware(guard.Inside(httpguard.Answer(inJSON, inEvents))))
package httpguard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Config says what a Guard lets through. [New] validates it whole.
type Config struct {
	// Hosts that a request may name in its Host header, without ports: the public name of the server and the names by
	// which a load balancer probes it. Loopback names are allowed when AllowLoopback is set.
	Hosts []string
	// AllowLoopback also lets localhost, 127.0.0.0/8 and ::1 pass as Host, for a server that listens there.
	AllowLoopback bool
	// Origins of web pages that may call, as in "https://inspector.contoso.com". A request with any other Origin is
	// refused, so that no page on the person's machine reaches the server by DNS rebinding. Loopback origins are
	// allowed when AllowLoopback is set. Programs send no Origin.
	Origins []string

	MaxBody int64         // of a request, in bytes; 0 means 4 MiB
	Timeout time.Duration // of a request, answer included; 0 means two minutes

	// Caller names who a request is from, for the rate limit; "" means that nobody is known. It is asked below the
	// authentication. It must tell person and client apart: one client may serve a whole company.
	Caller func(*http.Request) string
	// Calls is how many requests a caller may make per second in the long run, with CallBurst at once; 0 means 50 and
	// 200, negative no limit.
	Calls     float64
	CallBurst int
	// Failures is how many requests an address may fail to authenticate per second, with FailureBurst at once; 0 means
	// 5 and 300, negative no limit. What an address does successfully is not counted and not hindered.
	Failures     float64
	FailureBurst int
	// Proxies are the networks of the reverse proxies whose X-Forwarded-For is believed.
	Proxies []netip.Prefix

	Now    func() time.Time // the clock; nil: [time.Now]
	Logger *slog.Logger     // gets panics; nil: nothing is logged
}

const (
	defaultMaxBody = 4 << 20
	defaultTimeout = 2 * time.Minute
)

// Guard holds the middleware of one endpoint. It is safe for concurrent use.
type Guard struct {
	cfg             Config
	hosts, origins  map[string]bool
	calls, failures *Limiter
}

// New validates the configuration, reporting every mistake.
func New(cfg Config) (*Guard, error) {
	var errs []error
	g := &Guard{hosts: map[string]bool{}, origins: map[string]bool{}}
	for _, host := range cfg.Hosts {
		if host == "" || strings.ContainsAny(host, "/ *@") {
			errs = append(errs, fmt.Errorf("hosts: %q: want a host without port, path and wildcard", host))
		}
		g.hosts[strings.ToLower(host)] = true
	}
	if len(cfg.Hosts) == 0 && !cfg.AllowLoopback {
		errs = append(errs, errors.New("hosts: name at least the public one"))
	}
	for _, origin := range cfg.Origins {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			errs = append(errs, fmt.Errorf("origins: %q: want SCHEME://HOST[:PORT] and nothing else", origin))
		}
		g.origins[strings.ToLower(origin)] = true
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = defaultMaxBody
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.MaxBody < 0 || cfg.Timeout < 0 {
		errs = append(errs, errors.New("the body limit and the timeout must not be negative"))
	}
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // the one place where the default clock is chosen
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("httpguard: %w", errors.Join(errs...))
	}
	limit, burst := limitOf(cfg.Calls, cfg.CallBurst, 50, 200)
	g.calls = NewLimiter(limit, burst, cfg.Now)
	limit, burst = limitOf(cfg.Failures, cfg.FailureBurst, 5, 300)
	g.failures = NewLimiter(limit, burst, cfg.Now)
	g.cfg = cfg
	return g, nil
}

// Outside is what a request meets before its token is looked at.
func (g *Guard) Outside(next http.Handler) http.Handler {
	for _, layer := range []func(http.Handler) http.Handler{ // from the inside out
		g.recover, g.limitFailures, g.allowOrigin, g.allowHost, g.bound,
	} {
		next = layer(next)
	}
	return next
}

// Inside is what a request meets after its token was accepted; only now its body is read.
func (g *Guard) Inside(next http.Handler) http.Handler { return g.limitCalls(g.oneMessage(next)) }

// bound gives a request a deadline, and its answer the headers that keep it from strangers.
func (g *Guard) bound(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		ctx, cancel := context.WithTimeout(r.Context(), g.cfg.Timeout)
		defer cancel()
		// A client that reads slowly must not hold the connection for ever; a moment more, since the handler ends at
		// the deadline and may still say so. Not every ResponseWriter knows deadlines.
		deadline, _ := ctx.Deadline()
		_ = http.NewResponseController(w).SetWriteDeadline(deadline.Add(5 * time.Second))
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// recover answers 500 for a handler that panics, and keeps the reason to the log. When bytes of an answer are out, the
// connection is cut.
func (g *Guard) recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		defer func() {
			reason := recover()
			if reason == nil {
				return
			}
			if reason != http.ErrAbortHandler { //nolint:errorlint // it is that value or another panic's
				g.cfg.Logger.ErrorContext(ctx, "a handler panicked", slog.Any("panic", reason), slog.String("stack", string(debug.Stack())))
			}
			if started, ok := w.(*failureWriter); !ok || started.decided {
				panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's own way to cut a connection
			}
			refuse(w, http.StatusInternalServerError, codeInternal, "internal error")
		}()
		next.ServeHTTP(w, r)
	})
}

// The JSON-RPC codes of refusals.
const (
	codeInvalidRequest = -32600
	codeInternal       = -32603
	codeRefused        = -32001
)

// refuse answers with a JSON-RPC error, which MCP clients show to people. The message is fixed text of ours.
func refuse(w http.ResponseWriter, status, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":null,"error":{"code":%d,"message":%q}}`+"\n", code, message)
}

func tooMany(w http.ResponseWriter, wait time.Duration, message string) {
	w.Header().Del("WWW-Authenticate")
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int((wait+time.Second-1)/time.Second))))
	refuse(w, http.StatusTooManyRequests, codeRefused, message)
}

// limitOf returns the limit of a setting that may be zero or negative.
func limitOf(perSecond float64, burst int, defaultRate float64, defaultBurst int) (rate.Limit, int) {
	if perSecond < 0 {
		return rate.Inf, 0
	}
	if perSecond == 0 {
		perSecond = defaultRate
	}
	if burst <= 0 {
		burst = defaultBurst
	}
	return rate.Limit(perSecond), burst
}
