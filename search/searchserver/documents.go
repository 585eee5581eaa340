package searchserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/onbehalf/onbehalf/search"
)

// maxActions is the service's limit of one batch.
const maxActions = 1000

// write answers POST docs/search.index.
//
// https://learn.microsoft.com/rest/api/searchservice/documents
func (s *Server) write(w http.ResponseWriter, c *call) error {
	body, err := readBody(c)
	if err != nil {
		return err
	}
	actions, err := parseBatch(body)
	if err != nil {
		return err
	}
	statuses, err := s.engine.Write(c.Context(), c.index, actions)
	if err != nil {
		return notFoundForDocs(c, s, err)
	}
	status := http.StatusOK
	out := []byte(`{"value":[`)
	for i, one := range statuses {
		if i > 0 {
			out = append(out, ',')
		}
		if !one.OK {
			status = http.StatusMultiStatus
		}
		out = appendStatus(out, one)
	}
	writeJSON(w, c, status, append(out, "]}"...))
	return nil
}

func appendStatus(out []byte, one search.Status) []byte {
	out = appendString(append(out, `{"key":`...), one.Key)
	out = strconv.AppendBool(append(out, `,"status":`...), one.OK)
	out = append(out, `,"errorMessage":`...)
	if one.OK {
		out = append(out, "null"...)
	} else {
		out = appendString(out, one.Message)
	}
	out = strconv.AppendInt(append(out, `,"statusCode":`...), int64(one.Code), 10)
	return append(out, '}')
}

func appendString(out []byte, s string) []byte {
	quoted, _ := json.Marshal(s) // a string always marshals
	return append(out, quoted...)
}

// parseBatch reads {"value": [{"@search.action": …, …}]}.
func parseBatch(body []byte) ([]search.Action, error) {
	var batch map[string]json.RawMessage
	if err := json.Unmarshal(body, &batch); err != nil || batch == nil {
		return nil, malformed(err)
	}
	for name := range batch {
		if name != "value" {
			return nil, invalid("The property '" + clip(name) + "' does not exist on the batch.")
		}
	}
	var documents []json.RawMessage
	if err := json.Unmarshal(batch["value"], &documents); err != nil || documents == nil {
		return nil, invalid("actions : The list of actions ('value') is missing.")
	}
	if len(documents) == 0 || len(documents) > maxActions {
		return nil, invalid("actions : A batch must hold 1 to " + strconv.Itoa(maxActions) + " actions, this one holds " + strconv.Itoa(len(documents)) + ".")
	}
	actions := make([]search.Action, len(documents))
	for i, document := range documents {
		action, err := parseAction(document)
		if err != nil {
			return nil, invalid("actions : " + strconv.Itoa(i) + ": " + err.Error())
		}
		actions[i] = action
	}
	return actions, nil
}

const actionName = "@search.action"

// parseAction takes the action out of the document, wherever it stands: some clients write it last.
func parseAction(document json.RawMessage) (search.Action, error) {
	action := search.Action{Kind: search.Upload, Document: document}
	decoder := json.NewDecoder(bytes.NewReader(document))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return action, errors.New("A document must be a JSON object.") //nolint:revive,staticcheck // the caller's words
	}
	found := false
	rest := append(make([]byte, 0, len(document)), '{')
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return action, err
		}
		var value json.RawMessage
		if err = decoder.Decode(&value); err != nil {
			return action, err
		}
		name, _ := token.(string)
		if name != actionName {
			if len(rest) > 1 {
				rest = append(rest, ',')
			}
			rest = append(append(appendString(rest, name), ':'), value...)
			continue
		}
		var kind string
		if found || json.Unmarshal(value, &kind) != nil || !isAction(kind) {
			return action, errors.New("'" + actionName + "' must be given once, as 'upload', 'merge', 'mergeOrUpload' or 'delete'.") //nolint:staticcheck // the caller's words
		}
		found, action.Kind = true, search.ActionKind(kind)
	}
	if found {
		action.Document = append(rest, '}')
	}
	return action, nil
}

func isAction(kind string) bool {
	switch search.ActionKind(kind) {
	case search.Upload, search.Merge, search.MergeOrUpload, search.Delete:
		return true
	}
	return false
}

// lookup answers GET docs('key'). What the user may not see is missing, like what does not exist: 404 and no body.
func (s *Server) lookup(w http.ResponseWriter, c *call) error {
	for name := range c.query {
		if name != "$select" && name != "api-version" {
			return badRequest("InvalidRequestParameter", "The query parameter '"+clip(name)+"' is not supported by this operation.")
		}
	}
	if _, err := s.engine.Definition(c.Context(), c.index); err != nil {
		return notFoundForDocs(c, s, err)
	}
	user, err := s.user(c)
	if err != nil {
		return err
	}
	document, err := s.engine.Index(c.index).Lookup(c.Context(), user, c.key, splitList(strings.Join(c.query["$select"], ","))...)
	if err != nil {
		if errors.Is(err, search.ErrNotFound) {
			return &bare{err}
		}
		return err
	}
	if c.minimal {
		head := appendString([]byte(`{"@odata.context":`), s.base(c)+"/indexes('"+c.index+"')/$metadata#docs(*)/$entity")
		if inner := document[1:]; len(inner) > 1 {
			head = append(head, ',')
		}
		document = append(head, document[1:]...)
	}
	writeJSON(w, c, http.StatusOK, document)
	return nil
}

// count answers GET docs/$count: all documents, whoever may see them, as the service has no user there.
func (s *Server) count(w http.ResponseWriter, c *call) error {
	n, err := s.engine.Count(c.Context(), c.index)
	if err != nil {
		return notFoundForDocs(c, s, err)
	}
	body := strconv.AppendInt([]byte("\ufeff"), n, 10)
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("OData-Version", "4.0")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) //nolint:gosec // a number
	return nil
}

// notFoundForDocs gives the words that operations on documents have for a missing index.
func notFoundForDocs(c *call, s *Server, err error) error {
	if !errors.Is(err, search.ErrNotFound) {
		return err
	}
	return &search.Error{Status: http.StatusNotFound, Message: "The index '" + clip(c.index) + "' for service '" + s.name(c) + "' was not found."}
}

// splitList splits a list by commas, without the spaces around; "" and "*" mean all.
func splitList(list string) []string {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 1 && names[0] == "*" {
		return nil
	}
	return names
}
