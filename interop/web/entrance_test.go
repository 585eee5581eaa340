//go:build e2e

package web

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Whoever is refused at the first sign-in ends on a page of ours that says why, whom to ask and what to hand over, and from
// which they get in as soon as nothing is in the way any more.
func TestRefusedFirstSignIn(t *testing.T) {
	block := map[string]any{"rules": []any{map[string]any{"name": "no", "people": []string{"alice"}, "require": "block"}}}
	declines := func(w *window) {
		w.click(person(alice))
		w.click(`button[name=consent][value=no]`)
	}
	back := func(code string) func(*window) {
		return func(w *window) {
			w.click(person(alice))
			w.reads("main", code) // at Entra
			w.click("button[name=back]")
		}
	}
	cancels := func(code string, tries func(*window)) func(*window) {
		return func(w *window) {
			tries(w)
			w.reads(".note.bad", code) // at Entra, which lets nobody go on
			w.click("button[name=cancel]")
		}
	}
	const cancelled = "The sign-in was cancelled."
	for _, test := range []struct {
		desc     string
		policies map[string]any
		does     func(*window)
		want     []string
	}{
		{"blocked by Conditional Access", block, back("AADSTS53003"), []string{"A Conditional Access policy forbids it.", "administrator", "Hand over the correlation id", "AADSTS53003"}},
		{"not assigned", map[string]any{"assignment_required": []string{"mcp-server"}}, back("AADSTS50105"), []string{"You are not assigned to this application.", "administrator", "AADSTS50105"}},
		{"consent declined", map[string]any{"consent_missing": []any{map[string]any{"client": "mcp-web-agent", "resource": "mcp-server"}}}, declines, []string{"The consent was declined.", "accept what the application asks for", "AADSTS65004"}},
		{"a wrong password", nil, cancels("AADSTS50126", func(w *window) {
			w.click("summary")
			w.do(chromedp.SendKeys("#login", "alice@contoso.example"), chromedp.SendKeys("#passwd", "wrong"))
			w.click("details button.main")
		}), []string{cancelled, "Sign in again"}},
		{"an account that is disabled", map[string]any{"disabled": []string{"alice"}}, cancels("AADSTS50057", func(w *window) { w.click(person(alice)) }), []string{cancelled}},
		{"disabled in the middle of it", nil, func(w *window) {
			w.stack.control(http.MethodPost, w.stack.entra("faults"), map[string]any{"endpoint": "token/authorization_code", "status": 400, "error": "invalid_grant", "aadsts": 50057})
			w.click(person(alice))
		}, []string{"The account is disabled.", "administrator", "Hand over the correlation id", "AADSTS50057"}},
	} {
		t.Run(test.desc, func(t *testing.T) {
			s := start(t, options{})
			if test.policies != nil {
				s.policies(test.policies)
			}
			w := s.window()
			w.open("/c/0123456789abcdef") // where the sign-in leads back to
			w.click(".hero button.main")
			test.does(w)
			w.reads(".hero h1", "You are not signed in")
			for _, want := range append(test.want, "Correlation id") {
				w.reads(".hero", want)
			}
			w.accessible(test.desc)
			w.leadsNowhereElse()
			eval[bool](w, `navigator.clipboard.writeText = (t) => { window.copied = t; return Promise.resolve(); }; true`)
			w.click(".hero [data-copy]")
			w.until(`/correlation id [0-9a-f-]{36}$/.test(window.copied)`)
			s.control(http.MethodPost, s.entra("reset"), struct{}{})
			w.click(".hero button.main")
			w.click(person(alice))
			w.reads(".account", "Alice")
			if path := eval[string](w, "location.pathname"); path != "/c/0123456789abcdef" {
				t.Errorf("the sign-in led to %s", path)
			}
		})
	}
}

// leadsNowhereElse looks whether the page is ours and has no way to another site.
func (w *window) leadsNowhereElse() {
	w.t.Helper()
	if at := eval[string](w, "location.origin"); at != w.stack.URL {
		w.t.Errorf("the page is on %s", at)
	}
	if found := eval[[]string](w, `[...document.querySelectorAll("a, form, button")].map(e => e.href || e.action || e.formAction || "").filter(a => a && !a.startsWith(location.origin))`); len(found) > 0 {
		w.t.Errorf("the page leads to %q", found)
	}
}

// What comes back from a sign-in chooses among our words and adds none: no address of it is followed or shown, and nothing in
// it runs.
func TestHostileAnswersToASignIn(t *testing.T) {
	s := start(t, options{})
	w := s.window()
	for _, answer := range []string{
		"error=access_denied&error_description=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&error_uri=javascript:alert(2)",
		"error=access_denied&error_description=AADSTS53003%3A+x+Correlation+ID%3A+%22%3E%3Cscript%3Ealert(3)%3C%2Fscript%3E&error_uri=https://evil.example/",
		"code=%3Cscript%3Ealert(4)%3C%2Fscript%3E&return=https://evil.example/&post_logout_redirect_uri=//evil.example",
	} {
		w.open("/")
		state := eval[string](w, `fetch("/signin", {method: "POST", body: new URLSearchParams({csrf: document.querySelector("meta[name=csrf]").content, return: "//evil.example/"})})
			.then(r => r.text()).then(t => new URL(new DOMParser().parseFromString(t, "text/html").querySelector("a.main").href).searchParams.get("state"))`, chromedp.EvalAwaitPromise)
		w.open("/signin/callback?" + answer + "&state=" + state)
		w.see(".hero h1")
		if text := w.text("main"); strings.Contains(text, "evil") || strings.Contains(text, "alert") {
			t.Errorf("%s: the page says %s", answer, text)
		}
		w.leadsNowhereElse()
		if value := eval[string](w, `document.querySelector("[name=return]").value`); value != "/" {
			t.Errorf("the next sign-in leads to %q", value)
		}
		w.accessible("a hostile answer")
	}
	w.click(".hero button.main")
	w.click(person(alice))
	w.see("#question")
	w.leadsNowhereElse()
}
