package entraserver

import (
	"errors"
	"io"
	"mime"
	"net/http"
)

// codeInvalidToken is the code of Graph's 401.
const codeInvalidToken = "InvalidAuthenticationToken"

// graphError is a refusal in Graph's form.
//
// https://learn.microsoft.com/graph/errors
type graphError struct {
	status        int
	code, message string
}

func (e *graphError) Error() string { return "microsoft graph: " + e.code }

func errGraphDenied() error {
	return &graphError{403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."}
}

func errGraphMissing(id string) error {
	return &graphError{404, "Request_ResourceNotFound", "Resource '" + id + "' does not exist or one of its queried reference-property objects are not present."}
}

func errGraphBad(message string) error { return &graphError{400, "Request_BadRequest", message} }

func errGraphQuery(message string) error {
	return &graphError{400, "Request_UnsupportedQuery", message}
}

func errNoSegment(segment string) error {
	return &graphError{400, "BadRequest", "Resource not found for the segment '" + segment + "'."}
}

func errGraphExists(status int, message string) error {
	return &graphError{status, "Request_MultipleObjectsWithSameKeyValue", message}
}

// body reads the request's JSON within bounds.
func (c *graphCall) body() ([]byte, error) {
	if media, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, &graphError{415, "Request_BadRequest", "A supported Content-Type header is required: application/json."}
	}
	body, err := io.ReadAll(io.LimitReader(c.r.Body, maxGraphBody+1))
	if err != nil {
		return nil, errGraphBad("The request body could not be read.")
	}
	if len(body) > maxGraphBody {
		return nil, &graphError{413, "Request_BadRequest", "The request body is too large."}
	}
	return body, nil
}

// refuse writes an error as Graph does.
func (g *graphAPI) refuse(w http.ResponseWriter, r *http.Request, err error) {
	refused, ok := errors.AsType[*graphError](err)
	if !ok {
		refused = &graphError{500, "Service_InternalServerError", "The local Microsoft Graph failed; its log says why."}
	}
	request := newGUID()
	client := r.Header.Get("client-request-id")
	if len(client) != 36 {
		client = request
	}
	if refused.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="", authorization_uri="`+g.base(r)+`/common/oauth2/authorize", client_id="00000003-0000-0000-c000-000000000000"`)
	}
	w.Header().Set("Request-Id", request)
	w.Header().Set("Client-Request-Id", client)
	writeGraphJSON(w, refused.status, map[string]any{"error": map[string]any{
		"code":    refused.code,
		"message": refused.message,
		"innerError": map[string]string{
			"date": g.now().UTC().Format("2006-01-02T15:04:05"), "request-id": request, "client-request-id": client,
		},
	}})
}
