package bearer

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/identity"
)

// Middleware lets through what brings a good access token, in exactly one Authorization header and nowhere else, and
// answers everything else with a challenge. Below it:
//
//   - the Caller is in the request's context ([CallerFromContext]), and in the SDK's TokenInfo ([CallerFrom]), whose
//     UserID is [identity.Caller.Key]; the SDK keeps a session to that person alone;
//   - [Raise] turns the answer under way into a challenge.
//
// It goes in front of any handler, not of an MCP server's alone. The body of a refusal is a JSON-RPC error, for the sake
// of MCP clients; what other clients go by is the status and WWW-Authenticate.
//
// The SDK's own middleware is the inner layer, because only it can put a TokenInfo into the context; it decides
// nothing.
func (v *Verifier) Middleware(next http.Handler) http.Handler {
	inner := auth.RequireBearerToken(verified, &auth.RequireBearerTokenOptions{ClockSkew: math.MaxInt64 / 4})(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := v.authenticate(r)
		if err != nil {
			v.refuse(w, err)
			return
		}
		late := &lateWriter{ResponseWriter: w, slot: &slot{}, server: v.about()}
		ctx := context.WithValue(r.Context(), slotKey{}, late.slot)
		ctx = context.WithValue(ctx, callerKey{}, caller)
		inner.ServeHTTP(late, r.WithContext(ctx))
		late.finish()
	})
}

// refuse answers with the challenge that err is.
func (v *Verifier) refuse(w http.ResponseWriter, err error) {
	var challenge *Challenge
	if !errors.As(err, &challenge) {
		challenge = unavailable("internal", "the token cannot be verified just now")
	}
	challenge.write(w, v.about())
}

func (v *Verifier) about() about { return about{v.metadataURL, v.cfg.Scopes} }

// authenticate finds the token of a request and verifies it.
func (v *Verifier) authenticate(r *http.Request) (*identity.Caller, error) {
	token, challenge := tokenOf(r)
	if challenge == nil {
		return v.Verify(r.Context(), token)
	}
	chain.Add(r.Context(), chain.Hop{Station: chain.Verify, Decision: chain.Refused, Reason: challenge.Reason, Status: challenge.Status, Start: v.cfg.Now()})
	return nil, challenge
}

// tokenOf returns the one access token of a request (RFC 6750 §2.1).
func tokenOf(r *http.Request) (identity.Secret, *Challenge) {
	if r.URL.RawQuery != "" && r.URL.Query().Has("access_token") {
		return identity.Secret{}, invalidRequest("query", "the token belongs into the Authorization header; one in a URL must be taken for leaked")
	}
	headers := r.Header["Authorization"]
	if len(headers) == 0 {
		return identity.Secret{}, &Challenge{Status: http.StatusUnauthorized, Reason: "no-token"}
	}
	if len(headers) > 1 {
		return identity.Secret{}, invalidRequest("two-headers", "send exactly one Authorization header")
	}
	scheme, token, found := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return identity.Secret{}, &Challenge{Status: http.StatusUnauthorized, Reason: "no-token"}
	}
	if token = strings.TrimLeft(token, " "); !found || token == "" || strings.ContainsFunc(token, notTokenChar) {
		return identity.Secret{}, invalidRequest("header", "the Authorization header must be: Bearer, a space, the token")
	}
	return identity.NewSecret(token), nil
}

// notTokenChar reports what RFC 6750 §2.1 does not allow in a token.
func notTokenChar(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~+/=", r)
}

type callerKey struct{}

// extraKey is where a TokenInfo holds the Caller.
const extraKey = "onbehalf.caller"

// verified is the SDK's verifier: the token was verified before, see [Verifier.Middleware].
func verified(ctx context.Context, _ string, _ *http.Request) (*auth.TokenInfo, error) {
	caller, ok := CallerFromContext(ctx)
	if !ok {
		return nil, auth.ErrInvalidToken
	}
	return &auth.TokenInfo{
		Scopes: caller.Scopes, Expiration: caller.Expires, UserID: caller.Key(),
		Extra: map[string]any{extraKey: caller},
	}, nil
}

// CallerFromContext returns the verified Caller of an HTTP request, by the context of the request below
// [Verifier.Middleware]. In an MCP server that keeps sessions a tool's context may be that of another request of the
// session: there use [CallerFrom].
func CallerFromContext(ctx context.Context) (*identity.Caller, bool) {
	caller, ok := ctx.Value(callerKey{}).(*identity.Caller)
	return caller, ok
}

// CallerFrom returns the Caller that a request's TokenInfo holds: that of req.Extra.TokenInfo in a tool. It reports
// false for nil and for a TokenInfo that is not of this package's making.
func CallerFrom(ti *auth.TokenInfo) (*identity.Caller, bool) {
	if ti == nil {
		return nil, false
	}
	caller, ok := ti.Extra[extraKey].(*identity.Caller)
	return caller, ok
}

// finish answers for a handler that wrote nothing.
func (w *lateWriter) finish() {
	w.slot.mu.Lock()
	defer w.slot.mu.Unlock()
	if w.slot.committed {
		return
	}
	w.slot.committed = true
	if c := w.slot.challenge; c != nil {
		c.write(w.ResponseWriter, w.server)
	}
}
