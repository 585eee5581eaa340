package searchtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/search"
)

// Harness is what the suite runs against: an engine, a client with a service behind it, or a real service.
type Harness struct {
	Service search.Service
	// Prefix begins the names of the suite's indexes, so that two runs on one service do not meet.
	Prefix string
	// Alice and Bob are two people. Alice is in a group that Bob is not in.
	Alice, Bob Person
	// Elevated sees every document. Nil leaves out what needs it.
	Elevated search.User
	// Settle is how long a write may need to become visible; 0 means that it is visible once it is acknowledged.
	Settle time.Duration
}

// Person is someone whose eyes queries have.
type Person struct {
	User   search.User // as whom the harness's service takes queries
	Object string      // object id
	Group  string      // the object id of a group that the person is in, directly or not; "" for none
	Scope  string      // a resource id that the person may read; "" for none
}

// Run runs the whole suite. It makes indexes and removes them again.
func Run(t *testing.T, h *Harness) {
	t.Helper()
	t.Run("index life cycle", func(t *testing.T) { lifeCycle(t, h) })
	t.Run("documents", func(t *testing.T) { documents(t, h) })
	t.Run("queries", func(t *testing.T) { queries(t, h) })
	t.Run("bad queries", func(t *testing.T) { badQueries(t, h) })
	t.Run("paging", func(t *testing.T) { paging(t, h) })
	t.Run("permissions", func(t *testing.T) { permissions(t, h) })
}

// define makes an index that ends with the test.
func (h *Harness) define(t *testing.T, name, text string) string {
	t.Helper()
	name = h.Prefix + name
	definition := &search.Definition{}
	if err := json.Unmarshal([]byte(text), definition); err != nil {
		t.Fatal(err)
	}
	definition.Name = name
	if err := h.Service.Delete(t.Context(), name, ""); err != nil && !errors.Is(err, search.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := h.Service.Put(t.Context(), definition, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := t.Context()
		if ctx.Err() != nil { // a test's context has ended by now
			ctx = contextWithout(ctx)
		}
		if err := h.Service.Delete(ctx, name, ""); err != nil && !errors.Is(err, search.ErrNotFound) {
			t.Errorf("delete %s: %v", name, err)
		}
	})
	return name
}

// write applies actions, which must all succeed, and waits until they are visible.
func (h *Harness) write(t *testing.T, index string, kind search.ActionKind, documents ...string) {
	t.Helper()
	batch := make([]search.Action, len(documents))
	for i, document := range documents {
		batch[i] = search.Action{Kind: kind, Document: []byte(document)}
	}
	statuses, err := h.Service.Write(t.Context(), index, batch)
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range statuses {
		if !status.OK {
			t.Fatalf("document %s: %d %s", status.Key, status.Code, status.Message)
		}
	}
	h.settle(t)
}

func (h *Harness) settle(t *testing.T) {
	t.Helper()
	if h.Settle == 0 {
		return
	}
	timer := time.NewTimer(h.Settle)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// keys returns the ids of the hits in order, separated by spaces.
func keys(t *testing.T, hits []search.Hit) string {
	t.Helper()
	var ids []string
	for _, hit := range hits {
		ids = append(ids, field(t, hit.Document, "id"))
	}
	return strings.Join(ids, " ")
}

// field returns a member of a document: a string as it is, anything else as JSON, "(absent)" for none.
func field(t *testing.T, document search.Document, name string) string {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(document, &members); err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	raw, ok := members[name]
	if !ok {
		return "(absent)"
	}
	var text string
	if json.Unmarshal(raw, &text) == nil && string(raw) != "null" {
		return text
	}
	return string(raw)
}

// sorted orders what keys returned.
func sorted(ids string) string {
	all := strings.Fields(ids)
	slices.Sort(all)
	return strings.Join(all, " ")
}

const simpleIndex = `{"fields":[
	{"name":"id","type":"Edm.String","key":true,"searchable":false,"sortable":true},
	{"name":"name","type":"Edm.String","searchable":true},
	{"name":"n","type":"Edm.Int64","sortable":true}]}`

func lifeCycle(t *testing.T, h *Harness) { //nolint:thelper // a test of the suite
	ctx := t.Context()
	name := h.define(t, "life", simpleIndex)
	first, err := h.Service.Definition(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	if first.ETag == "" || len(first.Fields) != 3 || first.Fields[0].Retrievable == nil || !*first.Fields[0].Retrievable {
		t.Errorf("definition %+v: want an ETag, three fields and the defaults written out", first)
	}
	wider := *first
	wider.Fields = append(slices.Clone(first.Fields), search.Field{Name: "extra", Type: "Edm.Boolean"})
	second, err := h.Service.Put(ctx, &wider, first.ETag)
	if err != nil {
		t.Fatalf("a new field: %v", err)
	}
	if second.ETag == first.ETag {
		t.Error("the ETag did not change")
	}
	if _, err = h.Service.Put(ctx, &wider, first.ETag); !errors.Is(err, search.ErrPrecondition) {
		t.Errorf("old ETag: %v, want ErrPrecondition", err)
	}
	changed := wider
	changed.Fields = slices.Clone(wider.Fields)
	changed.Fields[2].Type = "Edm.Int32"
	if _, err = h.Service.Put(ctx, &changed, "*"); !errors.Is(err, search.ErrBadRequest) {
		t.Errorf("changed type: %v, want ErrBadRequest", err)
	}
	if err = h.Service.Delete(ctx, name, first.ETag); !errors.Is(err, search.ErrPrecondition) {
		t.Errorf("delete with the old ETag: %v, want ErrPrecondition", err)
	}
	if err = h.Service.Delete(ctx, name, second.ETag); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err = h.Service.Definition(ctx, name); !errors.Is(err, search.ErrNotFound) {
		t.Errorf("definition of a deleted index: %v, want ErrNotFound", err)
	}
	if _, err = h.Service.Index(name).Search(ctx, search.DangerouslyPublicOnly(), nil); !errors.Is(err, search.ErrNotFound) {
		t.Errorf("search of a deleted index: %v, want ErrNotFound", err)
	}
	if _, err = h.Service.Write(ctx, name, []search.Action{{Document: []byte(`{"id":"1"}`)}}); !errors.Is(err, search.ErrNotFound) {
		t.Errorf("write into a deleted index: %v, want ErrNotFound", err)
	}
	if _, err = h.Service.Put(ctx, &search.Definition{Name: name, Fields: []search.Field{{Name: "x", Type: "Edm.String"}}}, ""); !errors.Is(err, search.ErrBadRequest) {
		t.Errorf("no key: %v, want ErrBadRequest", err)
	}
}

func documents(t *testing.T, h *Harness) { //nolint:thelper // a test of the suite
	ctx := t.Context()
	name := h.define(t, "docs", simpleIndex)
	act := func(kind search.ActionKind, document string) search.Action {
		return search.Action{Kind: kind, Document: []byte(document)}
	}
	statuses, err := h.Service.Write(ctx, name, []search.Action{
		act("", `{"id":"1","name":"one","n":9007199254740993}`), act(search.Upload, `{"id":"2","name":"two","n":2}`),
		act(search.MergeOrUpload, `{"id":"3","n":3}`), act(search.Merge, `{"id":"9","n":9}`), act(search.Delete, `{"id":"8"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	var codes []int
	for _, status := range statuses {
		codes = append(codes, status.Code)
	}
	if want := []int{201, 201, 201, 404, 200}; !slices.Equal(codes, want) {
		t.Errorf("codes %v, want %v", codes, want)
	}
	h.write(t, name, search.Merge, `{"id":"2","name":null}`, `{"id":"3","name":"three"}`)
	h.write(t, name, search.Upload, `{"id":"1","n":9007199254740993}`)
	everyone := search.DangerouslyPublicOnly() // the index has no permissions
	for _, test := range []struct{ id, name, n string }{
		{"1", "null", "9007199254740993"}, {"2", "null", "2"}, {"3", "three", "3"},
	} {
		document, failed := h.Service.Index(name).Lookup(ctx, everyone, test.id)
		if failed != nil {
			t.Errorf("lookup of %s: %v", test.id, failed)
			continue
		}
		if got, n := field(t, document, "name"), field(t, document, "n"); got != test.name || n != test.n {
			t.Errorf("document %s, want name %s and n %s", document, test.name, test.n)
		}
	}
	picked, err := h.Service.Index(name).Lookup(ctx, everyone, "3", "n")
	if err != nil || field(t, picked, "n") != "3" || field(t, picked, "name") != "(absent)" {
		t.Errorf("lookup of one field: %s, %v", picked, err)
	}
	h.write(t, name, search.Delete, `{"id":"3"}`)
	if _, err = h.Service.Index(name).Lookup(ctx, everyone, "3"); !errors.Is(err, search.ErrNotFound) {
		t.Errorf("lookup of a deleted document: %v, want ErrNotFound", err)
	}
	for desc, document := range map[string]string{
		"no key": `{"name":"x"}`, "null key": `{"id":null}`, "key with a dot": `{"id":"a.b"}`, "empty key": `{"id":""}`,
	} {
		if _, err = h.Service.Write(ctx, name, []search.Action{act("", `{"id":"7"}`), act("", document)}); !errors.Is(err, search.ErrBadRequest) {
			t.Errorf("%s: %v, want ErrBadRequest", desc, err)
		}
	}
	if _, err = h.Service.Index(name).Lookup(ctx, everyone, "7"); !errors.Is(err, search.ErrNotFound) {
		t.Errorf("a refused batch left a document: %v", err)
	}
}

func paging(t *testing.T, h *Harness) { //nolint:thelper // a test of the suite
	name := h.define(t, "pages", simpleIndex)
	const all = 1120
	for from := 0; from < all; from += 560 {
		var batch []string
		for i := from; i < from+560; i++ {
			batch = append(batch, fmt.Sprintf(`{"id":"%04d","n":%d}`, i, i))
		}
		h.write(t, name, search.Upload, batch...)
	}
	index, everyone := h.Service.Index(name), search.DangerouslyPublicOnly()
	for _, test := range []struct {
		desc  string
		top   *int
		pages int
		docs  int
	}{
		{"without a top", nil, 23, all}, {"a page of 100", new(100), 1, 100}, {"a page of 1,000", new(1000), 1, 1000}, {"more than a page may hold", new(1100), 2, 1100},
	} {
		pages, seen := 0, 0
		for q := (&search.Query{OrderBy: []string{"n"}, Top: test.top, Select: []string{"id"}}); q != nil; pages++ {
			result, err := index.Search(t.Context(), everyone, q)
			if err != nil {
				t.Fatalf("%s: page %d: %v", test.desc, pages, err)
			}
			for _, hit := range result.Hits {
				if id := field(t, hit.Document, "id"); id != fmt.Sprintf("%04d", seen) {
					t.Fatalf("%s: document %d is %s", test.desc, seen, id)
				}
				seen++
			}
			q = result.Next
		}
		if pages != test.pages || seen != test.docs {
			t.Errorf("%s: %d documents on %d pages, want %d on %d", test.desc, seen, pages, test.docs, test.pages)
		}
	}
}
