package client

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

const toolSchema = `{"type":"object","additionalProperties":false,"required":["query"],"properties":{
	"query":{"type":"string"},"top":{"type":"integer"},"score":{"type":"number"},"exact":{"type":"boolean"},
	"tags":{"type":["null","array"],"items":{"type":"string"}},"ids":{"type":"array","items":{"type":"integer"}},
	"filter":{"type":"object"},"maybe":{"anyOf":[{"type":"integer"},{"type":"null"}]},"kind":{"enum":["a","b"],"type":"string"},"free":{}}}`

func testSchema(t *testing.T) schema {
	t.Helper()
	var input any
	if err := json.Unmarshal([]byte(toolSchema), &input); err != nil {
		t.Fatal(err)
	}
	return schemaOf(&mcp.Tool{InputSchema: input})
}

func TestArguments(t *testing.T) {
	s := testSchema(t)
	for _, tt := range []struct {
		words, base, want string
		err, hint         string
	}{
		{words: "query=a=b", want: `{"query":"a=b"}`},
		{words: "query=7 top=7 score=1e3 exact=true", want: `{"query":"7","top":7,"score":1e3,"exact":true}`},
		{words: "query=x tags=a tags=b,c", want: `{"query":"x","tags":["a","b,c"]}`},
		{words: `query=x ids=1 ids=2`, want: `{"query":"x","ids":[1,2]}`},
		{words: `query=x ids=[1,2] filter={"a":9007199254740993}`, want: `{"query":"x","ids":[1,2],"filter":{"a":9007199254740993}}`},
		{words: "query=x maybe=null", want: `{"query":"x","maybe":null}`},
		{words: `query=x free=[1] kind=a`, want: `{"query":"x","free":[1],"kind":"a"}`},
		{words: "query=mine", base: `{"query":"theirs","top":1}`, want: `{"query":"mine","top":1}`},
		{words: "query=", want: `{"query":""}`},
		{words: "top=1", err: "missing: query", hint: "query=string"},
		{words: "qurey=x", err: `no argument "qurey"`, hint: "did you mean query"},
		{words: "query=x", base: `{"topp":1}`, err: `no argument "topp"`, hint: "did you mean top"},
		{words: "query=x top=1.5", err: "is no integer"},
		{words: "query=x exact=yes", err: "is no boolean"},
		{words: "query=x filter=y", err: "is no object"},
		{words: "query=x query=y", err: "given twice"},
		{words: "query=x kind=c", err: "is none of"},
		{words: "query", err: "want key=value"},
		{words: "=x", err: "want key=value"},
	} {
		var base map[string]any
		if tt.base != "" {
			if err := decodeJSON([]byte(tt.base), &base); err != nil {
				t.Fatal(err)
			}
		}
		got, err := arguments(s, base, strings.Fields(tt.words))
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(shell.HintOf(err), tt.hint) {
				t.Errorf("%s: got %v (hint %q), want %q (%q)", tt.words, err, shell.HintOf(err), tt.err, tt.hint)
			}
			continue
		}
		text, marshalErr := json.Marshal(got)
		if err != nil || marshalErr != nil {
			t.Errorf("%s: %v, %v", tt.words, err, marshalErr)
			continue
		}
		var want, have any
		if err := decodeJSON([]byte(tt.want), &want); err != nil {
			t.Fatal(err)
		}
		if err := decodeJSON(text, &have); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.words, diff)
		}
	}
}

func FuzzArguments(f *testing.F) {
	for _, seed := range []string{"query=x", "ids=[1", "filter={", "maybe=null", "tags=a", "=", "free={}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, word string) {
		args, err := arguments(testSchema(t), map[string]any{"query": "x"}, []string{word})
		if err == nil {
			if _, err := json.Marshal(args); err != nil {
				t.Errorf("%q: %v", word, err)
			}
		}
	})
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext\n": "plain\ttext\n", "\x1b[31mred": "·[31mred", "a\u202eb": "a·b", "\x9b31m": "·31m", "bell\a": "bell·", "é✓": "é✓",
	} {
		if got := printable(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

func TestTabular(t *testing.T) {
	for _, tt := range []struct {
		desc, result string
		headings     []string
	}{
		{"a list of objects", `[{"name":"x","a":1},{"b":2}]`, []string{"name", "a", "b"}},
		{"an object around it", `{"count":2,"documents":[{"id":"1","size":2}]}`, []string{"id", "size"}},
		{"two lists", `{"a":[{"x":1}],"b":[{"y":1}]}`, nil},
		{"a list of words", `["a"]`, nil},
		{"an empty list", `{"documents":[]}`, nil},
		{"nothing", `null`, nil},
	} {
		var result any
		if err := json.Unmarshal([]byte(tt.result), &result); err != nil {
			t.Fatal(err)
		}
		headings, _, ok := tabular(result)
		if diff := cmp.Diff(tt.headings, headings); diff != "" && ok || ok != (tt.headings != nil) {
			t.Errorf("%s: %v, %t", tt.desc, headings, ok)
		}
	}
}
