package signin

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// challengeCases are the table and the seeds of the fuzzing.
var challengeCases = []struct {
	desc   string
	header []string
	want   []schemeParams
	bad    bool
}{
	{desc: "nothing"},
	{desc: "scheme alone", header: []string{"Bearer"}, want: []schemeParams{{"bearer", map[string]string{}}}},
	{
		desc: "Entra's empty realm", header: []string{`Bearer realm="", error="insufficient_claims", claims="eyJ9"`},
		want: []schemeParams{{"bearer", map[string]string{"realm": "", "error": "insufficient_claims", "claims": "eyJ9"}}},
	},
	{
		desc: "several challenges in one field", header: []string{`Basic realm="a, b", Bearer scope="x y", Negotiate`},
		want: []schemeParams{
			{"basic", map[string]string{"realm": "a, b"}},
			{"bearer", map[string]string{"scope": "x y"}},
			{"negotiate", map[string]string{}},
		},
	},
	{
		desc: "several fields", header: []string{`Negotiate YII=`, `Bearer error=invalid_token`},
		want: []schemeParams{{"negotiate", map[string]string{"": "YII="}}, {"bearer", map[string]string{"error": "invalid_token"}}},
	},
	{
		desc: "blanks around equals, empty elements, escapes", header: []string{` , Bearer  a = "b\"c\\" ,, d =e , `},
		want: []schemeParams{{"bearer", map[string]string{"a": `b"c\`, "d": "e"}}},
	},
	{desc: "upper case", header: []string{`BEARER Error="x"`}, want: []schemeParams{{"bearer", map[string]string{"error": "x"}}}},
	{desc: "a parameter without a scheme", header: []string{`realm="x"`}, bad: true},
	{desc: "the same parameter twice", header: []string{`Bearer scope="a", scope="b"`}, bad: true},
	{desc: "an open quote", header: []string{`Bearer realm="x`}, bad: true},
	{desc: "an escape at the end", header: []string{`Bearer realm="x\`}, bad: true},
	{desc: "a value missing", header: []string{`Bearer scope=x, realm=`}, bad: true},
	{desc: "a line break inside", header: []string{"Bearer realm=\"a\nb\""}, bad: true},
	{desc: "no comma between", header: []string{`Bearer a="b" c="d"`}, bad: true},
	{desc: "too many", header: []string{strings.Repeat("Basic, ", 9)}, bad: true},
	{desc: "too long", header: []string{`Bearer realm="` + strings.Repeat("x", 20000) + `"`}, bad: true},
}

func TestParseWWWAuthenticate(t *testing.T) {
	for _, tt := range challengeCases {
		got, err := parseWWWAuthenticate(tt.header)
		if (err != nil) != tt.bad {
			t.Errorf("%s: %v", tt.desc, err)
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(schemeParams{})); diff != "" && !tt.bad {
			t.Errorf("%s (-want +got):\n%s", tt.desc, diff)
		}
	}
}

func FuzzParseWWWAuthenticate(f *testing.F) {
	for _, tt := range challengeCases {
		f.Add(strings.Join(tt.header, ", "))
	}
	f.Fuzz(func(t *testing.T, header string) {
		got, err := parseWWWAuthenticate([]string{header})
		if err != nil {
			return
		}
		if len(got) > maxChallenges {
			t.Errorf("%d challenges", len(got))
		}
		for _, c := range got {
			if c.scheme == "" || c.scheme != strings.ToLower(c.scheme) || len(c.params) > maxChallengeParams {
				t.Errorf("%q gives %+v", header, c)
			}
		}
		if _, err := parseChallenge(http.Header{"Www-Authenticate": {header}}); err != nil {
			t.Errorf("%q: %v", header, err)
		}
	})
}

func TestFilterClaims(t *testing.T) {
	long := `{"access_token":{"acrs":{"value":"` + strings.Repeat("c", maxClaims) + `"}}}`
	for _, tt := range []struct{ desc, claims, want string }{
		{"an authentication context", `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`, `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`},
		{"a revocation", `{"access_token":{"nbf":{"essential":true,"value":"1762990000"}}}`, `{"access_token":{"nbf":{"essential":true,"value":"1762990000"}}}`},
		{"policies", `{"access_token":{"capolids":{"essential":true,"values":["a","b"]}}}`, `{"access_token":{"capolids":{"essential":true,"values":["a","b"]}}}`},
		{
			"what a server must not demand is left out", `{"id_token":{"email":null},"userinfo":{},"access_token":{"acrs":{"value":"c1"},"email":{"essential":true},"groups":null}}`,
			`{"access_token":{"acrs":{"value":"c1"}}}`,
		},
		{"nothing that it may demand", `{"access_token":{"email":{"essential":true}}}`, ""},
		{"null", `null`, ""},
		{"not JSON", `{"access_token":`, ""},
		{"too long", long, ""},
		{"another shape", `{"access_token":{"acrs":["c1"]}}`, ""},
	} {
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
			got, err := filterClaims(encoding.EncodeToString([]byte(tt.claims)))
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("%s: got %q, %v; want %q", tt.desc, got, err, tt.want)
			}
		}
	}
	if _, err := filterClaims("!!!"); err == nil {
		t.Error("what is not base64 was taken")
	}
}

func FuzzFilterClaims(f *testing.F) {
	for _, seed := range []string{`{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`, `{}`, `null`, `[]`} {
		f.Add(base64.StdEncoding.EncodeToString([]byte(seed)))
	}
	f.Fuzz(func(t *testing.T, encoded string) {
		got, err := filterClaims(encoded)
		if err == nil && (got == "" || len(got) > 6*maxClaims) {
			t.Errorf("%q gives %q", encoded, got)
		}
		if again, err2 := filterClaims(base64.StdEncoding.EncodeToString([]byte(got))); err == nil && len(got) <= maxClaims && (err2 != nil || again != got) {
			t.Errorf("%q gives %q, then %q, %v", encoded, got, again, err2)
		}
	})
}
