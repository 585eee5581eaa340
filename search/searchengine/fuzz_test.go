package searchengine_test

import (
	"bytes"
	"encoding/json"
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
