//go:build interop

package models

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/openai"
	"github.com/onbehalf/onbehalf/interop/toolchain"
)

const (
	openaiPython = "openai==3.57.0"
	openaiNode   = "openai@7.59.0"
	secret       = "sk-a-key-or-a-token"
	azureVersion = "2024-10-21"
	shapes       = "../../internal/agent/openai/testdata/shapes"
)

// kinds are the ways to reach OpenAI and Azure OpenAI, as the documentation of both shows them.
var kinds = map[string]struct {
	path    string // below the endpoint
	version string
	entra   bool
}{
	"openai":         {path: "/openai/v1"},
	"azure-v1-key":   {path: "/openai/v1"},
	"azure-v1-entra": {path: "/openai/v1", entra: true},
	"azure-key":      {version: azureVersion},
	"azure-entra":    {version: azureVersion, entra: true},
}

// TestOfficialClients lets OpenAI's clients ask and understand what ours does, at the same server.
func TestOfficialClients(t *testing.T) {
	t.Run("python", func(t *testing.T) {
		t.Parallel()
		compare(t, exec.CommandContext(t.Context(), toolchain.Python(t, openaiPython), filepath.Join("testdata", "sdk.py")))
	})
	t.Run("node", func(t *testing.T) {
		t.Parallel()
		node, folder := toolchain.Node(t), toolchain.NPM(t, openaiNode)
		text, err := os.ReadFile(filepath.Join("testdata", "sdk.mjs"))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, "sdk.mjs") // modules are looked for beside the script
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		compare(t, exec.CommandContext(t.Context(), node, path))
	})
}

// said is what a client made of a stream.
type said struct {
	Text    string
	Calls   [][3]string // id, name, arguments
	Reason  string
	In, Out int
	Error   string // class
	Status  int
}

func compare(t *testing.T, script *exec.Cmd) {
	t.Helper()
	server := record(t)
	names := shapeNames(t)
	in, err := json.Marshal(map[string]any{
		"url": server.URL, "key": secret, "streams": names,
		"messages": json.RawMessage(messages), "tools": json.RawMessage(tools),
	})
	if err != nil {
		t.Fatal(err)
	}
	script.Stdin, script.WaitDelay = bytes.NewReader(in), 10*time.Second
	var stderr bytes.Buffer
	script.Stderr = &stderr
	output, err := script.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var theirs map[string]said
	if err := json.Unmarshal(output, &theirs); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for kind, how := range kinds {
		want := server.requests("/" + kind + "/")
		ask(t, openai.Config{URL: parse(t, server.URL+"/"+kind+how.path), Model: "my-gpt", AzureVersion: how.version, Entra: how.entra})
		got := server.requests("/" + kind + "/")
		if diff := cmp.Diff(want, got); diff != "" || len(want) != 1 {
			t.Errorf("%s: %d requests of theirs; ours differs (-theirs +ours):\n%s", kind, len(want), diff)
		}
	}
	for _, name := range names {
		compareStream(t, name, theirs[name], server.URL)
	}
	t.Logf("%d requests and %d answers compared", len(kinds), len(names))
}

// compareStream holds what ours makes of an answer against what theirs does.
func compareStream(t *testing.T, name string, theirs said, base string) {
	t.Helper()
	answer, kind := ask(t, openai.Config{URL: parse(t, base+"/"+name+"/openai/v1"), Model: "my-gpt"})
	if theirs.Error != "" {
		if kind == "" {
			t.Errorf("%s: theirs raised %s %d, ours nothing", name, theirs.Error, theirs.Status)
		}
		return
	}
	ours := said{Text: answer.Text, In: answer.Usage.In, Out: answer.Usage.Out, Reason: theirs.Reason}
	for _, call := range answer.Calls {
		ours.Calls = append(ours.Calls, [3]string{call.ID, call.Name, call.Arguments})
	}
	if len(theirs.Calls) == 0 {
		theirs.Calls = nil
	}
	if theirs.Reason == "" && kind == agent.ModelFiltered && name == "azure-asynchronous-filter-blocks" {
		return // the client for Python overlooks a verdict in a choice that has no delta
	}
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("%s (-theirs +ours):\n%s", name, diff)
	}
	if answer.Cut != (theirs.Reason == "length") || (kind == agent.ModelFiltered) != (theirs.Reason == "content_filter") {
		t.Errorf("%s: theirs ended by %s; ours is cut: %v, %s", name, theirs.Reason, answer.Cut, kind)
	}
}

const (
	messages = `[{"role":"system","content":"S"},{"role":"user","content":"U"},
		{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"docs__get","arguments":"{\"q\":1}"}}]},
		{"role":"tool","tool_call_id":"c1","content":"R"}]`
	schema = `{"type":"object","properties":{"q":{"type":"integer"}},"required":["q"]}`
	tools  = `[{"type":"function","function":{"name":"docs__get","description":"D","parameters":` + schema + `}}]`
)

// ask asks as the agent does.
func ask(t *testing.T, cfg openai.Config) (*agent.Answer, agent.ModelErrorKind) {
	t.Helper()
	cfg.Credential = func(context.Context) (identity.Secret, error) { return identity.NewSecret(secret), nil }
	answer, err := stream(t, cfg, &agent.ModelRequest{
		Messages: []agent.ModelMessage{
			{Role: "system", Text: "S"},
			{Role: "user", Text: "U"},
			{Role: "assistant", Calls: []agent.ModelCall{{ID: "c1", Name: "docs__get", Arguments: `{"q":1}`}}},
			{Role: "tool", Call: "c1", Text: "R"},
		},
		Tools: []agent.ModelTool{{Name: "docs__get", Description: "D", Schema: json.RawMessage(schema)}},
	})
	return answer, kindOf(t, err)
}

// recorder is a server that keeps what it is asked, and answers what stands in the shape that the path names.
type recorder struct {
	URL string

	mu   sync.Mutex
	seen []request
}

// request is what counts of one: other headers tell which client it is.
type request struct {
	Method, Target, Authorization, Key, Type string
	Body                                     any
}

func record(t *testing.T) *recorder {
	t.Helper()
	r := &recorder{}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	one := request{Method: in.Method, Target: in.URL.String(), Authorization: in.Header.Get("Authorization"), Key: in.Header.Get("Api-Key"), Type: in.Header.Get("Content-Type")}
	if err := json.NewDecoder(in.Body).Decode(&one.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.seen = append(r.seen, one)
	r.mu.Unlock()
	name := strings.Split(in.URL.Path, "/")[1]
	if _, isKind := kinds[name]; isKind {
		name = "azure-filter"
	}
	archive, err := txtar.ParseFile(filepath.Join(shapes, name+".txtar"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(archive.Files[0].Data)), nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer response.Body.Close()
	maps.Copy(w.Header(), response.Header)
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body) // who asked may have gone
}

// requests takes what was asked below a path.
func (r *recorder) requests(prefix string) (out []request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var rest []request
	for _, one := range r.seen {
		if strings.HasPrefix(one.Target, prefix) {
			out = append(out, one)
		} else {
			rest = append(rest, one)
		}
	}
	r.seen = rest
	return out
}

func shapeNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(shapes, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no shapes: %v", err)
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".txtar")
	}
	return files
}

func parse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
