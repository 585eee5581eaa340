package web_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/history"
	"github.com/onbehalf/onbehalf/internal/sample"
	"github.com/onbehalf/onbehalf/internal/web"
)

// form sends a form as a page without scripts does, and returns the page that it leads to.
func (w *window) form(path string, fields ...string) string {
	w.t.Helper()
	values := url.Values{"csrf": {csrf(w.t, w.open("/"))}}
	for i := 0; i+1 < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	page := w.post(path, values)
	if page.Status != http.StatusOK {
		w.fail("%s: HTTP %d\n%s", path, page.Status, page.Body)
	}
	return page.URL.Path
}

// begin asks a first question by the form.
func (w *window) begin(question string) (conversation string) {
	w.t.Helper()
	id, ok := strings.CutPrefix(w.form("/c", "text", question), "/c/")
	if !ok {
		w.fail("the question led to %s", id)
	}
	return id
}

func TestWithoutScripts(t *testing.T) {
	s := start(t, options{asks: true})
	w := s.window(t, "alice")
	w.signIn()
	c := w.begin("the roadmap")
	m := w.answer(w.settled(c))
	page := w.open("/c/" + c).Body
	for _, want := range []string{
		"May Search documents run as you?", `value="allow-always"`, "Nobody has said that this tool may run unasked.", `aria-current="page"`,
		"In the words of " + strings.TrimSuffix(strings.TrimPrefix(s.MCP.URL, "http://"), "/mcp") + ", which nobody here has checked:", "Searches the company&#39;s documents as the signed-in person",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	w.form("/c/"+c+"/decide?call="+m.Calls[0].ID, "decision", "allow")
	m = w.answer(w.settled(c))
	page = w.open("/c/" + c).Body
	for _, want := range []string{"Roadmap</strong>", m.Sources[0].Extract[:20], m.Sources[0].ScoreText, "/calls/" + m.Calls[0].ID + "/chain?attempt=1"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if again := w.post("/c/"+c+"/decide?call="+m.Calls[0].ID, url.Values{"csrf": {csrf(t, w.open("/"))}, "decision": {"allow"}}); !strings.Contains(again.Body, "does not wait") {
		t.Errorf("a second decision is not said:\n%s", again.Body)
	}
	w.form("/c/" + c + "/retry")
	if m = w.answer(w.settled(c)); m.Calls[0].State != "asking" {
		t.Errorf("retry: %+v", m)
	}
	if path := w.form("/c/" + c + "/delete"); path != "/" {
		t.Errorf("deleting leads to %s", path)
	}
	if gone := w.open("/c/" + c); gone.Status != http.StatusNotFound {
		t.Errorf("after deleting: HTTP %d", gone.Status)
	}
	w.begin("one more")
	w.form("/forget")
	if page := w.open("/").Body; strings.Contains(page, "one more") {
		t.Errorf("not forgotten:\n%s", page)
	}
}

func TestStopByForm(t *testing.T) {
	s := start(t, options{model: held{hold: holdUntilStopped}})
	w := s.window(t, "alice")
	w.signIn()
	c := w.begin("*")
	w.form("/c/" + c + "/stop")
	if m := w.answer(w.settled(c)); m.State != "stopped" {
		t.Errorf("got %+v", m)
	}
}

func TestFormsNeedTheToken(t *testing.T) {
	s := start(t, options{})
	w := s.window(t, "alice")
	w.signIn()
	c := w.begin("*")
	for _, path := range []string{"/c", "/c/" + c + "/ask", "/c/" + c + "/retry", "/c/" + c + "/stop", "/c/" + c + "/decide?call=call1", "/c/" + c + "/delete", "/forget"} {
		if page := w.post(path, url.Values{"csrf": {"forged"}, "text": {"x"}, "decision": {"allow"}}); page.Status != http.StatusForbidden {
			t.Errorf("%s: HTTP %d", path, page.Status)
		}
	}
	bob := s.window(t, "bob")
	bob.signIn()
	bob.form("/c/" + c + "/delete")
	if page := w.open("/c/" + c); page.Status != http.StatusOK {
		t.Errorf("another person deleted it: HTTP %d", page.Status)
	}
}

func TestQuestionsThatAreNone(t *testing.T) {
	s := start(t, options{})
	w := s.window(t, "alice")
	w.signIn()
	for question, want := range map[string]string{"  ": "There is no question.", strings.Repeat("x", 16_001): "A question has at most 16000 characters."} {
		if page := w.post("/c", url.Values{"csrf": {csrf(t, w.open("/"))}, "text": {question}}); !strings.Contains(page.Body, want) || page.Status < 400 || !strings.Contains(page.Body, ">"+question+"</textarea>") {
			t.Errorf("%.20q: HTTP %d\n%s", question, page.Status, page.Body)
		}
	}
}

// Characters count, not bytes, and a line's end is one, although forms send two.
func TestLongestQuestion(t *testing.T) {
	s := start(t, options{})
	w := s.window(t, "alice")
	w.signIn()
	for _, question := range []string{strings.Repeat("\U0001f600", 16_000), "x" + strings.Repeat("\r\n", 15_998) + "x"} {
		w.begin(question)
	}
}

// What a person has typed comes back when it cannot be taken, whyever that is.
func TestTextIsNotLost(t *testing.T) {
	s := start(t, options{model: held{hold: holdUntilStopped}})
	w := s.window(t, "alice")
	const typed = "my long <question>"
	shown := func(page string) bool { return strings.Contains(page, ">my long &lt;question&gt;</textarea>") }
	if page := w.post("/c", url.Values{"text": {typed}}); !shown(page.Body) {
		t.Errorf("signed out: HTTP %d\n%s", page.Status, page.Body)
	}
	if page := w.post("/c/0123/ask", url.Values{"text": {typed}}); !shown(page.Body) || !strings.Contains(page.Body, `name="return" value="/c/0123"`) {
		t.Errorf("signed out, in a conversation: HTTP %d\n%s", page.Status, page.Body)
	}
	w.signIn()
	c := w.begin("*")
	for desc, test := range map[string]struct {
		path, csrf string
		status     int
	}{
		"answered now":   {"/c/" + c + "/ask", csrf(t, w.open("/")), http.StatusConflict},
		"an old page":    {"/c/" + c + "/ask", "forged", http.StatusForbidden},
		"a deleted one":  {"/c/0123/ask", csrf(t, w.open("/")), http.StatusNotFound},
		"an old page, /": {"/c", "forged", http.StatusForbidden},
	} {
		if page := w.post(test.path, url.Values{"csrf": {test.csrf}, "text": {typed}}); page.Status != test.status || !shown(page.Body) {
			t.Errorf("%s: HTTP %d\n%s", desc, page.Status, page.Body)
		}
	}
	w.form("/c/" + c + "/stop")
	page := w.post("/c", url.Values{"csrf": {csrf(t, w.open("/"))}, "text": {strings.Repeat("a", 10<<20)}})
	if page.Status != http.StatusRequestEntityTooLarge || !strings.Contains(page.Body, "what you wrote is still there") {
		t.Errorf("10 MB: HTTP %d\n%.2000s", page.Status, page.Body)
	}
}

// A browser that keeps no cookie is told so: Safari keeps none that is Secure for http://localhost.
func TestNoCookies(t *testing.T) {
	s := start(t, options{})
	form := url.Values{"csrf": {csrf(t, s.window(t, "alice").open("/"))}}.Encode()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/signin", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusForbidden || !bytes.Contains(text, []byte("keeps no cookie")) || !bytes.Contains(text, []byte("Safari")) {
		t.Errorf("HTTP %d %s %v", response.StatusCode, text, err)
	}
}

// The chain is a page and a part of one, and neither shows a token.
func TestChainPage(t *testing.T) {
	s := start(t, options{})
	w := s.window(t, "alice")
	w.signIn()
	c := w.begin("*")
	call := w.answer(w.settled(c)).Calls[0]
	path := "/c/" + c + "/calls/" + call.ID + "/chain?attempt=1"
	for _, address := range []string{path, path + "&part=1"} {
		page := w.open(address)
		for _, want := range []string{"Alice Archer signed in", "Token exchanged", "the signature", "documents, all of which the person may see", "<rect"} {
			if !strings.Contains(page.Body, want) {
				t.Errorf("%s lacks %q:\n%s", address, want, page.Body)
			}
		}
		if strings.Contains(page.Body, "eyJ") || strings.Contains(page.Body, "<html") != (address == path) {
			t.Errorf("%s is not as it should be:\n%s", address, page.Body)
		}
	}
	if page := w.open("/c/" + c + "/calls/none/chain"); page.Status != http.StatusNotFound {
		t.Errorf("an unknown call: HTTP %d", page.Status)
	}
	nobody := s.window(t, "bob")
	if page := nobody.open(path + "&part=1"); page.Status != http.StatusUnauthorized {
		t.Errorf("who is not signed in: HTTP %d", page.Status)
	}
	nobody.signIn()
	if page := nobody.open(path); page.Status != http.StatusNotFound {
		t.Errorf("another person: HTTP %d", page.Status)
	}
}

// Pages get HTML that the templates made: what documents say stays text in it.
func TestEventsForPages(t *testing.T) {
	const hostile = `<img src=x onerror=alert(1)>`
	s := start(t, options{documents: []sample.Document{{ID: "evil", Name: hostile, Content: `"><script>alert(2)</script>`, Group: []string{sample.Everyone}}}})
	w := s.window(t, "alice")
	w.signIn()
	c := w.begin("alert")
	w.settled(c)
	page, drawn := w.open("/c/"+c), w.drawn(c)
	// What an event brings is what the page has already, so that nothing is drawn twice.
	if same := strings.ReplaceAll(drawn, `name="csrf" value=""`, `name="csrf" value="`+csrf(t, page)+`"`); !strings.Contains(page.Body, `<div id="log">`+same+`</div>`) {
		t.Errorf("the event differs from the page:\n%s\n%s", drawn, page.Body)
	}
	for _, text := range []string{page.Body, drawn} {
		if strings.Contains(text, "<img") || strings.Contains(text, "<script>") {
			t.Errorf("a document became part of the page:\n%s", text)
		}
		if !strings.Contains(text, "&lt;img src=x onerror=alert(1)&gt;") || !strings.Contains(text, `class="source"`) {
			t.Errorf("the document is not shown:\n%s", text)
		}
	}
}

// drawn reads the first event as a page gets it.
func (w *window) drawn(conversation string) string {
	w.t.Helper()
	response, err := w.Client().Get(w.site.URL + "/api/conversations/" + conversation + "/events?as=page")
	if err != nil {
		w.fail("%v", err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var out struct{ State, HTML string }
			if err := json.Unmarshal([]byte(data), &out); err != nil || out.State != "idle" {
				w.fail("%v: %s", err, data)
			}
			return out.HTML
		}
	}
	w.fail("no event: %v", lines.Err())
	return ""
}

// Who has many conversations gets a page that lists the newest, and all on demand.
func TestLongList(t *testing.T) {
	store := &history.Memory{}
	s := start(t, options{change: func(cfg *web.Config) { cfg.History = store }})
	w := s.window(t, "alice")
	w.signIn()
	alice := history.Person{Tenant: id(t, identity.ParseTenantID, s.Tenant), Object: id(t, identity.ParseObjectID, entraserver.Alice)}
	const all, shown = 250, 100
	for i := range all {
		item := history.Item{ID: fmt.Sprintf("c%029d", i), Title: fmt.Sprintf("Question %d.", i), Updated: time.Now().Add(time.Duration(i) * time.Minute)}
		if err := store.Save(alice, item, nil); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]int{"/": shown, "/?all": all, "/c/" + fmt.Sprintf("c%029d", 0): shown + 1} {
		page := w.open(path).Body
		if got := strings.Count(page, `class="title"`); got != want || strings.Contains(page, "older</a>") != (want != all) {
			t.Errorf("%s lists %d, want %d", path, got, want)
		}
		if want != all && len(page) > maxWeight/2 {
			t.Errorf("%s weighs %d bytes", path, len(page))
		}
	}
}

var linked = regexp.MustCompile(`(?:href|src)="(/static/[^"]+)"`)

// maxWeight is what the page of a conversation may weigh with all that it loads, uncompressed.
const maxWeight = 150 << 10

func TestWeightOfAPage(t *testing.T) {
	s := start(t, options{})
	w := s.window(t, "alice")
	w.signIn()
	c := w.begin("*")
	w.settled(c)
	page := w.open("/c/" + c)
	weight, files := len(page.Body), linked.FindAllStringSubmatch(page.Body, -1)
	for _, file := range files {
		weight += len(w.open(file[1]).Body)
	}
	t.Logf("%d bytes in %d files", weight, len(files)+1)
	if weight > maxWeight || len(files) != 3 {
		t.Errorf("the page weighs %d bytes in %d files", weight, len(files)+1)
	}
	if regexp.MustCompile(`(?i)<script>|<style|style="| on[a-z]+="`).MatchString(page.Body) {
		t.Error("the page holds a script or style that its own policy forbids")
	}
}
