package searchserver

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/onbehalf/onbehalf/search"
)

func routeTable() []struct {
	method, path string
	want         route
} {
	return []struct {
		method, path string
		want         route
	}{
		{"GET", "/indexes", route{op: opListIndexes}},
		{"GET", "/indexes/", route{op: opListIndexes}},
		{"GET", "//indexes", route{op: opListIndexes}},
		{"POST", "/indexes", route{op: opCreateIndex}},
		{"GET", "/indexes('a-b')", route{op: opGetIndex, index: "a-b"}},
		{"PUT", "/indexes/a-b", route{op: opPutIndex, index: "a-b"}},
		{"DELETE", "/indexes('a-b')", route{op: opDeleteIndex, index: "a-b"}},
		{"GET", "/indexes('a')/search.stats", route{op: opIndexStats, index: "a"}},
		{"GET", "/indexes/a/stats", route{op: opIndexStats, index: "a"}},
		{"POST", "/indexes('a')/search.analyze", route{op: opAnalyze, index: "a"}},
		{"POST", "/indexes/a/analyze", route{op: opAnalyze, index: "a"}},
		{"GET", "/servicestats", route{op: opServiceStats}},
		{"POST", "/indexes('a')/docs/search.post.search", route{op: opSearch, index: "a"}},
		{"POST", "/indexes/a/docs/search", route{op: opSearch, index: "a"}},
		{"GET", "/indexes('a')/docs", route{op: opSearch, index: "a"}},
		{"GET", "/indexes/a/docs", route{op: opSearch, index: "a"}},
		{"POST", "/indexes('a')/docs/search.index", route{op: opWrite, index: "a"}},
		{"POST", "/indexes/a/docs/index", route{op: opWrite, index: "a"}},
		{"GET", "/indexes('a')/docs/$count", route{op: opCount, index: "a"}},
		{"GET", "/indexes/a/docs/%24count", route{op: opCount, index: "a"}},
		{"GET", "/indexes('a')/docs('1')", route{op: opLookup, index: "a", key: "1"}},
		{"GET", "/indexes/a/docs/1", route{op: opLookup, index: "a", key: "1"}},
		{"GET", "/indexes/a/docs/search", route{op: opLookup, index: "a", key: "search"}}, // a key like any other
		{"GET", "/indexes('a')/docs('a%27b%2Fc%20d_%3D-')", route{op: opLookup, index: "a", key: "a'b/c d_=-"}},
		{"GET", "/indexes('a')/docs('a'b%2Fc%20d_%3D-')", route{op: opLookup, index: "a", key: "a'b/c d_=-"}},
		{"GET", "/indexes('a')/docs('x')y')", route{op: opLookup, index: "a", key: "x')y"}},
		{"GET", "/indexes('a')/docs('')", route{op: opLookup, index: "a"}},
		{"POST", "/indexes('a')/docs/search.post.suggest", route{op: opUnsupported, index: "a", absent: "suggest"}},
		{"GET", "/indexes/a/docs/suggest", route{op: opUnsupported, index: "a", absent: "suggest"}},
		{"GET", "/indexes('a')/docs/search.autocomplete", route{op: opUnsupported, index: "a", absent: "autocomplete"}},
		{"PUT", "/synonymmaps('x')", route{op: opUnsupported, absent: "synonymmaps"}},
		{"GET", "/knowledgebases", route{op: opUnsupported, absent: "knowledgebases"}},
		{"POST", "/indexers/x/run", route{op: opUnsupported, absent: "indexers"}},
		{"PATCH", "/indexes('a')", route{op: opUnknown, index: "a", allow: "DELETE GET PUT"}},
		{"GET", "/indexes('a')/docs/search.index", route{op: opUnknown, index: "a", allow: "POST"}},
		{"GET", "/", route{op: opUnknown}},
		{"GET", "/indexes('a", route{op: opUnknown}},
		{"GET", "/indexes('a')docs", route{op: opUnknown}},
		{"GET", "/indexes('')", route{op: opUnknown}},
		{"GET", "/indexes('a')/docs('1", route{op: opUnknown}},
		{"GET", "/indexes/a/docs/1/2", route{op: opUnknown}},
		{"GET", "/indexes/a/nothing", route{op: opUnknown}},
		{"GET", "/indexes/%zz", route{op: opUnknown}},
	}
}

func TestRoutes(t *testing.T) {
	for _, test := range routeTable() {
		got := routeOf(test.method, test.path)
		allow := strings.Fields(got.allow)
		sortStrings := cmpopts.SortSlices(strings.Compare)
		if diff := cmp.Diff(strings.Fields(test.want.allow), allow, sortStrings, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s %s: allow (-want +got):\n%s", test.method, test.path, diff)
		}
		got.allow, test.want.allow = "", ""
		if got != test.want {
			t.Errorf("%s %s: %+v, want %+v", test.method, test.path, got, test.want)
		}
	}
}

func FuzzRoute(f *testing.F) {
	for _, test := range routeTable() {
		f.Add(test.method, test.path)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		r := routeOf(method, path)
		if r.op == "" || r.op == opLookup && r.index == "" {
			t.Errorf("%q %q: %+v", method, path, r)
		}
	})
}

func FuzzBodies(f *testing.F) {
	for _, body := range []string{
		`{"value":[{"@search.action":"upload","id":"1"}]}`, `{"value":[{"id":"1","@search.action":"merge"}]}`, `{"value":[1]}`, `{"value":null}`, `[]`,
		`{"search":"*","count":true,"top":5,"facets":["a,count:1"],"select":"a, b","orderby":"a desc,b"}`, `{"top":1e3}`, `{"top":null,"top":1}`, `{"vectorQueries":[]}`,
		"\xff", `{"search":"\ud800"}`, `{"value":[{"@search.action":"upload","@search.action":"delete"}]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if actions, err := parseBatch(body); err == nil && (len(actions) == 0 || len(actions) > maxActions) {
			t.Errorf("%d actions", len(actions))
		} else if err != nil && !utf8.ValidString(err.Error()) {
			t.Errorf("error %q", err)
		}
		members, err := readMembers(body)
		if err != nil {
			return
		}
		out := appendNextParameters(nil, members, nextForFuzz())
		if again, err := readMembers(out); err != nil {
			t.Errorf("the continuation %s cannot be read: %v (%v)", out, err, again)
		}
	})
}

func nextForFuzz() *search.Query { return &search.Query{Skip: 50} }
