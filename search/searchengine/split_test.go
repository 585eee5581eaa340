package searchengine

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// What is split is what json.Unmarshal makes raw messages of.
func FuzzSplit(f *testing.F) {
	for _, text := range []string{
		``, `null`, `{}`, `[]`, ` { } `, ` [ ] `, `1`, `"a"`, `{"a":1}`, `{"a":1,"a":"2"}`, ` { "a" : [ 1 , {"b":"]}"} ] , "c":null } `,
		`{"a\"b":"\\","c\\":"\\\"","\u0064":"e","":true}`, "{\"\xff\":\"\xff\"}", `[1, "a,b", [2,[3]], {"x":[4]},null,-1e5 ,false]`,
		`{"a":1}}`, `{"a"}`, `[1,]`, `{"a":"b`, `["\\","\"",""]`, `[[],{}]`, `{"a":{},"b":[]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var members map[string]json.RawMessage
		want := json.Unmarshal(raw, &members)
		got, err := splitObject(raw)
		if (err == nil) != (want == nil) {
			t.Fatalf("%q: error %v; want %v", raw, err, want)
		}
		if diff := cmp.Diff(members, got, cmpopts.EquateEmpty()); err == nil && diff != "" {
			t.Errorf("%q: -want +got:\n%s", raw, diff)
		}
		if raw = raw[skipSpace(raw, 0):]; !json.Valid(raw) {
			return
		}
		var elements []json.RawMessage
		isArray := json.Unmarshal(raw, &elements) == nil && raw[0] == '['
		items, ok := splitArray(raw)
		if ok != isArray {
			t.Fatalf("%q: an array: %v; want %v", raw, ok, isArray)
		}
		if diff := cmp.Diff(elements, items, cmpopts.EquateEmpty()); ok && diff != "" {
			t.Errorf("%q: -want +got:\n%s", raw, diff)
		}
	})
}
