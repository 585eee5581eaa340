package models

import (
	"bufio"
	"bytes"
	"context"
	_ "embed" // the scripts
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/interop/toolchain"
)

const (
	ggufPackage = "gguf==0.19.0"
	llamaCPP    = "xllamacpp==2026.10.11549" // the server of llama.cpp b11549, as a wheel
)

var (
	//go:embed testdata/model.py
	modelScript []byte
	//go:embed testdata/scripts.json
	modelText []byte
	//go:embed testdata/llamacpp.py
	llamaScript []byte
	//go:embed testdata/chat.jinja
	jinjaTemplate []byte
)

// Server is a server of models, on this machine, with a model whose text is known beforehand: testdata/scripts.json says
// what it answers, and the templates beside it which of that begins when.
type Server struct {
	URL   *url.URL // of its OpenAI API
	Model string
}

// serverStart bounds how long a server takes until it listens.
const serverStart = 2 * time.Minute

// LlamaCPP starts the server of llama.cpp with so many tokens of context.
func LlamaCPP(tb testing.TB, tokens string) *Server {
	tb.Helper()
	folder := tb.TempDir()
	python := toolchain.Python(tb, llamaCPP)
	command := exec.Command(python, write(tb, folder, "llamacpp.py", llamaScript), scriptedModel(tb, folder), write(tb, folder, "chat.jinja", jinjaTemplate), tokens)
	stdin, err := command.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	if err = command.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = stdin.Close()
		patience := time.AfterFunc(10*time.Second, func() { _ = command.Process.Kill() })
		defer patience.Stop()
		_ = command.Wait()
	})
	patience := time.AfterFunc(serverStart, func() { _ = command.Process.Kill() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	patience.Stop()
	if err != nil {
		_ = command.Wait()
		tb.Fatalf("llama.cpp does not listen: %v\n%s", err, &stderr)
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	base, err := url.Parse(strings.TrimSpace(line))
	if err != nil {
		tb.Fatal(err)
	}
	return &Server{URL: base.JoinPath("v1"), Model: "scripted"}
}

// scriptedModel writes the model.
func scriptedModel(tb testing.TB, folder string) string {
	tb.Helper()
	python := toolchain.Python(tb, ggufPackage)
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	path := filepath.Join(folder, "scripted.gguf")
	command := exec.CommandContext(ctx, python, write(tb, folder, "model.py", modelScript), path)
	command.Stdin = bytes.NewReader(modelText)
	if out, err := command.CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	return path
}

func write(tb testing.TB, folder, name string, text []byte) string {
	tb.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}
