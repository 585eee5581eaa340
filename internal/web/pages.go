package web

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/internal/history"
)

//go:embed templates
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// pages renders templates and serves the files beside them.
type pages struct {
	templates *template.Template
	static    http.Handler
	icon      []byte
	version   string // of all static files
}

func loadPages(now func() time.Time) (*pages, error) {
	files, err := fs.Sub(staticFiles, "static")
	if err != nil {
		return nil, err
	}
	p := &pages{}
	if p.version, err = versionOf(files); err != nil {
		return nil, err
	}
	if p.icon, err = fs.ReadFile(files, "icon.svg"); err != nil {
		return nil, err
	}
	p.static = p.serveStatic(files)
	p.templates, err = template.New("").Funcs(template.FuncMap{
		"static":  func(name string) string { return "/static/" + p.version + "/" + name },
		"ago":     func(t time.Time) string { return ago(now().Sub(t)) },
		"rfc3339": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}).Funcs(drawing()).ParseFS(templateFiles, "templates/*.html")
	return p, err
}

// versionOf is one version for all files: modules import one another by relative addresses.
func versionOf(files fs.FS) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, name)
		fmt.Fprintf(sum, "%s %d\n", name, len(text))
		sum.Write(text)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)[:8]), err
}

// serveStatic answers for the version at hand, which never changes and may be kept for a year; another one is gone.
func (p *pages) serveStatic(files fs.FS) http.Handler {
	server := http.StripPrefix("/static/"+p.version, http.FileServerFS(files))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, "/static/"+p.version+"/")
		if info, err := fs.Stat(files, path.Clean(name)); !ok || name == "" || err != nil || info.IsDir() {
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		server.ServeHTTP(w, r)
	})
}

// favicon is what browsers ask for on their own, where no page names an icon. They take an SVG there.
func (p *pages) favicon(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cache-Control", "public, max-age=86400")
	_, _ = w.Write(p.icon) // the asker may be gone
}

// show renders a whole page before the first byte leaves.
func (p *pages) show(w http.ResponseWriter, status int, name string, data any) error {
	var body bytes.Buffer
	if err := p.templates.ExecuteTemplate(&body, name, data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the asker may be gone
	return nil
}

// ago says how long something has been, roughly.
func ago(d time.Duration) string {
	count := func(n int, unit string) string {
		if n == 1 {
			return "1 " + unit + " ago"
		}
		return fmt.Sprintf("%d %ss ago", n, unit)
	}
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return count(int(d/time.Minute), "minute")
	case d < day:
		return count(int(d/time.Hour), "hour")
	default:
		return count(int(d/day), "day")
	}
}

// frame is what every page has.
func (a *App) frame(v *visit, title string) Page {
	page := Page{Title: title, CSRF: v.csrf, Local: a.cfg.Local}
	if v.session != nil {
		page.Person = personOf(v.session.person)
		page.Notice = v.session.heard()
	}
	return page
}

// welcome is the page of who is not signed in; back is where the sign-in leads to.
func (a *App) welcome(w http.ResponseWriter, v *visit, back string) error {
	return a.pages.show(w, http.StatusOK, "welcome", WelcomePage{Page: a.frame(v, ""), Return: back, Kept: v.PostForm.Get(fieldText)})
}

func (a *App) home(w http.ResponseWriter, v *visit) error {
	if v.session == nil {
		return a.welcome(w, v, "")
	}
	return a.showChat(w, v, nil, unsent{})
}

// conversation is the page of one conversation.
func (a *App) conversation(w http.ResponseWriter, v *visit) error {
	id := v.PathValue("id")
	if v.session == nil {
		return a.welcome(w, v, "/c/"+id)
	}
	t, err := a.desk.open(v.owner(), id)
	if err != nil {
		return err
	}
	defer a.desk.release(t)
	t.goOn(v.session)
	view := t.view()
	return a.showChat(w, v, &view, unsent{})
}

func (a *App) showChat(w http.ResponseWriter, v *visit, current *Conversation, kept unsent) error {
	items, err := a.desk.list(v.owner())
	if err != nil {
		return err
	}
	page := ChatPage{
		Page: a.frame(v, ""), Current: current, Model: a.model, Examples: a.cfg.Examples, Limit: maxMessage, Unsent: kept.text, KeptDays: a.cfg.KeepDays,
	}
	if kept.notice != nil {
		page.Notice = kept.notice
	}
	_, page.InMemory = a.cfg.History.(*history.Memory)
	for _, server := range a.cfg.Servers {
		page.Servers = append(page.Servers, server.Name+" ("+server.URL.Host+")")
	}
	if current != nil {
		page.Title = current.Title
		if current.Title != "" && !slices.ContainsFunc(items, func(i Item) bool { return i.ID == current.ID }) { // not written yet
			items = append([]Item{{ID: current.ID, Title: current.Title, Updated: a.cfg.Now()}}, items...)
		}
		for i := range items {
			items[i].Current = items[i].ID == current.ID
		}
	}
	page.Conversations = items
	if len(items) > listed && !v.URL.Query().Has("all") {
		page.Older = len(items) - listed
		page.Conversations = slices.Clone(items[:listed])
		if i := slices.IndexFunc(items[listed:], func(i Item) bool { return i.Current }); i >= 0 {
			page.Conversations = append(page.Conversations, items[listed+i])
			page.Older--
		}
	}
	return a.pages.show(w, cmp.Or(kept.status, http.StatusOK), "chat", page)
}

// listed is how many conversations a page lists unless it is asked for all.
const listed = 100

// maxMessage is how many characters a question may have.
const maxMessage = 16_000
