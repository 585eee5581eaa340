//go:build interop

package mcp_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/interop/toolchain"
)

// TestTypeScriptSignsIn lets both SDKs find their way from a 401 through metadata, sign-in and code to a call, with
// nothing but the URL, the id of a registered client and the scope.
func TestTypeScriptSignsIn(t *testing.T) {
	for version, pkg := range map[string]string{"1": "@modelcontextprotocol/sdk@1.32.2", "2": "@modelcontextprotocol/client@2.4.0"} {
		t.Run("v"+version, func(t *testing.T) {
			p := startRegistered(t, nil, true)
			p.addGreet(t)
			ca := filepath.Join(t.TempDir(), "ca.pem")
			if err := os.WriteFile(ca, p.entra.CAPEM(), 0o600); err != nil {
				t.Fatal(err)
			}
			dir := toolchain.NPM(t, pkg)
			cmd := exec.CommandContext(t.Context(), toolchain.Node(t), script(t, dir, "v"+version+"-signin.mjs"), p.url, p.entra.WebClient, p.server.Scope().String())
			cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+ca)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			last := ""
			for lines := bufio.NewScanner(stdout); lines.Scan(); {
				last = lines.Text()
				var step struct{ Open string }
				if json.Unmarshal(lines.Bytes(), &step) == nil && step.Open != "" {
					page, err := p.entra.Browser("alice").Open(step.Open)
					if err != nil || page.Body != "signed in" {
						t.Errorf("the browser: %+v, %v", page, err)
						_ = cmd.Process.Kill()
					}
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v\n%s", err, stderr.Bytes())
			}
			check(t, last, "v"+version)
		})
	}
}

// authorizeURL is what mcp-remote asks the person to open.
var authorizeURL = regexp.MustCompile(`https://localhost:\d+/\S*/authorize\?\S+`)

// TestMCPRemoteSignsIn uses mcp-remote as the clients do that speak stdio only, against an API whose App ID URI is not
// its URL: then the parameter resource must be left out.
func TestMCPRemoteSignsIn(t *testing.T) {
	p := greeter(t)
	files := t.TempDir()
	ca := filepath.Join(files, "ca.pem")
	if err := os.WriteFile(ca, p.entra.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.entra.Server.Directory().UpdateApplication(must(identity.ParseClientID(p.entra.WebClient)), func(a *entraserver.Application) error {
		a.PublicClient.RedirectURIs = append(a.PublicClient.RedirectURIs, "http://localhost/oauth/callback")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), toolchain.Node(t), filepath.Join(toolchain.NPM(t, mcpRemote), "node_modules", ".bin", "mcp-remote"), p.url,
		"--transport", "http-only", "--disable-resource-parameter",
		"--static-oauth-client-info", string(must(json.Marshal(map[string]string{"client_id": p.entra.WebClient}))),
		"--static-oauth-client-metadata", string(must(json.Marshal(map[string]string{"scope": p.server.Scope().String()}))))
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+ca, "HOME="+files, "MCP_REMOTE_CONFIG_DIR="+files, "PATH=/nonexistent")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if address := authorizeURL.FindString(lines.Text()); address != "" {
				if page, problem := p.entra.Browser("alice").Open(address); problem != nil || page.Status != http.StatusOK {
					t.Errorf("the browser: %+v, %v", page, problem)
				}
			}
		}
	}()
	client := mcp.NewClient(&mcp.Implementation{Name: "interop", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.CommandTransport{Command: cmd}, &mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = session.Close()
		<-read
	}()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "greet", Arguments: map[string]any{"name": "remote"}})
	if err != nil || result.IsError {
		t.Fatalf("%+v, %v", result, err)
	}
}
