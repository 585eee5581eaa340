package schema

import (
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/onbehalf/onbehalf/search"
)

// CheckChange tells whether an index that holds documents under one compiled definition may take another, without being
// rebuilt: fields may be added; retrievable, searchAnalyzer and the similarity may change; permissionFilter and analyzers may be added;
// everything else of a field may not change. Errors are *[search.Error] with the code OperationNotAllowed.
//
// Whether the service lets permissions vanish from a definition is not documented. Clients that do not know the property
// drop it on a round trip, so here it takes the word "disabled".
//
// https://learn.microsoft.com/azure/search/search-howto-reindex#update-an-index-schema
func CheckChange(from, to *Schema, before, after *search.Definition) error {
	for _, old := range from.all {
		now := to.byPath[old.Path]
		if now == nil {
			return notAllowed("Existing field '"+old.Path+"' cannot be deleted.", "CannotDeleteField")
		}
		if !old.sameBut(now) {
			return notAllowed("Existing field '"+old.Path+"' cannot be changed.", "CannotChangeExistingField")
		}
	}
	if err := checkParts(before, after); err != nil {
		return err
	}
	for _, pair := range [][2]*Field{{from.UserIDs, to.UserIDs}, {from.GroupIDs, to.GroupIDs}, {from.Scope, to.Scope}} {
		if pair[0] != nil && (pair[1] == nil || pair[0].Path != pair[1].Path) {
			return notAllowed("The permissionFilter of the existing field '"+pair[0].Path+"' cannot be taken away.", "CannotChangeExistingField")
		}
	}
	if from.Enforced && !to.Enforced && after.PermissionFilterOption != search.PermissionsDisabled {
		return notAllowed("The index enforces permissions. To turn that off, set permissionFilterOption to 'disabled'.", "CannotChangePermissions")
	}
	return nil
}

// checkParts keeps the analyzers that documents were indexed with as they are; new ones may be added.
func checkParts(before, after *search.Definition) error {
	for _, pair := range [][2]json.RawMessage{
		{before.Analyzers, after.Analyzers},
		{before.Normalizers, after.Normalizers},
		{before.Tokenizers, after.Tokenizers},
		{before.TokenFilters, after.TokenFilters},
		{before.CharFilters, after.CharFilters},
	} {
		had, has := parts(pair[0]), parts(pair[1])
		for name, part := range had {
			if !reflect.DeepEqual(part, has[name]) {
				return notAllowed("The existing analyzer, tokenizer, filter or normalizer '"+name+"' cannot be changed or deleted.", "CannotChangeExistingAnalyzer")
			}
		}
	}
	return nil
}

// parts reads a list of analyzers or their parts, by name.
func parts(raw json.RawMessage) map[string]any {
	var list []map[string]any
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	out := make(map[string]any, len(list))
	for _, part := range list {
		name, _ := part["name"].(string)
		out[name] = part
	}
	return out
}

// sameBut compares what cannot change.
func (f *Field) sameBut(now *Field) bool {
	return f.Type == now.Type && f.Collection == now.Collection && f.Key == now.Key && f.Searchable == now.Searchable &&
		f.Filterable == now.Filterable && f.Sortable == now.Sortable && f.Facetable == now.Facetable &&
		f.Analyzer == now.Analyzer && f.Normalizer == now.Normalizer
}

func notAllowed(message, code string) error {
	return &search.Error{
		Status: http.StatusBadRequest, Code: "OperationNotAllowed", Message: message,
		Details: []search.ErrorDetail{{Code: code, Message: message}},
	}
}
