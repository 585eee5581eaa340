package openai_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/dialog"
	"github.com/onbehalf/onbehalf/internal/agent/openai"
)

const key = "sk-very-secret"

// scripted is a chat-completions server of our own.
func scripted(t *testing.T, handle http.HandlerFunc) openai.Config {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL + "/v1")
	if err != nil {
		t.Fatal(err)
	}
	return openai.Config{URL: u, Model: "test-model", Credential: func(context.Context) (identity.Secret, error) { return identity.NewSecret(key), nil }}
}

// streams writes events as a model's server does, and ends the stream.
func streams(events ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, event := range events {
			fmt.Fprintf(w, "data: %s\n\n", event)
		}
	}
}

func said(text string) string {
	return fmt.Sprintf(`{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":%q},"finish_reason":null}]}`, text)
}

func called(calls string) string {
	return `{"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":` + calls + `},"finish_reason":null}]}`
}

func ends(reason string) string {
	return fmt.Sprintf(`{"choices":[{"index":0,"delta":{},"finish_reason":%q}]}`, reason)
}

func limits() agent.Limits {
	return agent.Limits{Answer: 4 << 10, FirstChunk: 5 * time.Second, NextChunk: 5 * time.Second}
}

func ask(t *testing.T, cfg openai.Config, request *agent.ModelRequest) (*agent.Answer, []string, error) {
	t.Helper()
	model, err := openai.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if request == nil {
		request = &agent.ModelRequest{Messages: []agent.ModelMessage{{Role: "user", Text: "?"}}, Limits: limits()}
	}
	var parts []string
	answer, err := model.Stream(t.Context(), request, func(part string) { parts = append(parts, part) })
	return answer, parts, err
}

func kindOf(err error) agent.ModelErrorKind {
	if known, ok := errors.AsType[*agent.ModelError](err); ok {
		return known.Kind
	}
	return agent.ModelErrorKind(fmt.Sprint(err))
}

func TestTextIsRelayedAsItComes(t *testing.T) {
	cfg := scripted(t, streams(`{"choices":[],"prompt_filter_results":[]}`, said("One"), said(" two"), ends("stop"), `{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}`, "[DONE]"))
	answer, parts, err := ask(t, cfg, nil)
	if err != nil || !slices.Equal(parts, []string{"One", " two"}) {
		t.Fatalf("%q, %v", parts, err)
	}
	if diff := cmp.Diff(&agent.Answer{Text: "One two", Usage: dialog.Usage{In: 7, Out: 2}}, answer); diff != "" {
		t.Error(diff)
	}
}

// Some servers do not say why an answer ended, only that it did.
func TestTheEndWithoutAReason(t *testing.T) {
	for end, want := range map[string]string{"data: [DONE]\n\n": "", "data:[DONE]\r\n\r\n": "", "data: [DONE]": "", "data: [DO": "broken", `data: {"choices":[{"delta":{"content":"data: [DONE]"}}]}` + "\n\n": "broken"} {
		cfg := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, "data: %s\n\n%s", said("One"), end)
		})
		_, _, err := ask(t, cfg, nil)
		if got := kindOf(err); err != nil && string(got) != want || err == nil && want != "" {
			t.Errorf("%q: got %v", end, err)
		}
	}
}

func TestTheRequest(t *testing.T) {
	var got map[string]any
	var header http.Header
	var path string
	cfg := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		header, path = r.Header, r.URL.String()
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		streams(said("x"), ends("stop"))(w, r)
	})
	request := &agent.ModelRequest{
		Messages: []agent.ModelMessage{
			{Role: "system", Text: "S"},
			{Role: "user", Text: "U"},
			{Role: "assistant", Calls: []agent.ModelCall{{ID: "c1", Name: "docs__get", Arguments: `{"q":1}`}}},
			{Role: "tool", Call: "c1", Text: "R"},
		},
		Tools:  []agent.ModelTool{{Name: "docs__get", Description: "D", Schema: json.RawMessage(`{"type":"object","properties":{}}`)}},
		Limits: limits(),
	}
	if _, _, err := ask(t, cfg, request); err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	if err := json.Unmarshal([]byte(`{"model":"test-model","stream":true,"stream_options":{"include_usage":true},
		"messages":[{"role":"system","content":"S"},{"role":"user","content":"U"},
			{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"docs__get","arguments":"{\"q\":1}"}}]},
			{"role":"tool","tool_call_id":"c1","content":"R"}],
		"tools":[{"type":"function","function":{"name":"docs__get","description":"D","parameters":{"type":"object","properties":{}}}}]}`), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if path != "/v1/chat/completions" || header.Get("Authorization") != "Bearer "+key {
		t.Errorf("%s %v", path, header)
	}
}

func TestAzure(t *testing.T) {
	for desc, c := range map[string]struct {
		version string
		entra   bool
		path    string
		header  string
	}{
		"key":   {"2024-10-21", false, "/v1/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21", "Api-Key"},
		"entra": {"2024-10-21", true, "/v1/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21", "Authorization"},
		"v1":    {"", true, "/v1/chat/completions", "Authorization"},
	} {
		t.Run(desc, func(t *testing.T) {
			var path string
			var header http.Header
			cfg := scripted(t, func(w http.ResponseWriter, r *http.Request) {
				path, header = r.URL.String(), r.Header
				streams(said("x"), ends("stop"))(w, r)
			})
			cfg.Model, cfg.AzureVersion, cfg.Entra = "my-gpt", c.version, c.entra
			if _, _, err := ask(t, cfg, nil); err != nil {
				t.Fatal(err)
			}
			if path != c.path || strings.TrimPrefix(header.Get(c.header), "Bearer ") != key || (header.Get("Api-Key") == "") == (header.Get("Authorization") == "") {
				t.Errorf("%s %v", path, header)
			}
		})
	}
}

// How servers stream calls, as seen at OpenAI, vLLM and sglang (nulls), and Ollama (the same index for all, or none).
func TestCallsAreAssembled(t *testing.T) {
	two := []agent.ModelCall{{ID: "a", Name: "f", Arguments: `{"x":1}`}, {ID: "b", Name: "g", Arguments: `{"y":2}`}}
	unnumbered := []agent.ModelCall{{Name: "f", Arguments: `{"x":1}`}, {Name: "f", Arguments: `{"y":2}`}}
	for desc, c := range map[string]struct {
		events []string
		want   []agent.ModelCall
	}{
		"by index, interleaved": {[]string{
			called(`[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]`), called(`[{"index":1,"id":"b","function":{"name":"g","arguments":"{\"y\""}}]`),
			called(`[{"index":0,"function":{"arguments":"{\"x\":1}"}}]`), called(`[{"index":1,"function":{"arguments":":2}"}}]`),
		}, two},
		"nulls and repeated names": {[]string{
			called(`[{"index":0,"id":"a","function":{"name":"f","arguments":null}}]`), called(`[{"index":0,"id":null,"function":{"name":null,"arguments":"{\"x\""}}]`),
			called(`[{"index":0,"id":"a","function":{"name":"f","arguments":":1}"}}]`), called(`[{"index":1,"id":"b","function":{"name":"g","arguments":"{\"y\":2}"}}]`),
		}, two},
		"the same index for all": {[]string{
			called(`[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}]`), called(`[{"index":0,"id":"b","function":{"name":"g","arguments":"{\"y\":2}"}}]`),
		}, two},
		"no index": {[]string{
			called(`[{"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"b","function":{"name":"g","arguments":"{\"y\""}}]`), called(`[{"function":{"arguments":":2}"}}]`),
		}, two},
		"neither index nor identifier": {[]string{
			called(`[{"function":{"name":"f","arguments":"{\"x\":1}"}},{"function":{"name":"f","arguments":"{\"y\":2}"}}]`),
		}, unnumbered},
	} {
		t.Run(desc, func(t *testing.T) {
			answer, _, err := ask(t, scripted(t, streams(append(c.events, ends("tool_calls"), "[DONE]")...)), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, answer.Calls); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefusedRequests(t *testing.T) {
	for desc, c := range map[string]struct {
		status int
		body   string
		want   agent.ModelErrorKind
	}{
		"key":          {401, `{"error":{"message":"Incorrect API key provided: ` + key + `","code":"invalid_api_key"}}`, agent.ModelUnauthorized},
		"role":         {403, `{"error":{"code":"PermissionDenied","message":"lacks the required data action"}}`, agent.ModelUnauthorized},
		"no model":     {404, `{"error":{"message":"model 'test-model' not found"}}`, agent.ModelRejected},
		"too long":     {400, `{"error":{"message":"This model's maximum context length is 8192 tokens","code":"context_length_exceeded"}}`, agent.ModelTooLong},
		"filter":       {400, `{"error":{"code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}`, agent.ModelFiltered},
		"no tools":     {400, `{"error":{"message":"registry.ollama.ai/library/x does not support tools"}}`, agent.ModelRejected},
		"vLLM":         {400, `{"object":"error","message":"\"auto\" tool choice requires --enable-auto-tool-choice","code":400}`, agent.ModelRejected},
		"unknown":      {400, `<html>nginx</html>`, agent.ModelRejected},
		"down":         {503, `upstream connect error`, agent.ModelUnavailable},
		"moved":        {302, ``, agent.ModelRejected},
		"too many":     {429, `{"error":{"message":"Rate limit reached"}}`, agent.ModelThrottled},
		"large answer": {500, strings.Repeat("x", 1<<20), agent.ModelUnavailable},
	} {
		t.Run(desc, func(t *testing.T) {
			cfg := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "7")
				w.Header().Set("Location", "https://evil.example/")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			_, _, err := ask(t, cfg, nil)
			known, ok := errors.AsType[*agent.ModelError](err)
			if !ok || known.Kind != c.want {
				t.Fatalf("got %v (%v), want %s", kindOf(err), err, c.want)
			}
			if wait := known.Retry; (wait == 7*time.Second) != (c.want == agent.ModelThrottled) {
				t.Errorf("wait %s", wait)
			}
			if log := fmt.Sprint(known.Cause); !strings.HasPrefix(log, fmt.Sprint("HTTP ", c.status)) || len(log) > 100 {
				t.Errorf("the log is told %.200s", log)
			}
			if len(c.body) > 10 && strings.Contains(known.Text, c.body[:10]) {
				t.Errorf("people read what the server says: %s", known.Text)
			}
		})
	}
}

func TestRottenStreams(t *testing.T) {
	endless := func(part string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, part); err != nil {
					return
				}
			}
		}
	}
	hangs := func(first string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadAll(r.Body)
			_, _ = io.WriteString(w, first)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}
	for desc, c := range map[string]struct {
		handle http.HandlerFunc
		want   agent.ModelErrorKind
	}{
		"hangs at once":         {hangs(""), agent.ModelHung},
		"hangs in the middle":   {hangs("data: " + said("One") + "\n\n"), agent.ModelHung},
		"keeps alive, says nil": {endless(": here\n\n"), agent.ModelBroken},
		"endless text":          {endless("data: " + said(strings.Repeat("x", 100)) + "\n\n"), agent.ModelExcessive},
		"endless nothing":       {endless("data: " + said("") + "\n\n"), agent.ModelExcessive},
		"endless line":          {endless("data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), agent.ModelExcessive},
		"endless calls":         {endless("data: " + called(`[{"function":{"name":"f","arguments":"{}"}}]`) + "\n\n"), agent.ModelExcessive},
		"garbage":               {streams("\x00\xff{{{"), agent.ModelBroken},
		"a page":                {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>hello</html>") }, agent.ModelBroken},
		"nothing":               {streams(), agent.ModelBroken},
		"cut":                   {streams(said("One")), agent.ModelBroken},
		"an error in between":   {streams(said("One"), `{"error":{"message":"CUDA out of memory","type":"server_error"}}`), agent.ModelUnavailable},
		"filtered in between":   {streams(said("One"), ends("content_filter"), "[DONE]"), agent.ModelFiltered},
		"another type":          {streams(`{"choices":"none"}`), agent.ModelBroken},
	} {
		t.Run(desc, func(t *testing.T) {
			t.Parallel()
			request := &agent.ModelRequest{Messages: []agent.ModelMessage{{Role: "user", Text: "?"}}, Limits: limits()}
			if c.want == agent.ModelHung {
				request.Limits.FirstChunk, request.Limits.NextChunk = 50*time.Millisecond, 50*time.Millisecond
			}
			if _, _, err := ask(t, scripted(t, c.handle), request); kindOf(err) != c.want {
				t.Errorf("got %v (%v), want %s", kindOf(err), errors.Unwrap(err), c.want)
			}
		})
	}
}

func TestOlderServersGetNoOptions(t *testing.T) {
	asked := 0
	cfg := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), "stream_options") {
			http.Error(w, `{"error":{"message":"Unrecognized request argument supplied: stream_options"}}`, http.StatusBadRequest)
			return
		}
		streams(said("x"), ends("stop"))(w, r)
	})
	if answer, _, err := ask(t, cfg, nil); err != nil || answer.Text != "x" || asked != 2 {
		t.Errorf("%v, %v, asked %d times", answer, err, asked)
	}
}

// OpenAI's models of today refuse tools unless they are told not to reason, whatever their deployment is called.
func TestToolsWithoutReasoning(t *testing.T) {
	const refusal = `{"error":{"message":"Function tools with reasoning_effort are not supported for gpt-5.6-terra in /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'.","type":"invalid_request_error","param":"reasoning_effort","code":null}}`
	for name, want := range map[string][]string{"gpt-5.6-terra": {"", "none", "none"}, "gpt-6-sol": {"none", "none"}, "chat": {"", "none", "none"}} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			cfg := scripted(t, func(w http.ResponseWriter, r *http.Request) {
				var in struct {
					Effort string `json:"reasoning_effort"`
				}
				if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
					t.Error(err)
				}
				if asked = append(asked, in.Effort); in.Effort != "none" {
					http.Error(w, refusal, http.StatusBadRequest)
					return
				}
				streams(said("x"), ends("stop"))(w, r)
			})
			cfg.Model = name
			model, err := openai.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			request := &agent.ModelRequest{Tools: []agent.ModelTool{{Name: "f", Schema: json.RawMessage(`{}`)}}, Limits: limits()}
			for range 2 {
				if answer, err := model.Stream(t.Context(), request, func(string) {}); err != nil || answer.Text != "x" {
					t.Errorf("%v, %v", answer, err)
				}
			}
			if !slices.Equal(asked, want) {
				t.Errorf("asked with %q, want %q", asked, want)
			}
		})
	}
	t.Run("one that always reasons", func(t *testing.T) {
		asked := 0
		cfg := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
			asked++
			http.Error(w, refusal, http.StatusBadRequest)
		})
		_, _, err := ask(t, cfg, nil)
		if kindOf(err) != agent.ModelRejected || asked != 2 || !strings.Contains(err.Error(), "does not take tools") {
			t.Errorf("%v, asked %d times", err, asked)
		}
	})
}

func TestStopReachesTheModel(t *testing.T) {
	gone := make(chan struct{})
	cfg := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "data: %s\n\n", said("One"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	})
	model, err := openai.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	answer, err := model.Stream(ctx, &agent.ModelRequest{Limits: limits()}, func(string) { cancel(cause) })
	if !errors.Is(err, cause) || answer.Text != "One" {
		t.Errorf("%+v, %v", answer, err)
	}
	<-gone
}

func FuzzStream(f *testing.F) {
	f.Add("data: " + said("x") + "\n\ndata: " + ends("stop") + "\n\n")
	f.Add("data: " + called(`[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]`) + "\n\n: x\n\ndata: [DONE]\n\n")
	f.Add("data: {\"error\":{\"message\":[\"x\"]}}\n\n")
	f.Fuzz(func(t *testing.T, body string) {
		client := &http.Client{Transport: answers(body)}
		model, err := openai.New(openai.Config{URL: &url.URL{Scheme: "https", Host: "model.example"}, Model: "m", HTTPClient: client})
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		answer, err := model.Stream(t.Context(), &agent.ModelRequest{Limits: limits()}, func(part string) { size += len(part) })
		if err == nil && answer == nil || size > limits().Answer {
			t.Errorf("%v, %v, %d bytes", answer, err, size)
		}
	})
}

type answers string

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(a))), Request: r}, nil
}
