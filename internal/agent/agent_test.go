package agent_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/dialog"
)

// script is a model that answers what a test wrote, in order.
type script struct {
	mu       sync.Mutex
	answers  []func(*agent.ModelRequest) (*agent.Answer, error)
	requests []*agent.ModelRequest
}

func (s *script) Name() (string, bool) { return "script", false }

func (s *script) Stream(_ context.Context, r *agent.ModelRequest, text func(string)) (*agent.Answer, error) {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	next := func(*agent.ModelRequest) (*agent.Answer, error) { return &agent.Answer{Text: "done"}, nil }
	if len(s.answers) > 0 {
		next, s.answers = s.answers[0], s.answers[1:]
	}
	s.mu.Unlock()
	answer, err := next(r)
	if answer != nil {
		text(answer.Text)
	}
	return answer, err
}

// last is what the model was told by its last message.
func (s *script) last() string {
	r := s.requests[len(s.requests)-1]
	return r.Messages[len(r.Messages)-1].Text
}

func asks(calls ...agent.ModelCall) func(*agent.ModelRequest) (*agent.Answer, error) {
	return func(*agent.ModelRequest) (*agent.Answer, error) { return &agent.Answer{Calls: calls}, nil }
}

func says(text string) func(*agent.ModelRequest) (*agent.Answer, error) {
	return func(*agent.ModelRequest) (*agent.Answer, error) { return &agent.Answer{Text: text}, nil }
}

func call(name, arguments string) agent.ModelCall {
	return agent.ModelCall{ID: "c-" + name, Name: name, Arguments: arguments}
}

// wordsIn is what the tools of the tests take.
type wordsIn struct {
	Words string `json:"words,omitempty" jsonschema:"what to look for"`
	Top   int    `json:"top,omitempty"`
}

type handler func(ctx context.Context, req *mcp.CallToolRequest, in wordsIn) (*mcp.CallToolResult, any, error)

// returns is a tool that returns structured content.
func returns(value any) handler {
	return func(context.Context, *mcp.CallToolRequest, wordsIn) (*mcp.CallToolResult, any, error) {
		return nil, value, nil
	}
}

// place is an MCP server on this machine that a test changes as it likes.
type place struct {
	*httptest.Server
	mcp *mcp.Server

	mu    sync.Mutex
	calls []string // names and arguments
}

func serve(tb testing.TB, tools map[string]handler) *place {
	tb.Helper()
	p := &place{mcp: mcp.NewServer(&mcp.Implementation{Name: "test"}, nil)}
	for name, h := range tools {
		p.add(name, "Does "+name+".", h)
	}
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return p.mcp }, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true, PropagateRequestCancellation: true})
	p.Server = httptest.NewServer(handler)
	tb.Cleanup(p.Close)
	return p
}

func (p *place) add(name, description string, h handler) {
	mcp.AddTool(p.mcp, &mcp.Tool{Name: name, Description: description, Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true}},
		func(ctx context.Context, req *mcp.CallToolRequest, in wordsIn) (*mcp.CallToolResult, any, error) {
			p.mu.Lock()
			p.calls = append(p.calls, name+" "+in.Words)
			p.mu.Unlock()
			return h(ctx, req, in)
		})
}

func (p *place) called() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls)
}

func (p *place) as(name, group string) agent.Server {
	return agent.Server{Name: name, Group: group, Host: name + ".example", Transport: func(context.Context) (mcp.Transport, error) {
		return &mcp.StreamableClientTransport{Endpoint: p.URL, DisableStandaloneSSE: true, HTTPClient: &http.Client{Transport: agent.BoundBodies(http.DefaultTransport, 4<<20)}}, nil
	}}
}

// scene is a conversation under test.
type scene struct {
	*dialog.Conversation
	t      testing.TB
	agent  *agent.Agent
	person agent.Person
	model  *script
	events []agent.Event
}

func newScene(tb testing.TB, cfg agent.Config, servers []agent.Server, answers ...func(*agent.ModelRequest) (*agent.Answer, error)) *scene {
	tb.Helper()
	s := &scene{Conversation: &dialog.Conversation{}, t: tb, model: &script{answers: answers}, person: agent.Person{Key: "key", Servers: servers}}
	if cfg.Model == nil {
		cfg.Model = s.model
	}
	var err error
	if s.agent, err = agent.New(cfg); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.agent.Close)
	return s
}

// ask runs a question, and returns the last message.
func (s *scene) ask(question string) *dialog.Message {
	s.t.Helper()
	s.Ask("q"+question, question, time.Now())
	return s.run(s.t.Context())
}

func (s *scene) run(ctx context.Context) *dialog.Message {
	s.t.Helper()
	// As after a restart: all that the loop knows comes out of JSON.
	text, err := json.Marshal(s.Conversation)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Conversation = &dialog.Conversation{}
	if err := json.Unmarshal(text, s.Conversation); err != nil {
		s.t.Fatal(err)
	}
	s.Recover()
	if err := s.agent.Run(ctx, s.person, s.Conversation, func(e agent.Event) { s.events = append(s.events, e) }); err != nil {
		s.t.Fatal(err)
	}
	return &s.Messages[len(s.Messages)-1]
}

// find returns the newest call of a tool.
func (s *scene) find(tool string) *dialog.Call {
	s.t.Helper()
	for _, m := range slices.Backward(s.Messages) {
		for j := range m.Calls {
			if m.Calls[j].Tool == tool {
				return &m.Calls[j]
			}
		}
	}
	s.t.Fatalf("no call of %q", tool)
	return nil
}

func (s *scene) decide(c *dialog.Call, d dialog.Decision) *dialog.Message {
	s.t.Helper()
	if err := s.Answer(c.ID, d); err != nil {
		s.t.Fatal(err)
	}
	return s.run(s.t.Context())
}

func unasked(tools ...string) agent.AskPolicy {
	p := agent.AskPolicy{Unasked: map[string]string{}}
	for _, tool := range tools {
		p.Unasked[tool] = ""
	}
	return p
}

func refuseAll(text string) func(context.Context, dialog.Call, error, *mcp.CallToolResult) *dialog.Refusal {
	return func(context.Context, dialog.Call, error, *mcp.CallToolResult) *dialog.Refusal {
		return &dialog.Refusal{Kind: "sign-in", Text: text, Resumable: true}
	}
}

var found = map[string]any{"documents": []map[string]any{
	{"id": "1", "name": "Handbook", "content": "Thirty days of leave.", "score": 1.5},
	{"id": "2", "name": "Roadmap", "content": "One search for everything."},
}}

func TestAnswerWithSources(t *testing.T) {
	docs := serve(t, map[string]handler{"get": returns(found)})
	s := newScene(t, agent.Config{Ask: unasked("docs.get"), Instructions: "Be brief."}, []agent.Server{docs.as("docs", "")}, asks(call("docs__get", `{"words":"leave"}`)), says("Thirty days [1]."))
	m := s.ask("How much leave?")
	if m.State != dialog.Done || m.Text != "Thirty days [1]." || !m.Usage.Estimated {
		t.Fatalf("got %+v", m)
	}
	c := s.find("get")
	if c.State != dialog.Succeeded || c.Host != "docs.example" || len(c.Sources) != 2 || c.Sources[0] != (dialog.Source{N: 1, ID: "1", Title: "Handbook", Extract: "Thirty days of leave.", Score: 1.5}) {
		t.Errorf("got %+v", c)
	}
	if system := s.model.requests[0].Messages[0]; system.Role != "system" || !strings.HasSuffix(system.Text, "\nBe brief.") {
		t.Errorf("the model is told %+v", system)
	}
	told := s.model.last()
	if data, ok := agent.Unwrap(told); !ok || !strings.Contains(data, `"cite":"[2]"`) || !strings.Contains(told, "<<<"+c.ID) {
		t.Errorf("the model was told %q", told)
	}
	if got := docs.called(); !slices.Equal(got, []string{"get leave"}) {
		t.Errorf("called %q", got)
	}
	if first, last := s.events[0], s.events[len(s.events)-1]; first.Phase != dialog.PhaseRunning || last.Phase != dialog.PhaseIdle {
		t.Errorf("events %+v … %+v", first, last)
	}
}

// What claims to be harmless asks all the same, and the answer is the person's.
func TestCallsAskByDefault(t *testing.T) {
	for decision, want := range map[dialog.Decision]dialog.CallState{dialog.Allow: dialog.Succeeded, dialog.Deny: dialog.Declined} {
		t.Run(string(decision), func(t *testing.T) {
			docs := serve(t, map[string]handler{"get": returns(found)})
			s := newScene(t, agent.Config{}, []agent.Server{docs.as("docs", "")}, asks(call("docs__get", `{"words":"x"}`)))
			if m := s.ask("?"); m.State != dialog.Waiting || s.find("get").Reason != dialog.ReasonDefault || len(docs.called()) != 0 {
				t.Fatalf("got %+v", m)
			}
			if m := s.decide(s.find("get"), decision); m.State != dialog.Done || s.find("get").State != want {
				t.Errorf("got %+v", m)
			}
			if got := len(docs.called()); (got == 1) != (decision == dialog.Allow) {
				t.Errorf("called %d times", got)
			}
		})
	}
}

func TestAllowAlwaysHoldsForThisToolOnly(t *testing.T) {
	docs := serve(t, map[string]handler{"get": returns(found), "delete": returns("gone")})
	s := newScene(t, agent.Config{}, []agent.Server{docs.as("docs", "")},
		asks(call("docs__get", `{}`)), says("a"), asks(call("docs__get", `{}`), call("docs__delete", `{}`)))
	s.ask("1")
	s.decide(s.find("get"), dialog.AllowAlways)
	m := s.ask("2")
	if m.State != dialog.Waiting || s.find("get").State != dialog.Succeeded || s.find("delete").State != dialog.Asking {
		t.Errorf("got %+v", m)
	}
}

func TestRefusalsResumeTheVeryCall(t *testing.T) {
	docs := serve(t, map[string]handler{"get": returns(found)})
	server, broken := docs.as("docs", ""), true
	through := server.Transport
	server.Transport = func(ctx context.Context) (mcp.Transport, error) {
		if broken {
			return nil, &jsonrpc.Error{Message: "not yet"}
		}
		return through(ctx)
	}
	s := newScene(t, agent.Config{Ask: unasked("docs.get")}, []agent.Server{server}, asks(call("docs__get", `{"words":"x"}`)))
	s.person.Refuse = refuseAll("Sign in again.")
	m := s.ask("?")
	if m.State != dialog.Waiting || len(m.Calls) != 1 || m.Calls[0].Tool != "" || m.Calls[0].State != dialog.Refused {
		t.Fatalf("got %+v", m)
	}
	broken = false
	if err := s.Resume(m.Calls[0].ID); err != nil {
		t.Fatal(err)
	}
	if m = s.run(t.Context()); m.State != dialog.Done || s.find("get").State != dialog.Succeeded {
		t.Errorf("got %+v", m)
	}
}

// What was approved and not begun runs after a restart; what ran counts as not known, and is not repeated.
func TestARestartInTheMiddle(t *testing.T) {
	docs := serve(t, map[string]handler{"get": returns(found)})
	s := newScene(t, agent.Config{}, []agent.Server{docs.as("docs", "")}, asks(call("docs__get", `{"words":"a"}`), call("docs__get", `{"words":"b"}`), call("docs__get", `{"words":"c"}`)))
	s.ask("?")
	calls := s.Messages[1].Calls
	s.Messages[1].State, calls[0].State, calls[1].State = dialog.Running, dialog.InFlight, dialog.Approved
	m := s.run(t.Context())
	if got := docs.called(); m.State != dialog.Waiting || m.Calls[0].State != dialog.CallFailed || m.Calls[1].State != dialog.Succeeded || m.Calls[2].State != dialog.Asking || !slices.Equal(got, []string{"get b"}) {
		t.Errorf("got %+v, called %q", m, got)
	}
	if m = s.decide(&s.Messages[1].Calls[2], dialog.Deny); m.State != dialog.Done || len(s.Messages) != 3 {
		t.Errorf("got %+v", m)
	}
	before := len(s.events)
	if s.run(t.Context()); len(s.events) != before {
		t.Errorf("where there is nothing to do, something happens: %+v", s.events[before:])
	}
}

func TestMalformed(t *testing.T) {
	ok := agent.Server{Name: "docs", Transport: func(context.Context) (mcp.Transport, error) { return nil, context.Canceled }}
	wrong := func(change func(*agent.Server)) agent.Server {
		s := ok
		change(&s)
		return s
	}
	for desc, servers := range map[string][]agent.Server{
		"upper case": {wrong(func(s *agent.Server) { s.Name = "Docs" })}, "underscore": {wrong(func(s *agent.Server) { s.Name = "a__b" })}, "empty": {wrong(func(s *agent.Server) { s.Name = "" })},
		"twice": {ok, ok}, "no transport": {wrong(func(s *agent.Server) { s.Transport = nil })},
	} {
		s := newScene(t, agent.Config{}, servers)
		s.Ask("q", "?", time.Now())
		if err := s.agent.Run(t.Context(), s.person, s.Conversation, func(agent.Event) {}); err == nil {
			t.Errorf("%s: accepted", desc)
		}
	}
	s := newScene(t, agent.Config{Limits: agent.Limits{Question: 10}}, []agent.Server{ok})
	s.Ask("q", strings.Repeat("x", 11), time.Now())
	if err := s.agent.Run(t.Context(), s.person, s.Conversation, func(agent.Event) {}); err == nil {
		t.Error("a question that is too long is accepted")
	}
}
