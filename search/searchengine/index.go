package searchengine

import (
	"context"
	"sync"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/doclog"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/schema"
)

// view is one index of an engine by name; it need not exist.
type view struct {
	engine *Engine
	name   string
}

// Search implements [search.Index].
func (v view) Search(ctx context.Context, u search.User, q *search.Query) (*search.Result, error) {
	x, err := v.engine.find(v.name)
	if err != nil {
		return nil, err
	}
	return x.search(ctx, u, q)
}

// Lookup implements [search.Index].
func (v view) Lookup(ctx context.Context, u search.User, key string, fields ...string) (search.Document, error) {
	x, err := v.engine.find(v.name)
	if err != nil {
		return nil, err
	}
	return x.lookup(ctx, u, key, fields)
}

// index is one index: what it is defined as, and what it holds.
type index struct {
	engine *Engine

	queueMu sync.Mutex
	queue   []*pending // batches that wait for the next commit

	committing sync.Mutex // held by who commits: batches, changes of the definition, compaction

	mu         sync.RWMutex // what follows: queries read, commits write
	definition *search.Definition
	state      *state
}

func (e *Engine) create(s *schema.Schema, d *search.Definition) *index {
	return &index{engine: e, definition: d, state: newState(newLayout(s, nil, e.analysis()), doclog.NewMemory())}
}

func (x *index) currentDefinition() *search.Definition {
	x.mu.RLock()
	defer x.mu.RUnlock()
	d := *x.definition
	return &d
}

// redefine changes the definition, where the documents that are there allow it.
func (x *index) redefine(s *schema.Schema, d *search.Definition) error {
	x.committing.Lock()
	defer x.committing.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := schema.CheckChange(x.state.schema, s, d.PermissionFilterOption); err != nil {
		return err
	}
	x.definition = d
	x.state.adopt(newLayout(s, x.state.slots, x.engine.analysis()))
	x.engine.visible.drop(x.state)
	return nil
}

// drop removes the index with all that it holds.
func (x *index) drop() error {
	x.engine.visible.drop(x.state)
	return nil
}

func (x *index) stats() Stats {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return Stats{DocumentCount: int64(x.state.liveCount), StorageSize: x.state.log.Size()}
}
