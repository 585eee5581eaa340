package searchserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/onbehalf/onbehalf/internal/jsonscan"
	"github.com/onbehalf/onbehalf/search"
)

// maxBody is the service's limit of a request.
//
// https://learn.microsoft.com/azure/search/search-limits-quotas-capacity
const maxBody = 16 << 20

// readBody reads a JSON body whole.
func readBody(c *call) ([]byte, error) {
	mediaType, _, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return nil, &search.Error{Status: http.StatusUnsupportedMediaType, Code: "", Message: "The request's Content-Type must be application/json."}
	}
	if encoding := c.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, &search.Error{Status: http.StatusUnsupportedMediaType, Code: "", Message: "The request's Content-Encoding is not supported."}
	}
	if c.ContentLength > maxBody {
		return nil, &http.MaxBytesError{Limit: maxBody}
	}
	var body bytes.Buffer
	if c.ContentLength > 0 {
		body.Grow(int(c.ContentLength) + bytes.MinRead)
	}
	if _, err := body.ReadFrom(c.Body); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) || c.Context().Err() != nil {
			return nil, err
		}
		return nil, invalid("The body could not be read.")
	}
	return bytes.TrimPrefix(body.Bytes(), []byte("\xef\xbb\xbf")), nil
}

// readObject reads a JSON body that must be one object, by the names of its members.
func readObject(c *call) (map[string]json.RawMessage, error) {
	body, err := readBody(c)
	if err != nil {
		return nil, err
	}
	members, err := readMembers(body)
	if err != nil {
		return nil, err
	}
	object := make(map[string]json.RawMessage, len(members))
	for _, m := range members {
		object[m.name] = m.value
	}
	return object, nil
}

// invalid is the service's frame around what is wrong with a body.
func invalid(details string) error {
	return badRequest("", "The request is invalid. Details: "+details)
}

// malformed says where JSON breaks; what was refused in the service's words already stays as it is.
func malformed(err error) error {
	if said, ok := errors.AsType[*search.Error](err); ok {
		return said
	}
	if syntax, ok := errors.AsType[*jsonscan.SyntaxError](err); ok {
		return invalid("The body is not valid JSON: " + syntax.Error() + ".")
	}
	return invalid("The body must be a JSON object.")
}
