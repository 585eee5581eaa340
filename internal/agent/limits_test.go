package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/dialog"
)

// greedy is a model that never stops asking.
type greedy struct{ calls int }

func (greedy) Name() (string, bool) { return "greedy", false }

func (g greedy) Stream(_ context.Context, r *agent.ModelRequest, _ func(string)) (*agent.Answer, error) {
	out := &agent.Answer{Usage: dialog.Usage{In: 100, Out: 1}}
	for i := range g.calls {
		out.Calls = append(out.Calls, call("docs__get", fmt.Sprintf(`{"words":"%d of %d"}`, i, len(r.Messages))))
	}
	return out, nil
}

func TestLimits(t *testing.T) {
	for desc, c := range map[string]struct {
		limits  agent.Limits
		calls   int
		failure string
		made    int // calls
	}{
		"steps":  {agent.Limits{Steps: 3}, 1, "3 steps", 2}, // in the last one no tools are offered
		"calls":  {agent.Limits{Steps: 8, Calls: 5}, 3, "8 steps", 5},
		"tokens": {agent.Limits{Tokens: 150}, 1, "202 tokens", 2},
	} {
		t.Run(desc, func(t *testing.T) {
			docs := serve(t, map[string]handler{"get": returns(found)})
			s := newScene(t, agent.Config{Model: greedy{c.calls}, Ask: unasked("docs.get"), Limits: c.limits}, []agent.Server{docs.as("docs", "")})
			if m := s.ask("?"); m.State != dialog.Failed || !strings.Contains(m.Failure, c.failure) || len(docs.called()) != c.made {
				t.Errorf("%s: %q after %d calls", m.State, m.Failure, len(docs.called()))
			}
		})
	}
}

func TestTimeIsLimited(t *testing.T) {
	hangs := handler(func(ctx context.Context, _ *mcp.CallToolRequest, _ wordsIn) (*mcp.CallToolResult, any, error) {
		<-ctx.Done()
		return nil, nil, ctx.Err()
	})
	for desc, c := range map[string]struct {
		limits agent.Limits
		state  dialog.State
		want   string
	}{
		"of an answer": {agent.Limits{Time: 100 * time.Millisecond}, dialog.Failed, "longer than is allowed"},
		"of a call":    {agent.Limits{Call: 100 * time.Millisecond}, dialog.Done, ""},
	} {
		t.Run(desc, func(t *testing.T) {
			t.Parallel()
			docs := serve(t, map[string]handler{"get": hangs})
			s := newScene(t, agent.Config{Ask: unasked("docs.get"), Limits: c.limits}, []agent.Server{docs.as("docs", "")}, asks(call("docs__get", `{}`)))
			m := s.ask("?")
			if one := s.find("get"); m.State != c.state || !strings.Contains(m.Failure, c.want) || one.State != dialog.CallFailed || !strings.Contains(one.Error, "not known") {
				t.Errorf("got %+v, %+v", m, one)
			}
		})
	}
}

func TestCallsRunBesideOneAnother(t *testing.T) {
	var now, most atomic.Int32
	docs := serve(t, map[string]handler{"get": func(context.Context, *mcp.CallToolRequest, wordsIn) (*mcp.CallToolResult, any, error) {
		most.Store(max(most.Load(), now.Add(1)))
		time.Sleep(20 * time.Millisecond)
		now.Add(-1)
		return nil, found, nil
	}})
	var calls []agent.ModelCall
	for i := range 12 {
		calls = append(calls, call("docs__get", fmt.Sprintf(`{"top":%d}`, i)))
	}
	s := newScene(t, agent.Config{Ask: unasked("docs.get"), Limits: agent.Limits{AtOnce: 4}}, []agent.Server{docs.as("docs", "")}, asks(calls...))
	if m := s.ask("?"); m.State != dialog.Done || len(docs.called()) != 12 || most.Load() > 4 || most.Load() < 2 {
		t.Errorf("%s: %d calls, %d at once", m.State, len(docs.called()), most.Load())
	}
}

func TestResultsAreBounded(t *testing.T) {
	long := strings.Repeat("Wörter ", 40_000)
	docs := serve(t, map[string]handler{
		"text": func(context.Context, *mcp.CallToolRequest, wordsIn) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: long}, &mcp.ImageContent{MIMEType: "image/png", Data: []byte("x")}}}, nil, nil
		},
		"documents": returns(map[string]any{"documents": []map[string]any{{"id": "1", "name": "A", "content": long}, {"id": "2", "name": "B", "content": long}}}),
	})
	s := newScene(t, agent.Config{Ask: unasked("docs.text", "docs.documents"), Limits: agent.Limits{Result: 8 << 10}}, []agent.Server{docs.as("docs", "")},
		asks(call("docs__text", `{}`), call("docs__documents", `{}`)))
	s.ask("?")
	for _, tool := range []string{"text", "documents"} {
		c := s.find(tool)
		if size := len(c.Result.Text) + len(c.Result.Structured); size > 8<<10 || size < 2<<10 || c.Result.Cut < len(long)/2 {
			t.Errorf("%s: %d bytes are kept, %d left out", tool, size, c.Result.Cut)
		}
	}
	if c := s.find("documents"); len(c.Sources) != 2 || !strings.Contains(s.model.last(), `"cite":"[2]"`) || len(c.Sources[0].Extract) > 600 {
		t.Errorf("got %+v", c.Sources)
	}
}

// What a turn brings is bounded in all, however many calls it takes.
func TestATurnIsBounded(t *testing.T) {
	docs := serve(t, map[string]handler{"get": returns(map[string]any{"text": strings.Repeat("x", 30_000)})})
	s := newScene(t, agent.Config{Model: greedy{4}, Ask: unasked("docs.get"), Limits: agent.Limits{Context: 40 << 10}}, []agent.Server{docs.as("docs", "")})
	s.ask("?")
	size := 0
	for _, m := range s.Messages {
		for _, c := range m.Calls {
			if c.Result != nil {
				size += len(c.Result.Text)
			}
		}
	}
	if made := len(docs.called()); made != 36 || size > 80<<10+made<<10 || size < 40<<10 {
		t.Errorf("%d bytes after %d calls", size, made)
	}
}

func TestOldResultsMakeRoom(t *testing.T) {
	docs := serve(t, map[string]handler{"get": returns(map[string]any{"text": strings.Repeat("x", 3000)})})
	get := asks(call("docs__get", `{}`))
	s := newScene(t, agent.Config{Ask: unasked("docs.get"), Limits: agent.Limits{Context: 12 << 10}}, []agent.Server{docs.as("docs", "")},
		get, says("1"), get, says("2"), get, says("3"), get, says("4"))
	for i := range 4 {
		if m := s.ask(strconv.Itoa(i)); m.State != dialog.Done {
			t.Fatalf("got %+v", m)
		}
	}
	if m := s.Messages[len(s.Messages)-1]; len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "Older") {
		t.Errorf("notes %q", m.Notes)
	}
	for _, r := range s.model.requests {
		size := 0
		for _, m := range r.Messages {
			size += len(m.Text)
		}
		if size > 12<<10 {
			t.Errorf("%d bytes are sent", size)
		}
	}
	if result := s.find("get").Result; len(result.Text) > 3<<10 {
		t.Errorf("a result of %d bytes leaves little room for others", len(result.Text))
	}
	if m := s.ask(strings.Repeat("x", 13<<10)); m.State != dialog.Failed || !strings.Contains(m.Failure, "more than a model") {
		t.Errorf("got %+v", m.Failure)
	}
}

func TestAModelThatFails(t *testing.T) {
	fails := func(err error) func(*agent.ModelRequest) (*agent.Answer, error) {
		return func(*agent.ModelRequest) (*agent.Answer, error) { return &agent.Answer{Text: "Half"}, err }
	}
	throttled := func(wait time.Duration) func(*agent.ModelRequest) (*agent.Answer, error) {
		return func(*agent.ModelRequest) (*agent.Answer, error) {
			return nil, &agent.ModelError{Kind: agent.ModelThrottled, Text: "Too much.", Retry: wait}
		}
	}
	for desc, c := range map[string]struct {
		answer  func(*agent.ModelRequest) (*agent.Answer, error)
		state   dialog.State
		failure string
		asked   int
	}{
		"in the middle":   {fails(&agent.ModelError{Kind: agent.ModelBroken, Text: "Broken.", Cause: errors.New("secret")}), dialog.Failed, "Broken.", 1},
		"oddly":           {fails(errors.New("secret")), dialog.Failed, "The model could not answer.", 1},
		"says nothing":    {says(" "), dialog.Failed, "The model gave no answer.", 1},
		"busy":            {throttled(10 * time.Millisecond), dialog.Done, "", 2},
		"busy for long":   {throttled(time.Hour), dialog.Failed, "Too much.", 1},
		"busy, no advice": {throttled(0), dialog.Failed, "Too much.", 1},
	} {
		t.Run(desc, func(t *testing.T) {
			s := newScene(t, agent.Config{}, nil, c.answer)
			if m := s.ask("?"); m.State != c.state || m.Failure != c.failure || len(s.model.requests) != c.asked {
				t.Errorf("got %+v after %d requests", m, len(s.model.requests))
			}
		})
	}
}

// hostile is a server that a test writes by hand.
func hostile(t *testing.T, answer func(w http.ResponseWriter, id string, body string)) agent.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, rest, _ := strings.Cut(string(body), `"id":`)
		id, _, _ := strings.Cut(rest, ",")
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(string(body), "server/discover") {
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"resultType":"complete"}}`, strings.Trim(id, "} "))
			return
		}
		answer(w, strings.Trim(id, "} "), string(body))
	}))
	t.Cleanup(server.Close)
	return (&place{Server: server}).as("evil", "")
}

func TestHostileLists(t *testing.T) {
	list := func(tools string) func(w http.ResponseWriter, id, body string) {
		return func(w http.ResponseWriter, id, _ string) {
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","tools":[%s]}}`, id, tools)
		}
	}
	for desc, c := range map[string]struct {
		answer          func(w http.ResponseWriter, id, body string)
		tools, problems int
	}{
		"refers to itself":     {list(`{"name":"a","inputSchema":{"$ref":"#"}},{"name":"b","inputSchema":{"type":"object","allOf":[{"$ref":"#/$defs/x"}],"$defs":{"x":{"anyOf":[{"$ref":"#/$defs/x"}]}}}}`), 0, 2},
		"explodes":             {list(`{"name":"a","inputSchema":{"type":"object","$ref":"#/$defs/a","$defs":{` + explosion() + `}}}`), 0, 1},
		"another case":         {list(`{"name":"a","inputSchema":{"type":"object","$Ref":"#"}}`), 0, 1},
		"elsewhere":            {list(`{"name":"a","inputSchema":{"type":"object","properties":{"x":{"$ref":"http://169.254.169.254/"}}}}`), 0, 1},
		"no object":            {list(`{"name":"a","inputSchema":{"type":"string"}},{"name":"b","inputSchema":true},{"name":"c"}`), 0, 3},
		"names":                {list(`{"name":"","inputSchema":{"type":"object"}},{"name":"a\u202eb","inputSchema":{"type":"object"}},{"name":"` + strings.Repeat("x", 200) + `","inputSchema":{"type":"object"}}`), 0, 3},
		"the same name":        {list(`{"name":"a","inputSchema":{"type":"object"}},{"name":"a","inputSchema":{"type":"object"}}`), 1, 1},
		"good among the bad":   {list(`{"name":"a","inputSchema":{"$ref":"#"}},{"name":"b","inputSchema":{"type":"object"}}`), 1, 1},
		"more than are wanted": {list(strings.TrimSuffix(strings.Repeat(`{"name":"a","inputSchema":{"type":"object"}},`, 2000), ",")), 1, 1000},
		"endless pages": {func(w http.ResponseWriter, id, _ string) {
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","tools":[{"name":"a%s","inputSchema":{"type":"object"}}],"nextCursor":"%s"}}`, id, strings.Trim(id, `"`), strings.Trim(id, `"`))
		}, 128, 873},
		"too large":   {func(w http.ResponseWriter, id, _ string) { list(strings.Repeat(" ", 5<<20))(w, id, "") }, 0, 1},
		"no JSON":     {func(w http.ResponseWriter, _, _ string) { _, _ = io.WriteString(w, "<html>") }, 0, 1},
		"an error":    {func(w http.ResponseWriter, _, _ string) { http.Error(w, "<script>", http.StatusInternalServerError) }, 0, 1},
		"hangs":       {func(http.ResponseWriter, string, string) { time.Sleep(600 * time.Millisecond) }, 0, 1},
		"deep schema": {list(`{"name":"a","inputSchema":{"type":"object","properties":` + strings.Repeat(`{"not":`, 5000) + `{}` + strings.Repeat(`}`, 5000) + `}}`), 0, 1},
	} {
		t.Run(desc, func(t *testing.T) {
			t.Parallel()
			limits := agent.Limits{Listen: 20 * time.Second}
			if desc == "hangs" {
				limits.Listen = 200 * time.Millisecond
			}
			s := newScene(t, agent.Config{Limits: limits}, []agent.Server{hostile(t, c.answer)})
			tools, problems, err := s.agent.Tools(t.Context(), s.person)
			if err != nil || len(tools) != c.tools || len(problems) != c.problems {
				t.Errorf("%d tools, %d problems, %v: %.300v", len(tools), len(problems), err, problems)
			}
		})
	}
}

// A server that lists many tools, or large ones, takes no room from another's.
func TestAGreedyServerLeavesRoom(t *testing.T) {
	for desc, description := range map[string]string{"many": "", "large": strings.Repeat("x", 60<<10)} {
		t.Run(desc, func(t *testing.T) {
			t.Parallel()
			var tools []string
			for i := range 50 {
				tools = append(tools, fmt.Sprintf(`{"name":"a%03d","inputSchema":{"type":"object","description":%q}}`, i, description))
			}
			for i := range 200 {
				tools = append(tools, fmt.Sprintf(`{"name":"b%03d","inputSchema":{"type":"object"}}`, i))
			}
			greedy := hostile(t, func(w http.ResponseWriter, id, _ string) {
				fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","tools":[%s]}}`, id, strings.Join(tools, ","))
			})
			greedy.Name = "greedy"
			docs := serve(t, map[string]handler{"get": returns(found), "list": returns(found)})
			s := newScene(t, agent.Config{}, []agent.Server{greedy, docs.as("docs", "")}, says("Here."))
			if m := s.ask("Is there room?"); m.State != dialog.Done {
				t.Fatalf("got %s: %s", m.State, m.Failure)
			}
			size, names := 0, map[string]bool{}
			for _, tool := range s.model.requests[0].Tools {
				names[tool.Name] = true
				size += len(tool.Name) + len(tool.Description) + len(tool.Schema)
			}
			if !names["docs__get"] || !names["docs__list"] || !names["greedy__a000"] || len(names) > 128 || size > 200<<10 {
				t.Errorf("%d tools of %d bytes, docs.get among them: %t", len(names), size, names["docs__get"])
			}
		})
	}
}

// explosion are definitions of which each holds the next one twice.
func explosion() string {
	var out []string
	for c := 'a'; c < 'z'; c++ {
		out = append(out, fmt.Sprintf(`"%c":{"allOf":[{"$ref":"#/$defs/%c"},{"$ref":"#/$defs/%c"}]}`, c, c+1, c+1))
	}
	return strings.Join(append(out, `"z":{}`), ",")
}

func TestHostileAnswers(t *testing.T) {
	for desc, c := range map[string]struct {
		result string
		want   string
	}{
		"error":         {`"error":{"code":-32000,"message":"\u001b[2Jdo <b>this</b>` + strings.Repeat("x", 10_000) + `"}`, "do <b>this</b>"},
		"too large":     {`"result":{"content":[{"type":"text","text":"` + strings.Repeat("x", 5<<20) + `"}]}`, "did not answer as it should"},
		"no content":    {`"result":7`, "did not answer as it should"},
		"unknown kind":  {`"result":{"resultType":"complete","content":[{"type":"video","data":"x"}]}`, "did not answer as it should"},
		"not a message": {`"x":1`, "did not answer as it should"},
	} {
		t.Run(desc, func(t *testing.T) {
			t.Parallel()
			server := hostile(t, func(w http.ResponseWriter, id, body string) {
				if strings.Contains(body, "tools/list") {
					fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","tools":[{"name":"get","inputSchema":{"type":"object"}}]}}`, id)
					return
				}
				fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,%s}`, id, c.result)
			})
			s := newScene(t, agent.Config{Ask: unasked("evil.get"), Limits: agent.Limits{Call: 5 * time.Second}}, []agent.Server{server}, asks(call("evil__get", `{}`)))
			m := s.ask("?")
			if one := s.find("get"); m.State != dialog.Done || one.State != dialog.CallFailed || !strings.Contains(one.Error, c.want) || len(one.Error) > 1000 || strings.Contains(one.Error, "\x1b") {
				t.Errorf("got %.500s: %.300s", one.State, one.Error)
			}
		})
	}
}

// A server that is away does not hold the others up; one that wants a sign-in does.
func TestOneOfTwoServersIsAway(t *testing.T) {
	for kind, want := range map[string]dialog.State{"unavailable": dialog.Done, "sign-in": dialog.Waiting} {
		t.Run(kind, func(t *testing.T) {
			docs := serve(t, map[string]handler{"get": returns(found)})
			away := agent.Server{Name: "away", Host: "away.example", Transport: func(context.Context) (mcp.Transport, error) { return nil, errors.New("nobody there") }}
			s := newScene(t, agent.Config{Ask: unasked("docs.get")}, []agent.Server{away, docs.as("docs", "")}, asks(call("docs__get", `{}`)))
			s.person.Refuse = func(context.Context, dialog.Call, error, *mcp.CallToolResult) *dialog.Refusal {
				return &dialog.Refusal{Kind: kind, Text: "Not now.", Resumable: true}
			}
			m := s.ask("?")
			if m.State != want || (len(docs.called()) == 1) != (want == dialog.Done) {
				t.Errorf("got %+v, %q", m, docs.called())
			}
			if first := s.Messages[1].Calls[0]; first.Server != "away" || first.State != dialog.Refused || first.Refusal.Resumable != (want == dialog.Waiting) {
				t.Errorf("got %+v", first)
			}
		})
	}
}

// Whoever asks is answered over the transport of that sign-in alone, also with hundreds at once.
func TestEachSignInHasItsOwnWay(t *testing.T) {
	docs := serve(t, map[string]handler{"get": func(_ context.Context, req *mcp.CallToolRequest, _ wordsIn) (*mcp.CallToolResult, any, error) {
		return nil, map[string]any{"documents": []map[string]any{{"id": "1", "name": req.Extra.Header.Get("Authorization"), "content": "own"}}}, nil
	}})
	a, err := agent.New(agent.Config{Model: searcher{}, Ask: unasked("docs.get")})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	var group sync.WaitGroup
	for i := range 200 {
		group.Go(func() {
			token := fmt.Sprintf("Bearer token-%d", i)
			server := docs.as("docs", "")
			server.Transport = func(context.Context) (mcp.Transport, error) {
				return &mcp.StreamableClientTransport{Endpoint: docs.URL, DisableStandaloneSSE: true, HTTPClient: &http.Client{Transport: as(token)}}, nil
			}
			person := agent.Person{Key: fmt.Sprint("key", i), Servers: []agent.Server{server}}
			for range 2 {
				c := &dialog.Conversation{}
				c.Ask("q", "?", time.Now())
				if err := a.Run(t.Context(), person, c, func(agent.Event) {}); err != nil {
					t.Error(err)
					return
				}
				if got := c.Messages[1].Calls[0].Sources; len(got) != 1 || got[0].Title != token {
					t.Errorf("%s was answered %+v", token, got)
				}
			}
			a.Forget(person.Key)
		})
	}
	group.Wait()
}

type as string

func (a as) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", string(a))
	return http.DefaultTransport.RoundTrip(r)
}

// searcher asks for one call, then is done.
type searcher struct{}

func (searcher) Name() (string, bool) { return "searcher", false }

func (searcher) Stream(_ context.Context, r *agent.ModelRequest, text func(string)) (*agent.Answer, error) {
	if r.Messages[len(r.Messages)-1].Role == "user" {
		return &agent.Answer{Calls: []agent.ModelCall{call("docs__get", `{}`)}}, nil
	}
	text("done")
	return &agent.Answer{Text: "done"}, nil
}
