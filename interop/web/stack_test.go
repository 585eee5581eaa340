//go:build e2e

package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/joho/godotenv"
)

// patience bounds every wait: nothing here takes long on an idle machine, and a busy one has time.
const patience = time.Minute

// program is the built product.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "onbehalf-e2e")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "onbehalf")
	out, err := exec.Command("go", "build", "-o", path, "../../cmd/onbehalf").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return path, err
})

// stack is the local Entra and Search, the MCP server and the web agent, a process each.
type stack struct {
	t      *testing.T
	dir    string
	extra  []string // settings beside those of the local stand-ins
	client *http.Client

	Env map[string]string
	URL string // of the web agent
	web *process
}

type options struct {
	model   string   // URL of a server of models; "": the stand-in
	web     []string // flags of the web agent
	people  string   // JSON lines
	history bool     // kept in a file
}

func start(t *testing.T, o options) *stack {
	t.Helper()
	s := &stack{t: t, dir: t.TempDir()}
	env := filepath.Join(s.dir, "stack.env")
	local := []string{"local", "--entra-addr", "127.0.0.1:0", "--search-addr", "127.0.0.1:0", "--write-env", env}
	if o.people != "" {
		people := filepath.Join(s.dir, "people.jsonl")
		if err := os.WriteFile(people, []byte(o.people), 0o600); err != nil {
			t.Fatal(err)
		}
		local = append(local, "--people", people)
	}
	s.run("ready", local...)
	var err error
	if s.Env, err = godotenv.Read(env); err != nil {
		t.Fatal(err)
	}
	s.client = trusting(t, s.Env["ONBEHALF_CA_FILE"])
	mcp, web := freePort(t), freePort(t)
	s.URL = "http://localhost:" + web
	s.extra = append(s.extra, "MCP_URL=http://localhost:"+mcp+"/mcp", "WEB_URL="+s.URL)
	if o.history {
		s.extra = append(s.extra, "HISTORY_KEY="+strings.Repeat("k", 40))
	}
	if o.model != "" {
		s.extra = append(s.extra, "OPENAI_BASE_URL="+o.model+"/v1", "OPENAI_MODEL=scripted")
	}
	s.run("serving", "serve", "--env", env, "--addr", "127.0.0.1:"+mcp, "--admin-addr", "127.0.0.1:0")
	s.startWeb(append([]string{"web", "--env", env, "--addr", "127.0.0.1:" + web}, o.web...)...)
	return s
}

func (s *stack) startWeb(args ...string) {
	s.t.Helper()
	if len(args) > 0 {
		s.web = s.run("serving", args...)
		return
	}
	s.web = s.run("serving", s.web.args...)
}

// process is the program at work; it ends, as by Ctrl-C, with the test at the latest.
type process struct {
	args []string
	out  output
	stop func()
}

func (s *stack) run(until string, args ...string) *process {
	s.t.Helper()
	path, err := program()
	if err != nil {
		s.t.Fatal(err)
	}
	p := &process{args: args}
	command := exec.Command(path, args...)
	command.Dir, command.Stdout, command.Stderr = s.dir, &p.out, &p.out
	command.Env = append(os.Environ(), append([]string{"HOME=" + s.dir, "XDG_CACHE_HOME=", "XDG_CONFIG_HOME="}, s.extra...)...)
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	p.stop = sync.OnceFunc(func() {
		_ = command.Process.Signal(os.Interrupt)
		select {
		case err := <-ended:
			if err != nil {
				s.t.Errorf("%s ended with %v\n%s", args[0], err, &p.out)
			}
		case <-time.After(patience):
			_ = command.Process.Kill()
			s.t.Errorf("%s still runs long after Ctrl-C\n%s", args[0], &p.out)
		}
	})
	s.t.Cleanup(p.stop)
	for deadline := time.Now().Add(patience); !strings.Contains(p.out.String(), until); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s did not say %q:\n%s", args[0], until, &p.out)
		}
	}
	return p
}

// output collects what a process prints while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
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

func trusting(t *testing.T, file string) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
}

// control calls the local Entra's control API, or with an admin key the local Search.
func (s *stack) control(method, address string, body any) {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Api-Key", s.Env["SEARCH_ADMIN_KEY"])
	answer, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode >= http.StatusBadRequest {
		said, _ := io.ReadAll(answer.Body)
		s.t.Fatalf("%s: HTTP %d %s", address, answer.StatusCode, said)
	}
}

func (s *stack) entra(path string) string { return s.Env["AZURE_AUTHORITY_HOST"] + "_local/" + path }

func (s *stack) scenario(name string) {
	s.t.Helper()
	s.control(http.MethodPut, s.entra("scenario/"+name), struct{}{})
}

func (s *stack) policies(policies map[string]any) {
	s.t.Helper()
	s.control(http.MethodPut, s.entra("policies"), policies)
}

// document uploads a document that everybody may read.
func (s *stack) document(fields map[string]any) {
	s.t.Helper()
	fields["@search.action"], fields["group"], fields["oid"] = "upload", []string{"all"}, []string{"none"}
	s.control(http.MethodPost, s.index("/docs/index"), map[string]any{"value": []any{fields}})
}

// index is an address of the index, at the local Search.
func (s *stack) index(path string) string {
	return s.Env["AZURE_SEARCH_ENDPOINT"] + "/indexes/" + s.Env["AZURE_SEARCH_INDEX"] + path + "?api-version=2025-11-01-preview"
}
