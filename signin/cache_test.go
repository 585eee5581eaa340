package signin

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMerge has two processes change one entry: MSAL writes the whole, so the second would undo the first.
func TestMerge(t *testing.T) {
	for _, tt := range []struct{ desc, base, ours, theirs, want string }{
		{"both sign in, to an empty cache", ``, `{"Account":{"alice":{"n":1}}}`, `{"Account":{"bob":{"n":2}}}`, `{"Account":{"alice":{"n":1},"bob":{"n":2}}}`},
		{"we refresh, they sign in", `{"AccessToken":{"a":{"n":1}}}`, `{"AccessToken":{"a":{"n":2}}}`, `{"AccessToken":{"a":{"n":1},"b":{}}}`, `{"AccessToken":{"a":{"n":2},"b":{}}}`},
		{"we change nothing, they refresh", `{"AccessToken":{"a":{"n":1}}}`, `{"AccessToken":{"a":{"n":1}}}`, `{"AccessToken":{"a":{"n":9}}}`, `{"AccessToken":{"a":{"n":9}}}`},
		{"we remove, they add", `{"Account":{"alice":{}}}`, `{}`, `{"Account":{"alice":{},"bob":{}}}`, `{"Account":{"bob":{}}}`},
		{"they sign out, we refresh", `{"AccessToken":{"a":{"n":1}},"Account":{"alice":{}}}`, `{"AccessToken":{"a":{"n":2}},"Account":{"alice":{}}}`, ``, `{"AccessToken":{"a":{"n":2}}}`},
	} {
		got, err := merge([]byte(tt.base), []byte(tt.ours), []byte(tt.theirs))
		if err != nil {
			t.Errorf("%s: %v", tt.desc, err)
			continue
		}
		var want, merged any
		if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(got, &merged); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, merged); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.desc, diff)
		}
	}
	if _, err := merge(nil, []byte(`{"Account":[]}`), nil); err == nil {
		t.Error("what is not MSAL's was merged")
	}
}
