package entra

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Error is an error answer of Entra's token, device code or authorize endpoint. Entra said no; that we could not ask is
// another kind of error.
//
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
type Error struct {
	Status      int           // HTTP
	Code        string        // error: "invalid_grant", "interaction_required", …
	Sub         string        // suberror: "basic_action", "consent_required", …
	AADSTS      []int         // error_codes, or those read from the description; the first is the cause
	Claims      string        // a claims challenge: JSON, kept verbatim, never re-encoded
	Description string        // for logs: may name people and applications; people see [Advice]
	Correlation string        // correlation_id: what to hand to an administrator
	Trace       string        // trace_id
	RetryAfter  time.Duration // from the header, zero when there is none
}

// Error gives the code and the AADSTS number, never the description.
func (e *Error) Error() string {
	if n := e.Number(); n != 0 {
		return fmt.Sprintf("entra: %s (AADSTS%d)", e.Code, n)
	}
	return fmt.Sprintf("entra: %s (HTTP %d)", e.Code, e.Status)
}

// Number returns the first AADSTS code, or 0.
func (e *Error) Number() int {
	if len(e.AADSTS) == 0 {
		return 0
	}
	return e.AADSTS[0]
}

const (
	maxErrorBody = 64 << 10 // how much of an error answer is read
	maxClaims    = 8 << 10  // how long a challenge may be: it travels on in a header
)

var (
	aadstsPattern = regexp.MustCompile(`AADSTS([0-9]{4,9})`)
	codePattern   = regexp.MustCompile(`^[a-z_]{1,64}$`)
	idPattern     = regexp.MustCompile(`^[0-9A-Za-z._-]{1,64}$`) // GUIDs, as a rule
)

// ParseError reads an error answer; at most 64 KiB of the body. A body that is not Entra's JSON (a proxy's page, an
// empty answer) gives an Error with the code "server_error" or "temporarily_unavailable" and no description.
func ParseError(status int, header http.Header, body io.Reader) *Error {
	e := &Error{Status: status, RetryAfter: retryAfter(header.Get("Retry-After"))}
	text, err := io.ReadAll(io.LimitReader(body, maxErrorBody))
	var wire struct {
		Error       string `json:"error"`
		Sub         string `json:"suberror"`
		Description string `json:"error_description"`
		Codes       []int  `json:"error_codes"`
		Correlation string `json:"correlation_id"`
		Trace       string `json:"trace_id"`
		Claims      string `json:"claims"`
	}
	if err == nil {
		err = json.Unmarshal(text, &wire)
	}
	if err != nil || !codePattern.MatchString(wire.Error) {
		e.Code = "server_error"
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout {
			e.Code = "temporarily_unavailable"
		}
		return e
	}
	e.Code, e.Sub, e.Description = wire.Error, wire.Sub, wire.Description
	e.AADSTS, e.Correlation, e.Trace = wire.Codes, idPattern.FindString(wire.Correlation), idPattern.FindString(wire.Trace)
	if len(wire.Claims) <= maxClaims && json.Valid([]byte(wire.Claims)) {
		e.Claims = wire.Claims
	}
	if len(e.AADSTS) == 0 {
		e.AADSTS = CodesIn(wire.Description)
	}
	return e
}

// CodesIn returns the AADSTS numbers that a text mentions, in order.
func CodesIn(text string) []int {
	var codes []int
	for _, match := range aadstsPattern.FindAllStringSubmatch(text, 8) {
		if n, err := strconv.Atoi(match[1]); err == nil {
			codes = append(codes, n)
		}
	}
	return codes
}

// maxRetryAfter bounds what a server may make us wait.
const maxRetryAfter = 10 * time.Minute

func retryAfter(value string) time.Duration {
	seconds, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}
