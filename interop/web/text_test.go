//go:build e2e

package web

import (
	"context"
	"fmt"
	"strings"
	"testing"

	browserdomain "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// copied puts a text, made by an expression, on the clipboard.
func (w *window) copied(expression string) {
	w.t.Helper()
	w.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, browserdomain.SetPermission, browserdomain.SetPermissionParams{
			Permission: &browserdomain.PermissionDescriptor{Name: "clipboard-write", AllowWithoutSanitization: true}, Setting: browserdomain.PermissionSettingGranted,
			BrowserContextID: chromedp.FromContext(ctx).BrowserContextID,
		})
		return err
	}))
	eval[bool](w, "window.copied = false; navigator.clipboard.writeText("+expression+").then(() => { window.copied = true; }); true")
	w.until("window.copied")
}

// paste puts what is copied into the box, as Ctrl+V does.
func (w *window) paste() {
	w.t.Helper()
	w.do(chromedp.Focus("#question"), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		key := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeRawKeyDown, Modifiers: 2, Key: "v", Code: "KeyV", WindowsVirtualKeyCode: 'V', Commands: []string{"paste"}}
		if _, err := cdp.Call(ctx, target, input.DispatchKeyEvent, key); err != nil {
			return err
		}
		key.Type, key.Commands = input.DispatchKeyEventTypeKeyUp, nil
		_, err := cdp.Call(ctx, target, input.DispatchKeyEvent, key)
		return err
	}))
}

func (w *window) box() int {
	w.t.Helper()
	return eval[int](w, `document.querySelector("#question").value.length`)
}

// A text that is too long is said to be, and stays; one that no box carries well is not put in, and nothing else is lost.
func TestTooLongAText(t *testing.T) {
	s := start(t, options{web: unasked})
	w := s.window()
	w.signIn(alice)
	for _, where := range []string{"a new conversation", "one that goes on"} {
		w.do(chromedp.SendKeys("#question", "before "))
		w.copied(`"a".repeat(10 << 20)`)
		w.paste()
		w.reads("#problem", "10,485,760 characters")
		if n := w.box(); n != len("before ") {
			t.Errorf("%s: %d characters are in the box", where, n)
		}
		w.accessible("a text that is far too long")
		w.copied(`"b".repeat(64 << 10)`)
		w.paste()
		w.reads(".room", "49,543 characters too long")
		w.enter()
		w.reads("#problem", "It was not sent")
		w.accessible("a text that is too long")
		if n := w.box(); n != 64<<10+len("before ") {
			t.Errorf("%s: %d characters are in the box", where, n)
		}
		w.do(chromedp.Reload())
		w.see("#question")
		if n := w.box(); n != 64<<10+len("before ") {
			t.Errorf("%s, loaded again: %d characters are in the box", where, n)
		}
		w.clear()
		w.copied(`"\u{1f600}".repeat(16001)`)
		w.paste()
		w.reads(".room", "1 characters too long")
		w.clear()
		w.copied(`"\u{1f600}".repeat(16000)`)
		w.paste()
		w.reads(".room", "0 characters left")
		w.send()
		w.answered()
		if n := eval[int](w, `[...document.querySelectorAll(".bubble")].at(-1).innerText.length`); n != 32_000 {
			t.Errorf("%s: %d halves of characters were asked", where, n)
		}
	}
}

// clear empties the box, as Ctrl+A and Delete do.
func (w *window) clear() {
	w.t.Helper()
	eval[bool](w, `document.querySelector("#question").select(); document.execCommand("delete")`)
	if n := w.box(); n != 0 {
		w.t.Fatalf("%d characters are still in the box", n)
	}
}

// Without scripts, too, nobody loses what they typed: what comes back is in the box, or still where it was.
func TestTooLongATextWithoutScripts(t *testing.T) {
	s := start(t, options{web: unasked})
	w := s.window()
	w.signIn(alice)
	w.scripts(false)
	w.open("/")
	set := func(expression string) {
		eval[bool](w, `document.querySelector("#question").value = `+expression+`; document.querySelector("#ask").submit(); true`)
	}
	set(`"a".repeat(2 << 20)`)
	w.reads("main", "It has more than 1 MB")
	eval[bool](w, "history.back(); true")
	w.until(`document.querySelector("#question")?.value.length === 2 << 20`)
	set(`"b".repeat(64 << 10)`)
	w.reads(".note.bad", "A question has at most 16000 characters.")
	if n := w.box(); n != 64<<10 {
		t.Errorf("%d characters are in the box", n)
	}
}

// Who is signed out while typing finds the text again: in the conversation, in a new one, and where the conversation ended
// with the server.
func TestTextOutlivesTheSession(t *testing.T) {
	s := start(t, options{model: scripted(t), web: unasked})
	w := s.window()
	w.signIn(alice)
	typed := strings.Repeat("a long question ", 10)
	kept := func(where string) {
		t.Helper()
		w.see("#question")
		if got := eval[string](w, `document.querySelector("#question").value`); got != typed {
			t.Errorf("%s: the box holds %q", where, got)
		}
	}
	endSession := func() { // as time does, or another sign-in too many
		eval[bool](w, `fetch("/signout", {method: "POST", headers: {"Content-Type": "application/x-www-form-urlencoded"}, body: "csrf=" + encodeURIComponent(document.querySelector("meta[name=csrf]").content)}).then(() => window.ended = true); true`)
		w.until("window.ended")
	}
	w.do(chromedp.SendKeys("#question", typed))
	endSession()
	w.enter()
	w.reads("#problem", "What you typed stays in this tab")
	w.accessible("signed out while typing")
	w.click("#problem a")
	w.backThroughEntra()
	kept("a new conversation")
	w.clear()

	w.ask("say hello")
	w.answered()
	conversation := eval[string](w, "location.pathname")
	w.do(chromedp.SendKeys("#question", typed))
	s.web.stop()
	s.startWeb()
	w.enter()
	w.reads("#problem", "What you typed stays in this tab")
	w.click("#problem a")
	w.backThroughEntra()
	w.reads("main", "There is no such page") // conversations are in memory here
	w.reads("main", "in the box of a new conversation")
	w.accessible("a conversation that is gone")
	w.click(".hero a.button")
	kept("a conversation that is gone")

	w.open(conversation)
	w.open("/me")
	w.open("/")
	kept("elsewhere meanwhile")
	w.click(".account")
	w.click("#account form button")
	w.reads(".note", "You are signed out.")
	if n := eval[int](w, "sessionStorage.length"); n != 0 {
		t.Errorf("after the sign-out %d things are kept", n)
	}
}

// backThroughEntra signs in again where Entra remembers the person.
func (w *window) backThroughEntra() {
	w.t.Helper()
	w.see(".hero button.main")
	eval[bool](w, "window.before = true")
	w.click(".hero button.main")
	w.until(`!window.before && location.protocol === "http:" && document.readyState === "complete" && document.querySelector(".account")`)
}

// Without scripts the text comes back on the page that asks to sign in.
func TestTextOutlivesTheSessionWithoutScripts(t *testing.T) {
	s := start(t, options{web: unasked})
	w := s.window()
	w.scripts(false)
	w.signIn(alice)
	w.do(chromedp.SendKeys("#question", "what I typed"))
	s.web.stop()
	s.startWeb()
	w.click(".send")
	w.see("#kept")
	if got := eval[string](w, `document.querySelector("#kept").value`); got != "what I typed" {
		t.Errorf("kept is %q", got)
	}
	w.scripts(true) // for axe-core
	w.accessible("signed out while typing, without scripts")
}

// Whoever signs out is not asked which account, although another is signed in to this browser as well.
func TestSignOutOfOneAccount(t *testing.T) {
	s := start(t, options{web: unasked})
	w := s.window()
	w.signIn(bob)
	w.open("/")
	w.signInToo(alice)
	w.reads(".account", "Alice")
	w.click(".account")
	w.click("#account form button")
	w.reads(".note", "You are signed out.")
	w.click(".hero button.main")
	w.until(`document.readyState === "complete" && document.querySelector(".account, button[name=person], button[name=session]")`)
	w.reads(".account", "Bob") // he is still signed in at Entra, and now alone
}

// signInToo signs another person in, where one is.
func (w *window) signInToo(id string) {
	w.t.Helper()
	eval[bool](w, `(() => { // the button of the page of who is not signed in: its session is over, Entra's is not
		const form = document.createElement("form");
		form.method = "post";
		form.action = "/signin";
		for (const [name, value] of [["csrf", document.querySelector("meta[name=csrf]").content], ["choose", "1"]]) {
			const field = document.createElement("input");
			Object.assign(field, {type: "hidden", name, value});
			form.append(field);
		}
		document.body.append(form);
		form.submit();
		return true;
	})()`)
	w.click(`button[name="another"]`)
	w.click(person(id))
	w.see("#question")
}

// The icon that browsers ask for on their own is there, here and at Entra.
func TestIcons(t *testing.T) {
	s := start(t, options{})
	w := s.window()
	for _, base := range []string{s.URL + "/", s.Env["AZURE_AUTHORITY_HOST"]} {
		w.do(chromedp.Navigate(base))
		eval[bool](w, fmt.Sprintf(`(() => {
			const icon = new Image();
			icon.onload = () => { window.icon = icon.naturalWidth > 0; };
			icon.src = %q;
			return true;
		})()`, base+"favicon.ico"))
		w.until("window.icon")
	}
}
