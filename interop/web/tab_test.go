//go:build e2e

package web

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/interop/toolchain"
)

// browser is one Chromium for all tests; it ends with the process.
var browser struct {
	once sync.Once
	ctx  context.Context
}

func openBrowser(t *testing.T) context.Context {
	t.Helper()
	browser.once.Do(func() {
		chromium := toolchain.Debian(t, "chromium", "chromium")
		ctx, _ := chromedp.NewExecAllocator(context.Background(), chromedp.ExecPath(chromium), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
			chromedp.Headless, chromedp.NoSandbox, chromedp.IgnoreCertErrors, chromedp.WSURLReadTimeout(patience))
		ctx, _ = chromedp.NewContext(ctx)
		if err := chromedp.Do(ctx); err != nil {
			t.Fatal(err)
		}
		browser.ctx = ctx
	})
	if browser.ctx == nil {
		t.Fatal("there is no browser")
	}
	return browser.ctx
}

func TestMain(m *testing.M) {
	code := m.Run()
	if browser.ctx != nil {
		_ = chromedp.Cancel(browser.ctx)
	}
	if path, err := program(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// window is a browser window with cookies of its own, in which a person works at one page.
type window struct {
	t     *testing.T
	ctx   context.Context
	stack *stack

	mu      sync.Mutex
	trouble []string // dialogs, exceptions, what the content security policy stopped
}

const desktop, phone = 1280, 360

func (s *stack) window() *window {
	s.t.Helper()
	ctx, cancel := chromedp.NewContext(openBrowser(s.t), chromedp.WithNewBrowserContext())
	s.t.Cleanup(cancel)
	w := &window{t: s.t, ctx: ctx, stack: s}
	if err := chromedp.Listen(ctx, w.hear); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, text := range w.trouble {
			s.t.Errorf("the browser says: %s", text)
		}
	})
	w.size(desktop, 800)
	return w
}

// hear takes down what must not happen on any page.
func (w *window) hear(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case *page.EventJavascriptDialogOpening:
		w.trouble = append(w.trouble, "dialog: "+e.Message)
		go func() {
			_ = chromedp.Do(w.ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
				_, err := cdp.Call(ctx, target, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{})
				return err
			}))
		}()
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		w.trouble = append(w.trouble, "exception: "+text)
	case *log.EventEntryAdded:
		if e.Entry.Source == "security" || strings.Contains(e.Entry.Text, "Content Security Policy") {
			w.trouble = append(w.trouble, "security: "+e.Entry.Text)
		}
	}
}

func (w *window) do(steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	for _, step := range steps {
		if err := chromedp.Do(ctx, step); err != nil {
			w.t.Fatalf("%v\n%s", err, w.state())
		}
	}
}

// state says where the window is, for who reads of a failure.
func (w *window) state() string {
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

func (w *window) size(width, height int64) {
	w.t.Helper()
	w.do(chromedp.EmulateViewport(width, height))
}

// prefer sets what the person prefers, such as dark colours.
func (w *window) prefer(name, value string) {
	w.t.Helper()
	w.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: name, Value: value}}})
		return err
	}))
}

func (w *window) open(path string) {
	w.t.Helper()
	w.do(chromedp.Navigate(w.stack.URL + path))
}

// openUntil opens a page again and again, until it shows something.
func (w *window) openUntil(path, selector string) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		w.open(path)
		w.see("main h1")
		if eval[bool](w, fmt.Sprintf("!!document.querySelector(%q)", selector)) {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s does not come\n%s", selector, w.state())
		}
		w.open("/") // so that the page before is gone
	}
}

func (w *window) click(selector string) {
	w.t.Helper()
	w.do(chromedp.WaitVisible(chromedp.CSS(selector)))
	w.painted()
	w.do(chromedp.Click(chromedp.CSS(selector)))
}

// painted waits until a page is whole and shown: before that what is clicked may still move, and the browser drops what comes
// from mouse and keyboard.
func (w *window) painted() {
	w.t.Helper()
	w.until(`document.readyState === "complete" && performance.getEntriesByName("first-contentful-paint").length`)
}

func (w *window) see(selector string) {
	w.t.Helper()
	w.do(chromedp.WaitVisible(chromedp.CSS(selector)))
}

// text is what an element shows, once it is there.
func (w *window) text(selector string) string {
	w.t.Helper()
	w.see(selector)
	return eval[string](w, fmt.Sprintf("document.querySelector(%q).innerText", selector))
}

// reads waits until an element shows the words.
func (w *window) reads(selector, words string) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		text := eval[string](w, fmt.Sprintf("[...document.querySelectorAll(%q)].map(e => e.innerText).join('\\n')", selector))
		if strings.Contains(text, words) {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s does not say %q but %q\n%s", selector, words, text, w.state())
		}
	}
}

func eval[T any](w *window, script string, options ...chromedp.EvaluateOption) T {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, options...))
	if err != nil {
		w.t.Fatalf("%s: %v", script, err)
	}
	return value
}

func person(id string) string { return fmt.Sprintf(`button[value=%q]`, id) }

// signIn signs a person in by the real pages.
func (w *window) signIn(id string) {
	w.t.Helper()
	w.open("/")
	w.click(".hero button.main")
	w.click(person(id))
	w.see("#question")
}

// enter presses the Enter key, as a keyboard does: no character comes of it when the page takes the key for itself.
func (w *window) enter() {
	w.t.Helper()
	w.painted()
	w.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		key := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 13, Text: "\r"}
		if _, err := cdp.Call(ctx, target, input.DispatchKeyEvent, key); err != nil {
			return err
		}
		key.Type, key.Text = input.DispatchKeyEventTypeKeyUp, ""
		_, err := cdp.Call(ctx, target, input.DispatchKeyEvent, key)
		return err
	}))
}

// ask types a question and sends it by the Enter key.
func (w *window) ask(question string) {
	w.t.Helper()
	w.see("#question")
	if strings.Contains(question, "\n") { // as one pastes it: a typed line would end with Enter
		w.do(chromedp.SetValue("#question", question), chromedp.Focus("#question"))
	} else {
		w.do(chromedp.SendKeys("#question", question))
	}
	w.send()
}

// send sends what is in the box by the Enter key, and waits until it stands in the conversation.
func (w *window) send() {
	w.t.Helper()
	before := eval[int](w, `document.querySelectorAll(".message.user").length`)
	w.enter()
	w.until(fmt.Sprintf(`document.querySelectorAll(".message.user").length > %d && !document.querySelector("#question").value`, before))
}

// until waits until a condition is true in the page, whichever page that is by then.
func (w *window) until(condition string) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+condition+")"))
		cancel()
		if err == nil && ok {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s does not come true: %v\n%s", condition, err, w.state())
		}
	}
}

// answered waits until the last answer has ended.
func (w *window) answered() {
	w.t.Helper()
	w.until(`document.querySelector("main").dataset.state === "idle" && document.querySelector(".message.assistant:last-child .actions")`)
}

func (w *window) sources() []string {
	w.t.Helper()
	return eval[[]string](w, `[...document.querySelectorAll(".message:last-child .source b")].map(e => e.innerText)`)
}

// fits looks whether nothing is wider than the window.
func (w *window) fits(state string) {
	w.t.Helper()
	if wide := eval[[]int](w, "[document.documentElement.scrollWidth, innerWidth]"); wide[0] > wide[1] {
		w.t.Errorf("%s: the page is %d pixels wide in a window of %d", state, wide[0], wide[1])
	}
}

// axePackage checks pages for what keeps people with disabilities out.
const axePackage = "axe-core@4.14.1"

var axe = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile(axeFile)
	return string(text), err
})

var axeFile string

// accessible runs axe-core and fails for what is serious.
func (w *window) accessible(state string) {
	w.t.Helper()
	if axeFile == "" {
		axeFile = filepath.Join(toolchain.NPM(w.t, axePackage), "node_modules", "axe-core", "axe.min.js")
	}
	script, err := axe()
	if err != nil {
		w.t.Fatal(err)
	}
	eval[bool](w, script+"; true")
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	found, err := chromedp.Run(ctx, chromedp.Evaluate[string](
		`axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations.map(v => ({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.map(n => n.html + " " + n.failureSummary)}))))`,
		chromedp.EvalAwaitPromise))
	if err != nil {
		w.t.Fatal(err)
	}
	var violations []struct {
		ID, Impact, Help string
		Nodes            []string
	}
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		w.t.Fatal(err)
	}
	for _, v := range violations {
		text := fmt.Sprintf("%s: %s: %s (%s)\n%s", state, v.Impact, v.Help, v.ID, strings.Join(v.Nodes, "\n"))
		if v.Impact == "serious" || v.Impact == "critical" {
			w.t.Error(text)
		} else {
			w.t.Log(text)
		}
	}
}

// The people of the sample tenant, by their buttons.
const alice, bob, carol, dana, adele = entraserver.Alice, entraserver.Bob, entraserver.Carol, entraserver.Dana, entraserver.Adele
