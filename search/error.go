package search

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// What an [Error] may match by [errors.Is].
var (
	ErrBadRequest   = errors.New("search: bad request")         // 400, 413, 422: query, filter, document or definition
	ErrUnauthorized = errors.New("search: unauthorized")        // 401: a token is missing, expired, forged or for another audience
	ErrForbidden    = errors.New("search: forbidden")           // 403: role or key is not enough
	ErrNotFound     = errors.New("search: not found")           // 404: index or document
	ErrConflict     = errors.New("search: conflict")            // 409
	ErrPrecondition = errors.New("search: precondition failed") // 412: ETag
	ErrThrottled    = errors.New("search: throttled")           // 429
	ErrUnsupported  = errors.New("search: not supported")       // 501: what the local service leaves out
	ErrUnavailable  = errors.New("search: unavailable")         // other 5xx
)

// Error is an answer of the service that says no. It survives the trip over HTTP: status, code and message are those
// of the service's error body.
type Error struct {
	Status     int    // HTTP
	Code       string // "" for most query errors
	Message    string // the service's words; they may quote the query
	Details    []ErrorDetail
	RequestID  string
	RetryAfter time.Duration
	Claims     string // a claims challenge of a 401: JSON, verbatim
}

// ErrorDetail is one entry of the service's error details.
type ErrorDetail struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Error implements error.
func (e *Error) Error() string {
	if e.Code != "" {
		return fmt.Sprintf("search: HTTP %d: %s: %s", e.Status, e.Code, e.Message)
	}
	return fmt.Sprintf("search: HTTP %d: %s", e.Status, e.Message)
}

// Is makes an Error match the sentinel of its status.
func (e *Error) Is(target error) bool { return target == sentinel(e.Status) }

// Rejected reports the answer that a fresh token may mend, and the claims that it must then satisfy ("" for none).
// Package obo looks for it.
func (e *Error) Rejected() (claims string, rejected bool) {
	return e.Claims, e.Status == http.StatusUnauthorized
}

func sentinel(status int) error {
	switch {
	case status == http.StatusUnauthorized:
		return ErrUnauthorized
	case status == http.StatusForbidden:
		return ErrForbidden
	case status == http.StatusNotFound:
		return ErrNotFound
	case status == http.StatusConflict:
		return ErrConflict
	case status == http.StatusPreconditionFailed:
		return ErrPrecondition
	case status == http.StatusTooManyRequests:
		return ErrThrottled
	case status == http.StatusNotImplemented:
		return ErrUnsupported
	case status >= 500:
		return ErrUnavailable
	default:
		return ErrBadRequest
	}
}
