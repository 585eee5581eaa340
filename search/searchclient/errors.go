package searchclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/search"
)

const (
	maxErrorBody = 64 << 10
	maxMessage   = 4 << 10
	maxDetails   = 32
	maxWait      = 10 * time.Minute
)

// ErrRedirect is an answer that points elsewhere. It is not followed.
var ErrRedirect = errors.New("the search service answered with a redirect, which is not followed: check the endpoint")

// refusal turns an unwanted answer into *[search.Error].
func refusal(got *answer) error {
	if got.status >= 300 && got.status < 400 {
		return fmt.Errorf("search client: HTTP %d: %w", got.status, ErrRedirect)
	}
	e := &search.Error{Status: got.status, RequestID: got.requestID, RetryAfter: retryAfter(got.header)}
	if got.status == http.StatusUnauthorized {
		e.Claims = entra.ClaimsChallenge(got.header)
	}
	if !readErrorBody(got, e) {
		e.Message = fallbackMessage(got.status)
	}
	return e
}

// readErrorBody takes code, message and details from the service's JSON; anything else (a proxy's page, an empty
// answer) is left aside.
func readErrorBody(got *answer, e *search.Error) bool {
	mediaType, _, _ := mime.ParseMediaType(got.header.Get("Content-Type"))
	if mediaType != "application/json" || len(got.body) > maxErrorBody {
		return false
	}
	var wire struct {
		Error struct {
			Code    string               `json:"code"`
			Message string               `json:"message"`
			Details []search.ErrorDetail `json:"details"`
		} `json:"error"`
	}
	body := bytes.TrimPrefix(got.body, []byte("\xef\xbb\xbf"))
	if json.Unmarshal(body, &wire) != nil || wire.Error.Code == "" && wire.Error.Message == "" {
		return false
	}
	e.Code, e.Message = wire.Error.Code, cut(wire.Error.Message)
	for i, detail := range wire.Error.Details {
		if i == maxDetails {
			break
		}
		e.Details = append(e.Details, search.ErrorDetail{Code: detail.Code, Message: cut(detail.Message)})
	}
	return true
}

func cut(s string) string {
	if len(s) > maxMessage {
		return strings.ToValidUTF8(s[:maxMessage], "") + " …"
	}
	return s
}

// fallbackMessage stands in where the service says nothing, which it often does for credentials.
func fallbackMessage(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "the service did not accept the credentials (it says nothing more)"
	case http.StatusForbidden:
		return "the service refused the key or the role (it says nothing more): check the key, or that the application and, where its token is the credential, the person hold a role such as Search Index Data Reader, and that the service allows role-based access"
	case http.StatusNotFound:
		return "not found"
	default:
		return strings.ToLower(http.StatusText(status))
	}
}

func retryAfter(header http.Header) time.Duration {
	seconds, err := strconv.Atoi(strings.TrimSpace(header.Get("Retry-After")))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(min(seconds, int(maxWait/time.Second)))*time.Second, maxWait)
}

// decision says how the chain shows the outcome.
func decision(err error) (chain.Decision, string) {
	var refused *search.Error
	var token *TokenError
	switch {
	case err == nil:
		return chain.Allowed, ""
	case errors.As(err, &token):
		return chain.Refused, token.Reason
	case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError && refused.Status != http.StatusTooManyRequests:
		return chain.Refused, "HTTP " + strconv.Itoa(refused.Status)
	case errors.As(err, &refused):
		return chain.Failed, "HTTP " + strconv.Itoa(refused.Status)
	case errors.Is(err, ErrNoUser):
		return chain.Refused, "no user"
	case errors.Is(err, context.Canceled):
		return chain.Failed, "cancelled"
	case errors.Is(err, context.DeadlineExceeded):
		return chain.Failed, "timeout"
	default:
		return chain.Failed, "no answer"
	}
}
