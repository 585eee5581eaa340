package mcpdata

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/internal/agent/prose"
)

// Document is one document of a result.
type Document struct {
	ID, Title, Extract, URI string
	Score                   float64
}

const (
	maxDocuments = 64
	maxTitle     = 200
	maxExtract   = 600
	maxID        = 300
	maxURI       = 2048
)

// Value is JSON that a tool returned.
type Value struct{ root any }

// Parse reads JSON text; nil when it is none, or neither an object nor a list.
func Parse(text string) *Value {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var root any
	if decoder.Decode(&root) != nil {
		return nil
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil
	}
	switch root.(type) {
	case map[string]any, []any:
		return &Value{root}
	default:
		return nil
	}
}

// ValueOf returns what a result holds in structure, be it only by its text; nil for none.
func ValueOf(result *mcp.CallToolResult) *Value {
	if result.StructuredContent != nil {
		if text, err := json.Marshal(result.StructuredContent); err == nil {
			return Parse(string(text))
		}
	}
	if len(result.Content) == 1 {
		if text, ok := result.Content[0].(*mcp.TextContent); ok {
			return Parse(text.Text)
		}
	}
	return nil
}

// JSON writes the value in most bytes at most, shortening its longest texts to that end; "" when that is not enough.
func (v *Value) JSON(most int) string {
	text, err := marshal(v.root)
	for longest := most / 2; err == nil && len(text) > most && longest >= 128; longest /= 2 {
		shorten(v.root, longest)
		text, err = marshal(v.root)
	}
	if err != nil || len(text) > most {
		return ""
	}
	return string(text)
}

func shorten(node any, longest int) {
	switch v := node.(type) {
	case map[string]any:
		for key, value := range v {
			if text, ok := value.(string); ok {
				v[key] = Cut(text, longest)
			} else {
				shorten(value, longest)
			}
		}
	case []any:
		for i, value := range v {
			if text, ok := value.(string); ok {
				v[i] = Cut(text, longest)
			} else {
				shorten(value, longest)
			}
		}
	}
}

// Documents returns the documents of the value, in its order.
func (v *Value) Documents() []Document {
	var out []Document
	for _, object := range v.objects() {
		d := read(object)
		d.Extract = Line(prose.Line(d.Extract, maxExtract), maxExtract)
		out = append(out, d)
	}
	return out
}

// NoDocuments reports whether the value is a list of documents that holds none. A list is one of documents by its name,
// since nothing else tells of one that is empty; where another list holds something, or a count says that there is more on
// another page, something was found.
func (v *Value) NoDocuments() bool {
	root, _ := v.root.(map[string]any)
	empty := false
	for name, value := range root {
		number, _ := value.(json.Number)
		list, _ := value.([]any)
		switch {
		case len(list) > 0, number != "" && number != "0" && slices.Contains([]string{"count", "total"}, strings.ToLower(name)):
			return false
		case list == nil:
		case slices.Contains([]string{"documents", "hits", "matches", "passages", "results"}, strings.ToLower(name)):
			empty = true
		}
	}
	return empty
}

// Cite gives the documents of the value their numbers, in its order: under the key "cite", as an answer is to cite them.
// What stood under that key before is dropped, wherever it stood.
func (v *Value) Cite(numbers []string) {
	drop(v.root, "cite")
	for i, object := range v.objects() {
		if i < len(numbers) {
			object["cite"] = numbers[i]
		}
	}
}

func drop(node any, name string) {
	switch v := node.(type) {
	case map[string]any:
		delete(v, name)
		for _, value := range v {
			drop(value, name)
		}
	case []any:
		for _, value := range v {
			drop(value, name)
		}
	}
}

// objects finds the documents: what is in the value's list, or in the lists right below it, and looks like one.
func (v *Value) objects() []map[string]any {
	var out []map[string]any
	add := func(list []any) {
		for _, one := range list {
			if object, ok := one.(map[string]any); ok && len(out) < maxDocuments && isDocument(object) {
				out = append(out, object)
			}
		}
	}
	switch root := v.root.(type) {
	case []any:
		add(root)
	case map[string]any:
		names := make([]string, 0, len(root))
		for name := range root {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			if list, ok := root[name].([]any); ok {
				add(list)
			}
		}
	}
	return out
}

func isDocument(object map[string]any) bool {
	d := read(object)
	return (d.ID != "" || d.URI != "") && (d.Title != "" || d.Extract != "")
}

// read takes the names that search services and tools give to these things. The extract is all of the text.
func read(object map[string]any) Document {
	d := Document{
		ID:      Line(first(object, "id", "key", "_id", "document_id", "documentId", "doc_id"), maxID),
		Title:   Line(first(object, "title", "name", "subject", "filename", "heading"), maxTitle),
		Extract: first(object, "extract", "snippet", "content", "text", "summary", "description", "body"),
		URI:     Line(first(object, "uri", "url", "link"), maxURI),
	}
	for _, name := range []string{"score", "@search.score", "_score", "relevance"} {
		if number, ok := object[name].(json.Number); ok {
			d.Score, _ = number.Float64() // no number, no score
			break
		}
	}
	return d
}

func first(object map[string]any, names ...string) string {
	for _, name := range names {
		switch value := object[name].(type) {
		case string:
			if strings.TrimSpace(value) != "" {
				return value
			}
		case json.Number:
			return value.String()
		}
	}
	return ""
}

// Links returns what a result links to or embeds, as documents.
func Links(result *mcp.CallToolResult) []Document {
	var out []Document
	for _, content := range result.Content {
		if len(out) == maxDocuments {
			break
		}
		switch c := content.(type) {
		case *mcp.ResourceLink:
			title := c.Title
			if title == "" {
				title = c.Name
			}
			out = append(out, Document{URI: Line(c.URI, maxURI), Title: Line(title, maxTitle), Extract: Line(c.Description, maxExtract)})
		case *mcp.EmbeddedResource:
			if c.Resource != nil {
				out = append(out, Document{URI: Line(c.Resource.URI, maxURI), Title: Line(c.Resource.URI, maxTitle), Extract: Line(c.Resource.Text, maxExtract)})
			}
		}
	}
	return out
}
