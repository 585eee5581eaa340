// Package examples_test runs the examples as a reader would: built, in a process of their own, against a tenant.
package examples_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
)

func build(t *testing.T, name string) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), name)
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// run builds an example and runs it behind the local Entra; it returns the address of its MCP endpoint.
func run(t *testing.T, name string, entra *entratest.Entra) string {
	t.Helper()
	dir := t.TempDir()
	binary := build(t, name)
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, entra.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	_ = free.Close()
	cmd := exec.CommandContext(t.Context(), binary, addr)
	cmd.Env = []string{
		"SSL_CERT_FILE=" + ca, "ONBEHALF_LOCAL=1", "AZURE_AUTHORITY_HOST=" + entra.URL + "/", "TENANT_ID=" + entra.Tenant,
		"API_CLIENT_ID=" + entra.API, "CLIENT_SECRET=" + entra.Secret(entra.API).Reveal(),
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Logf("%s: %s", name, stderr.String())
	})
	for range 200 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			_ = conn.Close()
			return "http://" + addr + "/mcp"
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("it does not listen")
	return ""
}

type bearing struct{ token identity.Secret }

func (b bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token.Reveal())
	return http.DefaultTransport.RoundTrip(r)
}

func call(t *testing.T, url string, token identity.Secret, tool string, args any) map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test"}, nil).Connect(ctx,
		&mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: bearing{token}}, DisableStandaloneSSE: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil || result.IsError {
		t.Fatalf("%v %+v", err, result)
	}
	out, ok := result.StructuredContent.(map[string]any)
	if !ok {
		t.Fatalf("structured content is a %T", result.StructuredContent)
	}
	return out
}

func TestAToolOfOnesOwn(t *testing.T) {
	source, err := os.ReadFile("owntool/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(source, []byte("\n")); lines > 50 {
		t.Errorf("the example has %d lines; it promises at most 50", lines)
	}
	entra := entratest.Start(t, nil)
	url := run(t, "owntool", entra)
	got := call(t, url, entra.SignIn("bob", entra.WebClient, "api://"+entra.API+"/execute"), "greet", map[string]string{"greeting": "Good morning"})
	if diff := cmp.Diff(map[string]any{"text": "Good morning, Bob Brown"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestGraphAsTheCaller(t *testing.T) {
	entra := entratest.Start(t, nil)
	url := run(t, "graphme", entra)
	got := call(t, url, entra.SignIn("carol", entra.WebClient, "api://"+entra.API+"/execute"), "me", map[string]any{})
	if diff := cmp.Diff(map[string]any{"displayName": "Carol Clark", "mail": "carol@contoso.example"}, got); diff != "" {
		t.Error(diff)
	}
}

// What a newcomer forgets is said, in a line.
func TestWhatIsMissing(t *testing.T) {
	ids := []string{"TENANT_ID=c0470500-0000-4000-8000-000000000001", "API_CLIENT_ID=c0470500-0000-4000-8000-000000000002"}
	for _, name := range []string{"owntool", "graphme"} {
		binary := build(t, name)
		for _, tt := range []struct {
			desc      string
			args, env []string
			want      string
		}{
			{"no address", nil, ids, "usage: " + name},
			{"no settings", []string{"localhost:0"}, nil, "TENANT_ID, API_CLIENT_ID"},
			{"another authority's name", []string{"localhost:0"}, append(ids, "AZURE_AUTHORITY_HOST=contoso"), "want https://HOST/"},
		} {
			cmd := exec.CommandContext(t.Context(), binary, tt.args...)
			cmd.Env = tt.env
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), tt.want) || strings.Contains(string(out), "goroutine") {
				t.Errorf("%s, %s: %v\n%s", name, tt.desc, err, out)
			}
		}
	}
}

func TestDebianDocuments(t *testing.T) {
	const archive = `Package: gcc-12
Installed-Size: 60000
Maintainer: Debian GCC Maintainers <debian-gcc@lists.debian.org>
Section: devel
Description: GNU C compiler
 This is the GNU C compiler.
 .
 It compiles C.

Package: g++-12
Maintainer: Debian GCC Maintainers <debian-gcc@lists.debian.org>
Section: contrib/devel
Description: GNU C++ compiler

Package: gcc-12
Description: the same package again
`
	dir := t.TempDir()
	people := filepath.Join(dir, "people.jsonl")
	cmd := exec.CommandContext(t.Context(), "go", "run", "./debian", "--people", people)
	cmd.Stdin = strings.NewReader(archive)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d documents, want 2:\n%s", len(lines), out)
	}
	var first, second struct {
		ID, Name, Section, Content string
		Size                       int64
		Oid, Group                 []string
	}
	if err = json.Unmarshal([]byte(lines[0]), &first); err != nil {
		t.Fatal(err)
	}
	if err = json.Unmarshal([]byte(lines[1]), &second); err != nil {
		t.Fatal(err)
	}
	if first.ID != "gcc-12" || first.Size != 60000*1024 || first.Content != "GNU C compiler\nThis is the GNU C compiler.\n\nIt compiles C." {
		t.Errorf("first document: %+v", first)
	}
	if second.ID != "g_p_p-12" || second.Section != "devel" || second.Group[0] != first.Group[0] {
		t.Errorf("second document: %+v", second)
	}
	text, err := os.ReadFile(people)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), "\n") != 1 || !strings.Contains(string(text), "debian-gcc.") {
		t.Errorf("people: %s", text)
	}
}
