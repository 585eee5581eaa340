package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/dialog"
	"github.com/onbehalf/onbehalf/internal/web"
)

// Who looks at "Who am I here?" sees which tools there are, which ask first, and what cannot be used.
func TestToolsAreShown(t *testing.T) {
	evil := foreign(t, "look", `</p><script>alert(1)</script>`)
	s := start(t, options{change: func(cfg *web.Config) {
		cfg.Servers = append(cfg.Servers, web.Server{Name: "evil", URL: id(t, url.Parse, evil.URL), Group: "others"}, web.Server{Name: "away", URL: id(t, url.Parse, "http://127.0.0.1:1/mcp")})
	}})
	w := s.window(t, "alice")
	w.signIn()
	page := w.open("/me").Body
	for _, want := range []string{
		`<b>Search documents</b> <code>get_documents</code> <span class="tag">runs unasked</span>`, `<span class="tag ask">asks first</span>`, "trusted together with “others”",
		"&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;", "127.0.0.1:1 cannot be reached.", `<a class="button" href="/me">Try again</a>`, "Searches the company&#39;s documents",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s:\n%s", want, page)
		}
	}
	if strings.Contains(page, "<script>alert") {
		t.Error("what a tool says of itself is in the page as it is")
	}
}

// troubled is a loop that cannot list some tools.
type troubled struct {
	web.Loop
	problems []agent.Problem
}

func (l *troubled) Tools(context.Context, agent.Person) ([]agent.Tool, []agent.Problem, error) {
	return nil, l.problems, nil
}

// What keeps a server's tools away is said with what the person can do about it, and done by a button.
func TestToolsThatNeedASignIn(t *testing.T) {
	loop := &troubled{problems: []agent.Problem{{Server: "docs", Text: "x", Refusal: &dialog.Refusal{Kind: "sign-in", Text: "You have to sign in again.", Who: "Sign in.", Correlation: "c0de7e4a-0000", Resumable: true}}}}
	for i := range 30 {
		loop.problems = append(loop.problems, agent.Problem{Server: "docs", Tool: fmt.Sprintf("tool%02d", i), Text: "This tool is not used: <b>its</b> schema."})
	}
	s := start(t, options{change: func(cfg *web.Config) { loop.Loop, cfg.Agent = cfg.Agent, loop }})
	w := s.window(t, "alice")
	w.signIn()
	page := w.open("/me")
	for _, want := range []string{"Sign in once more", "You have to sign in again.", "c0de7e4a-0000", `action="/me/signin?server=docs"`, "tool19", "&lt;b&gt;its", "and 10 more of this kind"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page lacks %s:\n%s", want, page.Body)
		}
	}
	if strings.Contains(page.Body, "tool20") {
		t.Error("the page lists all troubles")
	}
	before := w.cookies()
	if forged := w.post("/me/signin?server=docs", url.Values{"csrf": {"forged"}}); forged.Status != http.StatusForbidden {
		t.Errorf("without the token: HTTP %d", forged.Status)
	}
	if page = w.post("/me/signin?server=docs", url.Values{"csrf": {csrf(t, page)}}); page.URL.String() != s.URL+"/me" || before == w.cookies() {
		t.Errorf("after the sign-in: HTTP %d at %s", page.Status, page.URL)
	}
	for _, kind := range []string{"consent", "blocked"} {
		loop.problems[0].Refusal = &dialog.Refusal{Kind: kind, Text: "x", Resumable: kind == "consent"}
		page = w.open("/me")
		if got := strings.Contains(page.Body, "Give consent"); got != (kind == "consent") {
			t.Errorf("%s:\n%s", kind, page.Body)
		}
		if page = w.post("/me/signin?server=docs", url.Values{"csrf": {csrf(t, page)}}); page.URL.String() != s.URL+"/me" {
			t.Errorf("%s leads to HTTP %d at %s", kind, page.Status, page.URL)
		}
	}
}
