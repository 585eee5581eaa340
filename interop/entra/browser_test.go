//go:build interop

package entra_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/interop/toolchain"
)

// tab is a browser tab as narrow as a telephone.
type tab struct {
	t   *testing.T
	ctx context.Context
}

const narrow = 360

func newTab(t *testing.T, scripts bool) tab {
	t.Helper()
	chromium := toolchain.Debian(t, "chromium", "chromium")
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), chromedp.ExecPath(chromium), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Headless, chromedp.NoSandbox, chromedp.IgnoreCertErrors)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	page := tab{t, ctx}
	if err := chromedp.Do(ctx); err != nil { // the browser lives as long as this context
		t.Fatal(err)
	}
	page.do(chromedp.EmulateViewport(narrow, 740))
	if !scripts {
		page.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
			return err
		}))
	}
	return page
}

func (p tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		title, _ := chromedp.Run(p.ctx, chromedp.Title())
		p.t.Fatalf("%v on the page %q", err, title)
	}
}

// see waits for an element and looks whether the page fits.
func (p tab) see(selector string) {
	p.t.Helper()
	p.do(chromedp.WaitVisible(selector))
	width, err := chromedp.Run(p.ctx, chromedp.Evaluate[int]("document.documentElement.scrollWidth"))
	if err != nil || width > narrow {
		p.t.Errorf("at %s the page is %d pixels wide: %v", selector, width, err)
	}
}

func (p tab) text(selector string) string {
	p.t.Helper()
	text, err := chromedp.Run(p.ctx, chromedp.Text(selector))
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

func person(id string) string { return fmt.Sprintf(`button[value=%q]`, id) }

// A person at a telephone whose browser runs no scripts signs a device in: refused, blocked, with MFA and consent.
func TestBrowserWithoutScripts(t *testing.T) {
	e := entratest.Start(t, nil)
	e.Policy(entraserver.Policies{Rules: []entraserver.Rule{
		{Name: "mfa", Require: "mfa", People: []string{"alice"}}, {Name: "block", Require: "block", People: []string{"bob"}},
	}})
	form := url.Values{"client_id": {e.WebClient}, "scope": {"https://search.azure.com/user_impersonation"}}
	answer, err := e.Client().PostForm(e.Authority()+"/oauth2/v2.0/devicecode", form)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var device struct {
		UserCode   string `json:"user_code"`
		DeviceCode string `json:"device_code"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&device); err != nil {
		t.Fatal(err)
	}

	p := newTab(t, false)
	p.do(chromedp.Navigate(e.URL + "/devicelogin"))
	p.see("#otc")
	p.do(chromedp.SendKeys("#otc", strings.ToLower(device.UserCode)), chromedp.Click("button.main"))
	p.see(person(entraserver.Erin))
	p.do(chromedp.Click(person(entraserver.Erin)))
	p.see(".note.bad")
	p.do(chromedp.Click(person(entraserver.Bob)))
	p.see(".facts")
	if text := p.text("main"); !strings.Contains(text, "AADSTS53003") {
		t.Errorf("bob is told %q", text)
	}
	p.do(chromedp.Click("button.main"))
	p.see(person(entraserver.Alice))
	p.do(chromedp.Click(person(entraserver.Alice)))
	p.see(".number")
	p.do(chromedp.Click("button.main"))
	p.see(".permissions")
	p.do(chromedp.Click("button.main"))
	p.see(".facts")
	p.do(chromedp.Click("button.main"))
	p.see(".note.good")

	status, body := e.Token(url.Values{"grant_type": {"device_code"}, "client_id": {e.WebClient}, "device_code": {device.DeviceCode}})
	if status != http.StatusOK {
		t.Errorf("the device gets %d %s", status, body)
	}
	p.do(chromedp.Navigate(e.Authority() + "/oauth2/v2.0/logout"))
	p.see("button.main") // bob is signed in too
	p.do(chromedp.Click("button.main"))
	p.see(".note.good")
}

// The one script there is sends the person back by form_post, from https to a server of the application on http, which
// sends her on to another origin: none of it may be stopped by the pages' content security policy.
func TestBrowserComesBackByFormPost(t *testing.T) {
	e := entratest.Start(t, nil)
	arrived := make(chan url.Values, 2)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<p id="there">there</p>`)
	}))
	defer elsewhere.Close()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" && r.ParseForm() == nil {
			arrived <- r.Form
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		}
	}))
	defer app.Close()
	redirect := strings.Replace(app.URL, "127.0.0.1", "localhost", 1)
	for _, mode := range []string{"form_post", "query"} {
		q := url.Values{
			"client_id": {e.WebClient}, "response_type": {"code"}, "response_mode": {mode}, "redirect_uri": {redirect}, "prompt": {"select_account"},
			"scope": {"api://" + e.API + "/execute"}, "state": {mode},
		}
		p := newTab(t, true)
		p.do(chromedp.Navigate(e.Authority() + "/oauth2/v2.0/authorize?" + q.Encode()))
		p.see(person(entraserver.Alice))
		p.do(chromedp.Click(person(entraserver.Alice)), chromedp.WaitVisible("#there"))
		if got := <-arrived; got.Get("code") == "" || got.Get("state") != mode {
			t.Errorf("%s: came back with %v", mode, got)
		}
	}
}
