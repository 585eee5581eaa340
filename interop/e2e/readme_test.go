//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

const patience = 2 * time.Minute

// workshop is a folder with a fresh clone of the module and a home of its own.
type workshop struct {
	dir string
	env []string
}

func open(t *testing.T) *workshop {
	t.Helper()
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "onbehalf")
	w := &workshop{dir: dir, env: append(os.Environ(), "HOME="+t.TempDir(), "XDG_CACHE_HOME=", "XDG_CONFIG_HOME=", "GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"), "GOFLAGS="+goEnv(t, "GOFLAGS"))}
	if out, err := exec.CommandContext(t.Context(), "git", "clone", "-q", top, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return w
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// output collects what a program prints while it runs.
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

// start runs a line of a shell and returns its output; it ends, by Ctrl-C, with the test.
func (w *workshop) start(t *testing.T, line, until string) *output {
	t.Helper()
	out := &output{}
	cmd := exec.Command("bash", "-c", "exec "+line)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.dir, w.env, out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%s ended with %v\n%s", line, err, out)
			}
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			t.Errorf("%s still runs five seconds after Ctrl-C", line)
		}
	})
	deadline := time.Now().Add(patience)
	for !strings.Contains(out.String(), until) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not say %q:\n%s", line, until, out)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return out
}

func (w *workshop) run(t *testing.T, line string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", line)
	cmd.Dir, cmd.Env = w.dir, w.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

var code = regexp.MustCompile(`\b[A-Z0-9]{9}\b`)

// signIn runs a line that signs in by device code, and approves the code as the person.
func (w *workshop) signIn(t *testing.T, line, person string) string {
	t.Helper()
	out := &output{}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", line)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.dir, w.env, out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		if shown := code.FindString(out.String()); shown != "" {
			w.approve(t, shown, person)
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("%s ended without a code: %v\n%s", line, err, out)
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err := <-ended; err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return out.String()
}

func (w *workshop) approve(t *testing.T, userCode, person string) {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(w.dir, ".env.ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}, Timeout: patience}
	resp, err := client.Post("https://localhost:8443/_local/devicecodes/"+userCode+"/approve", "application/json", strings.NewReader(fmt.Sprintf(`{"user":%q}`, person)))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		t.Fatalf("approve: HTTP %d %s", resp.StatusCode, body)
	}
}

// TestReadme follows the README's commands for separate processes, in a fresh clone.
func TestReadme(t *testing.T) {
	w := open(t)
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"go run ./cmd/onbehalf demo", "go build -o onbehalf ./cmd/onbehalf", "./onbehalf local --write-env .env &", "./onbehalf serve --env .env &",
		"./onbehalf call whoami --env .env", "./onbehalf call get_documents query=roadmap --env .env",
	} {
		if !strings.Contains(string(readme), "    "+line) {
			t.Errorf("the README does not give the command %q, which this test runs", line)
		}
	}
	if out := w.run(t, "go run ./cmd/onbehalf demo --once"); !strings.Contains(out, "PASS  15/15 decisions, 6/6 refusals") {
		t.Errorf("the demo says:\n%s", out)
	}
	w.run(t, "go build -o onbehalf ./cmd/onbehalf && go build -o onbehalf-server ./cmd/onbehalf-server")
	w.start(t, "./onbehalf local --write-env .env", "ready")
	w.start(t, "./onbehalf-server serve --env .env", "serving")
	if out := w.run(t, "./onbehalf-server healthcheck"); out != "ready\n" {
		t.Errorf("healthcheck says %q", out)
	}
	if out := w.signIn(t, "./onbehalf call whoami --env .env --device-code", "alice"); !strings.Contains(out, "Alice Archer") {
		t.Errorf("whoami says:\n%s", out)
	}
	if out := w.run(t, "./onbehalf call get_documents query=roadmap --env .env"); !strings.Contains(out, "Roadmap") {
		t.Errorf("get_documents says:\n%s", out)
	}
	resp, err := http.Get("http://127.0.0.1:8001/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(text), "onbehalf_calls_total") {
		t.Errorf("metrics: %v\n%.500s", err, text)
	}
}
