//go:build interop

package mcp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/interop/toolchain"
)

type greeting struct {
	Greeting string `json:"greeting"`
}

// greeter is a protected server with one tool, which greets the caller.
func greeter(t *testing.T) *protected {
	t.Helper()
	p := startProtected(t, nil)
	p.addGreet(t)
	return p
}

func (p *protected) addGreet(t *testing.T) {
	t.Helper()
	type input struct {
		Name string `json:"name"`
	}
	err := onbehalf.AddTool(p.server, &onbehalf.Tool{Name: "greet", Description: "Greets", ReadOnly: true}, entra.Scope{},
		func(_ context.Context, caller *identity.Caller, _ identity.Token, in input) (greeting, error) {
			return greeting{caller.Name + " greets " + in.Name}, nil
		})
	if err != nil {
		t.Fatal(err)
	}
}

// script copies a script to where its imports are found.
func script(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, name)
	if err := os.WriteFile(at, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return at
}

// output runs a command and returns its stdout.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", filepath.Base(args[0]), err, out, stderr.Bytes())
	}
	return string(out)
}

// check reads what a script printed.
func check(t *testing.T, out, name string) (version string) {
	t.Helper()
	var got struct {
		Tools   []string
		Result  greeting
		Version string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !slices.Equal(got.Tools, []string{"greet"}) || !strings.HasSuffix(got.Result.Greeting, " greets "+name) || !strings.HasPrefix(got.Result.Greeting, "Alice") {
		t.Errorf("%+v", got)
	}
	return got.Version
}

func TestTypeScriptV1(t *testing.T) {
	p := greeter(t)
	dir := toolchain.NPM(t, "@modelcontextprotocol/sdk@1.32.2")
	check(t, output(t, toolchain.Node(t), script(t, dir, "v1.mjs"), p.url, p.token), "v1")
}

func TestTypeScriptV2(t *testing.T) {
	p := greeter(t)
	dir := toolchain.NPM(t, "@modelcontextprotocol/client@2.4.0")
	for mode, want := range map[string]string{"auto": "2026-07-28", "legacy": "2025-11-25"} {
		if got := check(t, output(t, toolchain.Node(t), script(t, dir, "v2.mjs"), p.url, p.token, mode), mode); got != want {
			t.Errorf("%s: negotiated %q, want %q", mode, got, want)
		}
	}
}

func TestPython(t *testing.T) {
	p := greeter(t)
	check(t, output(t, toolchain.Python(t, pythonSDK), "testdata/python_client.py", p.url, p.token), "python")
}

const pythonSDK = "mcp==2.3.0"

func TestInspector(t *testing.T) {
	p := greeter(t)
	dir := toolchain.NPM(t, "@modelcontextprotocol/inspector@2.12.0")
	for _, era := range []string{"modern", "legacy"} {
		inspect := func(args ...string) string {
			return output(t, toolchain.Node(t), append([]string{
				filepath.Join(dir, "node_modules", ".bin", "mcp-inspector"), "--cli", p.url, "--transport", "http", "--protocol-era", era,
				"--header", "Authorization: Bearer " + p.token, "--format", "json",
			}, args...)...)
		}
		if got := inspect("--method", "tools/list", "--strict"); !strings.Contains(got, `"greet"`) {
			t.Errorf("%s: %s", era, got)
		}
		if got := inspect("--method", "tools/call", "--tool-name", "greet", "--tool-arg", "name="+era); !strings.Contains(got, " greets "+era) {
			t.Errorf("%s: %s", era, got)
		}
	}
}

// TestMCPRemote goes through mcp-remote, a bridge for clients that speak stdio only.
func TestMCPRemote(t *testing.T) {
	p := greeter(t)
	dir := toolchain.NPM(t, mcpRemote)
	cmd := exec.CommandContext(t.Context(), toolchain.Node(t), filepath.Join(dir, "node_modules", ".bin", "mcp-remote"), p.url, "--header", "Authorization:${AUTH}", "--transport", "http-only")
	cmd.Env = append(os.Environ(), "AUTH=Bearer "+p.token, "HOME="+t.TempDir())
	client := mcp.NewClient(&mcp.Implementation{Name: "interop", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.CommandTransport{Command: cmd}, &mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "greet", Arguments: map[string]any{"name": "remote"}})
	if err != nil || result.IsError {
		t.Fatalf("%+v, %v", result, err)
	}
	if text := must(json.Marshal(result.StructuredContent)); !strings.Contains(string(text), " greets remote") {
		t.Errorf("%s", text)
	}
}

const mcpRemote = "mcp-remote@0.15.1"
