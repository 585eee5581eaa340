package searchserver

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/onbehalf/onbehalf/search"
)

// answer writes what the service writes around each answer, and remembers the status.
type answer struct {
	http.ResponseWriter
	server *Server
	call   *call
	start  time.Time
	status int
}

// setHeaders sets those that every answer has. The caller's id is echoed, as in the service's recordings.
func (a *answer) setHeaders() {
	header := a.Header()
	header.Set("Cache-Control", "no-cache")
	header.Set("Pragma", "no-cache")
	header.Set("Expires", "-1")
	header.Set("Strict-Transport-Security", "max-age=15724800; includeSubDomains")
	id := uuid.NewString()
	if given, err := uuid.Parse(a.call.Header.Get("x-ms-client-request-id")); err == nil {
		id = given.String()
		header.Set("client-request-id", id)
		header.Set("x-ms-client-request-id", id)
	}
	header.Set("request-id", id)
}

// WriteHeader implements [http.ResponseWriter].
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
		a.Header().Set("elapsed-time", strconv.FormatInt(a.server.config.now().Sub(a.start).Milliseconds(), 10))
	}
	a.ResponseWriter.WriteHeader(status)
}

// writeJSON answers with JSON that is already written.
func writeJSON(w http.ResponseWriter, c *call, status int, body []byte) {
	level := "none"
	if c.minimal {
		level = "minimal"
	}
	header := w.Header()
	header.Set("Content-Type", "application/json; odata.metadata="+level)
	header.Set("OData-Version", "4.0")
	header.Set("Preference-Applied", `odata.include-annotations="*"`)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // JSON by its content type, never HTML
}

// writeValue answers with a value as JSON.
func writeValue(w http.ResponseWriter, c *call, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	writeJSON(w, c, status, body)
	return nil
}

// writeError is the one place that turns an error into an answer.
func (a *answer) writeError(ctx context.Context, err error) {
	if a.status != 0 || isGone(err) && ctx.Err() != nil {
		return // too late, or nobody listens
	}
	said := a.sayable(ctx, err)
	var empty *bare
	if errors.As(err, &empty) && said.Status < http.StatusInternalServerError {
		a.Header().Set("Content-Length", "0")
		a.WriteHeader(said.Status)
		return
	}
	if said.RetryAfter > 0 {
		a.Header().Set("Retry-After", strconv.FormatInt(int64((said.RetryAfter+time.Second-1)/time.Second), 10))
	}
	a.Header().Set("Content-Language", "en")
	var wire struct {
		Error struct {
			Code    string               `json:"code"`
			Message string               `json:"message"`
			Details []search.ErrorDetail `json:"details,omitempty"`
		} `json:"error"`
	}
	wire.Error.Code, wire.Error.Message, wire.Error.Details = said.Code, said.Message, said.Details
	body, err := json.Marshal(wire)
	if err != nil {
		body = []byte(`{"error":{"code":"","message":"An error has occurred."}}`)
	}
	writeJSON(a, a.call, said.Status, body)
}

// sayable is what of the error the caller may know.
func (a *answer) sayable(ctx context.Context, err error) *search.Error {
	var said *search.Error
	var large *http.MaxBytesError
	if behind, ok := errors.AsType[*cause](err); ok {
		a.log(ctx, slog.LevelWarn, behind.err)
	}
	switch {
	case errors.As(err, &said) && said.Status >= http.StatusBadRequest:
		return said
	case errors.As(err, &large):
		return &search.Error{Status: http.StatusRequestEntityTooLarge, Code: "RequestEntityTooLarge", Message: "The request body is larger than 16 MB."}
	case ctx.Err() != nil:
		return &search.Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: "The request took too long."}
	default:
		a.log(ctx, slog.LevelError, err)
		return &search.Error{Status: http.StatusInternalServerError, Code: "InternalServerError", Message: "An error has occurred."}
	}
}

func (a *answer) log(ctx context.Context, level slog.Level, err error) {
	a.server.config.logger.LogAttrs(ctx, level, "search request failed",
		slog.String("operation", string(a.call.op)), slog.String("index", a.call.index), slog.Any("error", err))
}
