package web_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/agent/builtin"
	"github.com/onbehalf/onbehalf/internal/history"
	"github.com/onbehalf/onbehalf/internal/sample"
	"github.com/onbehalf/onbehalf/internal/web"
)

// ask is what a page's script sends.
func (w *window) api(method, path, body string) (int, []byte) {
	w.t.Helper()
	return w.apiWith(method, path, body, csrf(w.t, w.open("/")))
}

func (w *window) apiWith(method, path, body, token string) (int, []byte) {
	w.t.Helper()
	request, err := http.NewRequest(method, w.site.URL+path, strings.NewReader(body))
	if err != nil {
		w.fail("%v", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-CSRF-Token", token)
	response, err := w.Client().Do(request)
	if err != nil {
		w.fail("%v", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.fail("%v", err)
	}
	return response.StatusCode, text
}

func (w *window) newConversation() string {
	w.t.Helper()
	status, text := w.api(http.MethodPost, "/api/conversations", "")
	var out struct{ ID string }
	if status != http.StatusCreated || json.Unmarshal(text, &out) != nil {
		w.fail("HTTP %d %s", status, text)
	}
	return out.ID
}

func (w *window) ask(conversation, question string) {
	w.t.Helper()
	body, err := json.Marshal(map[string]string{"text": question})
	if err != nil {
		w.fail("%v", err)
	}
	if status, text := w.api(http.MethodPost, "/api/conversations/"+conversation+"/messages", string(body)); status != http.StatusAccepted {
		w.fail("HTTP %d %s", status, text)
	}
}

func (w *window) get(conversation string) web.Conversation {
	w.t.Helper()
	status, text := w.api(http.MethodGet, "/api/conversations/"+conversation, "")
	var out web.Conversation
	if status != http.StatusOK || json.Unmarshal(text, &out) != nil {
		w.fail("HTTP %d %s", status, text)
	}
	return out
}

// settled reads events until the conversation runs no more, and returns it.
func (w *window) settled(conversation string) web.Conversation {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.site.URL+"/api/conversations/"+conversation+"/events", nil)
	if err != nil {
		w.fail("%v", err)
	}
	client := *w.Client()
	client.Timeout = 0
	response, err := client.Do(request)
	if err != nil {
		w.fail("%v", err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	name := ""
	for lines.Scan() {
		if after, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			name = after
		}
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var out struct {
			State        string
			Conversation web.Conversation
		}
		if err := json.Unmarshal([]byte(data), &out); err != nil {
			w.fail("event %s: %v", name, err)
		}
		if name == "state" && out.State != "running" || name == "snapshot" && out.Conversation.State != "running" {
			return w.get(conversation)
		}
	}
	w.fail("the stream ended: %v", lines.Err())
	return web.Conversation{}
}

// answer returns the last message of a conversation, with all calls of its turn.
func (w *window) answer(c web.Conversation) web.Message {
	w.t.Helper()
	if len(c.Messages) == 0 || c.Messages[len(c.Messages)-1].Role != "assistant" {
		w.fail("no answer: %+v", c)
	}
	last := c.Messages[len(c.Messages)-1]
	for i := len(c.Messages) - 2; i >= 0 && c.Messages[i].Role == "assistant"; i-- {
		last.Calls = append(slices.Clone(c.Messages[i].Calls), last.Calls...)
	}
	return last
}

func titles(m web.Message) string {
	var out []string
	for _, s := range m.Sources {
		out = append(out, s.Title)
	}
	return strings.Join(out, ", ")
}

func TestTwoPeopleSeeTheirOwn(t *testing.T) {
	s := start(t, options{})
	alice, bob := s.window(t, "alice"), s.window(t, "bob")
	found := map[string]string{}
	for name, w := range map[string]*window{"alice": alice, "bob": bob} {
		w.signIn()
		c := w.newConversation()
		w.ask(c, "*")
		m := w.answer(w.settled(c))
		if m.State != "done" || !strings.Contains(string(m.HTML), "<strong>") || m.Calls[0].Chain == "" {
			t.Errorf("%s: %+v", name, m)
		}
		found[name] = titles(m)
		if name == "alice" {
			if status, _ := bob.apiAs(t, c); status != http.StatusNotFound {
				t.Errorf("another person's conversation: HTTP %d", status)
			}
		}
		status, text := w.api(http.MethodGet, "/api/conversations/"+c+"/calls/"+m.Calls[0].ID+"/chain", "")
		for _, want := range []string{`"station":"sign-in"`, `"station":"verify"`, `"station":"exchange"`, `"station":"search"`} {
			if status != http.StatusOK || !bytes.Contains(text, []byte(want)) {
				t.Errorf("%s: the chain lacks %s: HTTP %d %s", name, want, status, text)
			}
		}
		if bytes.Contains(text, []byte("eyJ")) {
			t.Errorf("%s: the chain shows a token: %s", name, text)
		}
	}
	if !strings.Contains(found["alice"], "Roadmap") || strings.Contains(found["bob"], "Roadmap") || !strings.Contains(found["bob"], "Handbook") {
		t.Errorf("alice found %s; bob found %s", found["alice"], found["bob"])
	}
}

// apiAs asks for a conversation, signing in first if need be.
func (w *window) apiAs(t *testing.T, conversation string) (int, []byte) {
	t.Helper()
	if !strings.Contains(w.open("/me").Body, "contoso.example") {
		w.signIn()
	}
	return w.api(http.MethodGet, "/api/conversations/"+conversation, "")
}

func TestMFAInMidConversation(t *testing.T) {
	s := start(t, options{})
	w := s.window(t, "alice")
	w.signIn()
	s.Scenario("mfa")
	c := w.newConversation()
	w.ask(c, "*")
	m := w.answer(w.settled(c))
	call := m.Calls[0]
	if m.State != "waiting" || call.Refusal.Kind != "sign-in" || call.Refusal.Button == nil {
		t.Fatalf("want a button to sign in: %+v", call)
	}
	before := w.cookies()
	page := w.post(call.Refusal.Button.Action, url.Values{"csrf": {csrf(t, w.open("/c/"+c))}})
	if page.URL.Path != "/c/"+c {
		t.Fatalf("after MFA: %s\n%s", page.URL, page.Body)
	}
	if before == w.cookies() {
		t.Error("the session's identifier did not change with the sign-in")
	}
	if m = w.answer(w.settled(c)); m.State != "done" || m.Calls[0].ID != call.ID || !strings.Contains(titles(m), "Roadmap") {
		t.Errorf("the very call did not go on: %+v", m)
	}
}

func TestConsentInMidConversation(t *testing.T) {
	s := start(t, options{})
	w := s.window(t, "alice")
	w.signIn()
	s.Scenario("consent")
	c := w.newConversation()
	w.ask(c, "*")
	refusal := w.answer(w.settled(c)).Calls[0].Refusal
	if refusal.Kind != "consent" || refusal.Code != "AADSTS65001" || refusal.Correlation == "" || refusal.Button == nil || refusal.Button.Method != http.MethodGet {
		t.Fatalf("want a button to consent: %+v", refusal)
	}
	if page := w.open(refusal.Button.Action); page.URL.Path != "/c/"+c {
		t.Fatalf("after consent: %s\n%s", page.URL, page.Body)
	}
	if m := w.answer(w.settled(c)); m.State != "done" || !strings.Contains(titles(m), "Roadmap") {
		t.Errorf("the call did not go on: %+v", m)
	}
}

func TestBlockedIsSaid(t *testing.T) {
	s := start(t, options{})
	w := s.window(t, "alice")
	w.signIn()
	s.Scenario("blocked")
	c := w.newConversation()
	w.ask(c, "*")
	m := w.answer(w.settled(c))
	refusal := m.Calls[0].Refusal
	if refusal.Kind != "blocked" || refusal.Code != "AADSTS53003" || refusal.Correlation == "" || refusal.Button != nil || !strings.Contains(refusal.Who, "administrator") {
		t.Errorf("got %+v", refusal)
	}
}

func TestRevokedInMidConversation(t *testing.T) {
	s := start(t, options{})
	w := s.window(t, "alice")
	w.signIn()
	s.Policy(entraserver.Policies{Revoked: []string{"alice"}, RefuseRevoked: new(true)})
	c := w.newConversation()
	w.ask(c, "*")
	refusal := w.answer(w.settled(c)).Calls[0].Refusal
	if refusal.Kind != "expired" || refusal.Button == nil {
		t.Fatalf("got %+v", refusal)
	}
	s.Policy(entraserver.Policies{})
	w.post(refusal.Button.Action, url.Values{"csrf": {csrf(t, w.open("/c/"+c))}})
	if m := w.answer(w.settled(c)); m.State != "done" {
		t.Errorf("after signing in: %+v", m.Calls[0])
	}
}

func TestThrottledCanBeTriedAgain(t *testing.T) {
	s := start(t, options{})
	w := s.window(t, "alice")
	w.signIn()
	s.Scenario("throttled")
	c := w.newConversation()
	w.ask(c, "*")
	refusal := w.answer(w.settled(c)).Calls[0].Refusal
	if refusal.Kind != "throttled" || refusal.Button == nil || !strings.Contains(refusal.Button.Action, "/resume?") {
		t.Errorf("got %+v", refusal)
	}
}

func TestApprovalInMidConversation(t *testing.T) {
	s := start(t, options{asks: true})
	w := s.window(t, "alice")
	w.signIn()
	c := w.newConversation()
	w.ask(c, "*")
	m := w.answer(w.settled(c))
	if m.State != "waiting" || m.Calls[0].State != "asking" || m.Calls[0].Why == "" {
		t.Fatalf("got %+v", m)
	}
	path := "/api/conversations/" + c + "/calls/" + m.Calls[0].ID
	if status, text := w.apiWith(http.MethodPost, path, `{"decision":"allow"}`, "forged"); status != http.StatusForbidden {
		t.Errorf("without the token: HTTP %d %s", status, text)
	}
	if status, text := w.api(http.MethodPost, path, `{"decision":"allow"}`); status != http.StatusAccepted {
		t.Fatalf("HTTP %d %s", status, text)
	}
	if m = w.answer(w.settled(c)); m.State != "done" {
		t.Errorf("got %+v", m)
	}
	if status, _ := w.api(http.MethodPost, path, `{"decision":"allow"}`); status != http.StatusConflict {
		t.Errorf("a second time: HTTP %d", status)
	}
}

func TestRestartInMidStream(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.db")
	withFile := func(o options) options {
		o.change = func(cfg *web.Config) {
			var err error
			if cfg.History, err = history.Open(path, identity.NewSecret(strings.Repeat("k", 32))); err != nil {
				t.Fatal(err)
			}
		}
		return o
	}
	streaming := make(chan struct{})
	s := start(t, withFile(options{model: held{hold: func(ctx context.Context) { close(streaming); <-ctx.Done() }}}))
	w := s.window(t, "alice")
	w.signIn()
	c := w.newConversation()
	w.ask(c, "a question to look for")
	<-streaming
	s.stop()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"a question to look for", "No model", c, entraserver.Alice, "eyJ"} {
		if bytes.Contains(text, []byte(word)) {
			t.Errorf("the file shows %q", word)
		}
	}
	s.startWeb(t, withFile(options{}))
	w.signIn()
	m := w.answer(w.get(c))
	if m.State != "stopped" || !strings.Contains(m.Failure, "restarted") || m.Text != builtin.Heading+"\n\n" {
		t.Errorf("after the restart: %+v", m)
	}
	if status, text := w.api(http.MethodPost, "/api/conversations/"+c+"/retry", ""); status != http.StatusAccepted {
		t.Fatalf("retry: HTTP %d %s", status, text)
	}
	if m = w.answer(w.settled(c)); m.State != "done" {
		t.Errorf("after retrying: %+v", m)
	}
}

func TestIDsOnly(t *testing.T) {
	store := &history.Memory{}
	s := start(t, options{change: func(cfg *web.Config) { cfg.History, cfg.IDsOnly = store, true }})
	w := s.window(t, "alice")
	w.signIn()
	c := w.newConversation()
	w.ask(c, "roadmap")
	m := w.answer(w.settled(c))
	if m.Sources[0].Extract == "" {
		t.Fatalf("got %+v", m)
	}
	alice := history.Person{Tenant: id(t, identity.ParseTenantID, s.Tenant), Object: id(t, identity.ParseObjectID, entraserver.Alice)}
	_, body, err := store.Load(alice, c)
	if err != nil || !bytes.Contains(body, []byte(m.Sources[0].ID)) {
		t.Fatalf("%v: %s", err, body)
	}
	for _, word := range []string{"No model", m.Sources[0].Extract[:20]} {
		if bytes.Contains(body, []byte(word)) {
			t.Errorf("%q is kept: %s", word, body)
		}
	}
	kept := w.putAway(c)
	if kept.Text != "" || kept.Sources[0].Extract != "" || !kept.Refetch {
		t.Fatalf("when it is opened again: %+v", kept)
	}
	watch := w.watch(c) // as a page does
	defer watch.Close()
	if status, text := w.api(http.MethodPost, "/api/conversations/"+c+"/messages/"+kept.ID+"/sources", ""); status != http.StatusAccepted {
		t.Fatalf("HTTP %d %s", status, text)
	}
	if again := w.answer(w.get(c)); again.Sources[0].Extract != m.Sources[0].Extract || again.Refetch || again.Text != "" {
		t.Errorf("fetched again: %+v", again)
	}
	if _, body, err = store.Load(alice, c); err != nil || bytes.Contains(body, []byte(m.Sources[0].Extract[:20])) {
		t.Errorf("what was fetched is kept: %v: %s", err, body)
	}
}

// What a person may not see any more does not come back, and who has no scripts gets it as a page.
func TestRightsChangeUntilSourcesAreFetchedAgain(t *testing.T) {
	s := start(t, options{change: func(cfg *web.Config) { cfg.IDsOnly = true }})
	w := s.window(t, "alice")
	w.signIn()
	c := w.newConversation()
	w.ask(c, "*")
	m := w.answer(w.settled(c))
	i := slices.IndexFunc(m.Sources, func(one web.Source) bool { return one.Title == "Roadmap" })
	if i < 0 {
		t.Fatalf("got %+v", m)
	}
	w.putAway(c)
	s.write(t, []sample.Document{{ID: m.Sources[i].ID, Name: "Roadmap", Content: "not for alice", Group: []string{sample.Nobody}}})
	form := url.Values{"csrf": {csrf(t, w.open("/c/"+c))}}
	page := w.post("/c/"+c+"/sources?message="+m.ID, form)
	if !strings.Contains(page.Body, "Welcome to Contoso") || !strings.Contains(page.Body, "You may not see this document today") || strings.Contains(page.Body, "not for alice") {
		t.Errorf("HTTP %d\n%s", page.Status, page.Body)
	}
	if page = w.post("/c/"+c+"/sources?message="+m.ID, url.Values{"csrf": {"forged"}}); page.Status != http.StatusForbidden {
		t.Errorf("without the token: HTTP %d", page.Status)
	}
	bob := s.window(t, "bob")
	bob.signIn()
	if page = bob.post("/c/"+c+"/sources?message="+m.ID, url.Values{"csrf": {csrf(t, bob.open("/"))}}); page.Status != http.StatusNotFound {
		t.Errorf("another person's: HTTP %d", page.Status)
	}
}

// A call that a person had to allow is not made again by a click that does not say that it is.
func TestSourcesOfCallsThatAskAreConfirmed(t *testing.T) {
	s := start(t, options{asks: true, change: func(cfg *web.Config) { cfg.IDsOnly = true }})
	w := s.window(t, "alice")
	w.signIn()
	c := w.begin("roadmap")
	w.form("/c/"+c+"/decide?call="+w.answer(w.settled(c)).Calls[0].ID, "decision", "allow")
	m := w.answer(w.settled(c))
	call := m.Calls[0]
	w.putAway(c)
	path, made := "/c/"+c+"/sources?message="+m.ID, s.queries(t)
	form := url.Values{"csrf": {csrf(t, w.open("/c/"+c))}}
	page := w.post(path, form)
	for _, want := range []string{"Fetch the sources by this call, as you?", "Nobody has said that this tool may run unasked.", "Searches the company&#39;s documents", "&#34;query&#34;: &#34;roadmap&#34;", `name="confirm" value="` + call.ID} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page lacks %q:\n%s", want, page.Body)
		}
	}
	form.Set("confirm", "")
	if page = w.post(path, form); strings.Contains(page.Body, "as you?") || !strings.Contains(page.Body, "Fetch the sources again") {
		t.Errorf("not now:\n%s", page.Body)
	}
	form.Set("confirm", "another")
	if page = w.post(path, form); !strings.Contains(page.Body, "as you?") || s.queries(t) != made {
		t.Errorf("%d queries before it was confirmed:\n%s", s.queries(t)-made, page.Body)
	}
	form.Set("confirm", call.ID+" ")
	if page = w.post(path, form); !strings.Contains(page.Body, m.Sources[0].Extract[:20]) || s.queries(t) != made+1 {
		t.Errorf("%d queries when it was confirmed:\n%s", s.queries(t)-made, page.Body)
	}
	// The same by scripts, while the page watches.
	watch := w.watch(c)
	defer watch.Close()
	sources := "/api/conversations/" + c + "/messages/" + m.ID + "/sources"
	if status, text := w.api(http.MethodPost, sources, "{}"); status != http.StatusAccepted {
		t.Fatalf("HTTP %d %s", status, text)
	}
	kept := w.answer(w.get(c))
	if len(kept.Again) != 1 || kept.Again[0].ID != call.ID || kept.Again[0].Arguments == "" || kept.Again[0].Says == nil {
		t.Fatalf("got %+v", kept.Again)
	}
	if status, text := w.api(http.MethodPost, sources, `{"confirm":"`+call.ID+`"}`); status != http.StatusAccepted {
		t.Fatalf("HTTP %d %s", status, text)
	}
	if kept = w.answer(w.get(c)); len(kept.Again) != 0 || kept.Sources[0].Extract != m.Sources[0].Extract {
		t.Errorf("got %+v", kept)
	}
}

// queries is how often the local Search was asked.
func (s *site) queries(tb testing.TB) int {
	tb.Helper()
	response, err := s.search.Client().Get(s.search.URL + "/_local/requests")
	if err != nil {
		tb.Fatal(err)
	}
	defer response.Body.Close()
	var counts []struct {
		Endpoint string
		Requests int
	}
	if err := json.NewDecoder(response.Body).Decode(&counts); err != nil {
		tb.Fatal(err)
	}
	n := 0
	for _, one := range counts {
		if one.Endpoint == "docs.search" {
			n += one.Requests
		}
	}
	return n
}

// putAway waits until a conversation of which only ids are kept is opened from what was kept: until then somebody's last
// look at it may hold the whole.
func (w *window) putAway(conversation string) web.Message {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if m := w.answer(w.get(conversation)); m.Refetch || time.Now().After(deadline) {
			return m
		}
	}
}

// watch holds a conversation's stream of events open.
func (w *window) watch(conversation string) io.Closer {
	w.t.Helper()
	client := *w.Client()
	client.Timeout = 0
	response, err := client.Get(w.site.URL + "/api/conversations/" + conversation + "/events")
	if err != nil {
		w.fail("%v", err)
	}
	return response.Body
}

func TestStopAndDelete(t *testing.T) {
	streaming := make(chan struct{}, 2)
	store := &history.Memory{}
	s := start(t, options{
		model:  held{hold: func(ctx context.Context) { streaming <- struct{}{}; <-ctx.Done() }},
		change: func(cfg *web.Config) { cfg.History = store },
	})
	w := s.window(t, "alice")
	w.signIn()
	c := w.newConversation()
	w.ask(c, "*")
	<-streaming
	if status, _ := w.api(http.MethodPost, "/api/conversations/"+c+"/messages", `{"text":"more"}`); status != http.StatusConflict {
		t.Errorf("while it runs: HTTP %d", status)
	}
	if status, _ := w.api(http.MethodPost, "/api/conversations/"+c+"/stop", ""); status != http.StatusAccepted {
		t.Errorf("stop: HTTP %d", status)
	}
	if m := w.answer(w.settled(c)); m.State != "stopped" {
		t.Errorf("got %+v", m)
	}
	w.ask(c, "again")
	<-streaming
	if status, _ := w.api(http.MethodDelete, "/api/conversations/"+c, ""); status != http.StatusNoContent {
		t.Errorf("delete: HTTP %d", status)
	}
	if status, _ := w.api(http.MethodGet, "/api/conversations/"+c, ""); status != http.StatusNotFound {
		t.Errorf("after deleting: HTTP %d", status)
	}
	s.stop() // what ran has ended, and written what it had to write
	alice := history.Person{Tenant: id(t, identity.ParseTenantID, s.Tenant), Object: id(t, identity.ParseObjectID, entraserver.Alice)}
	if items, err := store.List(alice); err != nil || len(items) != 0 {
		t.Errorf("the turn wrote what was deleted: %v, %v", items, err)
	}
}

// crowd is how many people ask at once.
const crowd = 200

// Each has a document of her own, and must be shown that one, the handbook, and nothing of anybody else's.
func TestManyPeopleAtOnce(t *testing.T) {
	directory, err := entraserver.Contoso()
	if err != nil {
		t.Fatal(err)
	}
	var own []sample.Document
	for i := range crowd {
		p := &entraserver.Person{
			ID: id(t, identity.ParseObjectID, fmt.Sprintf("c4030000-0000-4000-8000-%012x", i)), UPN: fmt.Sprintf("p%03d@contoso.example", i),
			Name: fmt.Sprintf("Person %03d", i), Enabled: true, Password: identity.NewSecret(entraserver.ContosoPassword),
		}
		if err := directory.AddPerson(p); err != nil {
			t.Fatal(err)
		}
		own = append(own, sample.Document{ID: fmt.Sprintf("own%03d", i), Name: fmt.Sprintf("Own %03d", i), Content: "private", Oid: []string{p.ID.String()}, Group: []string{sample.Nobody}})
	}
	s := start(t, options{directory: directory, documents: own})
	var group sync.WaitGroup
	room := make(chan struct{}, 32)
	for i := range crowd {
		w := s.window(t, fmt.Sprintf("p%03d", i))
		group.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			w.signIn()
			c := w.newConversation()
			w.ask(c, "*")
			if found, want := titles(w.answer(w.settled(c))), fmt.Sprintf("Own %03d", i); strings.Count(found, "Own ") != 1 || !strings.Contains(found, want) {
				t.Errorf("person %d was shown %q, want %q of her own", i, found, want)
			}
		})
	}
	group.Wait()
}
