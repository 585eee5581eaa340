package indexplan_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/internal/provision/indexplan"
	"github.com/onbehalf/onbehalf/internal/sample"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

func engine(t *testing.T) *searchengine.Engine {
	t.Helper()
	e, err := searchengine.Open(searchengine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// made returns the sample index as the service has it.
func made(t *testing.T, e *searchengine.Engine, change func(*search.Definition)) *search.Definition {
	t.Helper()
	d := sample.Definition("idx")
	if change != nil {
		change(d)
	}
	have, err := e.Put(t.Context(), d, "")
	if err != nil {
		t.Fatal(err)
	}
	return have
}

// steps writes the steps in short.
func steps(p *indexplan.Plan) string {
	var lines []string
	for _, s := range p.Steps {
		lines = append(lines, fmt.Sprintf("%s %s: %s -> %s", s.Kind, s.What, s.From, s.To))
	}
	return strings.Join(lines, "\n")
}

func TestNewIndexIsMadeOnce(t *testing.T) {
	e := engine(t)
	want := sample.Definition("idx")
	for round, changes := range []int{8, 0} {
		have, err := indexplan.Read(t.Context(), e, "idx")
		if err != nil {
			t.Fatal(err)
		}
		plan := indexplan.Make(want, have)
		if len(plan.Steps) != changes || plan.Blocked() || len(plan.Warnings) > 0 || plan.Exists != (round == 1) {
			t.Errorf("round %d: %s, warnings %q", round, steps(plan), plan.Warnings)
		}
		if err := plan.Apply(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDifferences(t *testing.T) {
	yes, no := new(true), new(false)
	for _, tt := range []struct {
		desc       string
		have, want func(*search.Definition)
		steps      string
		why        string
	}{
		{
			desc: "a field more",
			want: func(d *search.Definition) {
				d.Fields = append(d.Fields, search.Field{Name: "owner", Type: "Edm.String", Searchable: no})
			},
			steps: "add field owner:  -> Edm.String, retrievable, filterable, sortable, facetable",
		},
		{
			desc:  "a permission field that everybody can read",
			have:  func(d *search.Definition) { d.Fields[5].Retrievable = yes },
			steps: "change field oid: retrievable: true -> false",
		},
		{
			desc:  "permissions that a GA client dropped",
			have:  func(d *search.Definition) { d.PermissionFilterOption, d.Fields[5].PermissionFilter = "", "" },
			steps: "change permissionFilterOption: none -> enabled\nchange field oid: permissionFilter: none -> userIds",
			why:   "who may query sees every document",
		},
		{
			desc:  "permissions disabled",
			have:  func(d *search.Definition) { d.PermissionFilterOption = search.PermissionsDisabled },
			steps: "change permissionFilterOption: disabled -> enabled",
		},
		{
			desc:  "dropping the option",
			want:  func(d *search.Definition) { d.PermissionFilterOption = "" },
			steps: "blocked permissionFilterOption: enabled -> none",
			why:   "never taken away",
		},
		{
			desc:  "dropping a permission field's attribute",
			want:  func(d *search.Definition) { d.Fields[6].PermissionFilter = "" },
			steps: "blocked field group: permissionFilter: groupIds -> none",
			why:   "never taken away",
		},
		{
			desc:  "dropping a permission field",
			want:  func(d *search.Definition) { d.Fields = d.Fields[:6] },
			steps: "blocked field group: Collection(Edm.String), permissionFilter groupIds, filterable -> ",
			why:   "another schema",
		},
		{
			desc:  "another type",
			want:  func(d *search.Definition) { d.Fields[4].Type = "Edm.Int32" },
			steps: "blocked field size: type: Edm.Int64 -> Edm.Int32",
			why:   "make an index of another name",
		},
		{
			desc:  "another attribute",
			want:  func(d *search.Definition) { d.Fields[2].Searchable = no },
			steps: "blocked field content: searchable: true -> false",
			why:   "make an index of another name",
		},
		{
			desc:  "another analyzer",
			want:  func(d *search.Definition) { d.Fields[2].Analyzer = "keyword" },
			steps: "blocked field content: analyzer: none -> keyword",
		},
		{
			desc: "another key",
			want: func(d *search.Definition) {
				d.Fields = append([]search.Field{{Name: "key", Type: "Edm.String", Key: true}}, d.Fields[1:]...)
			},
			steps: "blocked field key:  -> Edm.String, key, retrievable, searchable, filterable, sortable, facetable\n" +
				"blocked field id: Edm.String, key, retrievable, filterable, sortable -> ",
		},
		{desc: "what the schema says nothing of", want: func(d *search.Definition) {
			for i := range d.Fields {
				f := &d.Fields[i]
				f.Retrievable, f.Searchable, f.Filterable, f.Sortable, f.Facetable = nil, nil, nil, nil, nil
			}
		}},
	} {
		e := engine(t)
		have := made(t, e, tt.have)
		want := sample.Definition("idx")
		if tt.want != nil {
			tt.want(want)
		}
		plan := indexplan.Make(want, have)
		if diff := cmp.Diff(tt.steps, steps(plan)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.desc, diff)
		}
		if tt.why != "" && !strings.Contains(plan.Steps[0].Why, tt.why) {
			t.Errorf("%s: why %q, want %q", tt.desc, plan.Steps[0].Why, tt.why)
		}
		err := plan.Apply(t.Context(), e)
		if plan.Blocked() != (err != nil) {
			t.Errorf("%s: blocked %v, applied with %v", tt.desc, plan.Blocked(), err)
		}
		now, err := e.Definition(t.Context(), "idx")
		if err != nil {
			t.Fatal(err)
		}
		if plan.Blocked() {
			if diff := cmp.Diff(have, now); diff != "" {
				t.Errorf("%s: changed all the same:\n%s", tt.desc, diff)
			}
		} else if again := indexplan.Make(want, now); len(again.Steps) > 0 {
			t.Errorf("%s: a second plan still has %s", tt.desc, steps(again))
		}
	}
}

// A definition goes back with everything that this program knows nothing of.
func TestUnknownMembersStay(t *testing.T) {
	have := &search.Definition{}
	text := `{"@odata.etag":"\"1\"","name":"i","permissionFilterOption":"disabled","purviewEnabled":false,"semantic":{"configurations":[{"name":"s","flag":true}]},
		"fields":[{"name":"id","type":"Edm.String","key":true,"stored":true},{"name":"u","type":"Collection(Edm.String)","permissionFilter":"userIds"},
		{"name":"c","type":"Edm.ComplexType","fields":[{"name":"a","type":"Edm.String"}]}]}`
	if err := json.Unmarshal([]byte(text), have); err != nil {
		t.Fatal(err)
	}
	want, err := indexplan.ParseSchema([]byte(`{"name":"i","permissionFilterOption":"enabled","semantic":{"configurations":[{"name":"s"}]},
		"fields":[{"name":"id","type":"Edm.String","key":true},{"name":"u","type":"Collection(Edm.String)","permissionFilter":"userIds"},
		{"name":"c","type":"Edm.ComplexType","fields":[{"name":"a","type":"Edm.String"},{"name":"b","type":"Edm.Int32"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	plan := indexplan.Make(want, have)
	if got := steps(plan); got != "change permissionFilterOption: disabled -> enabled\nadd field c/b:  -> Edm.Int32, retrievable, filterable, sortable, facetable" {
		t.Error(got)
	}
	if len(plan.Warnings) != 1 || !strings.Contains(plan.Warnings[0], "u is retrievable and searchable and facetable") {
		t.Errorf("warnings %q", plan.Warnings)
	}
	s := &strict{}
	if err = plan.Apply(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	written, err := json.Marshal(s.put)
	if err != nil || s.ifMatch != `"1"` || !strings.Contains(string(written), `"purviewEnabled":false`) || !strings.Contains(string(written), `"stored":true`) || !strings.Contains(string(written), `"flag":true`) {
		t.Errorf("written %s if %s, %v", written, s.ifMatch, err)
	}
	// A service that keeps no permissions is found out.
	s.drop = true
	if err := plan.Apply(t.Context(), s); !errors.Is(err, indexplan.ErrDropped) {
		t.Errorf("dropped permissions: %v", err)
	}
}

// What stands beside the fields is compared by what the schema says of it.
func TestMembers(t *testing.T) {
	const fields = `"fields":[{"name":"id","type":"Edm.String","key":true},{"name":"u","type":"Collection(Edm.String)","permissionFilter":"userIds"}]`
	have := &search.Definition{}
	text := `{"name":"i","permissionFilterOption":"enabled","corsOptions":{"allowedOrigins":["https://a"],"maxAgeInSeconds":60},"scoringProfiles":[],
		"analyzers":[{"@odata.type":"#x","name":"a","filters":["f"],"more":null}],"description":"old",` + fields + `}`
	if err := json.Unmarshal([]byte(text), have); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ desc, want, steps string }{
		{"the same, less of it", `"corsOptions":{"allowedOrigins":["https://a"]},"analyzers":[{"name":"a","filters":["f"]}],"tokenizers":[]`, ""},
		{"other origins", `"corsOptions":{"allowedOrigins":["https://a","https://b"]}`, `change corsOptions: {"allowedOrigins":["https://a"],"maxAgeInSeconds":60} -> {"allowedOrigins":["https://a","https://b"]}`},
		{"a profile, and the default", `"scoringProfiles":[{"name":"p"}],"defaultScoringProfile":"p"`, "change scoringProfiles: [] -> [{\"name\":\"p\"}]\nchange defaultScoringProfile:  -> p"},
		{"another analyzer", `"analyzers":[{"name":"b"}]`, `blocked analyzers: [{"@odata.type":"#x","name":"a","filters":["f"],"more":null}… -> [{"name":"b"}]`},
		{"a description", `"description":"new"`, "change description: old -> new"},
		{"another formula", `"similarity":{"@odata.type":"#y"}`, "blocked similarity:  -> #y"},
		{"a member of a newer version", `"purviewEnabled":true`, "blocked purviewEnabled: none -> true"},
	} {
		want, err := indexplan.ParseSchema([]byte(`{"permissionFilterOption":"enabled",` + tt.want + `,` + fields + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.steps, steps(indexplan.Make(want, have))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.desc, diff)
		}
	}
}

// strict is a service of which only Put is used.
type strict struct {
	search.Service
	put     *search.Definition
	ifMatch string
	drop    bool
}

func (s *strict) Put(_ context.Context, d *search.Definition, ifMatch string) (*search.Definition, error) {
	s.put, s.ifMatch = d, ifMatch
	if s.drop {
		dropped := *d
		dropped.PermissionFilterOption = ""
		return &dropped, nil
	}
	return d, nil
}

func TestSchemasThatAreRefused(t *testing.T) {
	field := `{"name":"id","type":"Edm.String","key":true}`
	users := `{"name":"u","type":"Collection(Edm.String)","permissionFilter":"userIds"}`
	for desc, tt := range map[string]struct{ text, says string }{
		"no JSON":              {`{`, "JSON"},
		"two objects":          {`{"permissionFilterOption":"enabled","fields":[` + field + `,` + users + `]}{}`, "one JSON object"},
		"no permissions":       {`{"fields":[` + field + `]}`, "no permission filter"},
		"not enabled":          {`{"fields":[` + field + `,` + users + `]}`, "permissionFilterOption"},
		"no key":               {`{"permissionFilterOption":"enabled","fields":[` + users + `]}`, "0 key fields"},
		"two of a kind":        {`{"permissionFilterOption":"enabled","fields":[` + field + `,` + users + `,` + users + `]}`, "one of each kind"},
		"a kind that is none":  {`{"permissionFilterOption":"enabled","fields":[` + field + `,{"name":"u","type":"Collection(Edm.String)","permissionFilter":"users"}]}`, "want userIds"},
		"a single user":        {`{"permissionFilterOption":"enabled","fields":[` + field + `,{"name":"u","type":"Edm.String","permissionFilter":"userIds"}]}`, "want the type"},
		"one to filter not by": {`{"permissionFilterOption":"enabled","fields":[` + field + `,{"name":"u","type":"Collection(Edm.String)","permissionFilter":"userIds","filterable":false}]}`, "filterable"},
	} {
		if _, err := indexplan.ParseSchema([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", desc, err, tt.says)
		}
	}
}
