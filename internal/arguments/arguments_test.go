package arguments_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/onbehalf/onbehalf/internal/arguments"
)

const document = `{"type":"object","additionalProperties":false,"required":["query"],"properties":{
	"query":{"type":"string","maxLength":10},"top":{"type":"integer","minimum":1,"maximum":50},"least":{"type":"number","minimum":0.5},
	"order":{"enum":["asc","desc"]},"exact":{"type":"boolean"},"name":{"type":["string","null"],"minLength":1},
	"tags":{"type":"array","minItems":1,"maxItems":3,"items":{"type":"string"}},
	"page":{"type":"object","additionalProperties":false,"properties":{"size":{"type":"integer"}}},
	"even":{"type":"integer","multipleOf":2}}}`

func schema(tb testing.TB) (*jsonschema.Schema, *jsonschema.Resolved) {
	tb.Helper()
	var s jsonschema.Schema
	if err := json.Unmarshal([]byte(document), &s); err != nil {
		tb.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return &s, resolved
}

func TestExplain(t *testing.T) {
	s, resolved := schema(t)
	for given, want := range map[string]string{
		`{"query":"x","top":1000000}`:              "top is 1000000; it has to be an integer from 1 to 50",
		`{"query":"x","top":0}`:                    "top is 0; it has to be an integer from 1 to 50",
		`{"query":"x","top":1.5}`:                  "top is 1.5; it has to be an integer from 1 to 50",
		`{"query":"x","top":"5"}`:                  `top is "5"; it has to be an integer from 1 to 50`,
		`{"query":"x","top":null}`:                 "top is null; it has to be an integer from 1 to 50",
		`{"query":"x","top":1e300}`:                "top is 1e+300; it has to be an integer from 1 to 50",
		`{"query":"x","least":0.25}`:               "least is 0.25; it has to be a number of at least 0.5",
		`{"query":"eleven signs"}`:                 "query has 12 characters; it has to be a text of at most 10 characters",
		`{}`:                                       "query is missing; it has to be a text of at most 10 characters",
		`{"query":"x","order":"up"}`:               `order is "up"; it has to be one of "asc", "desc"`,
		`{"query":"x","exact":"yes"}`:              `exact is "yes"; it has to be true or false`,
		`{"query":"x","name":""}`:                  "name has 0 characters; it has to be a text of at least 1 characters or null",
		`{"query":"x","tags":[]}`:                  "tags has 0 entries; it has to be a list of 1 to 3 entries",
		`{"query":"x","tags":["a",2]}`:             "tags[1] is 2; it has to be a text",
		`{"query":"x","tags":{"a":1}}`:             `tags is {"a":1}; it has to be a list of 1 to 3 entries`,
		`{"query":"x","page":{"size":"big"}}`:      `page.size is "big"; it has to be an integer`,
		`{"query":"x","page":{"side":1}}`:          "page.side is unknown (known: size)",
		`{"query":"x","tpo":3}`:                    "tpo is unknown (known: even, exact, least, name, order, page, query, tags, top)",
		`{"top":0,"order":1,"query":"x"}`:          `order is 1; it has to be one of "asc", "desc"; top is 0; it has to be an integer from 1 to 50`,
		`{"query":"x","even":3}`:                   "multipleOf: 3/1 is not a multiple of 2",
		`{"query":"x","top":"` + long(9999) + `"}`: `top is "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…; it has to be an integer from 1 to 50`,
	} {
		var value any
		if err := json.Unmarshal([]byte(given), &value); err != nil {
			t.Fatal(err)
		}
		refused := resolved.Validate(value)
		if refused == nil {
			t.Errorf("%.80s: the validator takes it", given)
			continue
		}
		got := arguments.Explain(s, json.RawMessage(given), refused.Error())
		if !strings.Contains(got, want) {
			t.Errorf("%.80s:\n got %s\nwant %s", given, got, want)
		}
	}
	if got := arguments.Explain(s, json.RawMessage(`[1]`), "?"); got != "they have to be a JSON object" {
		t.Error(got)
	}
}

func long(n int) string { return strings.Repeat("a", n) }

// FuzzExplain holds it against the validator: of what that takes, nothing is said to be wrong; and what is said is short.
func FuzzExplain(f *testing.F) {
	s, resolved := schema(f)
	for _, seed := range []string{`{"query":"x"}`, `{"query":"x","top":50,"tags":["a"],"page":{"size":1}}`, `{"top":1e400}`, `null`, `{"query":"x","name":null,"even":2,"order":"asc"}`, `{"` + long(5000) + `":[[[]]]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		got := arguments.Explain(s, json.RawMessage(given), "the validator's words")
		if utf8.RuneCountInString(got) > 5000 {
			t.Errorf("%d characters", len(got))
		}
		var value map[string]any
		if json.Unmarshal([]byte(given), &value) != nil || value == nil {
			return
		}
		if resolved.Validate(value) == nil && !strings.HasSuffix(got, "the validator's words") {
			t.Errorf("the validator takes %s: %s", given, got)
		}
	})
}
