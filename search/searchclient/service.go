package searchclient

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/onbehalf/onbehalf/internal/jsonscan"
	"github.com/onbehalf/onbehalf/search"
)

// MaxActions is how many actions one [Client.Write] may hold.
//
// https://learn.microsoft.com/azure/search/search-limits-quotas-capacity
const MaxActions = 1000

// Definition implements [search.Service].
func (c *Client) Definition(ctx context.Context, name string) (*search.Definition, error) {
	got, err := c.do(ctx, &request{name: "get index", index: name, method: http.MethodGet, path: indexPath(name)}, http.StatusOK)
	if err != nil {
		return nil, err
	}
	return decodeDefinition(got)
}

// Put implements [search.Service].
func (c *Client) Put(ctx context.Context, d *search.Definition, ifMatch string) (*search.Definition, error) {
	body, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("search client: put index: %w", err)
	}
	call := &request{name: "put index", index: d.Name, method: http.MethodPut, path: indexPath(d.Name), body: body, header: conditions(ifMatch)}
	call.header.Set("Prefer", "return=representation")
	got, err := c.do(ctx, call, http.StatusOK, http.StatusCreated)
	if err != nil {
		return nil, err
	}
	return decodeDefinition(got)
}

// Delete implements [search.Service].
func (c *Client) Delete(ctx context.Context, name, ifMatch string) error {
	call := &request{name: "delete index", index: name, method: http.MethodDelete, path: indexPath(name), header: conditions(ifMatch)}
	_, err := c.do(ctx, call, http.StatusNoContent, http.StatusOK)
	return err
}

func conditions(ifMatch string) http.Header {
	header := http.Header{}
	if ifMatch != "" {
		header.Set("If-Match", ifMatch)
	}
	return header
}

func decodeDefinition(got *answer) (*search.Definition, error) {
	definition := &search.Definition{}
	if err := json.Unmarshal(got.body, definition); err != nil {
		return nil, fmt.Errorf("search client: the answer is not an index definition: %w", err)
	}
	return definition, nil
}

// Write implements [search.Service].
func (c *Client) Write(ctx context.Context, name string, batch []search.Action) ([]search.Status, error) {
	body, err := encodeBatch(batch)
	if err != nil {
		return nil, err
	}
	call := &request{name: "write", index: name, method: http.MethodPost, path: indexPath(name) + "/docs/search.index", body: body}
	got, err := c.do(ctx, call, http.StatusOK, http.StatusMultiStatus)
	if err != nil {
		return nil, err
	}
	statuses, err := decodeStatuses(got.body, len(batch))
	if err != nil {
		return nil, fmt.Errorf("search client: write: the answer is not the service's JSON: %w", err)
	}
	if len(statuses) != len(batch) {
		return nil, fmt.Errorf("search client: write: %d actions were sent, %d were answered", len(batch), len(statuses))
	}
	return statuses, nil
}

// decodeStatuses reads what became of each action, in one pass over an answer that has a thousand of them.
func decodeStatuses(body []byte, sent int) ([]search.Status, error) {
	statuses := make([]search.Status, 0, sent)
	scan := jsonscan.New(body)
	err := scan.Members(func(name []byte, _ int) error {
		if string(name) != "value" {
			_, err := scan.Value()
			return err
		}
		return scan.Array(func() error {
			var status search.Status
			err := scan.Members(func(name []byte, _ int) error { return decodeStatus(scan, string(name), &status) })
			statuses = append(statuses, status)
			return err
		})
	})
	return statuses, cmp.Or(err, scan.End())
}

func decodeStatus(scan *jsonscan.Scanner, name string, status *search.Status) error {
	value, err := scan.Value()
	if err != nil || string(value) == "null" {
		return err
	}
	switch name {
	case "key":
		status.Key, err = text(value)
	case "status":
		err = json.Unmarshal(value, &status.OK)
	case "errorMessage":
		status.Message, err = text(value)
		status.Message = cut(status.Message)
	case "statusCode":
		status.Code, err = strconv.Atoi(string(value))
	}
	return err
}

// text reads a JSON string.
func text(raw []byte) (s string, err error) {
	if raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), nil
	}
	err = json.Unmarshal(raw, &s)
	return s, err
}

// encodeBatch puts "@search.action" in front of each document.
func encodeBatch(batch []search.Action) ([]byte, error) {
	if len(batch) == 0 || len(batch) > MaxActions {
		return nil, fmt.Errorf("search client: write: want 1 to %d actions, got %d", MaxActions, len(batch))
	}
	size := len(`{"value":[]}`)
	for _, action := range batch {
		size += len(action.Document) + len(`{"@search.action":"mergeOrUpload",},`)
	}
	body := append(make([]byte, 0, size), `{"value":[`...)
	for i, action := range batch {
		fields, err := members(action)
		if err != nil {
			return nil, fmt.Errorf("search client: write: action %d: %w", i, err)
		}
		if i > 0 {
			body = append(body, ',')
		}
		kind := action.Kind
		if kind == "" {
			kind = search.Upload
		}
		quoted, _ := json.Marshal(kind) // a string always marshals
		body = append(append(body, `{"@search.action":`...), quoted...)
		if len(fields) > 0 {
			body = append(append(body, ','), fields...)
		}
		body = append(body, '}')
	}
	return append(body, "]}"...), nil
}

// members returns what stands between the braces of a JSON object. A document that names its own action is refused:
// the service would take the last one.
func members(action search.Action) ([]byte, error) {
	trimmed := bytes.TrimSpace(action.Document)
	if action.Checked && len(trimmed) > 1 && trimmed[0] == '{' && trimmed[len(trimmed)-1] == '}' {
		return bytes.TrimSpace(trimmed[1 : len(trimmed)-1]), nil
	}
	scan := jsonscan.New(trimmed)
	err := scan.Members(func(name []byte, _ int) error {
		if bytes.HasPrefix(name, []byte("@search.")) {
			return fmt.Errorf("the document must not hold %q", name)
		}
		_, err := scan.Value()
		return err
	})
	if err = cmp.Or(err, scan.End()); err != nil {
		return nil, fmt.Errorf("the document is no JSON object that can be written: %w", err)
	}
	return bytes.TrimSpace(trimmed[1 : len(trimmed)-1]), nil
}

// Stats is how large an index is.
type Stats struct {
	Documents int64 `json:"documentCount"`
	Bytes     int64 `json:"storageSize"`
}

// Stats returns how large an index is. The service counts with a delay.
//
// https://learn.microsoft.com/rest/api/searchservice/indexes/get-statistics
func (c *Client) Stats(ctx context.Context, name string) (Stats, error) {
	var stats Stats
	got, err := c.do(ctx, &request{name: "index stats", index: name, method: http.MethodGet, path: indexPath(name) + "/search.stats"}, http.StatusOK)
	if err != nil {
		return stats, err
	}
	if err := json.Unmarshal(got.body, &stats); err != nil {
		return stats, fmt.Errorf("search client: index stats: the answer is not the service's JSON: %w", err)
	}
	return stats, nil
}
