package acl_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/provision/acl"
	"github.com/onbehalf/onbehalf/internal/provision/corpus"
	"github.com/onbehalf/onbehalf/internal/sample"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchserver"
	"github.com/onbehalf/onbehalf/search/searchtest"
)

func object(t *testing.T, id string) identity.ObjectID {
	t.Helper()
	o, err := identity.ParseObjectID(id)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// The words of the documentation, in a table.
func TestWhoIsAllowed(t *testing.T) {
	alice := &acl.Person{Object: object(t, entraserver.Alice), Groups: []string{entraserver.Engineering, entraserver.AllStaff}}
	noGroups := &acl.Person{Object: object(t, entraserver.Carol)}
	anonymous := &acl.Person{}
	for _, tt := range []struct {
		desc          string
		users, groups []string
		want          []bool // alice, carol, anonymous
	}{
		{"nothing", nil, nil, []bool{false, false, false}},
		{"none", []string{"none"}, []string{"none"}, []bool{false, false, false}},
		{"all users", []string{"all"}, nil, []bool{true, true, true}},
		{"all groups", []string{"none"}, []string{"all"}, []bool{true, true, true}},
		{"by id", []string{entraserver.Alice}, []string{"none"}, []bool{true, false, false}},
		{"in upper case", []string{"A11CE000-0000-4000-8000-00000000000A"}, nil, []bool{true, false, false}},
		{"by group", []string{"none"}, []string{entraserver.Engineering}, []bool{true, false, false}},
		{"by a group of her group", nil, []string{entraserver.AllStaff}, []bool{true, false, false}},
		{"a user's id among the groups", nil, []string{entraserver.Alice}, []bool{false, false, false}},
		{"a group's id among the users", []string{entraserver.Engineering}, nil, []bool{false, false, false}},
	} {
		readers := acl.Readers{Users: tt.users, Groups: tt.groups}
		for i, person := range []*acl.Person{alice, noGroups, anonymous} {
			if got := readers.Allow(person); got != tt.want[i] {
				t.Errorf("%s, person %d: %v, want %v", tt.desc, i, got, tt.want[i])
			}
		}
	}
	odd := acl.Readers{Groups: []string{"none"}}
	if odd.Allow(&acl.Person{Object: object(t, entraserver.Carol), Groups: []string{"none"}}) {
		t.Error("a group that is called none is let in")
	}
}

func seq(keys ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, key := range keys {
			if key == "!" {
				yield("", errors.New("broken"))
				return
			}
			if !yield(key, nil) {
				return
			}
		}
	}
}

func TestCompare(t *testing.T) {
	for _, tt := range []struct {
		desc                         string
		allowed, returned, undecided []string
		want                         acl.Comparison
	}{
		{"nothing", nil, nil, nil, acl.Comparison{Differences: []acl.Difference{}}},
		{"the same", []string{"a", "b"}, []string{"a", "b"}, nil, acl.Comparison{Allowed: 2, Returned: 2, Differences: []acl.Difference{}}},
		{"a leak at the end", []string{"a"}, []string{"a", "b"}, nil, acl.Comparison{Allowed: 1, Returned: 2, Leaks: 1, Differences: []acl.Difference{{Key: "b", Returned: true}}}},
		{"both ways", []string{"a", "c", "d"}, []string{"b", "c"}, nil, acl.Comparison{Allowed: 3, Returned: 2, Leaks: 1, Missing: 2, Differences: []acl.Difference{
			{Key: "a", Allowed: true}, {Key: "b", Returned: true}, {Key: "d", Allowed: true},
		}}},
		{"what roles may allow", []string{"a", "b"}, []string{"a", "c", "d"}, []string{"a", "b", "c", "e"}, acl.Comparison{Allowed: 2, Returned: 3, Leaks: 1, Missing: 1, Undecided: 2, Differences: []acl.Difference{
			{Key: "b", Allowed: true}, {Key: "d", Returned: true},
		}}},
	} {
		got, err := acl.Compare(seq(tt.allowed...), seq(tt.returned...), seq(tt.undecided...))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.desc, diff)
		}
	}
	for _, broken := range [][2][]string{{{"a", "!"}, {"a"}}, {{"a"}, {"!"}}} {
		if _, err := acl.Compare(seq(broken[0]...), seq(broken[1]...), acl.Nothing()); err == nil {
			t.Errorf("%v: no error", broken)
		}
	}
}

// An index of more documents than a page, by every way to know who may read what, before the true filter of the service.
func TestServiceAgrees(t *testing.T) {
	directory := entratest.Start(t, nil)
	service := searchtest.Start(t, &searchtest.Options{Entra: directory, Configure: func(c *searchserver.Config) {
		c.Groups = func(_ context.Context, oid string) ([]string, error) {
			if oid == entraserver.Alice {
				return []string{entraserver.Engineering}, nil
			}
			return nil, nil
		}
	}})
	client := service.SearchClient()
	const documents = 2300
	raw := make([]search.Document, documents)
	var batch []search.Action
	flush := func(index string) {
		t.Helper()
		if _, err := client.Write(t.Context(), index, batch); err != nil {
			t.Fatal(err)
		}
		batch = batch[:0]
	}
	for i := range raw {
		readers := []string{`"oid":["all"],"group":[]`, `"oid":["` + entraserver.Alice + `"],"group":["none"]`, `"oid":[],"group":["` + entraserver.Engineering + `","` + entraserver.Board + `"]`, `"oid":["none"],"group":["` + entraserver.Finance + `"]`, `"oid":null`}[i%5]
		raw[i] = search.Document(fmt.Sprintf(`{"id":"k%d","name":"n",%s}`, i, readers))
	}
	for _, name := range []string{"closed", "readable", "unordered"} {
		d := sample.Definition(name)
		if name == "readable" {
			d.Fields[5].Retrievable, d.Fields[6].Retrievable = new(true), new(true)
		}
		if name == "unordered" {
			d.Fields[0].Sortable, d.Fields[0].Filterable = new(false), new(false)
		}
		if _, err := client.Put(t.Context(), d, ""); err != nil {
			t.Fatal(err)
		}
		for _, document := range raw {
			if batch = append(batch, search.Action{Document: document}); len(batch) == 1000 {
				flush(name)
			}
		}
		flush(name)
		fields, err := acl.FieldsOf(d)
		if err != nil {
			t.Fatal(err)
		}
		index := client.Index(name)
		input, err := acl.FromInput(corpus.Memory("input", raw), fields, "the input")
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			person  acl.Person
			user    search.User
			allowed int
		}{
			{acl.Person{Object: object(t, entraserver.Alice), Groups: []string{entraserver.Engineering}}, service.As("alice"), 3 * documents / 5},
			{acl.Person{Object: object(t, entraserver.Carol)}, service.As("carol"), documents / 5},
			{acl.Person{}, search.DangerouslyPublicOnly(), documents / 5},
		} {
			for _, reference := range []acl.Reference{acl.FromIndex(index, fields), input} {
				got, failure := acl.Compare(reference.Allowed(t.Context(), &tt.person), acl.Visible(t.Context(), index, fields, tt.user), acl.Nothing())
				if failure != nil || !got.Same() || got.Allowed != tt.allowed {
					t.Errorf("%s, %s, by %s: %+v, %v; want %d", name, tt.user.SeesAs(), reference.Describe(), got, failure, tt.allowed)
				}
			}
		}
		checkPull(t, index, fields, documents)
		// A person who is in one group more, by Graph, than the service knows of.
		more := acl.Person{Object: object(t, entraserver.Carol), Groups: []string{entraserver.Finance}}
		got, err := acl.Compare(acl.FromIndex(index, fields).Allowed(t.Context(), &more), acl.Visible(t.Context(), index, fields, service.As("carol")), acl.Nothing())
		if err != nil || got.Missing != documents/5 || got.Leaks != 0 {
			t.Errorf("%s: %d missing, %d leaks, %v", name, got.Missing, got.Leaks, err)
		}
	}
}

// checkPull reads who can read what.
func checkPull(t *testing.T, index search.Index, fields acl.Fields, documents int) {
	t.Helper()
	pull := acl.Documents(t.Context(), index, fields)
	if !fields.Readable {
		pull = acl.Asked(t.Context(), index, fields, []string{entraserver.Alice}, []string{entraserver.Engineering, entraserver.Finance}, func(int, int) {})
	}
	n := 0
	var last string
	for readers, err := range pull {
		if err != nil {
			t.Fatal(err)
		}
		if readers.Key <= last {
			t.Fatalf("%s after %s", readers.Key, last)
		}
		last = readers.Key
		if readers.Key == "k1" && !slices.Equal(readers.Users, []string{entraserver.Alice}) || readers.Key == "k2" && !slices.Contains(readers.Groups, entraserver.Engineering) {
			t.Errorf("readers %+v", readers)
		}
		n++
	}
	if n != documents {
		t.Errorf("%s: %d documents, want %d", fields.Index, n, documents)
	}
}
