package schema

import (
	"bytes"
	"encoding/json"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/odata"
)

// DefaultAnalyzer is the analyzer of a searchable field that names none.
const DefaultAnalyzer = "standard.lucene"

func (c *compiler) setAnalysis(f *Field, in *search.Field) error {
	if in.Analyzer != "" && (in.SearchAnalyzer != "" || in.IndexAnalyzer != "") {
		return invalid("Field '%s' must have either 'analyzer' or both 'indexAnalyzer' and 'searchAnalyzer'.", f.Path)
	}
	if (in.SearchAnalyzer == "") != (in.IndexAnalyzer == "") {
		return invalid("Field '%s' must have both 'indexAnalyzer' and 'searchAnalyzer', or neither.", f.Path)
	}
	f.Analyzer, f.SearchAnalyzer, f.Normalizer = in.Analyzer, in.Analyzer, in.Normalizer
	if in.IndexAnalyzer != "" {
		f.Analyzer, f.SearchAnalyzer = in.IndexAnalyzer, in.SearchAnalyzer
	}
	if !f.Searchable && f.Analyzer != "" {
		return invalid("Field '%s' is not searchable and must not have an analyzer.", f.Path)
	}
	if f.Searchable && f.Analyzer == "" {
		f.Analyzer, f.SearchAnalyzer = DefaultAnalyzer, DefaultAnalyzer
	}
	if len(in.SynonymMaps) > 0 {
		return unsupported("synonym maps of field '" + f.Path + "'")
	}
	if f.Normalizer != "" {
		if f.Type != odata.StringType || !f.Columnar() {
			return invalid("Field '%s' must not have a normalizer: it is for filterable, sortable or facetable strings.", f.Path)
		}
		if err := c.names.Normalizer(f.Normalizer); err != nil {
			return err
		}
	}
	if !f.Searchable {
		return nil
	}
	if err := c.names.Analyzer(f.Analyzer); err != nil {
		return err
	}
	return c.names.Analyzer(f.SearchAnalyzer)
}

// setPermission notes a permission field: at most one of each kind, filterable, at top level.
//
// https://learn.microsoft.com/azure/search/search-index-access-control-lists-and-rbac-push-api
func (c *compiler) setPermission(f *Field, in *search.Field) error {
	var slot **Field
	wantsCollection := true
	switch in.PermissionFilter {
	case "":
		return nil
	case search.UserIDs:
		slot = &c.schema.UserIDs
	case search.GroupIDs:
		slot = &c.schema.GroupIDs
	case search.RBACScope:
		slot, wantsCollection = &c.schema.Scope, false
	default:
		return invalid("Field '%s' has the permissionFilter '%s'; it must be userIds, groupIds or rbacScope.", f.Path, in.PermissionFilter)
	}
	switch {
	case f.Type != odata.StringType || f.Collection != wantsCollection:
		return invalid("Field '%s' with the permissionFilter '%s' must be of type Collection(Edm.String) for userIds and groupIds, and Edm.String for rbacScope.", f.Path, in.PermissionFilter)
	case !f.Filterable:
		return invalid("Field '%s' with the permissionFilter '%s' must be filterable.", f.Path, in.PermissionFilter)
	case f.Parent != nil:
		return invalid("Field '%s' with the permissionFilter '%s' must be at top level.", f.Path, in.PermissionFilter)
	case f.Normalizer != "":
		return invalid("Field '%s' with the permissionFilter '%s' must not have a normalizer: ids are compared as they are.", f.Path, in.PermissionFilter)
	case *slot != nil:
		return invalid("Fields '%s' and '%s' both have the permissionFilter '%s'; only one field of an index may.", (*slot).Path, f.Path, in.PermissionFilter)
	}
	*slot = f
	return nil
}

// finish checks what concerns the definition as a whole.
func (c *compiler) finish(d *search.Definition) error {
	simple := 0
	for _, f := range c.schema.all {
		if f.Type != odata.ComplexType {
			simple++
		}
		if !f.Key {
			continue
		}
		if c.schema.Key != nil {
			return invalid("Fields '%s' and '%s' are both keys. An index must have exactly one key field.", c.schema.Key.Path, f.Path)
		}
		c.schema.Key = f
	}
	switch {
	case c.schema.Key == nil:
		return invalid("No key field was found. An index must have exactly one key field.")
	case simple > maxFields:
		return invalid("The index has %d fields, more than %d.", simple, maxFields)
	case c.complexCollections > maxComplexCollections:
		return invalid("The index has %d complex collections, more than %d.", c.complexCollections, maxComplexCollections)
	}
	switch d.PermissionFilterOption {
	case "", search.PermissionsDisabled:
	case search.PermissionsEnabled:
		c.schema.Enforced = true
	default:
		return invalid("permissionFilterOption is '%s'; it must be 'enabled' or 'disabled'.", d.PermissionFilterOption)
	}
	return c.setSimilarity(d.Similarity)
}

func (c *compiler) setSimilarity(s *search.Similarity) error {
	if s == nil {
		return nil
	}
	if s.Type != bm25Type {
		return unsupported("similarity '" + s.Type + "'")
	}
	if s.K1 != nil {
		c.schema.K1 = *s.K1
	}
	if s.B != nil {
		c.schema.B = *s.B
	}
	if !(c.schema.K1 >= 0 && c.schema.K1 <= 1e6) || !(c.schema.B >= 0 && c.schema.B <= 1) {
		return invalid("similarity: k1 must be at least 0, and b from 0 to 1.")
	}
	return nil
}

// refuseUnsupported refuses the parts of a definition that change what queries answer and that this engine does not
// have. Scoring profiles, suggesters and vector search would be compiled from here.
func refuseUnsupported(d *search.Definition) error {
	for _, part := range []struct {
		name string
		json json.RawMessage
	}{
		{"scoringProfiles", d.ScoringProfiles},
		{"suggesters", d.Suggesters},
		{"semantic", d.Semantic},
		{"vectorSearch", d.VectorSearch},
		{"encryptionKey", d.EncryptionKey},
	} {
		if !blank(part.json) {
			return unsupported("member '" + part.name + "' of an index definition")
		}
	}
	if d.DefaultScoringProfile != nil && *d.DefaultScoringProfile != "" {
		return unsupported("member 'defaultScoringProfile' of an index definition")
	}
	return nil
}

// blank reports whether a member says nothing: it is absent, null, or holds only empty lists.
func blank(raw json.RawMessage) bool {
	trimmed := bytes.TrimSpace(raw)
	switch string(trimmed) {
	case "", "null", "[]", "{}":
		return true
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(trimmed, &members) != nil {
		return false
	}
	for _, member := range members {
		if !blank(member) {
			return false
		}
	}
	return true
}
