package searchclient_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient"
)

func TestWrite(t *testing.T) {
	f := newFake(t, says(207, `{"value":[{"key":"1","status":true,"errorMessage":null,"statusCode":201},{"key":"2","status":false,"errorMessage":"Document not found.","statusCode":404}]}`))
	got, err := f.client(t, nil).Write(t.Context(), "x", []search.Action{
		{Document: []byte(` {"id":"1","n":9007199254740993} `)}, {Kind: search.Merge, Document: []byte(` {"id":"2"} `), Checked: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []search.Status{{Key: "1", OK: true, Code: 201}, {Key: "2", Code: 404, Message: "Document not found."}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	wantBody := `{"value":[{"@search.action":"upload","id":"1","n":9007199254740993},{"@search.action":"merge","id":"2"}]}`
	if diff := cmp.Diff(wantBody, f.requests()[0].body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestWriteRefusesBeforeSending(t *testing.T) {
	f := newFake(t, says(200, `{"value":[]}`))
	for _, test := range []struct {
		desc  string
		batch []search.Action
		says  string
	}{
		{"nothing", nil, "1 to 1000"},
		{"too many", make([]search.Action, 1001), "1 to 1000"},
		{"no object", []search.Action{{Document: []byte(`[1]`)}}, "action 0"},
		{"null", []search.Action{{Document: []byte(`null`)}}, "no JSON object"},
		{"broken", []search.Action{{Document: []byte(`{"id":"1"}`)}, {Document: []byte(`{"id":`)}}, "action 1"},
		{"no object, though it is said to be checked", []search.Action{{Document: []byte(`["id"]`), Checked: true}}, "action 0"},
		{"its own action", []search.Action{{Document: []byte(`{"@search.action":"delete","id":"1"}`)}}, "@search.action"},
	} {
		if _, err := f.client(t, nil).Write(t.Context(), "x", test.batch); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want the words %q", test.desc, err, test.says)
		}
	}
	if n := len(f.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestIndexLifeCycleOnTheWire(t *testing.T) {
	f := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		case r.Header.Get("If-Match") == `"old"`:
			says(412, `{"error":{"code":"","message":"The precondition given in one of the request headers evaluated to false."}}`)(w, r)
		default:
			says(200, `{"@odata.etag":"\"0x1\"","name":"x","fields":[{"name":"id","type":"Edm.String","key":true}],"permissionFilterOption":"enabled"}`)(w, r)
		}
	})
	client := f.client(t, nil)
	definition, err := client.Definition(t.Context(), "x")
	if err != nil || definition.ETag != `"0x1"` || definition.PermissionFilterOption != search.PermissionsEnabled {
		t.Fatalf("definition %+v, error %v", definition, err)
	}
	if _, err := client.Put(t.Context(), definition, definition.ETag); err != nil {
		t.Error(err)
	}
	if _, err := client.Put(t.Context(), definition, `"old"`); !errors.Is(err, search.ErrPrecondition) {
		t.Errorf("error %v, want ErrPrecondition", err)
	}
	if err := client.Delete(t.Context(), "x", "*"); err != nil {
		t.Error(err)
	}
	var sent []string
	for _, request := range f.requests() {
		sent = append(sent, strings.TrimSpace(request.method+" "+request.header.Get("If-Match")+" "+request.header.Get("Prefer")))
	}
	want := []string{"GET", `PUT "0x1" return=representation`, `PUT "old" return=representation`, "DELETE *"}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestPagesAndDocuments(t *testing.T) {
	f := newFake(t, func(w http.ResponseWriter, r *http.Request) { t.Error("unused") })
	f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var query struct{ Skip int }
		if err := json.NewDecoder(r.Body).Decode(&query); err != nil {
			t.Error(err)
		}
		next := `"@search.nextPageParameters":{"skip":` + strconv.Itoa(query.Skip+2) + `},`
		if query.Skip >= 4 {
			next = ""
		}
		says(200, `{`+next+`"value":[{"@search.score":1,"n":`+strconv.Itoa(query.Skip)+`},{"@search.score":1,"n":`+strconv.Itoa(query.Skip+1)+`}]}`)(w, r)
	})
	type row struct{ N int }
	var got []int
	for document, err := range searchclient.Documents[row](t.Context(), f.client(t, nil).Index("x"), asAlice(t), &search.Query{Filter: "n ge 0"}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, document.N)
	}
	if diff := cmp.Diff([]int{0, 1, 2, 3, 4, 5}, got); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
}

// A continuation that points backwards would be followed for ever.
func TestPagesEndWhenTheServiceGoesRound(t *testing.T) {
	f := newFake(t, says(200, `{"@search.nextPageParameters":{"skip":50},"value":[]}`))
	var last error
	pages := 0
	for _, err := range searchclient.Pages(t.Context(), f.client(t, nil).Index("x"), asAlice(t), nil) {
		pages++
		last = err
	}
	if !errors.Is(last, searchclient.ErrNextPage) || pages != 2 {
		t.Errorf("%d pages, last error %v; want the second to be ErrNextPage", pages, last)
	}
}

func TestLookupOnTheWire(t *testing.T) {
	f := newFake(t, says(200, `{"@odata.context":"x","id":"a/b","n":1}`))
	got, err := f.client(t, nil).Index("x").Lookup(t.Context(), asAlice(t), "a/b' c", "id", "Address/City")
	if err != nil || string(got) != `{"id":"a/b","n":1}` {
		t.Fatalf("document %s, error %v", got, err)
	}
	want := "/indexes('x')/docs('a%2Fb%27%27%20c')?%24select=id%2CAddress%2FCity&api-version=2025-11-01-preview"
	if sent := f.requests()[0]; sent.uri != want || sent.header.Get("x-ms-query-source-authorization") == "" {
		t.Errorf("URI %s, want %s", sent.uri, want)
	}
}

func TestStats(t *testing.T) {
	f := newFake(t, says(200, `{"documentCount":63000,"storageSize":12345,"vectorIndexSize":0}`))
	stats, err := f.client(t, nil).Stats(t.Context(), "x")
	if want := (searchclient.Stats{Documents: 63000, Bytes: 12345}); err != nil || stats != want {
		t.Errorf("stats %+v, %v; want %+v", stats, err, want)
	}
	f = newFake(t, says(404, ""))
	if _, err := f.client(t, nil).Stats(t.Context(), "x"); !errors.Is(err, search.ErrNotFound) {
		t.Errorf("a missing index: %v", err)
	}
}
