//go:build e2e

package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/onbehalf/onbehalf/entra/entraserver"
)

// manyPeople is what two cores carry well.
const manyPeople, teams = 12, 4

func oidOf(n int) string  { return fmt.Sprintf("9e091e00-0000-4000-8000-%012d", n) }
func teamOf(n int) string { return fmt.Sprintf("7ea30000-0000-4000-8000-%012d", n%teams) }
func nameOf(n int) string { return fmt.Sprintf("Person Number%d", n) }

// Many people, each in a browser of their own, sign in by the real pages and ask the same at the same time. Each is shown what
// the search service's own lists say they may see, nothing else is anywhere in their page, and each chain is theirs.
func TestManyPeopleAtOnce(t *testing.T) {
	var people strings.Builder
	for n := range manyPeople {
		fmt.Fprintf(&people, `{"name":%q,"upn":"person%d@contoso.example","oid":%q,"groups":[%q]}`+"\n", nameOf(n), n, oidOf(n), teamOf(n))
	}
	s := start(t, options{web: unasked, people: people.String()})
	s.quarterlies()
	windows := make([]*window, manyPeople)
	for n := range windows {
		windows[n] = s.window()
	}
	together(t, windows, 3, func(n int, w *window) {
		w.open("/")
		w.click(".hero button.main")
		w.click("summary")
		w.do(chromedp.SendKeys("#login", fmt.Sprintf("person%d@contoso.example", n)), chromedp.SendKeys("#passwd", entraserver.ContosoPassword))
		w.click("details button.main")
		w.see("#question")
	})
	together(t, windows, manyPeople, func(_ int, w *window) {
		w.ask("quarterly")
		w.answered()
	})
	all := s.found("X-Ms-Enable-Elevated-Read", "true")
	if len(all) != manyPeople+teams+2 {
		t.Fatalf("the search service has %q", all)
	}
	together(t, windows, 3, func(n int, w *window) {
		want := s.found("X-Ms-Query-Source-Authorization", s.searchToken(n))
		got := w.sources()
		slices.Sort(got)
		if !slices.Equal(got, want) || len(want) != 3 {
			t.Errorf("%s is shown %q, may see %q", nameOf(n), got, want)
		}
		page := eval[string](w, "document.documentElement.outerHTML")
		for _, name := range all {
			if !slices.Contains(want, name) && strings.Contains(page, name+"<") {
				t.Errorf("%s: the page holds %s", nameOf(n), name)
			}
		}
		w.click(".chainlink")
		w.reads("#chain", nameOf(n)+" signed in")
		chain := eval[string](w, `document.querySelector("#chain").textContent`)
		for other := range manyPeople {
			if strings.Contains(chain, oidOf(other)) != (other == n) || other != n && strings.Contains(chain, nameOf(other)+" ") {
				t.Errorf("%s: in the chain: %s", nameOf(n), chain)
			}
		}
	})
}

// together does the same in all windows, so many at once, and ends the test if that fails in one: what fails ends its own
// goroutine.
func together(t *testing.T, windows []*window, atOnce int, do func(n int, w *window)) {
	t.Helper()
	var all sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for n, w := range windows {
		all.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			do(n, w)
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// quarterlies uploads a document for each person, for each team, for all, and for nobody.
func (s *stack) quarterlies() {
	s.t.Helper()
	var all []map[string]any
	add := func(id, name string, oid, group string) {
		all = append(all, map[string]any{
			"@search.action": "upload", "id": id, "name": name, "content": "The quarterly report of " + id + ".", "section": "x", "size": 1,
			"oid": []string{oid}, "group": []string{group},
		})
	}
	for n := range manyPeople {
		add(fmt.Sprintf("own-%d", n), "Report of "+nameOf(n), oidOf(n), "none")
	}
	for n := range teams {
		add(fmt.Sprintf("team-%d", n), fmt.Sprintf("Report of team %d", n), "none", teamOf(n))
	}
	add("everybody", "Report of all", "none", "all")
	add("nobody", "Report of nobody", "none", "none")
	s.control(http.MethodPost, s.index("/docs/index"), map[string]any{"value": all})
}

// searchToken is a token of a person for the search service itself.
func (s *stack) searchToken(n int) string {
	s.t.Helper()
	var out struct {
		Token string `json:"access_token"`
	}
	s.post(s.entra("tokens"), map[string]any{"user": fmt.Sprintf("person%d@contoso.example", n), "claims": map[string]any{"aud": "https://search.azure.com", "scp": "user_impersonation"}}, &out)
	return out.Token
}

// found asks the search service itself for the documents that somebody sees.
func (s *stack) found(header, value string) []string {
	s.t.Helper()
	var out struct{ Value []struct{ Name string } }
	s.post(s.index("/docs/search"), map[string]any{"search": "quarterly", "select": "name", "top": 1000}, &out, header, value)
	var names []string
	for _, d := range out.Value {
		names = append(names, d.Name)
	}
	slices.Sort(names)
	return names
}

func (s *stack) post(address string, body, into any, headers ...string) {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, address, bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Api-Key", s.Env["SEARCH_ADMIN_KEY"])
	answer, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil || answer.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: HTTP %d, %v", address, answer.StatusCode, err)
	}
}
