//go:build e2e

package web

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

func (w *window) scripts(on bool) {
	w.t.Helper()
	w.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	}))
}

// reloadUntil loads the page again until it shows something.
func (w *window) reloadUntil(selector string) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		w.do(chromedp.WaitReady("main"))
		if nodes, err := chromedp.Run(w.ctx, chromedp.Nodes(selector, chromedp.AtLeast(0))); err == nil && len(nodes) > 0 {
			return
		}
		w.do(chromedp.Reload())
	}
	w.t.Fatalf("%s does not come\n%s", selector, w.state())
}

// A model that fails, hangs, asks for a tool that there is not, or talks for long.
func TestModelsInTrouble(t *testing.T) {
	model, goOn := scriptedAndHeld(t)
	s := start(t, options{model: model, web: unasked})
	w := s.window()
	w.signIn(alice)
	if eval[bool](w, `!!document.querySelector(".note.model")`) {
		t.Error("a model is configured, and the page says that none is")
	}

	w.ask("fail now")
	w.see(".message.failed")
	w.answered()
	if text := w.text(".message.failed"); strings.Contains(text, "the secret reason") {
		t.Errorf("the model's own words for its failure are shown: %s", text)
	}
	w.accessible("a model that fails")

	w.ask("hang please")
	w.reads(".message:last-child .text", "One moment")
	w.click(".stop")
	w.answered()
	w.see(".message.stopped")
	w.accessible("stopped")

	w.ask("ghost tool")
	w.answered()
	w.reads(".message:last-child .text", "There is no such tool.")
	w.reads(".call.failed", "failed")

	w.ask("look roadmap")
	w.answered()
	if eval[bool](w, `!!document.querySelector(".message:last-child .note.bad")`) {
		t.Errorf("a whole answer counts as failed: %s", w.text(".message:last-child"))
	}
	w.click(".message:last-child .cite")
	w.until(`document.querySelector(":target .source")?.innerText.includes("Roadmap")`)

	w.ask("held answer")
	w.reads(".message:last-child .text", "word3")
	w.until(`document.querySelector("main").dataset.state === "running"`)
	w.reads("#live", "The answer begins.")
	goOn()
	w.answered()
	w.reads(".message:last-child .text", "word29")
	w.reads("#live", "word29")

	w.size(desktop, 400)
	w.ask("held once more")
	w.reads(".message:last-child .text", "word3")
	w.until("scrollY > 100") // at the end
	eval[bool](w, "scrollTo(0, 0); true")
	goOn()
	w.answered()
	if at := eval[float64](w, "scrollY"); at != 0 {
		t.Errorf("who reads above is taken to the end: at %v", at)
	}
}

// The server is restarted while an answer comes: the page says so, the person signs in with a click, and asks again.
func TestRestartInMidStream(t *testing.T) {
	s := start(t, options{model: scripted(t), web: unasked, history: true})
	w := s.window()
	w.signIn(alice)
	w.ask("hang please")
	w.reads(".message:last-child .text", "One moment")
	s.web.stop()
	w.reads("#link", "Connection lost")
	s.startWeb()
	w.reads("#problem", "You are signed out here.")
	w.accessible("signed out by a restart")
	w.click("#problem a")
	w.throughEntra(".hero button.main", alice)
	w.reads(".message.stopped", "restarted in the middle of this answer")
	w.reads(".message.stopped .text", "One moment")
	w.ask("slow again")
	w.answered()
	w.reads(".message:last-child .text", "word29")
}

// Nothing that a document, a name or a model says runs or stands in the page as anything but text. The window fails for
// each dialog, and for each thing that only the content security policy stopped.
func TestHostileWords(t *testing.T) {
	const image = `<img src=x onerror=alert(1)>`
	s := start(t, options{
		model: scripted(t), web: unasked,
		people: `{"name":"<img src=x onerror=alert(2)>","upn":"mallory@contoso.example","oid":"c4030000-0000-4000-8000-000000000001"}` + "\n",
	})
	s.document(map[string]any{"id": "evil", "name": image + "hostileword", "content": `hostileword "><script>alert(3)</script><svg onload=alert(4)> [x](javascript:alert(5)) ![y](http://127.0.0.1:1/steal)`, "section": "x", "size": 1})
	w := s.window()
	w.signIn("c4030000-0000-4000-8000-000000000001")
	w.reads(".account", "<img src=x onerror=alert(2)>")
	w.ask("look hostileword")
	w.answered()
	w.reads(".source b", image)
	w.click(".message:last-child .source summary")
	w.click(".call summary")
	for _, text := range []string{
		image, `<script>alert(6)</script>`, `<a href="javascript:alert(7)">x</a>`, `[x](javascript:alert(8)) [y](data:text/html;base64,PHNjcmlwdD5hbGVydCg5KTwvc2NyaXB0Pg==)`,
		"![z](http://127.0.0.1:1/steal)", `<style>body{display:none}</style><iframe srcdoc="<script>alert(10)</script>"></iframe>`, `<form action="https://evil.example"><input name=q></form>`,
		"[1](http://x.example/\" onmouseover=\"alert(11))", "<svg><use href=\"data:image/svg+xml,x#a\"/></svg>", "```html\n<script>alert(12)</script>\n```",
	} {
		w.ask("say " + text)
		w.answered()
	}
	if found := eval[[]string](w, `[...document.querySelectorAll("#log img, #log script, #log style, #log iframe, #log object, #log svg:not(.icon), #log a:not(.cite):not(.chainlink)[href^='javascript:'], #log form:not([action^='/'])")].map(e => e.outerHTML)`); len(found) > 0 {
		t.Errorf("in the page: %q", found)
	}
	if asked := eval[[]string](w, `performance.getEntriesByType("resource").map(e => e.name).filter(n => !n.startsWith(location.origin))`); len(asked) > 0 {
		t.Errorf("the page asked others: %q", asked)
	}
	w.open("/me")
	w.see("main h1")
}
