package search

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// The forms that encoding/json treats by their tags alone.
type (
	plainDefinition Definition
	plainField      Field
)

// UnmarshalJSON implements [json.Unmarshaler].
func (d *Definition) UnmarshalJSON(text []byte) error {
	plain := plainDefinition{}
	if err := json.Unmarshal(text, &plain); err != nil {
		return err
	}
	plain.Other = others(text, plain)
	*d = Definition(plain)
	return nil
}

// MarshalJSON implements [json.Marshaler].
func (d Definition) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(plainDefinition(d))
	return withOthers(text, d.Other), err
}

// UnmarshalJSON implements [json.Unmarshaler].
func (f *Field) UnmarshalJSON(text []byte) error {
	plain := plainField{}
	if err := json.Unmarshal(text, &plain); err != nil {
		return err
	}
	plain.Other = others(text, plain)
	*f = Field(plain)
	return nil
}

// MarshalJSON implements [json.Marshaler].
func (f Field) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(plainField(f))
	return withOthers(text, f.Other), err
}

// others returns the members of an object that plain has no tag for, without OData's annotations and without nulls.
func others(text []byte, plain any) map[string]json.RawMessage {
	var all map[string]json.RawMessage
	if json.Unmarshal(text, &all) != nil {
		return nil
	}
	for field := range reflect.TypeOf(plain).Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		delete(all, name)
	}
	maps.DeleteFunc(all, func(name string, value json.RawMessage) bool {
		return strings.HasPrefix(name, "@odata.") || string(value) == "null"
	})
	if len(all) == 0 {
		return nil
	}
	return all
}

// withOthers adds members to the text of an object that has some.
func withOthers(text []byte, other map[string]json.RawMessage) []byte {
	if len(text) < len("{}") {
		return text
	}
	out := text[:len(text)-1]
	for _, name := range slices.Sorted(maps.Keys(other)) {
		quoted, _ := json.Marshal(name) // a string always marshals
		out = append(append(append(append(out, ','), quoted...), ':'), other[name]...)
	}
	return append(out, '}')
}
