package searchengine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

// withFields is a definition with a key and more fields.
func withFields(fields string) string {
	return `{"name":"x","fields":[{"name":"id","type":"Edm.String","key":true},` + fields + `]}`
}

func TestDefinitionsThatAreRefused(t *testing.T) {
	e := open(t, searchengine.Config{})
	deep := `{"name":"leaf","type":"Edm.String"}`
	for range 11 {
		deep = `{"name":"c","type":"Edm.ComplexType","fields":[` + deep + `]}`
	}
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprintf(`{"name":"f%d","type":"Edm.String"}`, i)
	}
	for _, tt := range []struct {
		desc, definition string
		want             error
		names            string // what the message must hold
	}{
		{"no name", `{"fields":[]}`, search.ErrBadRequest, "name"},
		{"a path for a name", `{"name":"../x","fields":[]}`, search.ErrBadRequest, "'../x'"},
		{"capitals in the name", `{"name":"X1","fields":[]}`, search.ErrBadRequest, "'X1'"},
		{"no key", `{"name":"xx","fields":[{"name":"a","type":"Edm.String"}]}`, search.ErrBadRequest, "key"},
		{"two keys", withFields(`{"name":"b","type":"Edm.String","key":true}`), search.ErrBadRequest, "'id' and 'b'"},
		{"a number as key", `{"name":"xx","fields":[{"name":"a","type":"Edm.Int32","key":true}]}`, search.ErrBadRequest, "'a'"},
		{"a hidden key", `{"name":"xx","fields":[{"name":"a","type":"Edm.String","key":true,"retrievable":false}]}`, search.ErrBadRequest, "retrievable"},
		{"a field twice", withFields(`{"name":"id","type":"Edm.String"}`), search.ErrBadRequest, "'id'"},
		{"a bad field name", withFields(`{"name":"a-b","type":"Edm.String"}`), search.ErrBadRequest, "'a-b'"},
		{"an unknown type", withFields(`{"name":"a","type":"Edm.Decimal"}`), search.ErrBadRequest, "Edm.Decimal"},
		{"searchable numbers", withFields(`{"name":"a","type":"Edm.Int32","searchable":true}`), search.ErrBadRequest, "'a'"},
		{"sortable collections", withFields(`{"name":"a","type":"Collection(Edm.String)","sortable":true}`), search.ErrBadRequest, "'a'"},
		{"sortable below a collection", withFields(`{"name":"c","type":"Collection(Edm.ComplexType)","fields":[{"name":"a","type":"Edm.Int32","sortable":true}]}`), search.ErrBadRequest, "'c/a'"},
		{"a complex field without fields", withFields(`{"name":"a","type":"Edm.ComplexType"}`), search.ErrBadRequest, "'a'"},
		{"a filterable complex field", withFields(`{"name":"a","type":"Edm.ComplexType","filterable":true,"fields":[{"name":"b","type":"Edm.String"}]}`), search.ErrBadRequest, "'a'"},
		{"too deep", withFields(deep), search.ErrBadRequest, "levels"},
		{"too many fields", withFields(strings.Join(many, ",")), search.ErrBadRequest, "1000"},
		{"an unknown analyzer", withFields(`{"name":"a","type":"Edm.String","analyzer":"nonsense"}`), search.ErrBadRequest, "nonsense"},
		{"an analyzer on a number", withFields(`{"name":"a","type":"Edm.Int32","analyzer":"keyword"}`), search.ErrBadRequest, "'a'"},
		{"half a pair of analyzers", withFields(`{"name":"a","type":"Edm.String","indexAnalyzer":"keyword"}`), search.ErrBadRequest, "'a'"},
		{"Microsoft's analyzer", withFields(`{"name":"a","type":"Edm.String","analyzer":"en.microsoft"}`), search.ErrUnsupported, "en.microsoft"},
		{"an unknown permission", withFields(`{"name":"a","type":"Collection(Edm.String)","permissionFilter":"owners"}`), search.ErrBadRequest, "owners"},
		{"a permission that is no collection", withFields(`{"name":"a","type":"Edm.String","permissionFilter":"userIds"}`), search.ErrBadRequest, "'a'"},
		{"a permission not to filter by", withFields(`{"name":"a","type":"Edm.String","permissionFilter":"rbacScope","filterable":false}`), search.ErrBadRequest, "filterable"},
		{"two fields of a permission", withFields(`{"name":"a","type":"Collection(Edm.String)","permissionFilter":"userIds"},{"name":"b","type":"Collection(Edm.String)","permissionFilter":"userIds"}`), search.ErrBadRequest, "'a' and 'b'"},
		{"an unknown option", `{"name":"xx","permissionFilterOption":"on","fields":[{"name":"id","type":"Edm.String","key":true}]}`, search.ErrBadRequest, "'on'"},
		{"geography", withFields(`{"name":"a","type":"Edm.GeographyPoint"}`), search.ErrUnsupported, "Edm.GeographyPoint"},
		{"vectors", withFields(`{"name":"a","type":"Collection(Edm.Single)","dimensions":3}`), search.ErrUnsupported, "'a'"},
		{"suggesters", `{"name":"xx","suggesters":[{"name":"sg"}],"fields":[{"name":"id","type":"Edm.String","key":true}]}`, search.ErrUnsupported, "suggesters"},
		{"scoring profiles", `{"name":"xx","scoringProfiles":[{"name":"p"}],"fields":[{"name":"id","type":"Edm.String","key":true}]}`, search.ErrUnsupported, "scoringProfiles"},
		{"a vector search", `{"name":"xx","vectorSearch":{"profiles":[{"name":"p"}]},"fields":[{"name":"id","type":"Edm.String","key":true}]}`, search.ErrUnsupported, "vectorSearch"},
	} {
		d := definition(t, strings.Replace(tt.definition, `"name":"x",`, `"name":"xx",`, 1))
		_, err := e.Put(t.Context(), d, "")
		if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.names) {
			t.Errorf("%s: %v; want %v that names %s", tt.desc, err, tt.want, tt.names)
		}
	}
	// What says nothing is not refused.
	define(t, e, `{"name":"empty","suggesters":[],"scoringProfiles":null,"vectorSearch":{"profiles":[],"algorithms":[]},"fields":[{"name":"id","type":"Edm.String","key":true}]}`)
}

func TestDefaultsAreWrittenOut(t *testing.T) {
	e := open(t, searchengine.Config{})
	d := define(t, e, `{"name":"xx","fields":[{"name":"id","type":"Edm.String","key":true},{"name":"tags","type":"Collection(Edm.String)"},{"name":"n","type":"Edm.Int32"}]}`)
	for i, want := range []string{
		`{"name":"id","type":"Edm.String","key":true,"retrievable":true,"searchable":false,"filterable":true,"sortable":true,"facetable":true}`,
		`{"name":"tags","type":"Collection(Edm.String)","retrievable":true,"searchable":true,"filterable":true,"sortable":false,"facetable":true}`,
		`{"name":"n","type":"Edm.Int32","retrievable":true,"searchable":false,"filterable":true,"sortable":true,"facetable":true}`,
	} {
		if got, err := json.Marshal(d.Fields[i]); err != nil || string(got) != want {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	}
}

func TestConditions(t *testing.T) {
	e := open(t, searchengine.Config{})
	ctx, d := t.Context(), definition(t, textIndex)
	if _, err := e.Put(ctx, d, "*"); !errors.Is(err, search.ErrPrecondition) {
		t.Errorf("changing what does not exist: %v; want a failed precondition", err)
	}
	first, created, err := e.Save(ctx, d, searchengine.Condition{IfNoneMatch: "*"})
	if err != nil || !created || first.ETag == "" {
		t.Fatalf("got %+v, %v, %v", first, created, err)
	}
	if _, err = e.Create(ctx, d); !errors.Is(err, search.ErrConflict) {
		t.Errorf("creating twice: %v; want a conflict", err)
	}
	second, created, err := e.Save(ctx, d, searchengine.Condition{IfMatch: "W/" + first.ETag})
	if err != nil || created || second.ETag == first.ETag {
		t.Fatalf("got %+v, %v, %v", second, created, err)
	}
	for _, tag := range []string{first.ETag, "nonsense"} {
		if _, err := e.Put(ctx, d, tag); !errors.Is(err, search.ErrPrecondition) {
			t.Errorf("with the ETag %s: %v; want a failed precondition", tag, err)
		}
		if err := e.Delete(ctx, "docs", tag); !errors.Is(err, search.ErrPrecondition) {
			t.Errorf("deleting with the ETag %s: %v; want a failed precondition", tag, err)
		}
	}
	if err := e.Delete(ctx, "docs", strings.Trim(second.ETag, `"`)); err != nil {
		t.Errorf("deleting: %v", err)
	}
	for desc, err := range map[string]error{
		"deleting again": e.Delete(ctx, "docs", ""),
		"its definition": func() error { _, err := e.Definition(ctx, "docs"); return err }(),
		"its documents":  func() error { _, err := e.Count(ctx, "docs"); return err }(),
		"searching it":   func() error { _, err := e.Index("docs").Search(ctx, person(t, u1), nil); return err }(),
		"writing to it":  func() error { _, err := e.Write(ctx, "docs", []search.Action{action("", `{}`)}); return err }(),
	} {
		if !errors.Is(err, search.ErrNotFound) {
			t.Errorf("%s: %v; want not found", desc, err)
		}
	}
}

// What holds documents can grow, and little else.
func TestChangingDefinitions(t *testing.T) {
	e := open(t, searchengine.Config{Dir: t.TempDir()})
	field := `{"name":"name","type":"Edm.String"}`
	define(t, e, strings.Replace(withFields(field), `"x"`, `"xx"`, 1))
	upload(t, e, "xx", `{"id":"1","name":"fox"}`)
	for _, tt := range []struct {
		desc, fields string
		refused      string // the code of the refusal
	}{
		{"the same", field, ""},
		{"hidden", `{"name":"name","type":"Edm.String","retrievable":false}`, ""},
		{"shown", field, ""},
		{"another type", `{"name":"name","type":"Edm.Int32"}`, "CannotChangeExistingField"},
		{"no longer filterable", `{"name":"name","type":"Edm.String","filterable":false}`, "CannotChangeExistingField"},
		{"another analyzer", `{"name":"name","type":"Edm.String","analyzer":"keyword"}`, "CannotChangeExistingField"},
		{"gone", `{"name":"other","type":"Edm.String"}`, "CannotDeleteField"},
		{"one more, before it", `{"name":"new","type":"Collection(Edm.Int32)"},` + field, ""},
		{"a complex one more", `{"name":"new","type":"Collection(Edm.Int32)"},` + field + `,{"name":"c","type":"Edm.ComplexType","fields":[{"name":"a","type":"Edm.String"}]}`, ""},
	} {
		_, err := e.Put(t.Context(), definition(t, strings.Replace(withFields(tt.fields), `"x"`, `"xx"`, 1)), "")
		if tt.refused == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.desc, err)
			}
			continue
		}
		refusal, _ := errors.AsType[*search.Error](err)
		if refusal == nil || refusal.Code != "OperationNotAllowed" || refusal.Details[0].Code != tt.refused {
			t.Errorf("%s: %v; want %s", tt.desc, err, tt.refused)
		}
	}
	upload(t, e, "xx", `{"id":"2","new":[1,2],"c":{"a":"b"}}`)
	for key, want := range map[string]string{
		"1": `{"id":"1","new":[],"name":"fox","c":null}`,
		"2": `{"id":"2","new":[1,2],"name":null,"c":{"a":"b"}}`,
	} {
		if doc, err := e.Index("xx").Lookup(t.Context(), searchengine.Elevated(), key); err != nil || string(doc) != want {
			t.Errorf("got %s, %v; want %s", doc, err, want)
		}
	}
	if got := keys(t, e.Index("xx"), searchengine.Elevated(), &search.Query{Filter: "c/a eq null and not new/any()"}); got != "1" {
		t.Errorf("the older document is not null in the new fields: %q", got)
	}
}
