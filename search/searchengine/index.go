package searchengine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/onbehalf/onbehalf/search"
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

	committing sync.Mutex // held by who commits: batches, changes of the definition, the end of a compaction
	ended      bool       // the index is deleted or the engine closed: nothing may be written any more
	snapshotAt int64      // size of the log at the last snapshot

	maintaining atomic.Bool // a snapshot or compaction is under way
	background  sync.WaitGroup

	mu         sync.RWMutex // what follows: queries read, commits write
	definition *search.Definition
	state      *state
	files      files
}

// create makes an index with nothing in it.
func (e *Engine) create(l *layout, d *search.Definition) (*index, error) {
	x := &index{engine: e, definition: d}
	if e.config.Dir != "" {
		// No name of a folder is used twice, so that what is left of a deleted index cannot get into a new one.
		x.files.dir = filepath.Join(e.indexesDir(), d.Name+"."+strings.Trim(d.ETag, `"`))
		if err := os.Mkdir(x.files.dir, 0o700); err != nil {
			return nil, err
		}
	}
	log, err := x.files.openLog()
	if err != nil {
		return nil, err
	}
	if err := x.files.save(&manifest{d, l.slots, 0}); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	if e.config.Dir != "" {
		if err := syncDir(e.indexesDir()); err != nil {
			return nil, errors.Join(err, log.Close())
		}
	}
	x.state = newState(l, log)
	return x, nil
}

// currentDefinition is not to be changed.
func (x *index) currentDefinition() *search.Definition {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.definition
}

// redefine changes the definition, where the documents that are there allow it.
func (x *index) redefine(l *layout, d *search.Definition) error {
	x.committing.Lock()
	defer x.committing.Unlock()
	if err := schema.CheckChange(x.state.schema, l.schema, x.definition, d); err != nil {
		return err
	}
	if err := x.files.save(&manifest{d, l.slots, x.files.generation}); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.definition = d
	x.state.adopt(l)
	x.engine.visible.drop(x.state)
	return nil
}

// end makes the index take no more writes, and waits for what is under way in the background.
func (x *index) end() {
	x.committing.Lock()
	x.ended = true
	x.committing.Unlock()
	x.background.Wait()
}

// delete removes the index with all that it holds. Its definition is gone already.
func (x *index) delete() error {
	x.end()
	return errors.Join(x.closeLog(), x.files.removeAll())
}

// close ends the index with a snapshot, where there is something new to snapshot.
func (x *index) close() error {
	x.end()
	var err error
	if !x.files.inMemory() && x.state.log.Size() > x.snapshotAt {
		err = x.snapshot()
	}
	return errors.Join(err, x.closeLog())
}

func (x *index) closeLog() error {
	x.mu.Lock() // no query is reading
	defer x.mu.Unlock()
	x.engine.visible.drop(x.state)
	return x.state.log.Close()
}

func (x *index) stats() Stats {
	x.mu.RLock()
	defer x.mu.RUnlock()
	size := x.state.log.Size()
	if !x.files.inMemory() {
		size = x.files.size()
	}
	return Stats{DocumentCount: int64(x.state.liveCount), StorageSize: size}
}
