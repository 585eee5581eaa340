package searchserver

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/search"
)

// property is one of an index definition: in which versions it exists, and what is answered where it was not given.
type property struct {
	name  string
	since string // "": all versions; a preview: that and later ones
	empty any
	known bool // package search has a place for it
}

// definitionProperties is what an index definition may hold, in the service's order.
//
// https://learn.microsoft.com/rest/api/searchservice/indexes/create-or-update
func definitionProperties() []property {
	none := []any{}
	return []property{
		{name: "@odata.context"},
		{name: "@odata.etag", known: true},
		{name: "name", known: true},
		{name: "description", known: true},
		{name: "permissionFilterOption", since: firstPermissions, known: true},
		{name: "purviewEnabled", since: "2025-11-01-preview", empty: false},
		{name: "sharePointConnectorAppRegistration", since: "2026-05-01-preview"},
		{name: "defaultScoringProfile", known: true},
		{name: "fields", known: true},
		{name: "scoringProfiles", empty: none, known: true},
		{name: "corsOptions", known: true},
		{name: "suggesters", empty: none, known: true},
		{name: "analyzers", empty: none, known: true},
		{name: "normalizers", empty: none, known: true},
		{name: "tokenizers", empty: none, known: true},
		{name: "tokenFilters", empty: none, known: true},
		{name: "charFilters", empty: none, known: true},
		{name: "encryptionKey", known: true},
		{name: "similarity", known: true},
		{name: "semantic", known: true},
		{name: "vectorSearch", known: true},
	}
}

// fieldProperties is what a field may hold.
func fieldProperties() []property {
	none := []any{}
	return []property{
		{name: "name", known: true},
		{name: "type", known: true},
		{name: "searchable", known: true},
		{name: "filterable", known: true},
		{name: "retrievable", known: true},
		{name: "stored", empty: true},
		{name: "sortable", known: true},
		{name: "facetable", known: true},
		{name: "key", known: true},
		{name: "permissionFilter", since: firstPermissions, known: true},
		{name: "sensitivityLabel", since: "2025-11-01-preview", empty: false},
		{name: "sensitivityLabelId", since: "2026-05-01-preview", empty: false},
		{name: "sensitivityLabelName", since: "2026-05-01-preview", empty: false},
		{name: "sharepointSiteUrl", since: "2026-05-01-preview", empty: false},
		{name: "sourceDocumentId", since: "2026-05-01-preview", empty: false},
		{name: "indexAnalyzer", known: true},
		{name: "searchAnalyzer", known: true},
		{name: "analyzer", known: true},
		{name: "normalizer", known: true},
		{name: "dimensions", known: true},
		{name: "vectorSearchProfile", known: true},
		{name: "vectorEncoding"},
		{name: "synonymMaps", empty: none, known: true},
		{name: "fields", known: true},
	}
}

// readDefinition reads an index definition; a property that this version does not have is refused, as is one that only
// the service acts on.
func (s *Server) readDefinition(c *call) (*search.Definition, error) {
	for name := range c.query {
		if name != "api-version" && name != "allowIndexDowntime" {
			return nil, badRequest("InvalidRequestParameter", "The query parameter '"+clip(name)+"' is not supported by this operation.")
		}
	}
	body, err := readObject(c)
	if err != nil {
		return nil, err
	}
	if err = checkProperties(body, definitionProperties(), "index", c.version); err != nil {
		return nil, err
	}
	if err = checkFields(body["fields"], c.version, 0); err != nil {
		return nil, err
	}
	dropUnknown(body, definitionProperties())
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	definition := &search.Definition{}
	if err := json.Unmarshal(text, definition); err != nil {
		if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return nil, invalid("index : The value of '" + clip(kind.Field) + "' must not be a " + kind.Value + ".")
		}
		return nil, invalid("index : " + clip(err.Error()))
	}
	return definition, nil
}

// dropUnknown takes away what was found to say nothing, so that nobody keeps it.
func dropUnknown(body map[string]json.RawMessage, known []property) {
	maps.DeleteFunc(body, func(name string, raw json.RawMessage) bool {
		i := slices.IndexFunc(known, func(p property) bool { return p.name == name })
		return string(raw) == "null" || i < 0 || !known[i].known
	})
}

// maxNesting bounds the recursion through fields; the engine's own limit is lower and has the service's words.
const maxNesting = 20

func checkFields(raw json.RawMessage, version apiVersion, depth int) error {
	if len(raw) == 0 || string(raw) == "null" || depth > maxNesting {
		return nil
	}
	var fields []map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return invalid("index : 'fields' must be a list of objects.")
	}
	for _, field := range fields {
		if err := checkProperties(field, fieldProperties(), "field", version); err != nil {
			return err
		}
		if err := checkFields(field["fields"], version, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func checkProperties(body map[string]json.RawMessage, known []property, what string, version apiVersion) error {
	for name, raw := range body {
		i := slices.IndexFunc(known, func(p property) bool { return p.name == name })
		if i < 0 || known[i].since != "" && !version.atLeast(known[i].since) {
			return invalid(what + " : The property '" + clip(name) + "' does not exist in api-version " + string(version) + ".")
		}
		if !known[i].known && name != "@odata.context" && !saysNothing(raw, known[i].empty) {
			return notHere(name)
		}
	}
	return nil
}

// saysNothing reports a value that changes nothing: null, or the default.
func saysNothing(raw json.RawMessage, empty any) bool {
	if string(raw) == "null" {
		return true
	}
	standard, err := json.Marshal(empty)
	return err == nil && strings.TrimSpace(string(raw)) == string(standard)
}

// normalize is the full form in which the service returns a definition.
func normalize(definition *search.Definition, version apiVersion) map[string]any {
	given := toMap(definition)
	out := complete(given, definitionProperties(), version)
	delete(out, "@odata.context")
	fields := make([]any, len(definition.Fields))
	for i := range definition.Fields {
		fields[i] = normalizeField(&definition.Fields[i], version)
	}
	out["fields"] = fields
	return out
}

func normalizeField(field *search.Field, version apiVersion) map[string]any {
	given := toMap(field)
	if len(field.Fields) > 0 { // a complex field has no attributes of its own
		inner := make([]any, len(field.Fields))
		for i := range field.Fields {
			inner[i] = normalizeField(&field.Fields[i], version)
		}
		return map[string]any{"name": field.Name, "type": field.Type, "fields": inner}
	}
	given["key"] = field.Key
	out := complete(given, fieldProperties(), version)
	delete(out, "fields")
	return out
}

func complete(given map[string]any, known []property, version apiVersion) map[string]any {
	out := make(map[string]any, len(known))
	for _, p := range known {
		if p.since != "" && !version.atLeast(p.since) {
			continue
		}
		if value, ok := given[p.name]; ok {
			out[p.name] = value
		} else {
			out[p.name] = p.empty
		}
	}
	return out
}

// toMap goes through JSON, so that names and omissions are those of package search.
func toMap(value any) map[string]any {
	out := map[string]any{}
	if text, err := json.Marshal(value); err == nil {
		_ = json.Unmarshal(text, &out) // it was written a line above
	}
	return out
}
