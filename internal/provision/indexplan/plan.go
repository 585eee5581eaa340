// Package indexplan compares the definition that an index should have with the one that it has, says what would change, and
// changes it. It never takes permissions away, and never tries what the service cannot do.
package indexplan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/onbehalf/onbehalf/search"
)

// Kind is what happens to a part of a definition.
type Kind string

// The kinds of change.
const (
	Add     Kind = "add"
	Change  Kind = "change"
	Blocked Kind = "blocked" // what is not done: Why says why, and what to do instead
)

// Step is one difference.
type Step struct {
	Kind Kind   `json:"kind"`
	What string `json:"what"` // "index", "field oid: retrievable"
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	Why  string `json:"why,omitempty"`
}

// Plan is what would happen to an index.
type Plan struct {
	Index    string   `json:"index"`
	Exists   bool     `json:"exists"`
	Steps    []Step   `json:"steps"`
	Warnings []string `json:"warnings,omitempty"`

	result *search.Definition // what to write
	etag   string
}

// Blocked reports whether the plan holds something that cannot be done: then nothing of it is.
func (p *Plan) Blocked() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Kind == Blocked })
}

// ParseSchema reads a definition from a file's text: the JSON that the service takes.
//
// https://learn.microsoft.com/rest/api/searchservice/indexes/create
func ParseSchema(text []byte) (*search.Definition, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	definition := &search.Definition{}
	if err := decoder.Decode(definition); err != nil {
		return nil, fmt.Errorf("want the JSON of an index definition: %w", err)
	}
	if decoder.More() {
		return nil, errors.New("want one JSON object")
	}
	definition.ETag = ""
	return definition, check(definition)
}

// check finds what the service would refuse, and what would leave documents without protection by mistake.
func check(d *search.Definition) error {
	var errs []error
	keys, kinds := 0, map[string]int{}
	for i := range d.Fields {
		f := &d.Fields[i]
		if f.Key {
			keys++
		}
		if f.PermissionFilter == "" {
			continue
		}
		kinds[f.PermissionFilter]++
		want := listType
		switch f.PermissionFilter {
		case search.UserIDs, search.GroupIDs:
		case search.RBACScope:
			want = "Edm.String"
		default:
			errs = append(errs, fmt.Errorf("field %s: permissionFilter %q: want userIds, groupIds or rbacScope", f.Name, f.PermissionFilter))
			continue
		}
		if f.Type != want {
			errs = append(errs, fmt.Errorf("field %s: permissionFilter %s: want the type %s", f.Name, f.PermissionFilter, want))
		}
		if f.Filterable != nil && !*f.Filterable {
			errs = append(errs, fmt.Errorf("field %s: a permission field must be filterable", f.Name))
		}
	}
	for kind, n := range kinds {
		if n > 1 {
			errs = append(errs, fmt.Errorf("%d fields have the permissionFilter %s: an index has one of each kind at most", n, kind))
		}
	}
	if keys != 1 {
		errs = append(errs, fmt.Errorf("%d key fields, want one", keys))
	}
	if len(kinds) == 0 || d.PermissionFilterOption != search.PermissionsEnabled {
		errs = append(errs, errors.New(`no permission filter: want "permissionFilterOption":"enabled" and a field with "permissionFilter":"userIds" or "groupIds"`))
	}
	return errors.Join(errs...)
}

const listType = "Collection(Edm.String)"

// Make compares. have is nil when there is no such index.
func Make(want, have *search.Definition) *Plan {
	p := &Plan{Index: want.Name, Steps: []Step{}}
	if have == nil {
		p.create(want)
	} else {
		p.Exists, p.etag = true, have.ETag
		p.change(want, have)
	}
	p.warn()
	return p
}

func (p *Plan) create(want *search.Definition) {
	whole := *want
	p.result = &whole
	p.add(Step{Kind: Add, What: "index", To: "with document permissions " + want.PermissionFilterOption})
	for i := range want.Fields {
		p.add(Step{Kind: Add, What: "field " + want.Fields[i].Name, To: Describe(&want.Fields[i])})
	}
}

func (p *Plan) add(s Step) { p.Steps = append(p.Steps, s) }

func (p *Plan) block(what, from, to, why string) { p.add(Step{Blocked, what, from, to, why}) }

// What to do instead of a change that there is none for.
const (
	rebuild = "the service cannot change it: make an index of another name (--index), push the documents there, and set AZURE_SEARCH_INDEX"
	keeps   = "permissions are never taken away here: that would show every document to everybody. \"setup index destroy\" removes the index"
)

func (p *Plan) change(want, have *search.Definition) {
	whole := *have
	whole.Fields = slices.Clone(have.Fields)
	p.result = &whole
	switch {
	case have.PermissionFilterOption == want.PermissionFilterOption:
	case want.PermissionFilterOption == search.PermissionsEnabled:
		p.add(Step{
			Change, "permissionFilterOption", orNone(have.PermissionFilterOption), search.PermissionsEnabled,
			"permissions are not enforced now: who may query sees every document",
		})
		whole.PermissionFilterOption = search.PermissionsEnabled
	default:
		p.block("permissionFilterOption", have.PermissionFilterOption, orNone(want.PermissionFilterOption), keeps)
	}
	known := map[string]int{}
	for i := range have.Fields {
		known[have.Fields[i].Name] = i
	}
	for i := range want.Fields {
		at, there := known[want.Fields[i].Name]
		if !there {
			p.newField(&want.Fields[i], &whole)
			continue
		}
		delete(known, want.Fields[i].Name)
		p.field(&want.Fields[i], &whole.Fields[at], "field "+want.Fields[i].Name)
	}
	for i := range have.Fields {
		name := have.Fields[i].Name
		if _, left := known[name]; left {
			p.block("field "+name, Describe(&have.Fields[i]), "", "the index has it and the schema does not: is it another schema? Fields cannot be removed; add it to the file of --schema, or use another index (--index)")
		}
	}
	p.members(want, &whole)
}

func (p *Plan) newField(f *search.Field, whole *search.Definition) {
	what := "field " + f.Name
	if f.Key {
		p.block(what, "", Describe(f), "the index has another key field; "+rebuild)
		return
	}
	p.add(Step{Kind: Add, What: what, To: Describe(f)})
	whole.Fields = append(whole.Fields, *f)
}

// field compares a field with what is there. An attribute that the schema says nothing of stays as it is.
//
// https://learn.microsoft.com/azure/search/search-howto-reindex#updates-with-no-rebuild-requirement
func (p *Plan) field(want, have *search.Field, what string) {
	if want.Type != have.Type {
		p.block(what+": type", have.Type, want.Type, rebuild)
	}
	if want.Key != have.Key {
		p.block(what+": key", word(&have.Key), word(&want.Key), rebuild)
	}
	p.permission(want, have, what)
	if on := want.Retrievable; on != nil && value(have, "retrievable") != *on {
		p.add(Step{Kind: Change, What: what + ": retrievable", From: word(have.Retrievable), To: word(on)})
		have.Retrievable = on
	}
	for _, name := range []string{"searchable", "filterable", "sortable", "facetable"} {
		if on := *attribute(want, name); on != nil && value(have, name) != *on {
			p.block(what+": "+name, word(*attribute(have, name)), word(on), rebuild)
		}
	}
	for _, a := range []struct{ name, want, have string }{
		{"analyzer", want.Analyzer, have.Analyzer},
		{"indexAnalyzer", want.IndexAnalyzer, have.IndexAnalyzer},
		{"normalizer", want.Normalizer, have.Normalizer},
		{"vectorSearchProfile", want.VectorSearchProfile, have.VectorSearchProfile},
	} {
		if a.want != "" && a.want != a.have {
			p.block(what+": "+a.name, orNone(a.have), a.want, rebuild)
		}
	}
	if want.Dimensions != 0 && want.Dimensions != have.Dimensions {
		p.block(what+": dimensions", strconv.Itoa(have.Dimensions), strconv.Itoa(want.Dimensions), rebuild)
	}
	if want.SearchAnalyzer != "" && want.SearchAnalyzer != have.SearchAnalyzer {
		p.add(Step{Kind: Change, What: what + ": searchAnalyzer", From: orNone(have.SearchAnalyzer), To: want.SearchAnalyzer})
		have.SearchAnalyzer = want.SearchAnalyzer
	}
	if want.SynonymMaps != nil && !slices.Equal(want.SynonymMaps, have.SynonymMaps) {
		p.add(Step{Kind: Change, What: what + ": synonymMaps", From: strings.Join(have.SynonymMaps, ","), To: strings.Join(want.SynonymMaps, ",")})
		have.SynonymMaps = want.SynonymMaps
	}
	p.inner(want, have, what)
}

// permission compares the one attribute that may be added to a field that is there.
func (p *Plan) permission(want, have *search.Field, what string) {
	what += ": permissionFilter"
	switch {
	case want.PermissionFilter == have.PermissionFilter:
	case have.PermissionFilter == "":
		p.add(Step{Change, what, "none", want.PermissionFilter, "was it dropped by a client of an API version in general availability? Those know nothing of permissions"})
		have.PermissionFilter = want.PermissionFilter
	default:
		p.block(what, have.PermissionFilter, orNone(want.PermissionFilter), keeps)
	}
}

// inner compares the fields of a complex one.
func (p *Plan) inner(want, have *search.Field, what string) {
	have.Fields = slices.Clone(have.Fields)
	for i := range want.Fields {
		f := &want.Fields[i]
		at := slices.IndexFunc(have.Fields, func(h search.Field) bool { return h.Name == f.Name })
		if at < 0 {
			p.add(Step{Kind: Add, What: what + "/" + f.Name, To: Describe(f)})
			have.Fields = append(have.Fields, *f)
			continue
		}
		p.field(f, &have.Fields[at], what+"/"+f.Name)
	}
	for i := range have.Fields {
		if name := have.Fields[i].Name; !slices.ContainsFunc(want.Fields, func(f search.Field) bool { return f.Name == name }) {
			p.block(what+"/"+name, Describe(&have.Fields[i]), "", "fields cannot be removed: add it to the file of --schema")
		}
	}
}
