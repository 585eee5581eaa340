//go:build e2e

package web

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// unasked lets the search run without asking.
var unasked = []string{"--unasked", "docs.get_documents"}

// A question, its sources, the chain beside it, and another window with another person who is shown something else.
func TestTwoPeopleInTwoWindows(t *testing.T) {
	s := start(t, options{web: unasked})
	a, b := s.window(), s.window()
	a.open("/")
	a.see(".hero")
	a.accessible("who is not signed in")
	a.signIn(alice)
	a.accessible("a new conversation")
	b.signIn(bob)
	for _, w := range []*window{a, b} {
		w.ask("salary budget roadmap handbook")
		w.answered()
	}
	if found := a.sources(); !slices.Contains(found, "Roadmap") {
		t.Errorf("alice is shown %q", found)
	}
	if found := b.sources(); slices.Contains(found, "Roadmap") || len(found) == 0 {
		t.Errorf("bob is shown %q", found)
	}
	a.accessible("an answer")
	a.reads(".note.model", "No model is configured")
	a.click(".chainlink")
	for _, want := range []string{"Alice Archer signed in", "Token for the MCP server", "the signature", "Token exchanged", "all of which the person may see"} {
		a.reads("#chain", want)
	}
	a.accessible("the chain")
	if strings.Contains(a.text("#chain"), "eyJ") {
		t.Error("the chain shows a token")
	}
	a.do(chromedp.KeyEvent("\u001b"))
	a.until(`!document.querySelector("#chain").open && document.activeElement.matches(".chainlink")`)
	a.click(".call summary")
	a.reads(".inside", `"query": "salary budget roadmap handbook"`)
	a.accessible("a call unfolded")
	a.click(".cite")
	a.until(`document.querySelector(":target .source")`)
	a.open("/me")
	a.reads("main", "a11ce000-0000-4000-8000-00000000000a")
	a.accessible("who am I here")
	if strings.Contains(a.text("main"), "eyJ") {
		t.Error("the page shows a token")
	}
}

func TestAskFirst(t *testing.T) {
	s := start(t, options{})
	w := s.window()
	w.signIn(alice)
	w.ask("roadmap")
	w.reads(".card.ask .saying", "Searches the company's documents")
	w.accessible("a call that asks")
	w.click(`.card.ask [value="deny"]`)
	w.answered()
	w.reads(".call", "was not run")
	w.ask("roadmap again")
	w.click(`.card.ask [value="allow-always"]`)
	w.answered()
	if len(w.sources()) == 0 {
		t.Error("no sources")
	}
	w.ask("roadmap once more")
	w.answered() // without asking
	if len(w.sources()) == 0 {
		t.Error("no sources")
	}
}

// Copy, ask again, delete, and several conversations beside one another.
func TestConversations(t *testing.T) {
	s := start(t, options{web: unasked})
	w := s.window()
	w.signIn(alice)
	w.ask("roadmap")
	w.answered()
	eval[bool](w, `navigator.clipboard.write = async (items) => { window.copied = await (await items[0].getType("text/plain")).text(); }; true`)
	w.click("[data-copy-text]")
	w.until(`window.copied?.includes("Roadmap")`)
	w.reads("[data-copy-text]", "Copied")
	eval[bool](w, `window.last = document.querySelector(".message:last-child").id; true`)
	w.click(".retry button")
	w.until(`document.querySelector(".message.assistant:last-child")?.id !== window.last`)
	w.answered()
	first := eval[string](w, "location.pathname")
	w.click(".new")
	w.see(".empty")
	w.ask("handbook")
	w.answered()
	if listed := eval[[]string](w, `[...document.querySelectorAll(".items .title")].map(e => e.innerText).sort()`); !slices.Equal(listed, []string{"handbook", "roadmap"}) {
		t.Errorf("listed are %q", listed)
	}
	other := eval[string](w, "location.pathname")
	w.click("[aria-label^=Delete]")
	w.click("#delete .danger")
	w.see(".empty")
	w.open(other)
	w.reads("main", "There is no such page")
	w.open(first)
	w.reads(".bubble", "roadmap")
	w.open("/me")
	w.click("[popovertarget=forget]")
	w.click("#forget .danger")
	w.reads("main", "None is kept.")
}

// Where only ids are kept, an older answer shows them, and fetches its sources again as the person, who confirms the call
// that she had to allow before.
func TestOnlyIdsAreKept(t *testing.T) {
	s := start(t, options{web: []string{"--history", "ids-only"}})
	w := s.window()
	w.signIn(alice)
	w.ask("roadmap")
	w.click(`.card.ask [value="allow"]`)
	w.answered()
	conversation := eval[string](w, "location.pathname")
	w.reads(".source", "What engineering builds")
	w.openUntil(conversation, ".refetch") // when it has left the desk
	if text := w.text("#log"); strings.Contains(text, "What engineering builds") {
		t.Errorf("what came from a document was kept: %s", text)
	}
	w.accessible("only ids are kept")
	w.click(".refetch button")
	w.reads(".card.ask pre", "roadmap")
	w.accessible("calls to confirm")
	w.click(`.card.ask [name="confirm"][value=""]`)
	w.click(".refetch button")
	w.click(".card.ask button.main")
	w.reads(".source", "What engineering builds")
}

// A page that nobody sees does not watch, and shows what has happened meanwhile when somebody looks again.
func TestHiddenPage(t *testing.T) {
	s := start(t, options{web: unasked})
	w := s.window()
	w.signIn(alice)
	w.ask("roadmap")
	w.answered()
	hide := func(hidden string) {
		eval[bool](w, `Object.defineProperty(document, "hidden", {value: `+hidden+`, configurable: true}); document.dispatchEvent(new Event("visibilitychange")); true`)
	}
	hide("true")
	eval[bool](w, `(async () => {
		const at = document.querySelector("#ask").dataset.api, headers = {"Content-Type": "application/json", "X-CSRF-Token": document.querySelector("meta[name=csrf]").content};
		await fetch(at, {method: "POST", headers, body: JSON.stringify({text: "handbook"})});
		while ((await (await fetch(at.replace("/messages", ""))).json()).state !== "idle") await new Promise((soon) => setTimeout(soon, 50));
		window.elsewhere = true;
	})(); true`)
	w.until("window.elsewhere")
	if n := eval[int](w, `document.querySelectorAll(".message.user").length`); n != 1 {
		t.Errorf("a hidden page watches: %d questions", n)
	}
	hide("false")
	w.until(`document.querySelectorAll(".message.user").length === 2`)
	w.answered()
}

// All by the keyboard alone: sign in, ask, look at how it was done, go back, sign out.
func TestKeyboardAlone(t *testing.T) {
	s := start(t, options{web: unasked})
	w := s.window()
	w.open("/")
	w.see(".hero")
	w.press("\t")
	if !eval[bool](w, `document.activeElement.matches(".skip")`) {
		t.Error("the first thing that Tab reaches is not the skip link")
	}
	w.tabTo(".hero button.main")
	w.press("\r")
	w.see(person(alice))
	w.tabTo(person(alice))
	w.press("\r")
	w.see("#question")
	w.until(`document.activeElement.id === "question"`)
	w.press("the roadmap")
	w.do(chromedp.KeyEvent("\r", chromedp.KeyModifiers(8))) // Shift: a new line
	w.press("and more\r")
	w.answered()
	if text := w.text(".bubble"); text != "the roadmap\nand more" {
		t.Errorf("the question is %q", text)
	}
	w.tabTo(".chainlink")
	w.press("\r")
	w.reads("#chain", "Token exchanged")
	w.until(`document.activeElement.closest("#chain")`)
	w.press("\u001b")
	w.until(`document.activeElement.matches(".chainlink")`)
	w.tabTo(".source summary")
	w.press("\r")
	w.see(".source[open]")
	w.tabTo("[aria-label^=Delete]")
	w.press("\r")
	w.see("#delete")
	w.press("\u001b")
	w.until(`!document.querySelector("#delete").matches(":popover-open") && document.activeElement.matches("[aria-label^=Delete]")`)
	w.tabTo(".account")
	w.press("\r")
	w.tabTo("#account form button")
	w.press("\r")
	w.reads(".note", "You are signed out.")
}

func (w *window) press(keys string) {
	w.t.Helper()
	w.painted()
	w.do(chromedp.KeyEvent(keys))
}

// tabTo goes on with the Tab key until the focus is where it should be, and is to be seen there.
func (w *window) tabTo(selector string) {
	w.t.Helper()
	const most = 80
	for range most {
		w.press("\t")
		if w.focused(selector) {
			return
		}
	}
	w.t.Fatalf("Tab does not reach %s\n%s", selector, w.state())
}

func (w *window) focused(selector string) bool {
	w.t.Helper()
	at := eval[string](w, `(() => {
		const e = document.activeElement;
		if (!e || e === document.body) return "";
		const box = e.getBoundingClientRect(), style = getComputedStyle(e);
		if (box.width > 0 && (box.bottom < 0 || box.top > innerHeight)) return "outside of the window: " + e.outerHTML;
		if (e.matches(":focus-visible") && style.outlineStyle === "none" && !e.matches("textarea, main, .panel-body")) return "not to be seen: " + e.outerHTML;
		return e.matches(`+"`"+selector+"`"+`) ? "here" : "";
	})()`)
	if at != "" && at != "here" {
		w.t.Errorf("the focus is %s", at)
	}
	return at == "here"
}

// From a telephone to a wall, in light and dark, nothing is wider than its window.
func TestEveryWidth(t *testing.T) {
	s := start(t, options{web: unasked})
	w := s.window()
	w.signIn(alice)
	w.ask("averyveryveryverylongwordthatdoesnotendwhereawordshouldandgoesonandonandon roadmap")
	w.answered()
	w.click(".call summary")
	for _, width := range []int64{phone, 600, 820, 1100, 2000} {
		w.size(width, 800)
		w.fits("an answer")
	}
	w.size(phone, 740)
	w.prefer("prefers-color-scheme", "dark")
	w.accessible("dark and narrow")
	w.click(".chainlink")
	w.reads("#chain", "Token exchanged")
	w.fits("the chain")
	w.accessible("the chain, dark and narrow")
	w.click("#chain .close")
	w.click(".menu-button")
	w.see(".items a")
	w.accessible("the list, dark and narrow")
	w.press("\u001b")
	for _, path := range []string{"/me", "/nowhere", "/"} {
		w.open(path)
		w.see("main h1")
		w.fits(path)
		w.accessible(path + ", dark and narrow")
	}
}

// What a page with scripts does, one without does by forms.
func TestWithoutScripts(t *testing.T) {
	s := start(t, options{})
	w := s.window()
	w.scripts(false)
	w.signIn(alice)
	w.do(chromedp.SendKeys("#question", "roadmap"), chromedp.Click(".send"), chromedp.WaitVisible("#log"))
	w.reloadUntil(".card.ask")
	w.click(`.card.ask [value="allow"]`)
	w.do(chromedp.WaitNotPresent(".card.ask"))
	w.reloadUntil(".source")
	w.click(".chainlink")
	w.see(".hops")
	w.click(".back a")
	w.click("[aria-label^=Delete]")
	w.click("#delete .danger")
	w.see(".empty")
}
