package searchserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

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
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil || object == nil {
		return nil, malformed(err)
	}
	return object, nil
}

// invalid is the service's frame around what is wrong with a body.
func invalid(details string) error {
	return badRequest("", "The request is invalid. Details: "+details)
}

// malformed says where JSON breaks.
func malformed(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return invalid("The body is not valid JSON: " + clip(syntax.Error()) + ", at byte " + itoa(syntax.Offset) + ".")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return invalid("The body is not valid JSON: it ends too early.")
	default:
		return invalid("The body must be a JSON object.")
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
