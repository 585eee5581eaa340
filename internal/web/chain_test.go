package web_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/internal/web"
	"github.com/onbehalf/onbehalf/internal/web/hops"
)

// chain asks how the first call of a conversation was done.
func (w *window) chain(t *testing.T, conversation string) (hops.Chain, string) {
	t.Helper()
	call := w.answer(w.get(conversation)).Calls[0]
	status, text := w.api(http.MethodGet, "/api/conversations/"+conversation+"/calls/"+call.ID+"/chain", "")
	var c hops.Chain
	if err := json.Unmarshal(text, &c); err != nil || status != http.StatusOK {
		t.Fatalf("HTTP %d %s", status, text)
	}
	page := w.open("/c/" + conversation)
	if href := "/c/" + conversation + "/calls/" + call.ID + "/chain?attempt="; !strings.Contains(page.Body, href) {
		t.Errorf("the page does not lead to how the call was done (%s)", call.Line)
	}
	return c, way(c)
}

// way is a chain in short: "sign-in allowed, token cached, …".
func way(c hops.Chain) string {
	out := make([]string, 0, len(c.Hops))
	for _, h := range c.Hops {
		name := h.Station
		switch {
		case h.Before && h.Title == "Token for the MCP server":
			name = "token"
		case name == "":
			name = "answer"
		}
		if h.There {
			name += "@" // at the server
		}
		out = append(out, strings.TrimSpace(name+" "+h.Decision+" "+h.Reason))
	}
	return strings.Join(out, ", ")
}

// Each call has its chain, however it was refused: as a result, as HTTP 401 with a challenge, or before the server let
// anybody in.
func TestChainOfRefusals(t *testing.T) {
	for _, test := range []struct {
		desc string
		fail func(s *site)
		want string
		ours bool // the server keeps nothing that it would show
	}{
		{"a step-up that comes as HTTP 401", func(s *site) { s.Scenario("mfa") }, "sign-in allowed, token cached, verify@ cached, exchange@ refused AADSTS50076, tool@ refused", false},
		{"consent, a result", func(s *site) { s.Scenario("consent") }, "sign-in allowed, token cached, verify@ cached, exchange@ refused AADSTS65001, tool@ refused", false},
		{"blocked, a result", func(s *site) { s.Scenario("blocked") }, "sign-in allowed, token cached, verify@ cached, exchange@ refused AADSTS53003, tool@ refused", false},
		{"revoked everywhere", func(s *site) { s.Policy(entraserver.Policies{Revoked: []string{"alice"}, RefuseRevoked: new(true)}) }, "sign-in allowed, token cached, verify@ cached, exchange@ refused AADSTS50173, tool@ refused", false},
		{"the server is away", func(s *site) { s.MCP.Close() }, "sign-in allowed, answer failed", true},
	} {
		t.Run(test.desc, func(t *testing.T) {
			t.Parallel()
			s := start(t, options{})
			w := s.window(t, "alice")
			w.signIn()
			test.fail(s)
			c := w.newConversation()
			w.ask(c, "*")
			w.settled(c)
			got, way := w.chain(t, c)
			if way != test.want {
				t.Errorf("the way was %s", way)
			}
			if (got.ID == "") != test.ours || (got.Note != "") != test.ours {
				t.Errorf("id %q, note %q", got.ID, got.Note)
			}
		})
	}
}

// After the step-up the same call has the chain of its second attempt.
func TestChainAfterStepUp(t *testing.T) {
	s := start(t, options{})
	w := s.window(t, "alice")
	w.signIn()
	s.Scenario("mfa")
	c := w.newConversation()
	w.ask(c, "*")
	refusal := w.answer(w.settled(c)).Calls[0].Refusal
	first, _ := w.chain(t, c)
	w.post(refusal.Button.Action, url.Values{"csrf": {csrf(t, w.open("/c/"+c))}})
	w.settled(c)
	second, way := w.chain(t, c)
	if first.ID == second.ID || !strings.HasSuffix(way, "search@ allowed, tool@ allowed") {
		t.Errorf("the way was %s", way)
	}
}

// A server that is none of ours keeps no chain; one that lies about it is bounded, and what it says is marked as its own.
func TestChainOfOtherServers(t *testing.T) {
	var answer atomic.Pointer[string]
	s := start(t, options{change: func(cfg *web.Config) {
		cfg.MCPClient = &http.Client{Transport: forge{answer: &answer}}
	}})
	w := s.window(t, "alice")
	w.signIn()
	c := w.begin("*")
	call := w.answer(w.settled(c)).Calls[0]
	for _, test := range []struct{ desc, answer, want string }{
		{"none", "", "sign-in allowed, token cached, answer allowed"},
		{"another call's", `{"id":"` + strings.Repeat("0", 32) + `","hops":[{"station":"search","decision":"allowed"}]}`, "sign-in allowed, token cached, answer allowed"},
		{"too many hops", `{"id":"` + call.Chain + `","hops":[` + strings.Repeat(`{},`, 64) + `{}]}`, "sign-in allowed, token cached, answer allowed"},
		{
			"a hostile one", `{"id":"` + call.Chain + `","hops":[{"station":"\u202e<b>x</b>","decision":"allowed","reason":"` + strings.Repeat("r", 500) + `"}]}`,
			"sign-in allowed, token cached, <b>x</b>@ allowed " + strings.Repeat("r", 197) + "…",
		},
	} {
		answer.Store(&test.answer)
		if _, way := w.chain(t, c); way != test.want {
			t.Errorf("%s: the way was %s", test.desc, way)
		}
	}
	page := w.open("/c/" + c + "/calls/" + call.ID + "/chain")
	if strings.Contains(page.Body, "<b>x") || !strings.Contains(page.Body, "as it tells") {
		t.Errorf("the page: %s", page.Body)
	}
}

// forge answers in the place of the server's chains.
type forge struct{ answer *atomic.Pointer[string] }

func (f forge) RoundTrip(r *http.Request) (*http.Response, error) {
	text := f.answer.Load()
	if text == nil || !strings.HasPrefix(r.URL.Path, "/api/chain/") {
		return http.DefaultTransport.RoundTrip(r)
	}
	w := httptest.NewRecorder()
	if *text == "" {
		w.WriteHeader(http.StatusNotFound)
	} else {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.WriteString(*text)
	}
	return w.Result(), nil
}
