package models

import (
	"bytes"
	"context"
	_ "embed" // the model file
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/interop/toolchain"
)

//go:embed testdata/Modelfile
var ollamaFile []byte

// Ollama builds and starts Ollama with so many tokens of context. Building takes minutes, once.
func Ollama(tb testing.TB, tokens string) *Server {
	tb.Helper()
	binary := toolchain.Ollama(tb)
	folder := tb.TempDir()
	scriptedModel(tb, folder)
	address := freeAddress(tb)
	env := append(os.Environ(), "HOME="+folder, "OLLAMA_HOST="+address, "OLLAMA_MODELS="+filepath.Join(folder, "models"), "OLLAMA_CONTEXT_LENGTH="+tokens)
	serve := exec.Command(binary, "serve")
	var stderr bytes.Buffer
	serve.Env, serve.Stderr = env, &stderr
	if err := serve.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = serve.Process.Signal(os.Interrupt)
		patience := time.AfterFunc(10*time.Second, func() { _ = serve.Process.Kill() })
		defer patience.Stop()
		_ = serve.Wait()
	})
	ctx, cancel := context.WithTimeout(tb.Context(), serverStart)
	defer cancel()
	base := &url.URL{Scheme: "http", Host: address, Path: "/v1"}
	for !listens(ctx, base.JoinPath("models").String()) {
		if ctx.Err() != nil {
			tb.Fatal("Ollama does not listen")
		}
		time.Sleep(50 * time.Millisecond)
	}
	create := exec.CommandContext(ctx, binary, "create", "scripted", "-f", write(tb, folder, "Modelfile", ollamaFile))
	create.Env = env
	if out, err := create.CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	return &Server{URL: base, Model: "scripted"}
}

func listens(ctx context.Context, address string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func freeAddress(tb testing.TB) string {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
