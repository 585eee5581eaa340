package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

// engine is ours, with permissions enforced by the index.
type engine struct{ *searchengine.Engine }

const definition = `{"name":"bench","permissionFilterOption":"enabled","fields":[
	{"name":"id","type":"Edm.String","key":true},
	{"name":"name","type":"Edm.String","filterable":false,"sortable":false,"facetable":false},
	{"name":"content","type":"Edm.String","filterable":false,"sortable":false,"facetable":false},
	{"name":"category","type":"Edm.String","searchable":false},
	{"name":"created","type":"Edm.DateTimeOffset","facetable":false},
	{"name":"number","type":"Edm.Int64","facetable":false},
	{"name":"users","type":"Collection(Edm.String)","permissionFilter":"userIds","searchable":false,"facetable":false},
	{"name":"groups","type":"Collection(Edm.String)","permissionFilter":"groupIds","searchable":false,"facetable":false}]}`

func openEngine(dir string) (peer, error) {
	e, err := searchengine.Open(searchengine.Config{Dir: dir})
	return engine{e}, err
}

func (e engine) close() error { return e.Close() }

func (e engine) settle(context.Context) error { return nil }

func (e engine) load(ctx context.Context, c *corpus) error {
	var d search.Definition
	if err := json.Unmarshal([]byte(definition), &d); err != nil {
		return err
	}
	if _, err := e.Put(ctx, &d, ""); err != nil {
		return err
	}
	batches := make(chan []search.Action)
	work, ctx := errgroup.WithContext(ctx)
	for range 2 {
		work.Go(func() error { return e.write(ctx, batches) })
	}
	work.Go(func() error {
		defer close(batches)
		for batch := range c.batches(batchSize) {
			actions := make([]search.Action, len(batch))
			for i, doc := range batch {
				actions[i] = search.Action{Document: doc.json()}
			}
			select {
			case batches <- actions:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return work.Wait()
}

func (e engine) write(ctx context.Context, batches <-chan []search.Action) error {
	for batch := range batches {
		statuses, err := e.Write(ctx, "bench", batch)
		if err != nil {
			return err
		}
		for _, s := range statuses {
			if !s.OK {
				return errors.New(s.Message)
			}
		}
	}
	return nil
}

func (e engine) ask(ctx context.Context, c *caller, q *task) (*answer, error) {
	id, err := identity.ParseObjectID(c.user)
	if err != nil {
		return nil, err
	}
	s := &search.Query{Count: true}
	switch q.kind {
	case matchAll:
		s.OrderBy = []string{"id"}
	case twoTerms:
		s.Search, s.SearchFields = q.words[0]+" "+q.words[1], []string{"content"}
	case filterFacet:
		s.Filter = fmt.Sprintf("number ge %d and created ge %s and created lt %s", q.least, q.from.Format(time.RFC3339), q.to.Format(time.RFC3339))
		s.Facets, s.OrderBy = []string{"category,count:100"}, []string{"id"}
	}
	r, err := e.Index("bench").Search(ctx, search.ByPrincipals{Object: id, Groups: c.groups}, s)
	if err != nil {
		return nil, err
	}
	a := &answer{total: int(*r.Count), ids: make([]string, len(r.Hits))}
	for i, h := range r.Hits {
		key := h.Document[len(`{"id":"`):] // the key is the first member
		a.ids[i] = string(key[:bytes.IndexByte(key, '"')])
		a.bytes += len(h.Document)
	}
	if q.kind == filterFacet {
		a.facet = map[string]int{}
		for _, f := range r.Facets["category"] {
			a.facet[strings.Trim(string(f.Value), `"`)] = int(f.Count)
		}
	}
	return a, nil
}
