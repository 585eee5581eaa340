package mcpdata_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/internal/agent/mcpdata"
)

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"a\x1b[2Jb\r\n\tc\u202ed\u200be\U000e0041f\ufeff": "a[2Jb\n\tcdef", "\u2028x\xff": "\nx\ufffd", "👩\u200d💻": "👩\u200d💻", "é": "é",
	} {
		if got := mcpdata.Plain(in, 100); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if got := mcpdata.Line(" a\n\n b\tc ", 100); got != "a b c" {
		t.Errorf("got %q", got)
	}
	for _, most := range []int{0, 1, 3, 4, 5, 6} {
		if got := mcpdata.Cut("öäü.", most); len(got) > max(most, 3) || !utf8.ValidString(got) {
			t.Errorf("%d: got %q", most, got)
		}
	}
}

func TestDefinitionCoversWhatIsTold(t *testing.T) {
	base := mcp.Tool{Name: "n", Title: "t", Description: "d", InputSchema: map[string]any{"type": "object", "a": 1.0}}
	hash := func(host string, change func(*mcp.Tool)) string {
		tool := base
		change(&tool)
		out, err := mcpdata.Definition(host, &tool)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	nothing := func(*mcp.Tool) {}
	same := hash("h", nothing)
	for desc, other := range map[string]string{
		"host": hash("i", nothing), "name": hash("h", func(t *mcp.Tool) { t.Name = "m" }), "title": hash("h", func(t *mcp.Tool) { t.Title = "u" }),
		"description": hash("h", func(t *mcp.Tool) { t.Description = "d\u200b" }), "schema": hash("h", func(t *mcp.Tool) { t.InputSchema = map[string]any{"type": "object"} }),
		"output": hash("h", func(t *mcp.Tool) { t.OutputSchema = map[string]any{} }),
	} {
		if other == same {
			t.Errorf("another %s is no other definition", desc)
		}
	}
	hinted := hash("h", func(t *mcp.Tool) { t.Annotations = &mcp.ToolAnnotations{ReadOnlyHint: true} })
	if hinted != same || len(same) != 64 {
		t.Error("a claim makes another definition")
	}
}

func TestDocuments(t *testing.T) {
	for in, want := range map[string][]mcpdata.Document{
		`{"documents":[{"id":"1","name":"A","content":"x\n y","score":2.5},{"id":7,"title":" ","snippet":"s"}],"count":2}`: {{ID: "1", Title: "A", Extract: "x y", Score: 2.5}, {ID: "7", Extract: "s"}},
		`{"value":[{"key":"k","subject":"S","@search.score":1}]}`:                                                          {{ID: "k", Title: "S", Score: 1}},
		`[{"url":"https://x.example/","title":"U"}]`:                                                                       {{URI: "https://x.example/", Title: "U"}},
		`{"rows":[{"id":"1"},{"name":"no id"},7,"x",null]}`:                                                                nil,
		`{"one":{"id":"1","name":"A"}}`:                                                                                    nil,
	} {
		if diff := cmp.Diff(want, mcpdata.Parse(in).Documents()); diff != "" {
			t.Errorf("%s: %s", in, diff)
		}
	}
	for _, in := range []string{"", "x", "7", `"x"`, "null", "{} {}", `{"a":`} {
		if mcpdata.Parse(in) != nil {
			t.Errorf("%q is taken for a value", in)
		}
	}
}

func TestCite(t *testing.T) {
	v := mcpdata.Parse(`{"cite":"[9]","documents":[{"id":"1","name":"A","cite":"[8]"},{"x":[{"cite":"[7]"}]},{"id":"2","name":"<B>"}]}`)
	v.Cite([]string{"[3]", "[4]"})
	want := `{"documents":[{"cite":"[3]","id":"1","name":"A"},{"x":[{}]},{"cite":"[4]","id":"2","name":"<B>"}]}`
	if got := v.JSON(1000); got != want {
		t.Errorf("got %s", got)
	}
}

func TestWords(t *testing.T) {
	result := &mcp.CallToolResult{Content: []mcp.Content{
		&mcp.TextContent{Text: "Hello"}, &mcp.ImageContent{MIMEType: "image/png", Data: []byte("12345")}, &mcp.ResourceLink{Name: "N", URI: "file:///x"},
		&mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "u", Text: "inside"}}, &mcp.EmbeddedResource{},
	}}
	want := "Hello\n[an image, image/png, 5 bytes]\n[a link: N, file:///x] \ninside\n[a resource]"
	if got, cut := mcpdata.Words(result, 1000); got != want || cut != 0 {
		t.Errorf("got %q, %d", got, cut)
	}
	if got, cut := mcpdata.Words(result, 8); got != "Hello…" && got != "Hello\n…" || cut != len(want)-len(got) {
		t.Errorf("got %q, %d", got, cut)
	}
}

// Whatever a server lists as a schema: reading and checking end, and what passes is an object.
func FuzzSchema(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"$defs":{"x":{"type":"string","pattern":"^a+$"}}}`, `{"a":"aa"}`)
	f.Add(`{"allOf":[{"$ref":"#"}]}`, `{}`)
	f.Add(`{"properties":{"default":{"$ref":"#/properties/default"}}}`, `{"default":1}`)
	f.Add(`{"$defs":{"a/b":{"$ref":"#/$defs/a~1b"}},"$ref":"#/$defs/a~1b"}`, `{}`)
	f.Fuzz(func(t *testing.T, schema, arguments string) {
		var input any
		if json.Unmarshal([]byte(schema), &input) != nil {
			return
		}
		s, err := mcpdata.NewSchema(input)
		if err != nil {
			return
		}
		if got, err := s.Check(arguments); err == nil && (!json.Valid(got) || !strings.HasPrefix(string(got), "{")) {
			t.Errorf("%s passes as %s", arguments, got)
		}
	})
}

func FuzzValue(f *testing.F) {
	f.Add(`{"documents":[{"id":"1","name":"A","content":"x"}]}`, 40)
	f.Add(`[{"url":"u","title":7}]`, 5)
	f.Fuzz(func(t *testing.T, text string, most int) {
		v := mcpdata.Parse(text)
		if v == nil {
			return
		}
		documents := v.Documents()
		for _, d := range documents {
			if len(d.Extract) > 600 || len(d.Title) > 200 || !utf8.ValidString(d.Title) {
				t.Errorf("%+v", d)
			}
		}
		v.Cite(make([]string, len(documents)))
		if out := v.JSON(max(most, 1)); len(out) > max(most, 1) || out != "" && !json.Valid([]byte(out)) {
			t.Errorf("%d bytes: %s", len(out), out)
		}
	})
}

func TestNoDocuments(t *testing.T) {
	for text, want := range map[string]bool{
		`{"documents":[],"count":0}`: true, `{"Results":[],"warnings":[]}`: true, `{"hits":[]}`: true,
		`{"documents":[],"count":3}`: false, `{"documents":[],"other":[{"x":1}]}`: false, `{"documents":[{"x":1}]}`: false,
		`{"warnings":[]}`: false, `{"documents":null}`: false, `{"documents":{}}`: false, `{}`: false, `[]`: false, `{"deep":{"documents":[]}}`: false,
	} {
		if got := mcpdata.Parse(text).NoDocuments(); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}
