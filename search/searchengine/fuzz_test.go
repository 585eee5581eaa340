package searchengine_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

// Whatever a client sends as a document is refused, or shown as JSON that is taken again and shown as the same.
func FuzzDocument(f *testing.F) {
	e := open(f, searchengine.Config{})
	define(f, e, typesIndex)
	for _, doc := range []string{
		`{"id":"k","s":"\ud800","i":1,"l":2,"d":1e300,"b":true,"t":"2010-06-27T02:30:00.1234567+02:30","tags":["x"],"c":{"n":1},"cs":[{"a":"z"},{}]}`,
		`{"id":"k","d":"INF","t":"0001-01-01T00:00:00Z"}`,
		"{\"id\":\"k\",\"s\":\"\xff\"}",
		`{"id":"k","c":null,"cs":[],"id":"l"}`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		statuses, err := e.Write(t.Context(), "types", []search.Action{{Document: doc}})
		if err != nil || !statuses[0].OK {
			return
		}
		shown, err := e.Index("types").Lookup(t.Context(), searchengine.Elevated(), statuses[0].Key)
		if err != nil || !json.Valid(shown) {
			t.Fatalf("%q is shown as %q, %v", doc, shown, err)
		}
		upload(t, e, "types", string(shown))
		again, err := e.Index("types").Lookup(t.Context(), searchengine.Elevated(), statuses[0].Key)
		if err != nil || !bytes.Equal(again, shown) && !bytes.Contains(doc, []byte(`"a"`)) {
			t.Fatalf("%q is shown as %q, then as %q, %v", doc, shown, again, err)
		}
	})
}

// Whatever a client asks is answered or refused as a bad request, never with a fault of ours; and never shows what the
// person may not see.
func FuzzQuery(f *testing.F) {
	e := open(f, searchengine.Config{})
	define(f, e, typesIndex)
	upload(f, e, "types",
		`{"id":"seen","s":"quick brown fox","i":1,"l":2,"d":"NaN","b":true,"t":"2010-06-27T00:00:00Z","tags":["x","y"],"c":{"a":"b","n":1},"cs":[{"a":"z","n":2},{}],"users":["all"]}`,
		`{"id":"empty","users":["`+u1+`"]}`,
		`{"id":"hidden","s":"quick secret fox","i":1,"tags":["x"],"users":["`+u2+`"]}`)
	for _, seed := range [][3]string{
		{"i eq 1 and (d ne NaN or not b)", "quick AND fox~1", "s desc,i"},
		{"cs/any(r: r/n ge 2 and r/a eq 'z') or tags/all(t: t ne 'x')", `"quick fox"~2 s:br*`, "search.score(),id desc"},
		{"search.in(s, 'a,b') or search.ismatchscoring('quick', 's', 'full', 'all')", "/fo./ OR qu?ck^2", "t"},
		{"t gt 0001-01-01T00:00:00Z and c/n eq null", "+quick -secret", "d"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	u := person(f, u1)
	f.Fuzz(func(t *testing.T, filter, text, order string) {
		q := &search.Query{Filter: filter, Search: text, QueryType: "full", OrderBy: []string{order}, Facets: []string{"tags"}, Highlight: []string{"s"}, Count: true}
		r, err := e.Index("types").Search(t.Context(), u, q)
		if err != nil {
			if !errors.Is(err, search.ErrBadRequest) && !errors.Is(err, search.ErrUnsupported) {
				t.Fatalf("%+v: %v", q, err)
			}
			return
		}
		for _, h := range r.Hits {
			if bytes.Contains(h.Document, []byte("secret")) || bytes.Contains(h.Document, []byte(`"hidden"`)) {
				t.Fatalf("%+v shows %s", q, h.Document)
			}
		}
		if *r.Count != int64(len(r.Hits)) {
			t.Fatalf("%+v: %d hits, counted %d", q, len(r.Hits), *r.Count)
		}
	})
}

// Whatever lies where a snapshot should, what is found is what the log says.
func FuzzSnapshot(f *testing.F) {
	dir := f.TempDir()
	e, err := searchengine.Open(searchengine.Config{Dir: dir})
	if err != nil {
		f.Fatal(err)
	}
	define(f, e, typesIndex)
	upload(f, e, "types", `{"id":"1","s":"quick fox","i":1,"tags":["x","y"],"cs":[{"a":"z","n":2},{}],"users":["all"]}`, `{"id":"2","s":"slow fox","users":["`+u1+`"]}`)
	if err = e.Close(); err != nil {
		f.Fatal(err)
	}
	snapshots, err := filepath.Glob(filepath.Join(dir, "indexes", "*", "snapshot-*"))
	if err != nil || len(snapshots) != 1 {
		f.Fatalf("%q, %v", snapshots, err)
	}
	good, err := os.ReadFile(snapshots[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(append(bytes.Clone(good), 0))
	f.Add(bytes.Replace(good, []byte("fox"), []byte("foxes"), 1))
	f.Fuzz(func(t *testing.T, snapshot []byte) {
		if err := os.WriteFile(snapshots[0], snapshot, 0o600); err != nil {
			t.Fatal(err)
		}
		e := open(t, searchengine.Config{Dir: dir})
		if got := keys(t, e.Index("types"), person(t, u1), &search.Query{Search: "fox", OrderBy: []string{"id"}}); got != "1 2" {
			t.Errorf("%q", got)
		}
	})
}
