//go:build e2e

package web

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// listen takes down what a screen reader is told from now on.
func (w *window) listen() {
	w.t.Helper()
	eval[bool](w, `window.said = []; new MutationObserver((changes) => { for (const c of changes) for (const n of c.addedNodes) said.push(n.textContent); }).observe(document.querySelector("#live"), {childList: true}); true`)
}

// A screen reader is told of an answer, its text once and in sentences rather than word by word, and of what asks.
func TestAnnouncements(t *testing.T) {
	s := start(t, options{model: scripted(t)})
	w := s.window()
	w.signIn(alice)
	w.ask("say The first answer.") // its page comes when it has begun, or has ended
	w.answered()
	for _, want := range []string{"The first answer.", "The answer has ended."} {
		w.until("document.querySelector('#live').textContent.includes(`" + want + "`)")
	}
	w.listen()
	w.ask("slow answer")
	w.answered()
	w.until(`said.at(-1) === "The answer has ended."`)
	said := eval[[]string](w, "said")
	if all := strings.Join(said, "|"); len(said) > 4 || said[0] != "The answer begins." || strings.Count(all, "word7 ") != 1 || strings.Count(all, "word29") != 1 {
		t.Errorf("said is %q", said)
	}
	w.listen()
	w.ask("look roadmap")
	w.see(".card.ask")
	w.until(`said.some((text) => text.startsWith("May ")) && said.at(-1) === "The answer waits for you."`)
	if live := eval[int](w, `document.querySelectorAll("[aria-live], [role=log], [role=alert], [role=status]").length`); live != 3 {
		t.Errorf("%d parts of the page speak: want what happens, what went wrong, and the connection", live)
	}
}

// By the keyboard alone from the question to a call that asks, its sources, and how it was done: the focus is never lost.
func TestKeyboardThroughACall(t *testing.T) {
	s := start(t, options{})
	w := s.window()
	w.signIn(alice)
	for _, size := range []int64{desktop, phone} { // the panel is beside the conversation, or over it
		w.size(size, 800)
		w.do(chromedp.Focus("#question"))
		w.press("roadmap")
		w.enter()
		w.see(".card.ask")
		w.tabTo(`.card.ask [value="allow"]`)
		w.enter()
		w.answered()
		if eval[bool](w, "document.activeElement === document.body") {
			t.Error("the focus is lost when the call runs")
		}
		w.tabTo(".message:last-child .source summary")
		w.enter()
		w.see(".message:last-child .source[open]")
		if !w.focused(".source summary") {
			t.Error("the focus is lost when a source opens")
		}
		w.tabTo(".chainlink")
		opener := eval[string](w, "document.activeElement.href")
		w.enter()
		w.reads("#chain", "Token exchanged")
		w.until(`document.activeElement.closest("#chain")`)
		w.tabTo("#chain .close")
		w.enter()
		w.until("document.activeElement.href === `" + opener + "` && !document.querySelector('#chain').open")
	}
}

// At 200 % and 400 % of a window of 1280 by 1024 nothing has to be scrolled in two directions (WCAG 1.4.10), and nothing lies
// over what has the focus (2.4.11).
func TestZoom(t *testing.T) {
	s := start(t, options{})
	w := s.window()
	enlarge := func(factor int64) {
		w.do(chromedp.EmulateViewport(1280/factor, 1024/factor, chromedp.EmulateScale(float64(factor))))
	}
	w.open("/")
	w.see(".hero")
	for _, factor := range []int64{2, 4} {
		enlarge(factor)
		w.reflows("who is not signed in")
	}
	w.signIn(alice)
	for _, factor := range []int64{2, 4} {
		enlarge(factor)
		w.open("/")
		w.see("#question")
		w.reflows("a new conversation")
		w.ask("averyveryveryverylongwordthatdoesnotendwhereawordshouldandgoesonandonandon roadmap")
		w.see(".card.ask")
		w.reflows("a call that asks")
		w.click(`.card.ask [value="allow"]`)
		w.answered()
		w.click(".call summary")
		w.reflows("an answer")
		w.click("[aria-label^=Delete]")
		w.see("#delete")
		w.within("#delete")
		w.press("\u001b")
		w.click(".account")
		w.within("#account")
		w.press("\u001b")
		w.click(".chainlink")
		w.reads("#chain", "Token exchanged")
		w.fits("the chain")
		w.accessible("the chain, enlarged")
		w.click("#chain .close")
		w.open("/me")
		w.see("main h1")
		w.reflows("who am I here")
	}
}

// reflows looks whether the page fits, is accessible, and shows what has the focus, all along the Tab key's way.
func (w *window) reflows(state string) {
	w.t.Helper()
	w.fits(state)
	w.accessible(state + ", enlarged")
	const most = 30
	for range most {
		w.press("\t")
		if covered := eval[string](w, `(() => {
			const e = document.activeElement;
			if (!e || e === document.body || e.matches("textarea, main")) return "";
			const box = e.getBoundingClientRect();
			const x = (Math.max(box.left, 0) + Math.min(box.right, innerWidth)) / 2, y = (Math.max(box.top, 0) + Math.min(box.bottom, innerHeight)) / 2;
			const at = document.elementFromPoint(x, y);
			return at && (e.contains(at) || at.contains(e)) ? "" : e.outerHTML.slice(0, 200) + " under " + at?.outerHTML.slice(0, 200);
		})()`); covered != "" {
			w.t.Errorf("%s: not to be seen: %s", state, covered)
		}
	}
}

// within looks whether something lies in the window, all of it.
func (w *window) within(selector string) {
	w.t.Helper()
	if out := eval[bool](w, "(() => { const box = document.querySelector(`"+selector+"`).getBoundingClientRect(); return box.left < 0 || box.top < 0 || box.right > innerWidth || box.bottom > innerHeight; })()"); out {
		w.t.Errorf("%s does not fit", selector)
	}
}

// Nothing moves for who prefers that, and in colours of the person's own what a background says is said by a line.
func TestPreferences(t *testing.T) {
	s := start(t, options{model: scripted(t), web: unasked})
	w := s.window()
	w.signIn(alice)
	w.prefer("prefers-reduced-motion", "reduce")
	w.ask("hang please")
	w.see(".working")
	if n := eval[int](w, "document.getAnimations().length"); n != 0 {
		t.Errorf("%d things move", n)
	}
	w.click(".stop")
	w.answered()
	w.ask("look roadmap")
	w.answered()
	w.prefer("forced-colors", "active")
	w.until(`matchMedia("(forced-colors: active)").matches`)
	w.accessible("colours of the person's own")
	for _, selector := range []string{".items [aria-current]", ".bubble", ".composer", ".send", ".source"} {
		if plain := eval[bool](w, "(() => { const style = getComputedStyle(document.querySelector(`"+selector+"`)); return style.borderTopStyle === 'none' && style.outlineStyle === 'none'; })()"); plain {
			t.Errorf("%s is not set off", selector)
		}
	}
	w.tabTo(".account")
	w.click(".chainlink")
	w.reads("#chain", "Token exchanged")
	w.accessible("the chain, in colours of the person's own")
}
