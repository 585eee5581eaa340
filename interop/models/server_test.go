//go:build interop

package models

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/openai"
)

func TestLlamaCPP(t *testing.T) {
	server := LlamaCPP(t, "2048")
	understood(t, server)
	t.Run("more than its context", func(t *testing.T) {
		if _, err := question(t, server, strings.Repeat("x", 20_000)); kindOf(t, err) != agent.ModelTooLong {
			t.Errorf("got %v", err)
		}
	})
}

// understood holds what the agent's client makes of a server against what the model is known to say.
func understood(t *testing.T, server *Server) {
	t.Helper()
	for asked, want := range map[string]agent.Answer{
		"Hello": {Calls: []agent.ModelCall{{Name: tool, Arguments: `{"query":"roadmap"}`}}},
		"Twice": {Calls: []agent.ModelCall{{Name: tool, Arguments: `{"query":"roadmap"}`}, {Name: tool, Arguments: `{"query":"handbook"}`}}},
	} {
		t.Run(asked, func(t *testing.T) {
			answer, err := question(t, server, asked)
			if err != nil {
				t.Fatal(err)
			}
			told(t, answer, want)
		})
	}
	t.Run("without end", func(t *testing.T) {
		answer, err := question(t, server, "Loop")
		if err != nil {
			t.Fatal(err)
		}
		if !answer.Cut || !strings.HasPrefix(answer.Text, "On and on andOn and on and") {
			t.Errorf("cut: %v, %.80q", answer.Cut, answer.Text)
		}
	})
	t.Run("a result", func(t *testing.T) {
		answer, err := stream(t, openai.Config{URL: server.URL, Model: server.Model}, &agent.ModelRequest{Tools: searchTool, Messages: []agent.ModelMessage{
			{Role: "system", Text: "S"},
			{Role: "user", Text: "U"},
			{Role: "assistant", Calls: []agent.ModelCall{{ID: "c1", Name: tool, Arguments: `{"query":"x"}`}, {ID: "c2", Name: tool, Arguments: `{}`}}},
			{Role: "tool", Call: "c1", Text: "R"},
			{Role: "tool", Call: "c2", Text: "R"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		told(t, answer, agent.Answer{Text: "That is what the documents say [1]."})
	})
}

// told compares; identifiers are the server's own, and so is how it writes JSON and counts.
func told(t *testing.T, got *agent.Answer, want agent.Answer) {
	t.Helper()
	if got.Usage.In <= 0 || got.Usage.Out <= 0 {
		t.Errorf("usage: %+v", got.Usage)
	}
	want.Usage = got.Usage
	ids := map[string]bool{}
	for i := range got.Calls {
		call := &got.Calls[i]
		if call.ID == "" || ids[call.ID] {
			t.Errorf("identifier %q of call %d", call.ID, i)
		}
		ids[call.ID] = true
		var arguments map[string]any
		if err := json.Unmarshal([]byte(call.Arguments), &arguments); err != nil {
			t.Errorf("arguments %q: %v", call.Arguments, err)
		}
		text, err := json.Marshal(arguments)
		if err != nil {
			t.Fatal(err)
		}
		call.ID, call.Arguments = "", string(text)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Error(diff)
	}
}

const tool = "docs__get_documents"

var searchTool = []agent.ModelTool{{Name: tool, Description: "D", Schema: json.RawMessage(`{"type":"object","properties":{"query":{"type":"string"}},"required":["query"]}`)}}

func question(t *testing.T, server *Server, text string) (*agent.Answer, error) {
	t.Helper()
	return stream(t, openai.Config{URL: server.URL, Model: server.Model}, &agent.ModelRequest{
		Messages: []agent.ModelMessage{{Role: "system", Text: "S"}, {Role: "user", Text: text}}, Tools: searchTool,
	})
}
