// Package arguments says which arguments of a tool do not fit its JSON schema, and what is allowed, in words for the
// person and the model: a validator's own words name its rules, such as "validating /properties/top: maximum: 1000/1".
package arguments

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"
)

// Bounds of what is said about arguments.
const (
	maxMisfits = 5   // arguments that are named
	maxEcho    = 40  // characters of a value that are repeated
	maxWords   = 300 // characters of the SDK's own words
)

// Explain says why arguments that a validator has refused do not fit a schema: the first few that do not. It knows types,
// bounds, lengths, enumerations, what is required and what is unknown; for other rules the validator's words stand, cut.
func Explain(schema *jsonschema.Schema, arguments json.RawMessage, words string) string {
	var given map[string]any
	if len(arguments) > 0 && json.Unmarshal(arguments, &given) != nil {
		return "they have to be a JSON object"
	}
	found := inObject(nil, "", schema, given)
	if len(found) == 0 {
		found = append(found, clip(words, maxWords))
	}
	if len(found) > maxMisfits {
		found = append(found[:maxMisfits], "and others")
	}
	return strings.Join(found, "; ")
}

// in adds what does not fit at one place of the arguments.
func in(found []string, place string, schema *jsonschema.Schema, value any) []string {
	if len(found) > maxMisfits {
		return found
	}
	if !fits(schema, value) {
		return append(found, fmt.Sprintf("%s %s; it has to be %s", clip(place, maxEcho), is(schema, value), allowed(schema)))
	}
	switch value := value.(type) {
	case map[string]any:
		return inObject(found, place+".", schema, value)
	case []any:
		if schema.Items == nil {
			break
		}
		for i, item := range value {
			found = in(found, fmt.Sprintf("%s[%d]", place, i), schema.Items, item)
		}
	}
	return found
}

func inObject(found []string, prefix string, schema *jsonschema.Schema, object map[string]any) []string {
	for _, name := range schema.Required {
		if _, given := object[name]; !given && schema.Properties[name] != nil {
			found = append(found, fmt.Sprintf("%s%s is missing; it has to be %s", prefix, name, allowed(schema.Properties[name])))
		}
	}
	closed := schema.AdditionalProperties != nil && schema.AdditionalProperties.Not != nil
	for _, name := range slices.Sorted(maps.Keys(object)) {
		switch property := schema.Properties[name]; {
		case property != nil:
			found = in(found, prefix+name, property, object[name])
		case closed && len(schema.Properties) == 0:
			found = append(found, clip(prefix+name, maxEcho)+" is unknown, as any argument is")
		case closed:
			found = append(found, fmt.Sprintf("%s is unknown (known: %s)", clip(prefix+name, maxEcho), clip(strings.Join(slices.Sorted(maps.Keys(schema.Properties)), ", "), maxWords)))
		}
	}
	return found
}

// fits reports whether a value has the type and keeps the bounds of a schema, leaving aside what is inside it.
func fits(schema *jsonschema.Schema, value any) bool {
	if kinds := types(schema); len(kinds) > 0 && !slices.ContainsFunc(kinds, func(kind string) bool { return isA(kind, value) }) {
		return false
	}
	if len(schema.Enum) > 0 {
		sent := echo(value)
		if !slices.ContainsFunc(schema.Enum, func(one any) bool { return echo(one) == sent }) {
			return false
		}
	}
	within := func(n float64, least, most *float64) bool {
		return (least == nil || n >= *least) && (most == nil || n <= *most)
	}
	counts := func(n int, least, most *int) bool {
		return (least == nil || n >= *least) && (most == nil || n <= *most)
	}
	switch value := value.(type) {
	case float64:
		return within(value, schema.Minimum, schema.Maximum)
	case string:
		return counts(utf8.RuneCountInString(value), schema.MinLength, schema.MaxLength)
	case []any:
		return counts(len(value), schema.MinItems, schema.MaxItems)
	}
	return true
}

func types(schema *jsonschema.Schema) []string {
	if schema.Type != "" {
		return []string{schema.Type}
	}
	return schema.Types
}

// isA reports whether a value that encoding/json has read is of a type of JSON Schema.
func isA(kind string, value any) bool {
	switch value := value.(type) {
	case nil:
		return kind == "null"
	case bool:
		return kind == "boolean"
	case float64:
		return kind == "number" || kind == "integer" && value == float64(int64(value))
	case string:
		return kind == "string"
	case []any:
		return kind == "array"
	}
	return kind == "object"
}

// is says what a value is: the value, or how long it is where that is the matter.
func is(schema *jsonschema.Schema, value any) string {
	if slices.ContainsFunc(types(schema), func(kind string) bool { return isA(kind, value) }) && len(schema.Enum) == 0 {
		switch value := value.(type) {
		case string:
			return fmt.Sprintf("has %d characters", utf8.RuneCountInString(value))
		case []any:
			return fmt.Sprintf("has %d entries", len(value))
		}
	}
	return "is " + clip(echo(value), maxEcho)
}

func echo(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return "no JSON"
	}
	return string(text)
}

// allowed says what a schema takes, for people.
func allowed(schema *jsonschema.Schema) string {
	if len(schema.Enum) > 0 {
		var all []string
		for _, one := range schema.Enum {
			all = append(all, echo(one))
		}
		return "one of " + clip(strings.Join(all, ", "), maxWords)
	}
	var kinds []string
	for _, kind := range types(schema) {
		switch kind {
		case "integer":
			kinds = append(kinds, "an integer"+span(number(schema.Minimum), number(schema.Maximum), ""))
		case "number":
			kinds = append(kinds, "a number"+span(number(schema.Minimum), number(schema.Maximum), ""))
		case "string":
			kinds = append(kinds, "a text"+span(whole(schema.MinLength), whole(schema.MaxLength), " characters"))
		case "array":
			kinds = append(kinds, "a list"+span(whole(schema.MinItems), whole(schema.MaxItems), " entries"))
		case "boolean":
			kinds = append(kinds, "true or false")
		default:
			kinds = append(kinds, kind)
		}
	}
	return strings.Join(kinds, " or ")
}

// span says between which bounds something has to be; "" is none. Without a unit it is about a number itself.
func span(least, most, unit string) string {
	switch {
	case least != "" && most != "" && unit == "":
		return " from " + least + " to " + most
	case least != "" && most != "":
		return " of " + least + " to " + most + unit
	case least != "":
		return " of at least " + least + unit
	case most != "":
		return " of at most " + most + unit
	}
	return ""
}

func number(n *float64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatFloat(*n, 'f', -1, 64)
}

func whole(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

// clip cuts a text that came from outside.
func clip(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}
