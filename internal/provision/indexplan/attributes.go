package indexplan

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/onbehalf/onbehalf/search"
)

// attribute is the attribute of a field by its name.
func attribute(f *search.Field, name string) **bool {
	switch name {
	case "retrievable":
		return &f.Retrievable
	case "searchable":
		return &f.Searchable
	case "filterable":
		return &f.Filterable
	case "sortable":
		return &f.Sortable
	default:
		return &f.Facetable
	}
}

// value is an attribute, or the service's default.
//
// https://learn.microsoft.com/rest/api/searchservice/indexes/create#searchfield
func value(f *search.Field, name string) bool {
	if on := *attribute(f, name); on != nil {
		return *on
	}
	if f.Type == "Edm.ComplexType" || f.Type == "Collection(Edm.ComplexType)" {
		return false
	}
	switch name {
	case "searchable":
		return f.Type == "Edm.String" || f.Type == listType
	case "sortable":
		return !strings.HasPrefix(f.Type, "Collection(")
	case "facetable":
		return !strings.Contains(f.Type, "Geography")
	default:
		return true
	}
}

func word(on *bool) string {
	switch {
	case on == nil:
		return "default"
	case *on:
		return "true"
	default:
		return "false"
	}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// Describe says in a line what a field is.
func Describe(f *search.Field) string {
	words := []string{f.Type}
	if f.Key {
		words = append(words, "key")
	}
	if f.PermissionFilter != "" {
		words = append(words, "permissionFilter "+f.PermissionFilter)
	}
	for _, name := range []string{"retrievable", "searchable", "filterable", "sortable", "facetable"} {
		if value(f, name) {
			words = append(words, name)
		}
	}
	if f.Analyzer != "" {
		words = append(words, "analyzer "+f.Analyzer)
	}
	if f.Dimensions != 0 {
		words = append(words, fmt.Sprintf("%d dimensions", f.Dimensions))
	}
	return strings.Join(words, ", ")
}

// members compares what a definition holds beside its fields. What the schema says nothing of stays as it is.
func (p *Plan) members(want, whole *search.Definition) {
	for _, m := range []struct {
		name       string
		want       json.RawMessage
		have       *json.RawMessage
		changeable bool // without taking the index offline
	}{
		{"scoringProfiles", want.ScoringProfiles, &whole.ScoringProfiles, true},
		{"corsOptions", want.CORSOptions, &whole.CORSOptions, true},
		{"semantic", want.Semantic, &whole.Semantic, true},
		{"vectorSearch", want.VectorSearch, &whole.VectorSearch, true},
		{"suggesters", want.Suggesters, &whole.Suggesters, false},
		{"analyzers", want.Analyzers, &whole.Analyzers, false},
		{"tokenizers", want.Tokenizers, &whole.Tokenizers, false},
		{"tokenFilters", want.TokenFilters, &whole.TokenFilters, false},
		{"charFilters", want.CharFilters, &whole.CharFilters, false},
		{"normalizers", want.Normalizers, &whole.Normalizers, false},
		{"encryptionKey", want.EncryptionKey, &whole.EncryptionKey, false},
	} {
		switch {
		case m.want == nil || covers(m.want, *m.have):
		case m.changeable:
			p.add(Step{Kind: Change, What: m.name, From: short(*m.have), To: short(m.want)})
			*m.have = m.want
		default:
			p.block(m.name, short(*m.have), short(m.want), rebuild)
		}
	}
	if want.Description != "" && want.Description != whole.Description {
		p.add(Step{Kind: Change, What: "description", From: orNone(whole.Description), To: want.Description})
		whole.Description = want.Description
	}
	if want.DefaultScoringProfile != nil && (whole.DefaultScoringProfile == nil || *want.DefaultScoringProfile != *whole.DefaultScoringProfile) {
		p.add(Step{Kind: Change, What: "defaultScoringProfile", To: *want.DefaultScoringProfile})
		whole.DefaultScoringProfile = want.DefaultScoringProfile
	}
	if want.Similarity != nil && !reflect.DeepEqual(want.Similarity, whole.Similarity) {
		p.block("similarity", "", want.Similarity.Type, rebuild)
	}
	for name, text := range want.Other {
		if !covers(text, whole.Other[name]) {
			p.block(name, short(whole.Other[name]), short(text), "this version does not know whether it may be changed: use the portal or the REST API")
		}
	}
}

// covers reports whether what is there holds what is wanted: the service adds members with their defaults.
func covers(want, have json.RawMessage) bool {
	var w, h any
	if json.Unmarshal(want, &w) != nil || len(have) > 0 && json.Unmarshal(have, &h) != nil {
		return false
	}
	return within(w, h)
}

func within(want, have any) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		for name, value := range w {
			ok = ok && within(value, h[name])
		}
		return ok
	case []any:
		h, ok := have.([]any)
		if len(w) == 0 && have == nil {
			return true
		}
		if !ok || len(w) != len(h) {
			return false
		}
		for i := range w {
			if !within(w[i], h[i]) {
				return false
			}
		}
		return true
	default:
		return want == have
	}
}

func short(text json.RawMessage) string {
	const most = 60
	if len(text) == 0 || string(text) == "null" {
		return "none"
	}
	if len(text) > most {
		return strings.ToValidUTF8(string(text[:most]), "") + "…"
	}
	return string(text)
}

// warn says what of the result tells readers who else may read, and what will be missed later.
func (p *Plan) warn() {
	sorted := false
	for i := range p.result.Fields {
		f := &p.result.Fields[i]
		if f.Key {
			sorted = value(f, "filterable") && value(f, "sortable")
		}
		if f.PermissionFilter == "" {
			continue
		}
		var leaks []string
		for _, name := range []string{"retrievable", "searchable", "facetable"} {
			if value(f, name) {
				leaks = append(leaks, name)
			}
		}
		if len(leaks) > 0 {
			p.Warnings = append(p.Warnings, fmt.Sprintf("permission field %s is %s: who finds a document learns who else may read it", f.Name, strings.Join(leaks, " and ")))
		}
	}
	if !sorted {
		p.Warnings = append(p.Warnings, "the key is not both filterable and sortable: verify-acl and pull-acl then see the first 100,000 documents only")
	}
}
