package cli_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/sample"
	"github.com/onbehalf/onbehalf/search/searchclient"
)

// benchDocuments is the size of Debian's corpus, by which other figures were measured.
const benchDocuments = 63_000

// benchParallel is the default of "index push": the bare loop has as many requests under way.
const benchParallel = 4

// BenchmarkPushBesideBareLoop uploads the same documents to the same local service, a process of its own, twice in turn: by
// the command "index push", with its start, every check, the digest and the journal, and by a bare loop over request bodies
// that were built before. The ratio is what the client costs.
//
//	go test -run - -bench PushBesideBareLoop -benchtime 10x ./internal/cli
func BenchmarkPushBesideBareLoop(b *testing.B) {
	dir := b.TempDir()
	env := filepath.Join(dir, "local.env")
	startLocal(b, dir, env)
	text, err := os.ReadFile(env)
	if err != nil {
		b.Fatal(err)
	}
	settings := string(text)
	bare := clientFor(b, setting(settings, "ONBEHALF_CA_FILE"))
	service, err := searchclient.New(searchclient.Config{
		Endpoint: setting(settings, "AZURE_SEARCH_ENDPOINT"), Key: identity.NewSecret(setting(settings, "SEARCH_ADMIN_KEY")), HTTPClient: bare,
	})
	if err != nil {
		b.Fatal(err)
	}
	fresh := func() { // both start from nothing
		_ = service.Delete(b.Context(), "bench", "")
		if _, err := service.Put(b.Context(), sample.Definition("bench"), ""); err != nil {
			b.Fatal(err)
		}
	}
	path, bodies := writeCorpus(b, dir)
	var push, loop, pushCPU, loopCPU time.Duration
	for b.Loop() {
		fresh()
		start, used := time.Now(), cpu(b)
		bareLoop(b, bare, setting(settings, "AZURE_SEARCH_ENDPOINT"), setting(settings, "SEARCH_ADMIN_KEY"), bodies)
		loop += time.Since(start)
		loopCPU += cpu(b) - used

		fresh()
		start = time.Now()
		cmd := exec.CommandContext(b.Context(), "onbehalf", "index", "push", path, "--index", "bench", "--env", env)
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CACHE_HOME="+dir, "XDG_CONFIG_HOME="+dir)
		out, err := cmd.CombinedOutput()
		push += time.Since(start)
		pushCPU += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		if err != nil || !strings.Contains(string(out), fmt.Sprintf("%d documents uploaded, 0 failed", benchDocuments)) {
			b.Fatalf("%v\n%s", err, out)
		}
	}
	rate := func(took time.Duration) float64 { return float64(benchDocuments*b.N) / took.Seconds() }
	b.ReportMetric(rate(push), "push-docs/s")
	b.ReportMetric(rate(loop), "bare-docs/s")
	b.ReportMetric(rate(push)/rate(loop), "push/bare")
	each := func(used time.Duration) float64 { return float64(used.Microseconds()) / float64(benchDocuments*b.N) }
	b.ReportMetric(each(pushCPU), "push-cpu-us/doc")
	b.ReportMetric(each(loopCPU), "bare-cpu-us/doc")
	b.ReportMetric(0, "ns/op")
}

// cpu is the processor time of this process so far.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// startLocal starts the stand-ins as a process of their own.
func startLocal(b *testing.B, dir, env string) {
	b.Helper()
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "onbehalf", "local", "--entra-addr", "127.0.0.1:0", "--search-addr", "127.0.0.1:0", "--write-env", env)
	cmd.Dir = dir
	seen := make(chan struct{})
	cmd.Stdout = &watcher{word: "ready", seen: seen}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { stop(); _ = cmd.Wait() })
	select {
	case <-seen:
	case <-time.After(startTimeout):
		b.Fatal("the local service did not start")
	}
}

func clientFor(b *testing.B, ca string) *http.Client {
	b.Helper()
	pem, err := os.ReadFile(ca)
	if err != nil {
		b.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, MaxIdleConnsPerHost: benchParallel, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
}

// writeCorpus writes documents like Debian's packages, and the bodies of requests that upload them.
func writeCorpus(b *testing.B, dir string) (path string, bodies [][]byte) {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 20_000)
	for i := range words {
		words[i] = strings.ToLower(fmt.Sprintf("%c%08x", 'a'+i%26, random.Uint32()))[:3+i%7]
	}
	zipf := rand.NewZipf(random, 1.1, 4, uint64(len(words)-1))
	path = filepath.Join(dir, "corpus.jsonl")
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	var body bytes.Buffer
	for i := range benchDocuments {
		text := make([]string, 20+random.IntN(60))
		for j := range text {
			text[j] = words[zipf.Uint64()]
		}
		document, _ := json.Marshal(&sample.Document{
			ID: fmt.Sprintf("package-%06d", i), Name: "package " + text[0], Section: words[i%40], Content: strings.Join(text, " "), Size: int64(i),
			Oid:   []string{fmt.Sprintf("%08x-0000-4000-8000-000000000001", random.IntN(2000))},
			Group: []string{fmt.Sprintf("%08x-0000-4000-8000-000000000002", random.IntN(500))},
		})
		if _, err := file.Write(append(document, '\n')); err != nil {
			b.Fatal(err)
		}
		if body.Len() == 0 {
			body.WriteString(`{"value":[`)
		} else {
			body.WriteByte(',')
		}
		body.WriteString(`{"@search.action":"upload",`)
		body.Write(document[1:])
		if (i+1)%1000 == 0 {
			body.WriteString("]}")
			bodies = append(bodies, bytes.Clone(body.Bytes()))
			body.Reset()
		}
	}
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
	return path, bodies
}

func bareLoop(b *testing.B, client *http.Client, url, key string, bodies [][]byte) {
	b.Helper()
	next := make(chan []byte)
	var workers sync.WaitGroup
	for range benchParallel {
		workers.Go(func() {
			for body := range next {
				req, err := http.NewRequest(http.MethodPost, url+"/indexes('bench')/docs/search.index?api-version=2025-11-01-preview", bytes.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("api-key", key)
				resp, err := client.Do(req)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					b.Errorf("HTTP %d", resp.StatusCode)
				}
			}
		})
	}
	for _, body := range bodies {
		next <- body
	}
	close(next)
	workers.Wait()
}
