//go:build interop

package signin_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/tools"
	"github.com/onbehalf/onbehalf/interop/toolchain"
)

const (
	typescript = "@modelcontextprotocol/sdk@1.32.2"
	inspector  = "@modelcontextprotocol/inspector@2.12.0"
	fastmcp    = "fastmcp==4.1.2"
)

// desk is alice's: the built command, a home, the local Entra.
type desk struct {
	*entratest.Entra
	t      *testing.T
	binary string
	ca     string // file
	env    []string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	home := t.TempDir()
	d := &desk{Entra: entratest.Start(t, nil), t: t, binary: filepath.Join(home, "onbehalf"), ca: filepath.Join(home, "ca.pem")}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", d.binary, "github.com/onbehalf/onbehalf/cmd/onbehalf").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	passphrase := filepath.Join(home, "passphrase")
	for path, content := range map[string][]byte{d.ca: d.CAPEM(), passphrase: []byte("correct horse")} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "AZURE_AUTHORITY_HOST=" + d.URL + "/", "ONBEHALF_CA_FILE=" + d.ca,
		"WEB_CLIENT_ID=" + d.WebClient, "TENANT_ID=" + d.Tenant, "CACHE_PASSPHRASE_FILE=" + passphrase,
		"NODE_EXTRA_CA_CERTS=" + d.ca, "SSL_CERT_FILE=" + d.ca,
	}
	return d
}

var userCode = regexp.MustCompile(`enter +([A-Z0-9]{9})`)

// run runs onbehalf as alice, who signs in where she is shown a code.
func (d *desk) run(args ...string) (string, error) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.binary, args...)
	cmd.Env = d.env
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	var said bytes.Buffer
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		fmt.Fprintln(&said, lines.Text())
		if match := userCode.FindStringSubmatch(lines.Text()); match != nil {
			d.Approve(match[1], "alice")
		}
	}
	if err := cmd.Wait(); err != nil {
		return stdout.String(), fmt.Errorf("onbehalf %s: %w\n%s", strings.Join(args, " "), err, said.String())
	}
	return stdout.String(), nil
}

// start starts a program that prints its URL.
func (d *desk) start(name string, args ...string) string {
	d.t.Helper()
	cmd := exec.CommandContext(d.t.Context(), name, args...)
	cmd.Env = d.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err = cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if d.t.Failed() {
			d.t.Logf("%s: %s", name, stderr.String())
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		d.t.Fatalf("%s did not start: %v\n%s", name, err, stderr.String())
	}
	return strings.TrimSpace(line)
}

// goServer is a server on the Go SDK's own middleware, with a JWT library as its verifier.
func (d *desk) goServer() string {
	server := mcp.NewServer(&mcp.Implementation{Name: "go", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "whoami"}, func(_ context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		name, _ := r.Extra.TokenInfo.Extra["name"].(string)
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: name}}}, nil, nil
	})
	verify := func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		claims := jwt.MapClaims{}
		_, err := jwt.ParseWithClaims(token, claims, d.key, jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience(d.API), jwt.WithIssuer(d.Authority()+"/v2.0"))
		if err != nil {
			return nil, errors.Join(auth.ErrInvalidToken, err)
		}
		expires, err := claims.GetExpirationTime()
		if err != nil {
			return nil, err
		}
		scp, _ := claims["scp"].(string)
		return &auth.TokenInfo{Scopes: strings.Fields(scp), Expiration: expires.Time, UserID: fmt.Sprint(claims["oid"]), Extra: map[string]any{"name": claims["preferred_username"]}}, nil
	}
	mux := http.NewServeMux()
	web := httptest.NewServer(mux)
	d.t.Cleanup(web.Close)
	const path = "/.well-known/oauth-protected-resource/mcp"
	mux.Handle(path, auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
		Resource: web.URL + "/mcp", AuthorizationServers: []string{d.Authority() + "/v2.0"}, ScopesSupported: []string{"api://" + d.API + "/execute"},
	}))
	mux.Handle("/mcp", auth.RequireBearerToken(verify, &auth.RequireBearerTokenOptions{ResourceMetadataURL: web.URL + path, Scopes: []string{"execute"}})(
		mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)))
	return web.URL + "/mcp"
}

// key asks the local Entra for the key that a token names.
func (d *desk) key(token *jwt.Token) (any, error) {
	resp, err := d.Client().Get(d.Authority() + "/discovery/v2.0/keys")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return keyNamed(body, fmt.Sprint(token.Header["kid"]))
}

// TestOtherServers has our client sign in for, list and call servers that are not ours.
func TestOtherServers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		start func(*desk) string
	}{
		{"Go SDK", (*desk).goServer},
		{"TypeScript SDK", func(d *desk) string {
			dir := toolchain.NPM(d.t, typescript, "express@5.1.0", "jose@6.1.0")
			return d.start(toolchain.Node(d.t), script(d.t, dir, "server.mjs"), d.Authority(), d.API)
		}},
		{"FastMCP", func(d *desk) string {
			return d.start(toolchain.Python(d.t, fastmcp), testdata(d.t, "fastmcp_server.py"), strings.TrimPrefix(d.URL, "https://"), d.Tenant, d.API)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t)
			server := tt.start(d)
			scope := "api://" + d.API + "/execute"
			if _, err := d.run("login", "--device-code", "--server", server); err == nil || !strings.Contains(err.Error(), "nobody confirmed") {
				t.Errorf("without a yes: %v", err)
			}
			for _, step := range []struct{ want, args string }{
				{"signed in as alice@contoso.example", "login --device-code --scope " + scope},
				{"whoami", "tools"},
				{"alice@contoso.example", "call whoami"},
				{"preferred_username", "token"},
			} {
				out, err := d.run(append(strings.Fields(step.args), "--server", server)...)
				if err != nil || !strings.Contains(out, step.want) {
					t.Errorf("%s: %v\n%s", step.args, err, out)
				}
			}
			if n := d.Count("devicecode", ""); n != 1 {
				t.Errorf("%d sign-ins, want 1", n)
			}
		})
	}
}

// ours starts our own server, which needs no confirmation where API_CLIENT_ID stands beside MCP_URL.
func (d *desk) ours() string {
	d.t.Helper()
	cloud, err := entra.CloudOf(d.URL)
	if !errors.Is(err, entra.ErrUnknownCloud) {
		d.t.Fatal(err)
	}
	web := httptest.NewServer(nil)
	d.t.Cleanup(web.Close)
	endpoint := must(url.Parse(strings.Replace(web.URL, "127.0.0.1", "localhost", 1) + "/mcp"))
	server, err := onbehalf.New(onbehalf.Config{
		Name: "onbehalf", Version: "1", URL: endpoint, Cloud: cloud, Tenants: []identity.TenantID{must(identity.ParseTenantID(d.Tenant))},
		Client: must(identity.ParseClientID(d.API)), HTTPClient: d.Client(),
	})
	if err != nil {
		d.t.Fatal(err)
	}
	if err := tools.AddWhoami(server); err != nil {
		d.t.Fatal(err)
	}
	web.Config.Handler = server.Handler()
	d.env = append(d.env, "MCP_URL="+endpoint.String(), "API_CLIENT_ID="+d.API)
	return endpoint.String()
}

// TestFastMCPClient lists and calls our tools at /mcp/, with a static bearer header.
func TestFastMCPClient(t *testing.T) {
	python := toolchain.Python(t, fastmcp)
	d := newDesk(t)
	server := d.ours()
	if _, err := d.run("login", "--device-code"); err != nil {
		t.Fatal(err)
	}
	token, err := d.run("token", "--raw")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, testdata(t, "fastmcp_client.py"), server+"/")
	cmd.Env = append(d.env, "TOKEN="+strings.TrimSpace(token))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "whoami") || !strings.Contains(string(out), "called: alice@contoso.example") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestStdio has clients that cannot sign in to Entra use our server through the bridge.
func TestStdio(t *testing.T) {
	node := toolchain.Node(t)
	d := newDesk(t)
	d.ours()
	if _, err := d.run("login", "--device-code"); err != nil {
		t.Fatal(err)
	}
	t.Run("TypeScript SDK", func(t *testing.T) {
		out, err := d.command(t, node, script(t, toolchain.NPM(t, typescript, "express@5.1.0", "jose@6.1.0"), "stdio.mjs"), d.binary, "stdio")
		if err != nil || !strings.Contains(out, "tools: whoami") || strings.Count(out, "alice@contoso.example") != 4 {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("Inspector", func(t *testing.T) {
		cli := filepath.Join(toolchain.NPM(t, inspector), "node_modules", ".bin", "mcp-inspector")
		// The inspector starts servers in an environment of its own.
		wrapper := filepath.Join(t.TempDir(), "bridge")
		text := "#!/bin/sh\nexport '" + strings.Join(d.env, "' '") + "'\nexec " + d.binary + " stdio\n"
		if err := os.WriteFile(wrapper, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		for want, args := range map[string][]string{
			`"whoami"`:              {"--method", "tools/list"},
			"alice@contoso.example": {"--method", "tools/call", "--tool-name", "whoami"},
		} {
			out, err := d.command(t, node, append([]string{cli, "--cli", wrapper}, args...)...)
			if err != nil || !strings.Contains(out, want) {
				t.Errorf("%v: %v\n%s", args, err, out)
			}
		}
	})
	t.Run("nobody is signed in", func(t *testing.T) {
		if _, err := d.run("logout"); err != nil {
			t.Fatal(err)
		}
		out, err := d.command(t, node, script(t, toolchain.NPM(t, typescript, "express@5.1.0", "jose@6.1.0"), "stdio.mjs"), d.binary, "stdio")
		if err == nil || !strings.Contains(out, "onbehalf login") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

func (d *desk) command(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = d.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func testdata(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// script copies a script to where its packages are: Node looks for them beside it.
func script(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(testdata(t, name))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
