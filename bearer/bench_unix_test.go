//go:build unix

package bearer_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/bearer"
)

// benchToken is as long as Entra's are: some 1,500 characters.
func benchToken(a *authority) string {
	return a.token(object{"aio": strings.Repeat("x", 300), "rh": strings.Repeat("y", 60), "xms_ftd": strings.Repeat("z", 60), "groups": []string{alice, agent, blueprint}})
}

// BenchmarkVerify is to be read side by side: warm against sha256 (at most twice), cold against rsa (at most 1.6 times).
func BenchmarkVerify(b *testing.B) {
	a := newAuthority(b)
	token := benchToken(a)
	b.Run("sha256", func(b *testing.B) {
		text := []byte(token)
		b.ReportAllocs()
		for b.Loop() {
			_ = sha256.Sum256(text)
		}
	})
	b.Run("warm", func(b *testing.B) { benchVerify(b, a.verifier(b, nil), token) })
	b.Run("rsa", func(b *testing.B) {
		dot := strings.LastIndexByte(token, '.')
		signature, _ := base64.RawURLEncoding.DecodeString(token[dot+1:])
		digest := sha256.Sum256([]byte(token[:dot]))
		b.ReportAllocs()
		for b.Loop() {
			if rsa.VerifyPKCS1v15(&signingKey().PublicKey, crypto.SHA256, digest[:], signature) != nil {
				b.Fatal("wrong")
			}
		}
	})
	b.Run("cold", func(b *testing.B) {
		benchVerify(b, a.verifier(b, func(c *bearer.Config) { c.CacheSize = -1 }), token)
	})
}

func benchVerify(b *testing.B, v *bearer.Verifier, token string) {
	b.Helper()
	ctx, s := context.Background(), secret(token)
	if _, err := v.Verify(ctx, s); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(ctx, s); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCall compares the CPU of whole tools/call requests over loopback, client included, with and without
// authentication; the metric cpu-ns/op is the one to read.
func BenchmarkCall(b *testing.B) {
	a := newAuthority(b)
	v := a.verifier(b, func(c *bearer.Config) { c.Now = time.Now })
	a.advance(-time.Until(a.clock()))
	token := benchToken(a)
	server := mcp.NewServer(&mcp.Implementation{Name: "x", Version: "1"}, &mcp.ServerOptions{Capabilities: &mcp.ServerCapabilities{}})
	mcp.AddTool(server, &mcp.Tool{Name: "empty"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{}, nil, nil
	})
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
	for _, way := range []struct {
		name    string
		handler http.Handler
	}{{"warm-up", handler}, {"bare", handler}, {"authenticated", v.Middleware(handler)}} {
		b.Run(way.name, func(b *testing.B) {
			at := httptest.NewServer(way.handler)
			defer at.Close()
			before := cpu(b)
			for b.Loop() {
				benchCall(b, at.URL, token)
			}
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

func benchCall(b *testing.B, url, token string) {
	b.Helper()
	r, _ := http.NewRequest(http.MethodPost, url, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"empty","arguments":{}}}`))
	r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "Mcp-Protocol-Version": {"2025-11-25"}, "Authorization": {"Bearer " + token}}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer w.Body.Close()
	if body, _ := io.ReadAll(w.Body); w.StatusCode != http.StatusOK {
		b.Fatalf("%d %s", w.StatusCode, body)
	}
}

// cpu is the processor time that this process has used so far.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
