package agent_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/dialog"
)

const chain = "0123456789abcdef0123456789abcdef"

// What a tool answers, and what becomes of it.
func TestWhatBecomesOfAResult(t *testing.T) {
	text := func(text string) []mcp.Content { return []mcp.Content{&mcp.TextContent{Text: text}} }
	for desc, c := range map[string]struct {
		result  *mcp.CallToolResult
		err     error
		refused bool // Person.Refuse knows it
		state   dialog.CallState
		told    string
	}{
		"text": {&mcp.CallToolResult{Content: text("plain"), Meta: mcp.Meta{"onbehalf/chain": chain}}, nil, false, dialog.Succeeded, "The tool returned:\n<<<ID\nplain\n>>>ID"},
		"documents, as text": {
			&mcp.CallToolResult{Content: text(`[{"id":"1","title":"A"}]`), Meta: mcp.Meta{"onbehalf/chain": chain}}, nil, false, dialog.Succeeded,
			"The tool returned:\n<<<ID\n[{\"cite\":\"[1]\",\"id\":\"1\",\"title\":\"A\"}]\n>>>ID",
		},
		"links": {
			&mcp.CallToolResult{Content: []mcp.Content{&mcp.ResourceLink{URI: "file:///a", Name: "A"}}, Meta: mcp.Meta{"onbehalf/chain": chain}}, nil, false, dialog.Succeeded,
			"The tool returned:\n<<<ID\n[a link: A, file:///a] \n>>>ID",
		},
		"an error as content": {
			&mcp.CallToolResult{IsError: true, Content: text("no such thing"), Meta: mcp.Meta{"onbehalf/chain": chain}}, nil, false, dialog.Succeeded,
			"The tool returned an error:\n<<<ID\nno such thing\n>>>ID",
		},
		"a refusal as content": {&mcp.CallToolResult{IsError: true, Content: text("AADSTS50076"), Meta: mcp.Meta{"onbehalf/chain": chain}}, nil, true, dialog.Refused, ""},
		"a refusal":            {nil, &jsonrpc.Error{Code: -32001, Message: "no", Data: []byte(`{"chain":"` + chain + `"}`)}, true, dialog.Refused, ""},
		"an error": {
			nil, &jsonrpc.Error{Code: -32001, Message: "boom", Data: []byte(`{"chain":"` + chain + `"}`)}, false, dialog.CallFailed,
			"The call failed:\n<<<ID\ndocs.example refuses the call, and says: boom\n>>>ID",
		},
		"a link, as older protocols ask": {nil, &jsonrpc.Error{
			Code: mcp.CodeURLElicitationRequired, Message: "open it", Data: []byte(`{"chain":"` + chain + `","elicitations":[{"mode":"url","url":"https://x.example/","elicitationId":"e"}]}`),
		}, true, dialog.Refused, ""},
	} {
		t.Run(desc, func(t *testing.T) {
			t.Parallel()
			docs := serve(t, nil)
			docs.mcp.AddTool(&mcp.Tool{Name: "get", InputSchema: map[string]any{"type": "object"}}, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) { return c.result, c.err })
			s := newScene(t, agent.Config{Ask: unasked("docs.get")}, []agent.Server{docs.as("docs", "")}, asks(call("docs__get", `{}`)))
			if c.refused {
				s.person.Refuse = func(_ context.Context, got dialog.Call, err error, result *mcp.CallToolResult) *dialog.Refusal {
					if got.Server != "docs" || got.Tool != "get" || (err == nil) == (result == nil) {
						t.Errorf("asked about %+v, %v, %v", got, err, result)
					}
					return &dialog.Refusal{Kind: "sign-in", Text: "Sign in.", Resumable: true}
				}
			}
			m := s.ask("?")
			one := s.find("get")
			if one.State != c.state || one.Chain != chain || one.Back != nil && one.Back.State != "" {
				t.Fatalf("got %+v", one)
			}
			if c.state == dialog.Refused {
				if m.State != dialog.Waiting || one.Refusal.Text != "Sign in." {
					t.Errorf("got %+v", m)
				}
				s.Ask("later", "Never mind.", time.Now())
				s.run(t.Context())
				if told := s.model.requests[len(s.model.requests)-1].Messages; !strings.Contains(told[len(told)-2].Text, "refused. Sign in.") {
					t.Errorf("the model was told %q", told[len(told)-2].Text)
				}
				return
			}
			if told := strings.ReplaceAll(s.model.last(), one.ID, "ID"); told != c.told {
				t.Errorf("the model was told %q", told)
			}
		})
	}
}

// Towards the model a tool has its server's name and letters that OpenAI takes, and no other tool's name.
func TestNamesTowardsTheModel(t *testing.T) {
	long := strings.Repeat("long", 20)
	docs := serve(t, map[string]handler{"get": returns(1), "a.b": returns(2), "a_b": returns(3), "a/b": returns(4), long: returns(5), long + "x": returns(6)})
	s := newScene(t, agent.Config{}, []agent.Server{docs.as("docs", ""), docs.as("other", "")}, says("x"))
	s.ask("?")
	seen := map[string]bool{}
	for _, tool := range s.model.requests[0].Tools {
		if seen[tool.Name] || len(tool.Name) > 64 || strings.Trim(tool.Name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" || !strings.HasPrefix(tool.Name, "docs__") && !strings.HasPrefix(tool.Name, "other__") {
			t.Errorf("name %q", tool.Name)
		}
		seen[tool.Name] = true
	}
	if len(seen) != 12 || !seen["docs__a_b"] || !seen["other__get"] {
		t.Errorf("got %v", seen)
	}
}

// The same document has one number in a turn, whichever call brought it; another server's is another document.
func TestNumbersOfSources(t *testing.T) {
	one := serve(t, map[string]handler{"get": returns(found)})
	s := newScene(t, agent.Config{Ask: unasked("a.get", "b.get")}, []agent.Server{one.as("a", "g"), one.as("b", "g")},
		asks(call("a__get", `{}`)), asks(call("b__get", `{}`), call("a__get", `{}`)), says("x"), asks(call("b__get", `{}`)))
	s.ask("1")
	numbers := func(m *dialog.Message) string {
		var out []int
		for _, c := range m.Calls {
			for _, source := range c.Sources {
				out = append(out, source.N)
			}
		}
		slices.Sort(out)
		return fmt.Sprint(out)
	}
	if got := numbers(&s.Messages[1]) + numbers(&s.Messages[2]); got != "[1 2][1 2 3 4]" {
		t.Errorf("got %s", got)
	}
	s.ask("2")
	if got := numbers(&s.Messages[5]); got != "[1 2]" {
		t.Errorf("in the next turn: %s", got)
	}
}

// Without a key nothing is kept: each run makes its own way.
func TestNothingIsKeptWithoutAKey(t *testing.T) {
	docs := serve(t, map[string]handler{"get": returns(found)})
	connects := 0
	server := docs.as("docs", "")
	server.Transport = func(context.Context) (mcp.Transport, error) {
		connects++
		return &mcp.StreamableClientTransport{Endpoint: docs.URL, DisableStandaloneSSE: true, HTTPClient: http.DefaultClient}, nil
	}
	s := newScene(t, agent.Config{Ask: unasked("docs.get")}, []agent.Server{server}, asks(call("docs__get", `{}`)), says("x"), asks(call("docs__get", `{}`)))
	s.person.Key = ""
	s.ask("1")
	if s.ask("2"); connects != 2 || len(docs.called()) != 2 {
		t.Errorf("%d connections for 2 runs, called %q", connects, docs.called())
	}
}

// What the operator pins anew runs also where the conversation knows an older definition.
func TestANewPinCounts(t *testing.T) {
	docs := serve(t, map[string]handler{"get": returns(found)})
	servers := []agent.Server{docs.as("docs", "")}
	tools, _, err := newScene(t, agent.Config{}, servers).agent.Tools(t.Context(), agent.Person{Servers: servers})
	if err != nil {
		t.Fatal(err)
	}
	for pin, want := range map[string]dialog.State{tools[0].Definition: dialog.Done, "": dialog.Waiting} {
		s := newScene(t, agent.Config{Ask: agent.AskPolicy{Unasked: map[string]string{"docs.get": pin}}}, servers, asks(call("docs__get", `{}`)))
		s.Known = map[string]string{"docs.get": strings.Repeat("0", 64)}
		if m := s.ask("?"); m.State != want {
			t.Errorf("pinned by %q: %s", pin, m.State)
		}
	}
}
