package mcpdata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"unicode/utf16"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/onbehalf/onbehalf/internal/arguments"
)

const (
	maxSchema    = 64 << 10 // bytes
	maxWork      = 2000     // schemas that one value is held against, references followed
	maxDepth     = 64
	maxComplaint = 600 // bytes
)

// Schema is what a tool's arguments must fit.
type Schema struct {
	JSON     json.RawMessage // an object schema with properties, as models' servers want it
	resolved *jsonschema.Resolved
}

var errSchema = errors.New("its schema cannot be checked")

// NewSchema reads a tool's input schema. One that refers to itself, or elsewhere, is refused: checking it might not end.
func NewSchema(input any) (*Schema, error) {
	text, err := json.Marshal(input)
	if err != nil || len(text) > maxSchema {
		return nil, fmt.Errorf("%w: it is no JSON, or larger than %d KiB", errSchema, maxSchema>>10)
	}
	var root map[string]any
	if json.Unmarshal(text, &root) != nil || root == nil {
		return nil, fmt.Errorf("%w: it is no object", errSchema)
	}
	if kind, given := root["type"]; given && kind != "object" {
		return nil, fmt.Errorf("%w: arguments are an object, not %v", errSchema, kind)
	}
	root["type"] = "object"
	if root["properties"] == nil {
		root["properties"] = map[string]any{}
	}
	if err = (&meter{root: root}).walk(root, 0); err != nil {
		return nil, err
	}
	if text, err = json.Marshal(root); err != nil {
		return nil, fmt.Errorf("%w: %w", errSchema, err)
	}
	var schema jsonschema.Schema
	if err = json.Unmarshal(text, &schema); err != nil {
		return nil, fmt.Errorf("%w: %w", errSchema, err)
	}
	resolved, err := schema.Resolve(&jsonschema.ResolveOptions{Loader: func(*url.URL) (*jsonschema.Schema, error) {
		return nil, errors.New("it refers to another document")
	}})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSchema, err)
	}
	return &Schema{JSON: text, resolved: resolved}, nil
}

// Check reads arguments and holds them against the schema. It returns the object as it is shown and sent: written anew,
// so that no key stands there twice and nothing is hidden.
func (s *Schema) Check(given string) (json.RawMessage, error) {
	if strings.TrimSpace(given) == "" {
		given = "{}"
	}
	decoder := json.NewDecoder(strings.NewReader(given))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return nil, fmt.Errorf("they are not a JSON object: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("they are more than one JSON object")
	}
	if object == nil {
		return nil, errors.New("they are null, not a JSON object")
	}
	text, err := marshal(object)
	if err != nil {
		return nil, err
	}
	var instance map[string]any // with numbers as the validator wants them
	if err := json.Unmarshal(text, &instance); err != nil {
		return nil, err
	}
	if err := s.resolved.Validate(instance); err != nil {
		return nil, errors.New(Line(arguments.Explain(s.resolved.Schema(), text, err.Error()), maxComplaint))
	}
	return showing(text), nil
}

// showing escapes what cannot be seen in JSON, so that a person who allows it reads what is sent.
func showing(text json.RawMessage) json.RawMessage {
	var out bytes.Buffer
	for _, r := range string(text) {
		switch {
		case visible(r) == r:
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.Bytes()
}

// marshal writes JSON that is read by people, too: without escapes for HTML.
func marshal(value any) (json.RawMessage, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

// meter counts how much work a schema can make: each place a reference leads to counts again. It looks at every object,
// be it a schema or not, since decoders differ in which keys they take for which.
type meter struct {
	root map[string]any
	work int
}

func (m *meter) walk(node any, depth int) error {
	switch v := node.(type) {
	case map[string]any:
		if m.work++; m.work > maxWork || depth > maxDepth {
			return fmt.Errorf("%w: it is too large, too deep, or refers to itself", errSchema)
		}
		for key, value := range v {
			err := m.walk(value, depth+1)
			if text, ok := value.(string); ok && strings.HasPrefix(key, "$") {
				err = m.keyword(key, text, depth)
			}
			if err != nil {
				return err
			}
		}
	case []any:
		for _, value := range v {
			if err := m.walk(value, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *meter) keyword(key, value string, depth int) error {
	switch key = strings.ToLower(key); {
	case key == "$ref":
		return m.follow(value, depth)
	case key == "$schema", key == "$comment", key == "$id" && depth == 0:
		return nil
	default: // $anchor, $dynamicRef and the like
		return fmt.Errorf("%w: it uses %s", errSchema, Line(key, 100))
	}
}

func (m *meter) follow(target string, depth int) error {
	fragment, local := strings.CutPrefix(target, "#")
	if pointer, err := url.PathUnescape(fragment); local && err == nil && (pointer == "" || pointer[0] == '/') {
		var node any = m.root
		for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
			if pointer == "" {
				break
			}
			object, ok := node.(map[string]any)
			if !ok {
				return fmt.Errorf("%w: it refers to %q", errSchema, Line(target, 100))
			}
			node = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
		}
		return m.walk(node, depth+1)
	}
	return fmt.Errorf("%w: it refers to %q", errSchema, Line(target, 100))
}
