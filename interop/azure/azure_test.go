//go:build azure

package azure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// What the environment says. AZURE_E2E_REHEARSAL=1 plays the tenant by the local stand-ins instead, which shows that the
// steps fit together and nothing about Azure; "setup search" is left out then, since there is no local Azure Resource Manager.
const (
	tenantVar    = "AZURE_E2E_TENANT"     // the tenant's id; az must be signed in to it as somebody who may set up
	searchVar    = "AZURE_E2E_SEARCH"     // the name of a search service; az must be an Owner of it
	keyVar       = "AZURE_E2E_SEARCH_KEY" // an admin key of it, for the index
	rehearsalVar = "AZURE_E2E_REHEARSAL"  // 1: against the local stand-ins
	deployment   = "onbehalf-e2e"         // what the applications' names begin with
	index        = "onbehalf-e2e"         // made, filled and taken away
	roleDelay    = 12 * time.Minute       // Azure's own figure for a role to come into force is ten
	startDelay   = 30 * time.Second       // until a program answers
	signInDelay  = 15 * time.Minute       // as long as a device code lives
	adele        = "ade1e000-0000-4000-8000-00000000000f"
)

// stage is a folder with the program, its settings, and who plays the tenant.
type stage struct {
	*testing.T
	dir, program string
	env          []string
	mcp          string
	rehearsal    bool
}

func TestFromAnEmptyTenantToTheFirstAnswer(t *testing.T) {
	s := open(t)
	admin := s.admin()
	setup := func(args ...string) []string { return append(append(args, "--name", deployment), admin...) }
	s.run(setup("setup", "entra", "apply", "--yes", "--read-groups")...)
	t.Cleanup(func() { s.run(setup("setup", "entra", "destroy", "--yes")...) })
	s.eventually("the plan is empty", time.Minute, setup("setup", "entra", "plan", "--check", "--read-groups")...)
	if !s.rehearsal {
		s.run("setup", "search", "apply", "--yes", "--service", os.Getenv(searchVar), "--index", index)
		s.run("setup", "search", "plan", "--check")
	}
	s.run("setup", "index", "apply", "--yes", "--env", ".env")
	t.Cleanup(func() { s.run("setup", "index", "destroy", index, "--yes", "--env", ".env") })
	s.serve()
	s.signIn()
	s.run("index", "push", "--sample", "--env", ".env")
	answer := s.eventually("the first answer", roleDelay, "call", "get_documents", "--json", "--env", ".env")
	if !strings.Contains(answer, "Handbook") {
		t.Errorf("the answer lacks the document that everyone may read: %.500s", answer)
	}
	s.run("doctor", "-v", "--env", ".env")
}

func open(t *testing.T) *stage {
	t.Helper()
	s := &stage{T: t, dir: t.TempDir(), rehearsal: os.Getenv(rehearsalVar) == "1"}
	var missing []string
	for _, name := range []string{tenantVar, searchVar, keyVar} {
		if os.Getenv(name) == "" && !s.rehearsal {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		t.Fatalf("not set: %s. This test registers applications in a real tenant; docs/azure.md says what it needs, and %s=1 rehearses it on this machine.", strings.Join(missing, ", "), rehearsalVar)
	}
	s.program = filepath.Join(s.dir, "onbehalf")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", s.program, "github.com/onbehalf/onbehalf/cmd/onbehalf").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.mcp = "http://localhost:" + freePort(t) + "/mcp"
	s.write("passphrase", "of a test\n")
	s.env = append(os.Environ(), "CACHE_PASSPHRASE_FILE="+filepath.Join(s.dir, "passphrase"), "XDG_CACHE_HOME="+filepath.Join(s.dir, "cache"), "XDG_CONFIG_HOME="+filepath.Join(s.dir, "config"))
	if s.rehearsal {
		s.rehearse()
		return s
	}
	s.write(".env", fmt.Sprintf("TENANT_ID=%s\nMCP_URL=%s\n", os.Getenv(tenantVar), s.mcp))
	s.env = append(s.env, "SEARCH_ADMIN_KEY="+os.Getenv(keyVar))
	return s
}

func (s *stage) write(name, text string) {
	s.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (s *stage) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.program, args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	return cmd
}

func (s *stage) run(args ...string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // also after the test has ended, to clean up
	defer cancel()
	out, err := s.command(ctx, args...).CombinedOutput()
	s.Logf("onbehalf %s\n%s", strings.Join(args, " "), out)
	if err != nil {
		s.Fatalf("onbehalf %s: %v", strings.Join(args, " "), err)
	}
}

// eventually runs a command until it succeeds: what was made at Azure comes into force by and by.
func (s *stage) eventually(what string, patience time.Duration, args ...string) string {
	s.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(15 * time.Second) {
		out, err := s.command(s.Context(), args...).CombinedOutput()
		if err == nil {
			s.Logf("onbehalf %s\n%.2000s", strings.Join(args, " "), out)
			return string(out)
		}
		if time.Now().After(end) {
			s.Fatalf("%s: not within %s: %v\n%s", what, patience, err, out)
		}
		s.Logf("%s: not yet: %v\n%s", what, err, out)
	}
}

// background starts a program and waits until it says a word; it ends with the test.
func (s *stage) background(word string, args ...string) {
	s.Helper()
	cmd := s.command(context.Background(), args...)
	reader, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	said := make(chan bool, 1)
	go watch(reader, regexp.MustCompile(word), func(string) {
		select {
		case said <- true:
		default:
		}
	})
	select {
	case <-said:
	case <-time.After(startDelay):
		s.Fatalf("%s did not say %q", strings.Join(args, " "), word)
	}
}

// watch calls found with what matches in what is read, until the end.
func watch(r io.Reader, form *regexp.Regexp, found func(string)) {
	var text []byte
	buffer := make([]byte, 4096)
	for {
		n, err := r.Read(buffer)
		text = append(text, buffer[:n]...)
		if match := form.Find(text); match != nil {
			found(string(match))
		}
		if err != nil {
			return
		}
	}
}

func (s *stage) serve() {
	s.Helper()
	port := strings.TrimSuffix(s.mcp[strings.LastIndexByte(s.mcp, ':')+1:], "/mcp")
	s.background("serving", "serve", "--env", ".env", "--addr", "127.0.0.1:"+port, "--admin-addr", "")
}

// signIn signs a person in by device code: whoever runs the test, or alice in a rehearsal.
func (s *stage) signIn() {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), signInDelay)
	defer cancel()
	cmd := s.command(ctx, "login", "--device-code", "--env", ".env")
	reader, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = os.Stderr, io.MultiWriter(os.Stderr, writer) // with -v the person sees the code at once
	approved := false
	go watch(reader, regexp.MustCompile(`\b[A-Z0-9]{9}\b`), func(code string) {
		if s.rehearsal && !approved {
			approved = true
			_, _ = s.control("devicecodes/"+code+"/approve", `{"user":"alice"}`)
		}
	})
	if err := cmd.Run(); err != nil {
		s.Fatalf("sign-in: %v", err)
	}
	_ = writer.Close()
}

// rehearse starts the local stand-ins with an empty tenant.
func (s *stage) rehearse() {
	s.Helper()
	s.background("ready", "local", "--scenario", "empty", "--entra-addr", "127.0.0.1:0", "--search-addr", "127.0.0.1:0", "--write-env", "local.env")
	text, err := os.ReadFile(filepath.Join(s.dir, "local.env"))
	if err != nil {
		s.Fatal(err)
	}
	settings := regexp.MustCompile(`(?m)^(MCP_URL|AZURE_SEARCH_INDEX)=.*$\n`).ReplaceAllString(string(text), "")
	s.write(".env", settings+"MCP_URL="+s.mcp+"\nAZURE_SEARCH_INDEX="+index+"\n")
}

// admin are the flags by which the administrator signs in: none, where the Azure CLI is.
func (s *stage) admin() []string {
	s.Helper()
	if !s.rehearsal {
		return nil
	}
	now := time.Now().Unix()
	answer, err := s.control("tokens", fmt.Sprintf(
		`{"claims":{"aud":"00000003-0000-0000-c000-000000000000","oid":%q,"scp":"Application.ReadWrite.All DelegatedPermissionGrant.ReadWrite.All Directory.Read.All","iat":%d,"nbf":%d,"exp":%d}}`, adele, now, now-60, now+3600))
	var signed struct {
		Token string `json:"access_token"`
	}
	if err != nil || json.Unmarshal(answer, &signed) != nil {
		s.Fatalf("no token: %v %s", err, answer)
	}
	s.write("token", signed.Token)
	return []string{"--token-file", "token"}
}

// control calls the local Entra's control API.
func (s *stage) control(path, body string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, "local.env"))
	if err != nil {
		return nil, err
	}
	authority := regexp.MustCompile(`(?m)^AZURE_AUTHORITY_HOST=(.*)/$`).FindSubmatch(text)
	if authority == nil {
		return nil, errors.New("local.env names no authority")
	}
	return exec.Command("curl", "--silent", "--show-error", "--fail", "--cacert", filepath.Join(s.dir, "local.env.ca.pem"),
		"--header", "Content-Type: application/json", "--data", body, string(authority[1])+"/_local/"+path).Output()
}
