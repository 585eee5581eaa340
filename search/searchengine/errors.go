package searchengine

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/onbehalf/onbehalf/search"
)

// errDamaged is a stored document that cannot be read: the file was changed by others.
var errDamaged = errors.New("search engine: a stored document is damaged")

// refusedError is about one document of a batch, whose others go on.
type refusedError struct{ message string }

func (e *refusedError) Error() string { return e.message }

func refused(format string, args ...any) error {
	return &refusedError{fmt.Sprintf(format, args...)}
}

func badRequest(format string, args ...any) error {
	return &search.Error{Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

// badParameter is a request with a parameter out of its bounds.
func badParameter(name, format string, args ...any) error {
	return &search.Error{
		Status: http.StatusBadRequest, Code: "InvalidRequestParameter",
		Message: fmt.Sprintf(format, args...) + "\r\nParameter name: " + name,
	}
}

// invalidRequest is a body that does not fit the schema, in the service's words.
func invalidRequest(where, format string, args ...any) error {
	return badRequest("The request is invalid. Details: %s : %s\r\n", where, fmt.Sprintf(format, args...))
}

func cannotConvert(raw []byte, to string) error {
	const most = 100
	shown := string(raw)
	if len(shown) > most {
		shown = shown[:most] + "…"
	}
	return invalidRequest("parameters", "Cannot convert the literal '%s' to the expected type '%s'.", shown, to)
}

// unsupported refuses by name what the local service leaves out.
func unsupported(what string) error {
	return &search.Error{
		Status: http.StatusNotImplemented, Code: "NotImplemented",
		Message: "The local service does not support " + what + ".",
	}
}

func preconditionFailed() error {
	return &search.Error{
		Status:  http.StatusPreconditionFailed,
		Message: "The precondition given in one of the request headers evaluated to false.",
	}
}

// errClosed is a call on a closed engine.
var errClosed = errors.New("search engine: closed")

func errorAs(err error) (*search.Error, bool) {
	return errors.AsType[*search.Error](err)
}
