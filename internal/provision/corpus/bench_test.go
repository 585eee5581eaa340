package corpus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/internal/provision"
	"github.com/onbehalf/onbehalf/internal/provision/corpus"
	"github.com/onbehalf/onbehalf/internal/sample"
	"github.com/onbehalf/onbehalf/search/searchtest"
)

// benchDocuments is the size of Debian's corpus, by which the other figures were measured.
const benchDocuments = 63_000

// benchParallel is the default of both, so that neither has more requests under way.
const benchParallel = 2

// BenchmarkPushBesideBareLoop uploads the same documents to the same local service twice: as "index push" does, from a file
// with every check, the digest and the journal, and by a bare loop over request bodies that were built before. The ratio is
// what the client costs.
//
//	go test -run - -bench PushBesideBareLoop -benchtime 5x ./internal/provision/corpus
func BenchmarkPushBesideBareLoop(b *testing.B) {
	service := searchtest.Start(b, nil)
	client := service.SearchClient()
	path, bodies := writeCorpus(b)
	definition := sample.Definition("bench")
	bare := service.Client()
	var push, loop time.Duration
	for b.Loop() {
		fresh(b, service)
		start := time.Now()
		bareLoop(b, bare, service.URL, service.Server.AdminKey().Reveal(), bodies)
		loop += time.Since(start)

		fresh(b, service)
		start = time.Now()
		checker, err := corpus.NewChecker(definition)
		if err != nil {
			b.Fatal(err)
		}
		source := corpus.Lines(path)
		survey, err := corpus.Check(source, checker, nil)
		if err != nil {
			b.Fatal(err)
		}
		journal, _, err := provision.OpenJournal(path+".journal", provision.JournalFor{Input: survey.Digest})
		if err != nil {
			b.Fatal(err)
		}
		report, err := provision.Push(context.Background(), client, "bench", survey.Items(source, journal.Done), provision.PushOptions{Parallel: benchParallel, Uploaded: journal.Note})
		if err != nil || report.Uploaded != benchDocuments {
			b.Fatalf("%+v, %v", report, err)
		}
		if err = journal.Remove(); err != nil {
			b.Fatal(err)
		}
		push += time.Since(start)
	}
	rate := func(took time.Duration) float64 { return float64(benchDocuments*b.N) / took.Seconds() }
	b.ReportMetric(rate(push), "push-docs/s")
	b.ReportMetric(rate(loop), "bare-docs/s")
	b.ReportMetric(rate(push)/rate(loop), "push/bare")
	b.ReportMetric(0, "ns/op")
}

// fresh makes the index anew, so that both start from nothing.
func fresh(b *testing.B, service *searchtest.Service) {
	b.Helper()
	client := service.SearchClient()
	_ = client.Delete(b.Context(), "bench", "")
	if _, err := client.Put(b.Context(), sample.Definition("bench"), ""); err != nil {
		b.Fatal(err)
	}
	runtime.GC()
}

// writeCorpus writes documents like Debian's packages, and the bodies of requests that upload them.
func writeCorpus(b *testing.B) (path string, bodies [][]byte) {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 20_000)
	for i := range words {
		words[i] = strings.ToLower(fmt.Sprintf("%c%08x", 'a'+i%26, random.Uint32()))[:3+i%7]
	}
	zipf := rand.NewZipf(random, 1.1, 4, uint64(len(words)-1))
	path = filepath.Join(b.TempDir(), "corpus.jsonl")
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
