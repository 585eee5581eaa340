package searchserver

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/onbehalf/onbehalf/internal/jsonscan"
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

// parseBatch reads {"value": [{"@search.action": …, …}]} in one pass.
func parseBatch(body []byte) ([]search.Action, error) {
	var actions []search.Action
	scan := jsonscan.New(body)
	err := scan.Object(func(name string, _ int) error {
		if name != "value" || actions != nil {
			return invalid("The property '" + clip(name) + "' does not exist on the batch, or is there twice.")
		}
		actions = []search.Action{}
		return scan.Array(func() error {
			if len(actions) == maxActions {
				return invalid("actions : A batch must hold 1 to " + strconv.Itoa(maxActions) + " actions, this one holds more.")
			}
			action, err := parseAction(scan, body)
			if errors.Is(err, jsonscan.ErrKind) {
				err = invalid("actions : " + strconv.Itoa(len(actions)) + ": A document must be a JSON object.")
			}
			actions = append(actions, action)
			return err
		})
	})
	if err = cmp.Or(err, scan.End()); err != nil {
		if errors.Is(err, jsonscan.ErrKind) && len(actions) == 0 {
			return nil, invalid("actions : The list of actions ('value') is missing.")
		}
		return nil, malformed(err)
	}
	if len(actions) == 0 {
		return nil, invalid("actions : A batch must hold 1 to " + strconv.Itoa(maxActions) + " actions, this one holds none.")
	}
	return actions, nil
}

const actionName = "@search.action"

// parseAction takes the action out of the document, wherever it stands: some clients write it last.
func parseAction(scan *jsonscan.Scanner, body []byte) (search.Action, error) {
	action := search.Action{Kind: search.Upload}
	document := []byte{'{'}
	found := false
	err := scan.Object(func(name string, start int) error {
		value, err := scan.Value()
		if err != nil {
			return err
		}
		if name != actionName {
			if len(document) > 1 {
				document = append(document, ',')
			}
			document = append(document, body[start:scan.Offset()]...)
			return nil
		}
		var kind string
		if found || json.Unmarshal(value, &kind) != nil || !isAction(kind) {
			return invalid("actions : '" + actionName + "' must be given once in a document, as 'upload', 'merge', 'mergeOrUpload' or 'delete'.")
		}
		found, action.Kind = true, search.ActionKind(kind)
		return nil
	})
	action.Document = append(document, '}')
	return action, err
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
