package searchtest_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchtest"
)

// BenchmarkPage is a page of 50 documents of 1.4 KB, as a person in two groups, in the engine and through HTTPS: how
// much the service and the client add.
func BenchmarkPage(b *testing.B) {
	s := searchtest.Start(b, nil)
	const index = "bench"
	definition := &search.Definition{Name: index, PermissionFilterOption: "enabled", Fields: []search.Field{
		{Name: "id", Type: "Edm.String", Key: true},
		{Name: "name", Type: "Edm.String"},
		{Name: "content", Type: "Edm.String"},
		{Name: "size", Type: "Edm.Int64"},
		{Name: "oid", Type: "Collection(Edm.String)", PermissionFilter: "userIds", Filterable: new(true)},
	}}
	if _, err := s.Engine.Put(b.Context(), definition, ""); err != nil {
		b.Fatal(err)
	}
	var batch []search.Action
	for i := range 1000 {
		batch = append(batch, search.Action{Document: fmt.Appendf(nil, `{"id":"%04d","name":"Document %d","content":%q,"size":%d,"oid":["all"]}`,
			i, i, strings.Repeat("lorem ipsum dolor sit amet ", 50), i)})
	}
	if _, err := s.Engine.Write(b.Context(), index, batch); err != nil {
		b.Fatal(err)
	}
	query := &search.Query{OrderBy: []string{"id"}, Top: new(50), Count: true}
	run := func(name string, in search.Index, u search.User) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if result, err := in.Search(b.Context(), u, query); err != nil || len(result.Hits) != 50 {
					b.Fatal(err)
				}
			}
		})
	}
	run("engine", s.Engine.Index(index), search.DangerouslyPublicOnly())
	token := s.Token("alice")
	client := s.Client()
	b.Run("http", func(b *testing.B) {
		b.ReportAllocs()
		body := []byte(`{"orderby":"id","top":50,"count":true}`)
		for b.Loop() {
			request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.URL+"/indexes/bench/docs/search?api-version=2025-11-01-preview", bytes.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			request.Header = http.Header{
				"Content-Type": {"application/json"}, "Accept": {"application/json;odata.metadata=none"},
				"Api-Key": {s.Server.AdminKey().Reveal()}, "X-Ms-Query-Source-Authorization": {token.Value.Reveal()},
			}
			response, err := client.Do(request)
			if err != nil {
				b.Fatal(err)
			}
			n, err := io.Copy(io.Discard, response.Body)
			if response.Body.Close(); err != nil || n < 50_000 {
				b.Fatal(n, err)
			}
		}
	})
	run("client", s.SearchClient().Index(index), search.ByToken{Token: token})
}

// BenchmarkWrite is a batch of 1,000 documents of 1.4 KB, in the engine and by client over HTTPS.
func BenchmarkWrite(b *testing.B) {
	s := searchtest.Start(b, nil)
	definition := &search.Definition{Name: "bench", Fields: []search.Field{
		{Name: "id", Type: "Edm.String", Key: true}, {Name: "name", Type: "Edm.String"}, {Name: "content", Type: "Edm.String"},
	}}
	var batch []search.Action
	for i := range 1000 {
		batch = append(batch, search.Action{Document: fmt.Appendf(nil, `{"id":"%04d","name":"Document %d","content":%q}`,
			i, i, strings.Repeat("lorem ipsum dolor sit amet ", 50))})
	}
	for name, service := range map[string]search.Service{"engine": s.Engine, "client": s.SearchClient()} {
		b.Run(name, func(b *testing.B) {
			if _, err := service.Put(b.Context(), definition, ""); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := service.Write(b.Context(), "bench", batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*len(batch))/b.Elapsed().Seconds(), "docs/s")
		})
	}
}
