package main

import (
	"context"
	"path/filepath"
	"strings"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/query"
	index "github.com/blevesearch/bleve_index_api"
)

// openBleveBitmap is Bleve with what a caller may see worked out once and kept as a bitmap: the best that can be done
// from outside. It holds for an index that does not change.
func openBleveBitmap(dir string) (peer, error) {
	x, err := bleve.NewUsing(filepath.Join(dir, "index"), bleveMapping(), scorch.Name, scorch.Name, nil)
	var cache sync.Map // by principals
	return &bleveIndex{index: x, permitted: func(c *caller) (query.Query, error) {
		principals := c.principals()
		key := strings.Join(principals, ",")
		if cached, ok := cache.Load(key); ok {
			return cached.(*bitmapQuery), nil //nolint:errcheck,forcetypeassert // nothing else is stored
		}
		q := &bitmapQuery{principals: principals}
		cache.Store(key, q)
		return q, nil
	}}, err
}

// bitmapQuery matches the documents that one of the principals may see.
type bitmapQuery struct {
	principals []string
	once       sync.Once
	docs       *roaring.Bitmap
	err        error
}

// Searcher implements [query.Query].
func (q *bitmapQuery) Searcher(ctx context.Context, r index.IndexReader, _ mapping.IndexMapping, _ search.SearcherOptions) (search.Searcher, error) {
	q.once.Do(func() { q.docs, q.err = q.read(ctx, r) })
	if q.err != nil {
		return nil, q.err
	}
	return &bitmapSearcher{docs: q.docs, at: q.docs.Iterator()}, nil
}

func (q *bitmapQuery) read(ctx context.Context, r index.IndexReader) (*roaring.Bitmap, error) {
	docs := roaring.New()
	for _, p := range q.principals {
		terms, err := r.TermFieldReader(ctx, []byte(p), "principals", false, false, false)
		if err != nil {
			return nil, err
		}
		for {
			d, err := terms.Next(nil)
			if err != nil {
				return nil, err
			}
			if d == nil {
				break
			}
			docs.Add(uint32(d.ID.Value()))
		}
		if err := terms.Close(); err != nil {
			return nil, err
		}
	}
	return docs, nil
}

// bitmapSearcher iterates over a bitmap.
type bitmapSearcher struct {
	docs *roaring.Bitmap
	at   roaring.IntPeekable
}

func (s *bitmapSearcher) match(ctx *search.SearchContext, doc uint32) *search.DocumentMatch {
	m := ctx.DocumentMatchPool.Get()
	m.IndexInternalID = index.NewIndexInternalID(m.IndexInternalID, uint64(doc))
	return m
}

// Next implements [search.Searcher].
func (s *bitmapSearcher) Next(ctx *search.SearchContext) (*search.DocumentMatch, error) {
	if !s.at.HasNext() {
		return nil, nil
	}
	return s.match(ctx, s.at.Next()), nil
}

// Advance implements [search.Searcher].
func (s *bitmapSearcher) Advance(ctx *search.SearchContext, id index.IndexInternalID) (*search.DocumentMatch, error) {
	s.at.AdvanceIfNeeded(uint32(id.Value()))
	return s.Next(ctx)
}

// Close implements [search.Searcher].
func (s *bitmapSearcher) Close() error { return nil }

// Weight implements [search.Searcher].
func (s *bitmapSearcher) Weight() float64 { return 0 }

// SetQueryNorm implements [search.Searcher].
func (s *bitmapSearcher) SetQueryNorm(float64) {}

// Count implements [search.Searcher].
func (s *bitmapSearcher) Count() uint64 { return s.docs.GetCardinality() }

// Min implements [search.Searcher].
func (s *bitmapSearcher) Min() int { return 0 }

// Size implements [search.Searcher].
func (s *bitmapSearcher) Size() int { return 64 }

// DocumentMatchPoolSize implements [search.Searcher].
func (s *bitmapSearcher) DocumentMatchPoolSize() int { return 1 }
