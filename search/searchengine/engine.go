// Package searchengine is a search engine with document-level permissions, in memory, with the meaning of Azure AI
// Search: filters, full-text queries, scores, permissions, errors. It is what the local service (package searchserver)
// answers from, and what tests can use without any network.
//
// It verifies nobody: who asks is [search.ByPrincipals], made by a caller that has checked a token, and [Elevated] only
// after the right to it was checked. Reading starts in index.go: how a search runs is search.go, what a person may see
// permissions.go, filters filter.go, full-text queries text.go and internal/inverted/bm25.go, writing write.go, files
// store.go.
//
// Vectors, geography, scoring profiles, suggesters and autocomplete are refused by name (search.ErrUnsupported). A new
// type of field begins in internal/schema and internal/column, a new kind of query in search.go.
package searchengine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/inverted"
)

// Config says how an engine works. The zero Config is an engine in memory.
type Config struct {
	Dir    string           // where the data lies; "" keeps it in memory, and loses it with the process
	Logger *slog.Logger     // nil discards
	Now    func() time.Time // nil is time.Now

	// ServiceName is the service's name in error messages; "" is "local".
	ServiceName string
	// LegacyPermissions restores what the service did before November 2025: a caller without a person sees everything.
	// https://learn.microsoft.com/azure/search/search-document-level-access-overview
	LegacyPermissions bool
	// MapMicrosoftAnalyzers takes the nearest Lucene analyzer where an index names one of Microsoft's (en.microsoft), with
	// a warning; otherwise such an index is refused.
	MapMicrosoftAnalyzers bool
	// QueryTimeout bounds the time of one query, from when it is asked; 0 is 30 s.
	QueryTimeout time.Duration
	// PermissionCacheBytes bounds the memory for what was worked out about who may see what; 0 is 64 MB.
	PermissionCacheBytes int64
}

// Engine holds indexes. Its methods may be called at the same time.
type Engine struct {
	config  Config
	slots   chan struct{} // as many queries at once as there are processors
	visible *permissionCache
	fuzzy   inverted.Fuzzy

	snapshotEvery int64
	compactFrom   int

	lock *flock.Flock // of the folder; nil in memory

	mu      sync.RWMutex
	closed  bool
	indexes map[string]*index
	etag    int64 // ticks of the last ETag, so that none repeats
}

var _ search.Service = (*Engine)(nil)

// Open returns an engine with what Dir holds.
func Open(c Config) (*Engine, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the one place where nil means the real clock
	}
	if c.ServiceName == "" {
		c.ServiceName = "local"
	}
	if c.QueryTimeout == 0 {
		c.QueryTimeout = 30 * time.Second
	}
	if c.PermissionCacheBytes == 0 {
		c.PermissionCacheBytes = 64 << 20
	}
	e := &Engine{
		config: c, indexes: map[string]*index{},
		slots:   make(chan struct{}, runtime.GOMAXPROCS(0)),
		visible: newPermissionCache(c.PermissionCacheBytes),

		snapshotEvery: snapshotEvery, compactFrom: compactFrom,
	}
	if c.Dir == "" {
		return e, nil
	}
	var err error
	if e.lock, err = lockDir(c.Dir); err != nil {
		return nil, err
	}
	if err := e.load(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// Close ends the engine, and leaves snapshots for the next opening. Calls after it fail. What was acknowledged is safe
// without it.
func (e *Engine) Close() error {
	e.mu.Lock()
	closed := e.closed
	e.closed = true
	e.mu.Unlock()
	if closed {
		return nil
	}
	// Nobody changes the map any more. Whoever still writes may look at it.
	var err error
	for _, x := range e.indexes {
		err = errors.Join(err, x.close())
	}
	if e.lock != nil {
		err = errors.Join(err, e.lock.Unlock())
	}
	return err
}

// Index implements [search.Service].
func (e *Engine) Index(name string) search.Index { return view{e, name} }

// find returns the index that a call on documents is about.
func (e *Engine) find(name string) (*index, error) {
	x, err := e.lookup(name)
	if err == nil && x == nil {
		return nil, &search.Error{Status: http.StatusNotFound, Message: fmt.Sprintf(
			"The index '%s' for service '%s' was not found.", name, e.config.ServiceName)}
	}
	return x, err
}

// findDefinition returns the index that a call on a definition is about: the service words that differently.
func (e *Engine) findDefinition(name string) (*index, error) {
	x, err := e.lookup(name)
	if err == nil && x == nil {
		return nil, e.noDefinition(name)
	}
	return x, err
}

func (e *Engine) noDefinition(name string) error {
	return &search.Error{Status: http.StatusNotFound, Message: fmt.Sprintf(
		"No index with the name '%s' was found in the service '%s'.", name, e.config.ServiceName)}
}

// cloneDefinition is for callers, who may change what they get.
func cloneDefinition(d *search.Definition) (*search.Definition, error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	out := &search.Definition{}
	return out, json.Unmarshal(raw, out)
}

// gone is the answer to a write that came too late.
func (e *Engine) gone(x *index) error {
	_, err := e.find(x.definition.Name)
	if err == nil { // there is a new one with its name
		err = &search.Error{Status: http.StatusConflict, Message: "The index was deleted while documents were written to it."}
	}
	return err
}

func (e *Engine) lookup(name string) (*index, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return nil, errClosed
	}
	return e.indexes[name], nil
}

// Definition implements [search.Service].
func (e *Engine) Definition(_ context.Context, name string) (*search.Definition, error) {
	x, err := e.findDefinition(name)
	if err != nil {
		return nil, err
	}
	return cloneDefinition(x.currentDefinition())
}

// Definitions returns the definitions of all indexes, by name.
func (e *Engine) Definitions(context.Context) ([]*search.Definition, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return nil, errClosed
	}
	out := make([]*search.Definition, 0, len(e.indexes))
	for _, name := range slices.Sorted(maps.Keys(e.indexes)) {
		d, err := cloneDefinition(e.indexes[name].currentDefinition())
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// Stats are the figures of an index.
type Stats struct {
	DocumentCount   int64
	StorageSize     int64 // bytes of documents and index on disk; of documents alone in memory
	VectorIndexSize int64 // always 0
}

// Stats returns the figures of an index.
func (e *Engine) Stats(_ context.Context, name string) (Stats, error) {
	x, err := e.findDefinition(name)
	if err != nil {
		return Stats{}, err
	}
	return x.stats(), nil
}

// Count returns how many documents an index holds, whoever may see them.
func (e *Engine) Count(_ context.Context, name string) (int64, error) {
	x, err := e.find(name)
	if err != nil {
		return 0, err
	}
	return x.stats().DocumentCount, nil
}
