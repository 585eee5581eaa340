package searchserver_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onbehalf/onbehalf/search/searchserver"
)

// Whatever comes in, the answer is the caller's mistake (or "not here"), never a broken service, and never a document
// that the caller may not see.
func TestHostileInput(t *testing.T) {
	s := startACL(t, nil)
	nested := func(open, close string) string { return strings.Repeat(open, 20_000) + strings.Repeat(close, 20_000) }
	bodies := []string{
		``, `null`, `0`, `""`, `{}`, `[]`, `{`, `{"a"`, "\x00", "\xff\xfe", "\ufeff{}", nested("[", "]"), nested(`{"a":`, `}`), `{"search":` + nested("[", "]") + `}`,
		`{"filter":"` + strings.Repeat("(", 60_000) + `"}`, `{"filter":"` + strings.Repeat("not ", 30_000) + `open"}`, `{"filter":"` + strings.Repeat("id eq '1' or ", 5000) + `id eq '2'"}`,
		`{"search":"` + strings.Repeat("a ", 60_000) + `"}`, `{"search":"` + strings.Repeat("(", 50_000) + `","queryType":"full"}`, `{"search":"/((a*)*)*b/","queryType":"full"}`,
		`{"search":"` + strings.Repeat("a*", 5000) + `","queryType":"full"}`, `{"search":"~2 ^9 AND OR NOT","queryType":"full"}`, `{"search":"\u0000\ud800\uffff"}`,
		`{"orderby":"` + strings.Repeat("id,", 1000) + `id"}`, `{"select":"` + strings.Repeat("id,", 5000) + `id"}`, `{"facets":[` + strings.Repeat(`"name",`, 5000) + `"name"]}`,
		`{"facets":["name,count:99999999999999999999"]}`, `{"facets":["size,interval:0"]}`, `{"facets":["size,interval:-1"]}`, `{"top":99999999999999999999}`, `{"top":9223372036854775807,"skip":100000}`,
		`{"skip":-9223372036854775808}`, `{"minimumCoverage":1e400}`, `{"minimumCoverage":-1}`, `{"highlight":"name-99999999999","search":"a"}`, `{"highlightPreTag":"` + strings.Repeat("x", 100_000) + `","search":"public","highlight":"name"}`,
		`{"sessionId":"_x"}`, `{"searchFields":"oid,group","search":"` + alice + `"}`, `{"filter":"search.score() gt 1"}`, `{"orderby":"oid"}`, `{"facets":["oid"]}`, `{"select":"oid"}`,
		`{"value":[{"id":"` + strings.Repeat("k", 2000) + `"}]}`, `{"value":[{"id":{}}]}`, `{"value":[{"id":["1"]}]}`, `{"value":[{"id":"1","size":1e999}]}`, `{"value":[{"id":"1","size":"9"}]}`,
		`{"value":[{"id":"1","name":` + nested("[", "]") + `}]}`, `{"value":[{"id":"1","oid":"all"}]}`, `{"value":[{"id":"1","oid":[["all"]]}]}`, `{"value":[{"id":"1","oid":[null]}]}`, `{"value":[{"id":"1","unknown":1}]}`,
		`{"name":"` + strings.Repeat("n", 1000) + `"}`, `{"name":"../x","fields":[]}`, `{"name":"x","fields":[{"name":"id","type":"Edm.String","key":true},` + strings.Repeat(`{"name":"a","type":"Edm.String"},`, 3000) + `{"name":"b","type":"Edm.String"}]}`,
		`{"name":"x","fields":[{"name":"id","type":"Edm.String","key":true,"fields":` + nested(`[{"fields":`, `}]`) + `}]}`, `{"text":"` + strings.Repeat("word ", 100_000) + `","analyzer":"standard.lucene"}`,
	}
	for _, route := range []struct{ method, path string }{
		{"POST", "/indexes('acl')/docs/search.post.search"},
		{"POST", "/indexes('acl')/docs/search.index"},
		{"POST", "/indexes('acl')/search.analyze"},
		{"POST", "/indexes"},
		{"PUT", "/indexes('acl')"},
		{"PUT", "/indexes('x')"},
		{"DELETE", "/indexes('x')"},
		{"GET", "/indexes('acl')/docs"},
	} {
		for _, body := range bodies {
			if strings.HasSuffix(route.path, ".search") && (strings.Contains(body, `"value"`) || strings.Contains(body, `"fields"`)) {
				continue
			}
			answer := s.do(t, route.method, route.path, body)
			if answer.status >= 500 && answer.status != http.StatusNotImplemented {
				t.Errorf("%s %s with %.100q: HTTP %d %.300s", route.method, route.path, body, answer.status, answer.body)
			}
			if strings.Contains(answer.body, alice) || strings.Contains(answer.body, "of nobody") {
				t.Errorf("%s %s with %.100q shows what must not be seen: %.300s", route.method, route.path, body, answer.body)
			}
		}
	}
	if strings.Contains(s.log.String(), "panic") {
		t.Errorf("the log tells of a panic: %.2000s", s.log)
	}
	if keys := s.search(t, byID, userHeader, s.sign(t, s.person(bob))).keys(t); !strings.HasPrefix(keys, "1") {
		t.Errorf("afterwards bob sees %q", keys)
	}
}

// A filter is never left out because of how it is written in the URL: the answer would be more than was asked for.
func TestFilterInURLIsNotDropped(t *testing.T) {
	s := startACL(t, nil)
	for query, want := range map[string]int{
		"$filter=id%20eq%20'1'":                   http.StatusOK,
		"$filter=id%20eq%20'1;2'":                 http.StatusOK,
		"$filter=id%20eq%20'1'%3B":                http.StatusBadRequest,
		"$filter=id%20eq%20'1';":                  http.StatusBadRequest,
		"$filter=id%20eq%20'%zz'":                 http.StatusBadRequest,
		"$filter=id%20eq%20'1'&%24filter=id%20ne": http.StatusBadRequest,
		"$Filter=id%20eq%20'1'":                   http.StatusBadRequest,
	} {
		answer := s.do(t, "GET", "/indexes/acl/docs?search=*&"+query, "", "x-ms-enable-elevated-read", "true")
		if answer.status != want || want == http.StatusOK && strings.Contains(answer.body, `"2"`) {
			t.Errorf("%s: HTTP %d %.300s; want %d", query, answer.status, answer.body, want)
		}
	}
}

// Searches, writes and changes of the definition at the same time: every answer is whole.
func TestAtTheSameTime(t *testing.T) {
	s := startACL(t, nil)
	aliceToken, bobToken := s.sign(t, s.person(alice)), s.sign(t, s.person(bob))
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 25 {
				switch rand.IntN(4) {
				case 0:
					body := fmt.Sprintf(`{"value":[{"id":"w%d-%d","size":7,"oid":["%s"]}]}`, worker, i, alice)
					if answer := s.do(t, "POST", "/indexes/acl/docs/index", body); answer.status != 200 {
						t.Errorf("write: HTTP %d %s", answer.status, answer.body)
					}
				case 1:
					if answer := s.search(t, `{"filter":"size lt 7","orderby":"id"}`, userHeader, bobToken); answer.keys(t) != "1 5" {
						t.Errorf("bob: %s", answer.body)
					}
				case 2:
					if answer := s.search(t, `{"filter":"size lt 7","orderby":"id"}`, userHeader, aliceToken); answer.keys(t) != "1 2 3" {
						t.Errorf("alice: %s", answer.body)
					}
				default:
					if answer := s.do(t, "PUT", "/indexes/acl", aclIndex); answer.status != 204 {
						t.Errorf("put: HTTP %d %s", answer.status, answer.body)
					}
				}
			}
		})
	}
	all.Wait()
}

// A request that takes too long ends, and says so.
func TestTimeout(t *testing.T) {
	waiting := make(chan struct{})
	s := startACL(t, func(c *searchserver.Config) {
		c.Timeout = 50 * time.Millisecond
		c.Groups = func(ctx context.Context, _ string) ([]string, error) {
			close(waiting)
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	answer := s.search(t, byID, userHeader, s.sign(t, s.person(alice)))
	<-waiting
	if answer.status != http.StatusServiceUnavailable {
		t.Errorf("HTTP %d %s, want 503", answer.status, answer.body)
	}
}

// Groups are remembered for the time that the configuration says, by the server's own clock.
func TestGroupsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		groups := searchserver.NewGroupCacheForTest(func(context.Context, string) ([]string, error) {
			asked++
			return []string{engineering}, nil
		}, time.Minute, time.Now)
		for range 3 {
			if got, err := groups.Of(t.Context(), alice); err != nil || len(got) != 1 {
				t.Fatal(got, err)
			}
			time.Sleep(29 * time.Second)
		}
		if asked != 1 {
			t.Errorf("asked %d times within a minute, want once", asked)
		}
		time.Sleep(5 * time.Second)
		if _, err := groups.Of(t.Context(), alice); err != nil || asked != 2 {
			t.Errorf("asked %d times after a minute, want twice (%v)", asked, err)
		}
	})
}
