package entratest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"golang.org/x/net/html"

	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/localhost"
)

// Browser is a person at a browser without scripts. It keeps cookies, and on the sign-in pages does what they ask for:
// sign in, approve MFA, consent, confirm. Pages of others are left as they are.
type Browser struct {
	// Refuse is the name of the button to answer "no" with: "consent", "mfa" or "device". "" agrees to everything.
	Refuse string
	// UserCode is typed where a page asks for a device's code.
	UserCode string

	client *http.Client
	host   string
	person *entraserver.Person
	secret identity.Secret
}

// Page is where a browser has arrived.
type Page struct {
	URL    *url.URL
	Status int
	Body   string
}

// Browser returns a browser of a person ("alice") who has not signed in yet.
func (e *Entra) Browser(person string) *Browser {
	e.tb.Helper()
	p := e.Server.Directory().FindPerson(person)
	if p == nil {
		e.tb.Fatalf("entratest: nobody is called %q", person)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		e.tb.Fatal(err)
	}
	client := e.Client()
	client.Jar = trustworthy{jar}
	return &Browser{client: client, host: strings.TrimPrefix(e.URL, "https://"), person: p, secret: p.Password}
}

// maxSteps ends a walk that goes round in circles.
const maxSteps = 20

// Open goes to an address, walks through the sign-in pages that it leads to, and returns the first other page: that of
// the application, or an error page of the sign-in.
func (b *Browser) Open(address string) (*Page, error) {
	request, err := http.NewRequest(http.MethodGet, address, nil) //nolint:noctx // the client has a timeout
	if err != nil {
		return nil, fmt.Errorf("browser: %w", err)
	}
	return b.Send(request)
}

// Client returns the browser's client, with its cookies, for what a page's scripts send.
func (b *Browser) Client() *http.Client { return b.client }

// Send is [Browser.Open] for any request, such as a form of an application's page.
func (b *Browser) Send(request *http.Request) (*Page, error) {
	for range maxSteps {
		page, err := b.load(request)
		if err != nil {
			return nil, err
		}
		request, err = refreshed(page)
		if err == nil && request == nil && page.URL.Host == b.host {
			request, err = b.answer(page)
		}
		if err != nil {
			return nil, err
		}
		if request == nil {
			return page, nil
		}
	}
	return nil, errors.New("browser: the sign-in does not end")
}

// trustworthy is a jar for which http on this machine is as good as https, as it is for browsers: they accept Secure
// cookies from there.
//
// https://w3c.github.io/webappsec-secure-contexts/#is-origin-trustworthy
type trustworthy struct{ http.CookieJar }

// SetCookies implements [http.CookieJar].
func (t trustworthy) SetCookies(u *url.URL, cookies []*http.Cookie) {
	t.CookieJar.SetCookies(asSecure(u), cookies)
}

// Cookies implements [http.CookieJar].
func (t trustworthy) Cookies(u *url.URL) []*http.Cookie { return t.CookieJar.Cookies(asSecure(u)) }

func asSecure(u *url.URL) *url.URL {
	if u.Scheme != "http" || !localhost.IsLoopbackHost(u.Host) {
		return u
	}
	secure := *u
	secure.Scheme = "https"
	return &secure
}

func (b *Browser) load(request *http.Request) (*Page, error) {
	response, err := b.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("browser: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	const most = 1 << 20
	body, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return nil, fmt.Errorf("browser: %w", err)
	}
	return &Page{response.Request.URL, response.StatusCode, string(body)}, nil
}

// answer returns what the person sends from a sign-in page, or nil when there is nothing to do but read.
func (b *Browser) answer(page *Page) (*http.Request, error) {
	forms, err := formsOf(page.Body)
	if err != nil {
		return nil, fmt.Errorf("browser: %w", err)
	}
	for _, form := range forms {
		values := form.hidden
		switch {
		case form.has("login"):
			values.Set("login", b.person.UPN)
			values.Set("passwd", b.secret.Reveal())
		case form.has("mfa"):
			values.Set("mfa", b.choice("mfa", "approved", "denied"))
		case form.has("consent"):
			values.Set("consent", b.choice("consent", "yes", "no"))
		case form.has("device"):
			values.Set("device", b.choice("device", "yes", "no"))
		case form.has("user_code") && b.UserCode != "":
			values.Set("user_code", b.UserCode)
		case form.has("code") || form.has("error"): // response mode form_post
		default:
			continue
		}
		target, err := page.URL.Parse(form.action)
		if err != nil {
			return nil, fmt.Errorf("browser: %w", err)
		}
		request, err := http.NewRequest(http.MethodPost, target.String(), strings.NewReader(values.Encode())) //nolint:noctx // the client has a timeout
		if err != nil {
			return nil, fmt.Errorf("browser: %w", err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Origin", page.URL.Scheme+"://"+page.URL.Host)
		return request, nil
	}
	return nil, nil
}

func (b *Browser) choice(name, yes, no string) string {
	if b.Refuse == name {
		return no
	}
	return yes
}

// refreshed returns where a page sends every browser by itself, or nil.
//
// https://html.spec.whatwg.org/multipage/semantics.html#attr-meta-http-equiv-refresh
func refreshed(page *Page) (*http.Request, error) {
	root, err := html.Parse(strings.NewReader(page.Body))
	if err != nil {
		return nil, fmt.Errorf("browser: %w", err)
	}
	for node := range root.Descendants() {
		if node.Type != html.ElementNode || node.Data != "meta" || !strings.EqualFold(attribute(node, "http-equiv"), "refresh") {
			continue
		}
		address, ok := strings.CutPrefix(attribute(node, "content"), "0;url=")
		target, err := page.URL.Parse(address)
		if !ok || err != nil {
			continue
		}
		request, err := http.NewRequest(http.MethodGet, target.String(), nil) //nolint:noctx // the client has a timeout
		if err != nil {
			return nil, fmt.Errorf("browser: %w", err)
		}
		return request, nil
	}
	return nil, nil
}

// form is what a page lets a person send.
type form struct {
	action string
	names  map[string]bool // of all its controls
	hidden url.Values
}

func (f form) has(name string) bool { return f.names[name] }

func formsOf(page string) ([]form, error) {
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return nil, err
	}
	var forms []form
	for node := range root.Descendants() {
		if node.Type != html.ElementNode {
			continue
		}
		switch node.Data {
		case "form":
			forms = append(forms, form{attribute(node, "action"), map[string]bool{}, url.Values{}})
		case "input", "button":
			if name := attribute(node, "name"); name != "" && len(forms) > 0 {
				last := forms[len(forms)-1]
				last.names[name] = true
				if attribute(node, "type") == "hidden" {
					last.hidden.Set(name, attribute(node, "value"))
				}
			}
		}
	}
	return forms, nil
}

func attribute(node *html.Node, name string) string {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
