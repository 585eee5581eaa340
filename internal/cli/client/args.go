package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// schema is a tool's JSON Schema as far as a command line needs it.
type schema struct {
	Properties map[string]property `json:"properties"`
	Required   []string            `json:"required"`
	Additional any                 `json:"additionalProperties"`
}

type property struct {
	Type  any        `json:"type"` // a name or a list of names
	Enum  []any      `json:"enum"`
	AnyOf []property `json:"anyOf"`
	OneOf []property `json:"oneOf"`
	Items *property  `json:"items"`
}

// schemaOf reads a tool's input schema. One that cannot be read takes every argument.
func schemaOf(tool *mcp.Tool) schema {
	text, err := json.Marshal(tool.InputSchema)
	if err != nil {
		return schema{}
	}
	var s schema
	if json.Unmarshal(text, &s) != nil {
		return schema{}
	}
	return s
}

// kinds lists the types that a value may have; none means any.
func (p property) kinds() []string {
	var kinds []string
	switch t := p.Type.(type) {
	case string:
		kinds = append(kinds, t)
	case []any:
		for _, name := range t {
			kinds = append(kinds, fmt.Sprint(name))
		}
	}
	for _, choice := range slices.Concat(p.AnyOf, p.OneOf) {
		kinds = append(kinds, choice.kinds()...)
	}
	return kinds
}

// items returns the schema of an array's elements.
func (p property) items() property {
	if p.Items != nil {
		return *p.Items
	}
	for _, choice := range slices.Concat(p.AnyOf, p.OneOf) {
		if choice.Items != nil {
			return *choice.Items
		}
	}
	return property{}
}

// usageOf shows a tool's arguments: "query=string [top=integer]".
func usageOf(s schema) string {
	names := propertyNames(s)
	slices.SortStableFunc(names, func(a, b string) int {
		return boolOrder(slices.Contains(s.Required, a), slices.Contains(s.Required, b))
	})
	words := make([]string, len(names))
	for i, name := range names {
		kinds := slices.DeleteFunc(s.Properties[name].kinds(), func(k string) bool { return k == "null" })
		words[i] = name + "=" + strings.Join(kinds, "|")
		if len(kinds) == 0 {
			words[i] = name + "=…"
		}
		if !slices.Contains(s.Required, name) {
			words[i] = "[" + words[i] + "]"
		}
	}
	return strings.Join(words, " ")
}

func boolOrder(first, second bool) int {
	switch {
	case first == second:
		return 0
	case first:
		return -1
	default:
		return 1
	}
}

func propertyNames(s schema) []string {
	names := make([]string, 0, len(s.Properties))
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// arguments builds a tool's arguments from --args-json, if any, and key=value words, which win.
func arguments(s schema, base map[string]any, words []string) (map[string]any, error) {
	args := map[string]any{}
	maps.Copy(args, base)
	given := map[string]bool{}
	for _, word := range words {
		name, text, ok := strings.Cut(word, "=")
		if !ok || name == "" {
			return nil, shell.Usage(fmt.Errorf("argument %q: want key=value", word))
		}
		p, known := s.Properties[name]
		if !known && len(s.Properties) > 0 && s.Additional != true {
			return nil, unknownArgument(s, name)
		}
		value, err := p.parse(text, given[name], args[name])
		if err != nil {
			return nil, shell.Usage(fmt.Errorf("argument %s: %w", name, err))
		}
		args[name], given[name] = value, true
	}
	for name := range base {
		if _, known := s.Properties[name]; !known && s.Additional == false {
			return nil, unknownArgument(s, name)
		}
	}
	var missing []string
	for _, name := range s.Required {
		if _, ok := args[name]; !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, shell.Usage(shell.Hint(fmt.Errorf("missing: %s", strings.Join(missing, ", ")), "the tool takes %s", usageOf(s)))
	}
	return args, nil
}

func unknownArgument(s schema, name string) error {
	err := fmt.Errorf("the tool has no argument %q", name)
	if near := shell.Nearest(name, propertyNames(s)); near != "" {
		return shell.Usage(shell.Hint(err, "did you mean %s?", near))
	}
	return shell.Usage(shell.Hint(err, "the tool takes %s", usageOf(s)))
}

// parse reads a word as the type that the schema wants. A second word for an array adds to it.
func (p property) parse(text string, again bool, before any) (any, error) {
	kinds := p.kinds()
	if slices.Contains(kinds, "array") && !strings.HasPrefix(strings.TrimSpace(text), "[") {
		element, err := p.items().parse(text, false, nil)
		if err != nil {
			return nil, err
		}
		list, _ := before.([]any)
		if !again {
			list = nil
		}
		return append(list, element), nil
	}
	if again {
		return nil, errors.New("given twice")
	}
	value, err := parseKind(kinds, text)
	if err != nil {
		return nil, err
	}
	if len(p.Enum) > 0 && !slices.ContainsFunc(p.Enum, func(e any) bool { return fmt.Sprint(e) == fmt.Sprint(value) }) {
		return nil, fmt.Errorf("%q is none of %v", text, p.Enum)
	}
	return value, nil
}

func parseKind(kinds []string, text string) (any, error) {
	for _, kind := range kinds {
		switch kind {
		case "integer":
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				return n, nil
			}
		case "number":
			if _, err := strconv.ParseFloat(text, 64); err == nil && json.Valid([]byte(text)) {
				return json.Number(text), nil
			}
		case "boolean":
			if text == "true" || text == "false" {
				return text == "true", nil
			}
		case "null":
			if text == "null" {
				return nil, nil
			}
		case "object", "array":
			var value any
			if decodeJSON([]byte(text), &value) == nil {
				return value, nil
			}
		}
	}
	if len(kinds) == 0 {
		var value any
		if decodeJSON([]byte(text), &value) == nil {
			return value, nil
		}
		return text, nil
	}
	if slices.Contains(kinds, "string") {
		return text, nil
	}
	return nil, fmt.Errorf("%q is no %s", text, strings.Join(kinds, " and no "))
}

// decodeJSON keeps numbers as they are written: an id of 64 bits is not to be rounded.
func decodeJSON(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON")
	}
	return nil
}
