package demo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/internal/sample"
)

func config(t *testing.T, out *bytes.Buffer) Config {
	t.Helper()
	listen := func() net.Listener {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return listener
	}
	return Config{Entra: listen(), Search: listen(), MCP: listen(), Out: out, Once: true}
}

func TestDemoLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	var out bytes.Buffer
	if err := Run(t.Context(), config(t, &out)); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > before {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines are left\n%s", now-before, stacks[:runtime.Stack(stacks, true)])
	}
}

func TestDemoSeesADifference(t *testing.T) {
	for _, test := range []struct {
		desc   string
		tamper func([]sample.Document)
		want   string
	}{
		{"shown but not allowed", func(d []sample.Document) { d[0].Oid = []string{sample.Nobody} }, "WRONG, was shown but may not read: Handbook"},
		{"allowed but not shown", func(d []sample.Document) { d[4].Oid = []string{sample.Everyone} }, "WRONG, may read but was not shown: Board minutes"},
	} {
		t.Run(test.desc, func(t *testing.T) {
			var out bytes.Buffer
			c := config(t, &out)
			d, server, err := assemble(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			d.tamper = func() { test.tamper(d.config.Documents) }
			if err := d.run(t.Context(), server); !errors.Is(err, ErrDifference) {
				t.Errorf("got %v, want ErrDifference", err)
			}
			if !strings.Contains(out.String(), test.want) || !strings.Contains(out.String(), "FAIL") {
				t.Errorf("the screen does not say %q:\n%s", test.want, out.String())
			}
		})
	}
}

func TestDemoEndsWhenInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	c := config(t, &out)
	c.Once = false
	var err error
	if c.Web, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, c) }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("no error of a show that was interrupted")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("still running")
	}
}

// After the show the web agent answers, until the interruption, and then nothing is left.
func TestDemoServesThePage(t *testing.T) {
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	shown, screen := io.Pipe()
	c := config(t, nil)
	c.Once, c.Out = false, screen
	var err error
	if c.Web, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, c)
		_ = screen.Close()
	}()
	lines, address := bufio.NewScanner(shown), ""
	for address == "" && lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "Open "); ok {
			address, _, _ = strings.Cut(rest, " ")
		}
	}
	go func() { _, _ = io.Copy(io.Discard, shown) }()
	client := &http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil || answer.StatusCode != http.StatusOK || !bytes.Contains(text, []byte("Sign in")) || !bytes.Contains(text, []byte("local tenant")) {
		t.Errorf("%s: %v HTTP %d\n%s", address, err, answer.StatusCode, text)
	}
	client.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > before {
		t.Errorf("%d goroutines are left", now-before)
	}
}
