package conform

import (
	"strings"
	"testing"
)

func TestParseParams(t *testing.T) {
	for text, want := range map[string]map[string]string{
		`error="invalid_token", scope="a b"`:            {"error": "invalid_token", "scope": "a b"},
		`realm="", error=invalid_token,scope="a"`:       {"realm": "", "error": "invalid_token", "scope": "a"},
		`ERROR = "x" ,  error_description="say \"no\""`: {"error": `x`, "error_description": `say "no"`},
		`error="never ends`:                             {},
		``:                                              {},
	} {
		got := parseParams(text)
		if len(got) != len(want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s: %s = %q, want %q", text, name, got[name], value)
			}
		}
	}
}

// FuzzParseParams must end, and must not invent text.
func FuzzParseParams(f *testing.F) {
	for _, seed := range []string{`error="invalid_token", scope="a b"`, `a=b,c="\"d\\"`, `=,="`, `x="`, `a="b"c="d"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		plain := strings.ReplaceAll(text, `\`, "")
		for name, value := range parseParams(text) {
			if !strings.Contains(plain, strings.ReplaceAll(value, `\`, "")) {
				t.Errorf("%q has %q=%q", text, name, value)
			}
		}
	})
}
