package bearer

import (
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
)

// The error codes of a Challenge.
const (
	CodeInvalidRequest     = "invalid_request"     // RFC 6750 §3.1, status 400: the request is malformed
	CodeInvalidToken       = "invalid_token"       // RFC 6750 §3.1, status 401: get another token
	CodeInsufficientScope  = "insufficient_scope"  // RFC 6750 §3.1, status 403: get a token with the scopes named
	CodeInsufficientClaims = "insufficient_claims" // Entra, status 401: sign in again, with the claims given
	CodeAccessDenied       = "access_denied"       // status 403: no other token will help
	CodeUnavailable        = "temporarily_unavailable"
)

// Challenge is a refusal, as an error and as an HTTP answer. All of it but Reason may be shown to strangers.
type Challenge struct { //nolint:errname // it is what RFC 6750 calls it, and goes out as one
	Status      int    // HTTP: 400, 401, 403, 503; 0 means what goes with the code
	Code        string // one of the codes above, or "" when the request brought no token at all (RFC 6750 §3.1)
	Description string // one sentence for people, in printable ASCII; never text from elsewhere
	// Scopes to ask for, all of them at once. They are written fully qualified: Entra reads a short name as a
	// permission of Microsoft Graph.
	Scopes []entra.Scope
	// Claims is a claims challenge of Entra's: JSON, written verbatim in base64.
	// https://learn.microsoft.com/entra/identity-platform/claims-challenge
	Claims     string
	RetryAfter time.Duration // header Retry-After, in whole seconds, 0 for none
	Reason     string        // a fixed word for logs, metrics and the chain, such as "audience"
}

// Error returns the code and the description.
func (c *Challenge) Error() string {
	if c.Code == "" {
		return "bearer: no access token"
	}
	return "bearer: " + c.Code + ": " + c.Description
}

// status is the HTTP status to answer with: one that is no refusal must not turn a challenge into an answer.
func (c *Challenge) status() int {
	if c.Status >= 400 && c.Status <= 599 {
		return c.Status
	}
	switch c.Code {
	case CodeInvalidRequest:
		return http.StatusBadRequest
	case CodeInsufficientScope, CodeAccessDenied:
		return http.StatusForbidden
	case CodeUnavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusUnauthorized
	}
}

func invalidToken(reason, description string) *Challenge {
	return &Challenge{Status: http.StatusUnauthorized, Code: CodeInvalidToken, Description: description, Reason: reason}
}

func invalidRequest(reason, description string) *Challenge {
	return &Challenge{Status: http.StatusBadRequest, Code: CodeInvalidRequest, Description: description, Reason: reason}
}

func insufficientScope(reason, description string, scopes []entra.Scope) *Challenge {
	return &Challenge{Status: http.StatusForbidden, Code: CodeInsufficientScope, Description: description, Scopes: scopes, Reason: reason}
}

func accessDenied(reason, description string) *Challenge {
	return &Challenge{Status: http.StatusForbidden, Code: CodeAccessDenied, Description: description, Reason: reason}
}

func unavailable(reason, description string) *Challenge {
	return &Challenge{Status: http.StatusServiceUnavailable, Code: CodeUnavailable, Description: description, RetryAfter: retryAfter, Reason: reason}
}

// retryAfter is how long a client waits before it tries again when we could not verify its token.
const retryAfter = 5 * time.Second

// about is what every challenge of a server says about that server.
type about struct {
	metadataURL string
	scopes      []entra.Scope // of a 401 that names none
}

// setHeaders writes what a Challenge has to say in the headers of an answer.
func (c *Challenge) setHeaders(h http.Header, server about) {
	if c.status() != http.StatusServiceUnavailable {
		h.Set("WWW-Authenticate", c.authenticate(server))
	}
	if c.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(c.RetryAfter.Seconds()))))
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Del("Content-Length")
	h.Del("Mcp-Session-Id")
}

// authenticate returns the value of WWW-Authenticate: RFC 6750 §3, RFC 9728 §5.1, and Entra's claims.
func (c *Challenge) authenticate(server about) string {
	var b strings.Builder
	separator := "Bearer "
	param := func(name, value string) {
		if value != "" {
			b.WriteString(separator + name + `="` + value + `"`)
			separator = ", "
		}
	}
	param("error", printable(c.Code))
	param("error_description", printable(c.Description))
	scopes := c.Scopes
	if len(scopes) == 0 && c.status() == http.StatusUnauthorized {
		scopes = server.scopes
	}
	names := make([]string, len(scopes))
	for i, scope := range scopes {
		names[i] = scope.String()
	}
	param("scope", printable(strings.Join(names, " ")))
	if c.Claims != "" {
		param("claims", base64.StdEncoding.EncodeToString([]byte(c.Claims)))
	}
	param("resource_metadata", server.metadataURL)
	return b.String()
}

// printable keeps what RFC 6750 §3 allows in the attributes of a challenge: ASCII without quote and backslash.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < ' ' || r > '~' || r == '\\':
			return '?'
		}
		return r
	}, s)
}

// body returns a JSON-RPC error: a client that cannot sign in again still shows the reason. The id is null, since a
// refused request is not read.
func (c *Challenge) body() []byte {
	message := c.Description
	if message == "" {
		message = "sign in: this server wants an access token in the Authorization header"
	}
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":null,"error":{"code":%d,"message":"%s"}}`+"\n", errorCode, printable(message))
}

// errorCode is the JSON-RPC code of a refusal, from the range that JSON-RPC 2.0 leaves to servers.
const errorCode = -32001

// write answers a request with the refusal.
func (c *Challenge) write(w http.ResponseWriter, server about) {
	c.setHeaders(w.Header(), server)
	w.WriteHeader(c.status())
	_, _ = w.Write(c.body()) // the client may be gone
}
