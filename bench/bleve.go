package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/analysis/analyzer/custom"
	"github.com/blevesearch/bleve/v2/analysis/token/lowercase"
	"github.com/blevesearch/bleve/v2/analysis/tokenizer/unicode"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/blevesearch/bleve/v2/search/query"
)

// bleveIndex is Bleve as its documentation has it: permissions are a disjunction of terms beside the query.
type bleveIndex struct {
	index bleve.Index
	// permitted makes the query for what a caller may see.
	permitted func(c *caller) (query.Query, error)
}

func openBleve(dir string) (peer, error) {
	index, err := bleve.NewUsing(filepath.Join(dir, "index"), bleveMapping(), scorch.Name, scorch.Name, nil)
	return &bleveIndex{index: index, permitted: oneOfTerms}, err
}

func bleveMapping() mapping.IndexMapping {
	m := bleve.NewIndexMapping()
	if err := m.AddCustomAnalyzer("plain", map[string]any{
		"type": custom.Name, "tokenizer": unicode.Name, "token_filters": []string{lowercase.Name},
	}); err != nil {
		panic(err) // the names are Bleve's own
	}
	field := func(f *mapping.FieldMapping, analyzer string, docValues bool) *mapping.FieldMapping {
		f.Analyzer, f.Store, f.DocValues, f.IncludeInAll, f.IncludeTermVectors = analyzer, false, docValues, false, false
		return f
	}
	source := bleve.NewTextFieldMapping()
	source.Index, source.Store, source.DocValues, source.IncludeInAll = false, true, false, false
	d := bleve.NewDocumentStaticMapping()
	d.AddFieldMappingsAt("id", field(bleve.NewKeywordFieldMapping(), "keyword", true))
	d.AddFieldMappingsAt("name", field(bleve.NewTextFieldMapping(), "plain", false))
	d.AddFieldMappingsAt("content", field(bleve.NewTextFieldMapping(), "plain", false))
	d.AddFieldMappingsAt("category", field(bleve.NewKeywordFieldMapping(), "keyword", true))
	d.AddFieldMappingsAt("created", field(bleve.NewDateTimeFieldMapping(), "", false))
	d.AddFieldMappingsAt("number", field(bleve.NewNumericFieldMapping(), "", false))
	d.AddFieldMappingsAt("principals", field(bleve.NewKeywordFieldMapping(), "keyword", false))
	d.AddFieldMappingsAt("source", source)
	m.DefaultMapping = d
	return m
}

const quiet = 2 * time.Second // without a merge, after which none comes

func (b *bleveIndex) close() error { return b.index.Close() }

func (b *bleveIndex) load(_ context.Context, c *corpus) error {
	for docs := range c.batches(batchSize) {
		batch := b.index.NewBatch()
		for _, d := range docs {
			err := batch.Index(d.ID, map[string]any{
				"id": d.ID, "name": d.Name, "content": d.Content, "category": d.Category, "created": d.Created, "number": float64(d.Number),
				"principals": append(append([]string{}, d.Users...), d.Groups...), "source": string(d.json()),
			})
			if err != nil {
				return err
			}
		}
		if err := b.index.Batch(batch); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until no merge goes on in the background any more. Each gives the documents other numbers, which bitmaps
// must not outlive.
func (b *bleveIndex) settle(ctx context.Context) error {
	advanced, err := b.index.Advanced()
	if err != nil {
		return err
	}
	for last := any(nil); ; {
		now := advanced.StatsMap()["CurRootEpoch"]
		if now != nil && now == last {
			return nil
		}
		last = now
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(quiet):
		}
	}
}

func oneOfTerms(c *caller) (query.Query, error) {
	principals := c.principals()
	any := make([]query.Query, len(principals))
	for i, p := range principals {
		t := bleve.NewTermQuery(p)
		t.SetField("principals")
		any[i] = t
	}
	return bleve.NewDisjunctionQuery(any...), nil
}

func (b *bleveIndex) ask(ctx context.Context, c *caller, q *task) (*answer, error) {
	permitted, err := b.permitted(c)
	if err != nil {
		return nil, err
	}
	boolean := bleve.NewBooleanQuery()
	boolean.AddFilter(permitted)
	switch q.kind {
	case matchAll:
		boolean.AddMust(bleve.NewMatchAllQuery())
	case twoTerms:
		for _, w := range q.words {
			t := bleve.NewTermQuery(w)
			t.SetField("content")
			boolean.AddShould(t)
		}
		boolean.SetMinShould(1)
	case filterFacet:
		least := float64(q.least)
		number := bleve.NewNumericRangeQuery(&least, nil)
		number.SetField("number")
		created := bleve.NewDateRangeQuery(q.from, q.to.Add(-time.Nanosecond))
		created.SetField("created")
		boolean.AddMust(number, created)
	}
	r := bleve.NewSearchRequestOptions(boolean, pageSize, 0, false)
	r.Fields = []string{"source"}
	if q.kind != twoTerms {
		r.Score = "none"
		r.SortBy([]string{"id"})
	}
	if q.kind == filterFacet {
		r.AddFacet("category", bleve.NewFacetRequest("category", 100))
	}
	result, err := b.index.SearchInContext(ctx, r)
	if err != nil {
		return nil, err
	}
	a := &answer{total: int(result.Total)}
	for _, h := range result.Hits {
		a.ids = append(a.ids, h.ID)
		if source, ok := h.Fields["source"].(string); ok {
			a.bytes += len(source)
		}
	}
	if q.kind == filterFacet {
		a.facet = map[string]int{}
		for _, t := range result.Facets["category"].Terms.Terms() {
			a.facet[t.Term] = t.Count
		}
	}
	return a, nil
}
