package builtin_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/builtin"
)

func tool(name, schema string) agent.ModelTool {
	return agent.ModelTool{Name: name, Schema: json.RawMessage(schema)}
}

func stream(t *testing.T, r *agent.ModelRequest) *agent.Answer {
	t.Helper()
	var said strings.Builder
	answer, err := builtin.Model{}.Stream(t.Context(), r, func(part string) { said.WriteString(part) })
	if err != nil || answer.Text != said.String() {
		t.Fatalf("%v: answered %q, said %q", err, answer.Text, said.String())
	}
	return answer
}

func TestSearches(t *testing.T) {
	tools := []agent.ModelTool{
		tool("docs__delete", `{"properties":{"query":{"type":"string"},"sure":{"type":"boolean"}},"required":["sure"]}`),
		tool("docs__get", `{"properties":{"query":{"type":"string","maxLength":7}}}`),
		tool("docs__other", `{"properties":{"query":{"type":"string"}}}`),
		tool("wiki__find", `{"properties":{"q":{"type":["null","string"]}},"required":["q"]}`),
		tool("clock__now", `{"properties":{}}`),
	}
	for question, want := range map[string][]string{
		"What is on the roadmap?":       {`docs__get {"query":"roadmap"}`, `wiki__find {"q":"roadmap"}`},
		"*":                             {`docs__get {"query":"*"}`, `wiki__find {"q":"*"}`},
		"Who am I?":                     {`docs__get {"query":"Who am "}`, `wiki__find {"q":"Who am I"}`},
		`"a" -b | (c* d~2)`:             {`docs__get {"query":"b c d 2"}`, `wiki__find {"q":"b c d 2"}`},
		"Geschäftszahlen für September": {`docs__get {"query":"Geschäf"}`, `wiki__find {"q":"Geschäftszahlen für September"}`},
	} {
		var got []string
		for _, call := range stream(t, &agent.ModelRequest{Messages: []agent.ModelMessage{{Role: "user", Text: question}}, Tools: tools}).Calls {
			got = append(got, call.Name+" "+call.Arguments)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", question, got, want)
		}
	}
}

func TestQuotes(t *testing.T) {
	for content, want := range map[string]string{
		"# A\n\nFirst.\n\nAbout [leave](http://x) & <b>more</b>.":                     "> *A*\n> About leave \\& more.\n",
		"## Time off\n\nDays.\n\n## Leave and travel\n\n**Thirty** days, `*` not <1.": "> *Leave and travel*\n> Thirty days, \\* not \\<1.\n",
		"# A *b*\n\n| leave | days |\n|---|---|\n| summer | *20* |\n| winter | 10 |":  "> leave · days\n> summer · 20\n> winter · 10\n",
		"- one\n- leave\n\nx":                             "> • one\n> • leave\n",
		"leave " + strings.Repeat("word ", 100) + "\n- x": "> leave " + strings.Repeat("word ", 77) + "word …\n",
		"leave &lt;img src=x onerror=alert(1)&gt; \\<b>":  "> leave \\<img src=x onerror=alert\\(1\\)\\> \\<b\\>\n",
	} {
		data, err := json.Marshal(map[string]any{"documents": []any{map[string]any{"cite": "[2]", "name": "A b", "content": content}, map[string]any{"name": "no number", "content": "x"}}, "count": 1})
		if err != nil {
			t.Fatal(err)
		}
		answer := stream(t, &agent.ModelRequest{Messages: []agent.ModelMessage{
			{Role: "user", Text: "How much leave?"}, {Role: "assistant"}, {Role: "tool", Text: "The tool returned:\n<<<ID\n" + string(data) + "\n>>>ID"},
		}})
		if want = builtin.Heading + "\n\n**A b** [2]\n\n" + want + "\n"; answer.Text != want {
			t.Errorf("got %q, want %q", answer.Text, want)
		}
	}
}

func TestNothingFound(t *testing.T) {
	for told, want := range map[string]string{
		"The tool returned:\n<<<ID\n{\"documents\":[]}\n>>>ID": "Nothing that you may see",
		"The person did not allow this call.":                  "did not allow",
		"The call failed:\n<<<ID\n*boom*\n>>>ID":               "> \\*boom\\*",
	} {
		answer := stream(t, &agent.ModelRequest{Messages: []agent.ModelMessage{{Role: "user", Text: "x"}, {Role: "tool", Text: told}}})
		if !strings.HasPrefix(answer.Text, builtin.Heading) || !strings.Contains(answer.Text, want) {
			t.Errorf("%q: got %q", told, answer.Text)
		}
	}
	if answer := stream(t, &agent.ModelRequest{Messages: []agent.ModelMessage{{Role: "user", Text: "x"}}}); !strings.Contains(answer.Text, "no tool here that searches") {
		t.Errorf("got %q", answer.Text)
	}
}
