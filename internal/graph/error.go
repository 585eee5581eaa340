package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What an [Error] may be, for errors.Is; [ErrTooMany] comes also without one.
var (
	ErrNotFound  = errors.New("not found in Microsoft Graph")
	ErrForbidden = errors.New("Microsoft Graph refuses: a permission or role is missing") //nolint:staticcheck // a proper name
	ErrConflict  = errors.New("an object with these properties exists in Microsoft Graph")
	ErrTooMany   = errors.New("too many objects for one list")
)

// Error is an error answer of Microsoft Graph.
//
// https://learn.microsoft.com/graph/errors
type Error struct {
	Status     int    // HTTP
	Code       string // "Request_ResourceNotFound", "Authorization_RequestDenied", …; "" when the body was not Graph's
	Message    string // for logs: may name people and applications
	InnerCode  string // innerError.code, where there is one
	RequestID  string // innerError.request-id: what to hand to Microsoft
	RetryAfter time.Duration
}

// Error gives code, status and request id, never the message.
func (e *Error) Error() string {
	text := fmt.Sprintf("microsoft graph: HTTP %d", e.Status)
	if e.Code != "" {
		text = fmt.Sprintf("microsoft graph: %s (HTTP %d)", e.Code, e.Status)
	}
	if e.RequestID != "" {
		text += ", request " + e.RequestID
	}
	return text
}

// Is makes errors.Is(err, ErrNotFound) and friends work.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrForbidden:
		return e.Status == http.StatusForbidden
	case ErrConflict:
		return e.Status == http.StatusConflict || e.Code == "Request_MultipleObjectsWithSameKeyValue"
	case ErrTooMany:
		return e.Code == "Directory_ResultSizeLimitExceeded"
	default:
		return false
	}
}

func (e *Error) temporary() bool {
	return e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable || e.Status == http.StatusGatewayTimeout
}

// Bounds of foreign text in an Error.
const (
	maxCode    = 128
	maxMessage = 2048
)

func parseError(status int, header http.Header, body []byte) *Error {
	e := &Error{Status: status, RequestID: clip(header.Get("Request-Id"), maxCode)}
	if seconds, err := strconv.Atoi(strings.TrimSpace(header.Get("Retry-After"))); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(min(seconds, 3600)) * time.Second
	}
	type inner struct {
		Code      string `json:"code"`
		RequestID string `json:"request-id"`
	}
	var wire struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
			Inner   inner  `json:"innerError"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &wire) != nil {
		return e
	}
	e.Code, e.Message = clip(wire.Error.Code, maxCode), clip(wire.Error.Message, maxMessage)
	e.InnerCode = clip(wire.Error.Inner.Code, maxCode)
	if id := clip(wire.Error.Inner.RequestID, maxCode); id != "" {
		e.RequestID = id
	}
	return e
}

// clip bounds foreign text and keeps it on one line.
func clip(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}
