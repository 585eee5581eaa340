package web_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/openai"
	"github.com/onbehalf/onbehalf/internal/web"
)

// served is a model behind a chat-completions server of our own.
func served(tb testing.TB, answer func(w http.ResponseWriter, r *http.Request, last string)) agent.Model {
	tb.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Messages []struct{ Role, Content string }
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			tb.Error(err)
			return
		}
		last := in.Messages[len(in.Messages)-1]
		w.Header().Set("Content-Type", "text/event-stream")
		answer(w, r, last.Role+": "+last.Content)
	}))
	tb.Cleanup(server.Close)
	model, err := openai.New(openai.Config{URL: id(tb, url.Parse, server.URL), Model: "scripted"})
	if err != nil {
		tb.Fatal(err)
	}
	return model
}

func chunk(w io.Writer, delta, reason string) {
	fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":%s,\"finish_reason\":%s}]}\n\n", delta, reason)
}

func calls(w io.Writer, name, arguments string) {
	chunk(w, fmt.Sprintf(`{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":%q,"arguments":%q}}]}`, name, arguments), `"tool_calls"`)
}

func tells(w io.Writer, text string) { chunk(w, fmt.Sprintf(`{"content":%q}`, text), `"stop"`) }

// From the person's question to the cited answer over the protocol, as each person.
func TestAModelAnswersAsEachPerson(t *testing.T) {
	model := served(t, func(w http.ResponseWriter, _ *http.Request, last string) {
		if strings.HasPrefix(last, "user") {
			calls(w, "docs__get_documents", `{"query":"*"}`)
			return
		}
		tells(w, fmt.Sprintf("%d documents, roadmap %v [1]", strings.Count(last, `"cite"`), strings.Contains(last, "Roadmap")))
	})
	s := start(t, options{model: model})
	for person, want := range map[string]string{"alice": "3 documents, roadmap true [1]", "bob": "2 documents, roadmap false [1]"} {
		w := s.window(t, person)
		w.signIn()
		c := w.newConversation()
		w.ask(c, "?")
		if m := w.answer(w.settled(c)); m.State != "done" || m.Text != want || len(m.Sources) == 0 {
			t.Errorf("%s: %s %q %s", person, m.State, m.Text, m.Failure)
		}
	}
}

func TestModelsThatDoNotAnswerWell(t *testing.T) {
	mode := ""
	model := served(t, func(w http.ResponseWriter, r *http.Request, last string) {
		asked := strings.HasPrefix(last, "user")
		switch {
		case mode == "fails":
			http.Error(w, `{"error":{"message":"<b>secret</b>"}}`, http.StatusInternalServerError)
		case mode == "ends in the middle":
			chunk(w, `{"content":"Half an answer"}`, "null")
		case mode == "unknown tool" && asked:
			calls(w, "docs__delete_everything", `{}`)
		case mode == "broken arguments" && asked:
			calls(w, "docs__get_documents", `{"query":`)
		case mode == "hangs":
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		default:
			tells(w, "Told: "+last)
		}
	})
	s := start(t, options{model: model})
	w := s.window(t, "alice")
	w.signIn()
	for _, c := range []struct{ mode, state, failure, text string }{
		{"fails", "failed", "does not answer now", ""},
		{"ends in the middle", "failed", "in the middle", "Half an answer"},
		{"unknown tool", "done", "", "no such tool"},
		{"broken arguments", "done", "", "not a JSON object"},
	} {
		mode = c.mode
		id := w.newConversation()
		w.ask(id, "?")
		m := w.answer(w.settled(id))
		if m.State != c.state || !strings.Contains(m.Failure, c.failure) || !strings.Contains(m.Text, c.text) || strings.Contains(fmt.Sprint(m), "secret") {
			t.Errorf("%s: %s %q %q", c.mode, m.State, m.Failure, m.Text)
		}
	}
	mode = "hangs"
	id := w.newConversation()
	w.ask(id, "?")
	if status, text := w.api(http.MethodPost, "/api/conversations/"+id+"/stop", ""); status != http.StatusAccepted {
		t.Fatalf("HTTP %d %s", status, text)
	}
	if m := w.answer(w.settled(id)); m.State != "stopped" {
		t.Errorf("hangs: %+v", m)
	}
}

// BenchmarkRelay is the time from the model's server having written a token to a page having read it: over the
// protocol, the loop, and the page's stream of events.
func BenchmarkRelay(b *testing.B) {
	const tokens = 50
	sent := make(chan time.Time, tokens)
	read := make(chan struct{}, tokens)
	model := served(b, func(w http.ResponseWriter, _ *http.Request, _ string) {
		for range tokens {
			chunk(w, `{"content":"token "}`, "null")
			sent <- time.Now()
			_ = http.NewResponseController(w).Flush()
			<-read
		}
		tells(w, ".")
	})
	moved := &clock{} // so that asking often is not too often
	s := start(b, options{model: model, change: func(cfg *web.Config) { cfg.Now = moved.now }})
	w := s.window(b, "alice")
	w.signIn()
	var first, rest []time.Duration
	for b.Loop() {
		moved.advance(3 * time.Second)
		c := w.newConversation()
		client := *w.Client()
		client.Timeout = 0
		response, err := client.Get(s.URL + "/api/conversations/" + c + "/events")
		if err != nil {
			b.Fatal(err)
		}
		w.ask(c, "?")
		lines := bufio.NewScanner(response.Body)
		for n := 0; n < tokens && lines.Scan(); {
			if !strings.HasPrefix(lines.Text(), "event: text") {
				continue
			}
			took := time.Since(<-sent)
			if n++; n == 1 {
				first = append(first, took)
			} else {
				rest = append(rest, took)
			}
			read <- struct{}{}
		}
		_ = response.Body.Close()
		w.settled(c)
	}
	for name, all := range map[string][]time.Duration{"first": first, "token": rest} {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "ms/"+name+"-p50")
		b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "ms/"+name+"-p99")
	}
}
