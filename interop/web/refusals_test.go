//go:build e2e

package web

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

func TestMFAInMidConversation(t *testing.T) {
	s := start(t, options{web: unasked})
	w := s.window()
	w.signIn(alice)
	s.scenario("mfa")
	w.ask("roadmap")
	w.reads(".refusal", "AADSTS50076")
	w.accessible("MFA is wanted")
	w.click(".refusal .chainlink") // it came as HTTP 401, and has its chain nevertheless
	for _, want := range []string{"Alice Archer signed in", "Token for the MCP server", "as it tells", "Entra refused a token for the API", "AADSTS50076"} {
		w.reads("#chain", want)
	}
	w.accessible("the chain of a refusal")
	w.click("#chain .close")
	w.click(".refusal .do button")
	w.see(".number")
	w.click("button.main") // the second factor, at Entra
	w.see("#log")
	w.answered()
	if len(w.sources()) == 0 || eval[int](w, `document.querySelectorAll(".message.user").length`) != 1 {
		t.Errorf("the very call did not go on: %s", w.state())
	}
}

func TestConsentInMidConversation(t *testing.T) {
	s := start(t, options{web: unasked})
	w := s.window()
	w.signIn(alice)
	s.scenario("consent")
	w.ask("roadmap")
	w.reads(".refusal", "Your consent is needed")
	w.accessible("consent is wanted")
	w.click(".refusal .do a")
	w.see(".permissions")
	w.click("button.main") // accept, at Entra
	w.see("#log")
	w.answered()
	if len(w.sources()) == 0 {
		t.Errorf("the call did not go on: %s", w.state())
	}
}

// Whom to ask, and what to hand over, where nothing can be clicked.
func TestRefusalsForOthers(t *testing.T) {
	for _, test := range []struct {
		desc     string
		policies map[string]any
		want     []string
	}{
		{"blocked", map[string]any{"rules": []any{map[string]any{"name": "no", "resources": []string{"https://search.azure.com"}, "require": "block"}}}, []string{"A policy does not allow this", "AADSTS53003", "administrator"}},
		{"not assigned", map[string]any{"assignment_required": []string{"https://search.azure.com"}}, []string{"You are not assigned to this", "AADSTS50105", "administrator"}},
	} {
		t.Run(test.desc, func(t *testing.T) {
			s := start(t, options{web: unasked})
			w := s.window()
			w.signIn(bob)
			s.policies(test.policies)
			w.ask("budget")
			for _, want := range test.want {
				w.reads(".refusal", want)
			}
			w.accessible(test.desc)
			if eval[int](w, `document.querySelectorAll(".refusal .do").length`) != 0 {
				t.Error("there is a button for what no click mends")
			}
			eval[bool](w, `navigator.clipboard.writeText = (t) => { window.copied = t; return Promise.resolve(); }; true`)
			w.click(".refusal [data-copy]")
			w.until(`window.copied?.includes("correlation id")`)
			w.answered()
		})
	}
}

func TestThrottledAndSlow(t *testing.T) {
	s := start(t, options{web: unasked})
	w := s.window()
	w.signIn(alice)
	s.scenario("throttled")
	w.ask("roadmap")
	w.reads(".refusal", "Too much at once")
	w.accessible("throttled")
	s.control("POST", s.entra("reset"), struct{}{})
	time.Sleep(5 * time.Second) // Retry-After: until then nobody asks Entra again
	s.scenario("slow")
	w.click(".refusal .do button")
	w.see(".message.running .working")
	w.accessible("an answer on its way")
	w.answered()
	if len(w.sources()) == 0 {
		t.Error("no sources")
	}
}

func TestRevokedInMidConversation(t *testing.T) {
	s := start(t, options{web: unasked})
	w := s.window()
	w.signIn(alice)
	s.policies(map[string]any{"revoked": []string{"alice"}, "refuse_revoked_assertions": true})
	w.ask("roadmap")
	w.reads(".refusal", "Your sign-in no longer counts")
	w.accessible("revoked")
	s.policies(map[string]any{})
	w.throughEntra(".refusal .do button", alice)
	w.answered()
	if len(w.sources()) == 0 {
		t.Errorf("the call did not go on: %s", w.state())
	}
}

// throughEntra clicks, signs in where Entra asks for it, and waits for the conversation.
func (w *window) throughEntra(selector, id string) {
	w.t.Helper()
	w.see(selector)
	eval[bool](w, "window.before = true")
	w.click(selector)
	w.until("!window.before")
	// The page of ours that leads to Entra has neither.
	w.until(`document.readyState === "complete" && document.querySelector("#log, button[name=person], button[name=session]")`)
	if !eval[bool](w, `!!document.querySelector("#log")`) {
		eval[bool](w, fmt.Sprintf("document.querySelector(%q).click(); true", person(id)))
	}
	w.until(`location.protocol === "http:" && document.querySelector("#log")`)
}

func TestSignOut(t *testing.T) {
	s := start(t, options{web: unasked})
	w, other := s.window(), s.window()
	w.signIn(alice)
	other.signIn(alice)
	w.ask("roadmap")
	w.answered()
	conversation := eval[string](w, "location.pathname")
	w.click(".account")
	w.click("#account form button")
	w.reads(".note", "You are signed out.")
	w.accessible("signed out")
	w.open(conversation)
	if text := w.text("main"); strings.Contains(text, "roadmap") || !strings.Contains(text, "Sign in") {
		t.Errorf("after signing out: %s", text)
	}
	w.click(".hero button.main")
	w.see(person(bob)) // Entra does not remember her either
	other.open(conversation)
	other.answered() // another browser of hers is not signed out
}

// A sign-in that has lost its worth, of its own accord: one click, and the question goes on.
func TestExpiredInMidConversation(t *testing.T) {
	s := start(t, options{web: unasked})
	s.scenario("expired")
	w := s.window()
	w.signIn(alice)
	s.control("POST", s.entra("clock/advance"), map[string]int{"seconds": 400})
	w.ask("roadmap")
	w.reads(".refusal", "Your sign-in no longer counts")
	w.throughEntra(".refusal .do button", alice)
	w.answered()
	if len(w.sources()) == 0 {
		t.Errorf("the call did not go on: %s", w.state())
	}
}

// Who signs out at Entra is signed out here: its page tells the agent in a hidden frame.
func TestSignOutAtEntra(t *testing.T) {
	s := start(t, options{web: unasked})
	w, other := s.window(), s.window()
	w.signIn(alice)
	other.signIn(alice)
	w.ask("roadmap")
	w.answered()
	conversation := eval[string](w, "location.pathname")
	other.open(conversation)
	other.answered()
	w.do(chromedp.Navigate(s.Env["AZURE_AUTHORITY_HOST"] + s.Env["TENANT_ID"] + "/oauth2/v2.0/logout"))
	w.reads("main", "You have signed out of this browser.")
	w.openUntil(conversation, ".hero button.main") // when the frame has been loaded
	if text := w.text("main"); strings.Contains(text, "roadmap") {
		t.Errorf("after signing out at Entra: %s", text)
	}
	other.open(conversation)
	other.answered() // another browser of hers is not signed out
}
