package entraserver

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"html/template"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/entra"
)

//go:embed pages
var pageFiles embed.FS

// pages renders what people see: server-side, without scripts of any kind but the one line that form_post needs.
type pages struct {
	templates  *template.Template
	style      []byte
	icon       []byte
	stylesheet string // its path: the name changes with its content
}

// submitScript sends the form of response mode form_post on its way. Its hash is in the policy of that page alone.
const submitScript = "document.forms[0].submit();"

func newPages() (*pages, error) {
	style, err := pageFiles.ReadFile("pages/pages.css")
	if err != nil {
		return nil, fmt.Errorf("sign-in pages: %w", err)
	}
	icon, err := pageFiles.ReadFile("pages/icon.svg")
	if err != nil {
		return nil, fmt.Errorf("sign-in pages: %w", err)
	}
	templates, err := template.ParseFS(pageFiles, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("sign-in pages: %w", err)
	}
	sum := sha256.Sum256(style)
	return &pages{templates, style, icon, "/pages/" + hex.EncodeToString(sum[:6]) + ".css"}, nil
}

// view is what a page shows; each page uses some of it.
type view struct {
	Title, Stylesheet, Host, Tenant string // filled in by render

	Flow, Action string // the sealed state that the forms carry, and where they go
	App          string // display name of the client
	Problem      string // what was wrong with the last input
	Hint         string // login_hint
	Signed       []face // accounts that this browser is signed in to
	People       []face // sample people, for one click
	More         int    // how many there are besides
	Person       *face
	Why          string // why MFA
	Number       string
	Permissions  []permission
	Admin        bool // may consent for everybody
	NeedsAdmin   bool
	Code         string // user code, or AADSTS number
	From         string // address that asked for the user code
	Good         bool
	Text         string

	Heading, Message, Advice, Correlation, Trace, Timestamp string // error page
	Return                                                  bool   // the application can be told

	Target string   // form_post, and where it goes on after a sign-out
	Frames []string // to load, hidden: see pages_frontchannel.go
	Fields []field
	Script template.JS
}

// face is a person as the lists show them.
type face struct {
	ID, Name, UPN, Note, Initials string
	Tint                          int
	Disabled                      bool
}

type permission struct {
	Title, Description, Scope string
	admin                     bool // only an administrator can give it
}

type field struct{ Name, Value string }

// faceOf gives a person the same colour on every page.
func (s *Server) faceOf(p *Person) face {
	const tints = 6
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(p.UPN)) // never fails (hash.Hash)
	f := face{ID: p.ID.String(), Name: p.Name, UPN: p.UPN, Initials: initials(p.Name), Tint: int(hash.Sum32() % tints), Disabled: s.checkPerson(p) != nil}
	if p.IsAdministrator() {
		f.Note = "administrator"
	} else if groups := s.dir.MemberOf(p.ID); len(groups) == 1 {
		if g := s.dir.Group(groups[0]); g != nil {
			f.Note = g.Name
		}
	} else if len(groups) > 1 {
		f.Note = fmt.Sprintf("%d groups", len(groups))
	}
	return f
}

func initials(name string) string {
	var out strings.Builder
	for i, word := range strings.Fields(name) {
		if r, _ := utf8.DecodeRuneInString(word); i < 2 && r != utf8.RuneError {
			out.WriteRune(r)
		}
	}
	return strings.ToUpper(out.String())
}

// pageRoutes serves the pages that belong to no protocol; see authorizeRoutes for the others.
func (s *Server) pageRoutes() map[string]endpoint {
	return map[string]endpoint{
		"GET " + s.pages.stylesheet:        {name: "style", handle: s.stylesheet},
		"GET /favicon.ico":                 {name: "icon", handle: s.icon},
		"GET /common/oauth2/nativeclient":  {name: "nativeclient", handle: s.nativeClient, fail: s.errorPage},
		"GET /{tenant}/oauth2/v2.0/logout": {name: "logout", handle: s.logout, fail: s.errorPage},
		"POST /{tenant}/login":             {name: "login", handle: s.login, fail: s.errorPage},
		"GET /devicelogin":                 {name: "devicelogin", handle: s.deviceLogin, fail: s.errorPage},
		"GET /common/oauth2/deviceauth":    {name: "devicelogin", handle: s.deviceLogin, fail: s.errorPage},
		"GET /":                            {name: "home", handle: s.home, fail: s.errorPage},
	}
}

func (s *Server) stylesheet(w http.ResponseWriter, _ *call) error {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Del("Pragma")
	w.Header().Del("Expires")
	_, err := w.Write(s.pages.style)
	return err
}

// icon is what browsers ask for on their own. They take an SVG there.
func (s *Server) icon(w http.ResponseWriter, _ *call) error {
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cache-Control", "public, max-age=86400")
	w.Header().Del("Pragma")
	w.Header().Del("Expires")
	_, err := w.Write(s.pages.icon)
	return err
}

// Content security policies. There is no form-action: browsers apply it to every redirect that follows a form, and so
// to whatever the application does with the person who comes back.
const (
	pagePolicy = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; img-src 'self'"
	postPolicy = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; img-src 'self'; script-src 'sha256-"
)

// render writes a page. Everything is escaped by html/template; what does not render is our own fault.
func (s *Server) render(w http.ResponseWriter, c *call, status int, name string, v view) error {
	v.Stylesheet, v.Host = s.pages.stylesheet, c.authority.host()
	if v.Tenant == "" {
		v.Tenant = s.dir.Domain()
	}
	var out bytes.Buffer
	if err := s.pages.templates.ExecuteTemplate(&out, name, v); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	policy := pagePolicy
	if v.Script != "" {
		sum := sha256.Sum256([]byte(v.Script))
		policy = postPolicy + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	if len(v.Frames) > 0 {
		policy += "; frame-src" + frameSources(v.Frames)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // no-referrer would make the browser's Origin of our own forms "null"
	h.Set("Cross-Origin-Opener-Policy", "same-origin-allow-popups")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // the browser went away
	return nil
}

// errorPage is how people see a refusal that cannot go back to the application.
func (s *Server) errorPage(w http.ResponseWriter, c *call, e *entra.Error) {
	s.troublePage(w, c, e, view{})
}

// troublePage is errorPage with a way to go on.
func (s *Server) troublePage(w http.ResponseWriter, c *call, e *entra.Error, v view) {
	v.Title, v.Heading = "Sorry, but we’re having trouble signing you in", "Sorry, but we’re having trouble signing you in"
	if n := e.Number(); n == 53003 || n == 53000 || n == 50105 {
		v.Heading = "You cannot access this right now"
	}
	v.Message, v.Advice = e.Description, advice(e.Number())
	if n := e.Number(); n != 0 {
		v.Code = fmt.Sprintf("AADSTS%d · %s", n, e.Code)
	}
	v.Correlation, v.Trace, v.Timestamp = c.correlation, c.trace, c.now.UTC().Format(time.RFC3339)
	if err := s.render(w, c, e.Status, "error", v); err != nil {
		http.Error(w, e.Description, e.Status)
	}
}

// advice says what to do about the refusals that people meet on pages.
func advice(number int) string {
	switch number {
	case 50011:
		return "Register this redirect URI for the application, character by character, or send one that is registered. Only the port of http://localhost may differ."
	case 50057:
		return "This person’s account is disabled on purpose. Sign in as somebody else."
	case 53003, 53000:
		return "A policy of this local tenant forbids it. PUT /_local/policies changes the policies; signing in as somebody else may help."
	case 50105:
		return "An administrator has to assign this person to the application, or the policy that asks for it has to go."
	case 700016:
		return "Check the client id. The tenant knows the applications that GET /v1.0/servicePrincipals lists."
	case 90002, 900023:
		return "Check the tenant in the address: this server has one tenant, and knows it by its id and its domain."
	default:
		return ""
	}
}

// nativeClient is where native applications that watch the address bar let themselves be redirected to.
func (s *Server) nativeClient(w http.ResponseWriter, c *call) error {
	return s.render(w, c, http.StatusOK, "done", view{Title: "Back to the app", Text: "The application takes over from here.", Good: true})
}

// home is for people who open the address in a browser.
func (s *Server) home(w http.ResponseWriter, c *call) error {
	return s.render(w, c, http.StatusOK, "done", view{
		Title: "Local Entra", Good: true,
		Text: "A local Microsoft Entra ID for tests answers here. To sign in a device, open /devicelogin; the metadata is at /" + s.dir.Tenant().String() + "/v2.0/.well-known/openid-configuration.",
	})
}
