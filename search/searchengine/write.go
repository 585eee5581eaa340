package searchengine

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/onbehalf/onbehalf/search"
)

// maxActions bounds a batch.
//
// https://learn.microsoft.com/rest/api/searchservice/documents/
const maxActions = 1000

// prepared is an action of a batch that was checked and analysed, as far as that can be done without looking at the index.
type prepared struct {
	kind    search.ActionKind
	key     string
	members map[string]json.RawMessage
	doc     *document // nil for a deletion
	refusal error     // of this document alone
}

// pending is a batch that waits to be committed.
type pending struct {
	layout   *layout // under which it was prepared
	actions  []prepared
	statuses []search.Status
	err      error
	done     bool
}

// Write implements [search.Service]. What it acknowledges is durable, and the next search sees it. When the error is nil,
// some documents may still have been refused; otherwise no action of the batch was applied.
func (e *Engine) Write(ctx context.Context, index string, batch []search.Action) ([]search.Status, error) {
	x, err := e.find(index)
	if err != nil {
		return nil, err
	}
	if len(batch) == 0 {
		return nil, invalidRequest("actions", "No indexing actions found in the request. Please include between 1 and %d indexing actions in your request.", maxActions)
	}
	if len(batch) > maxActions {
		return nil, invalidRequest("actions", "Too many indexing actions found in the request: %d. Please include between 1 and %d indexing actions in your request.", len(batch), maxActions)
	}
	l := x.layout()
	actions, err := l.prepare(ctx, batch)
	if err != nil {
		return nil, err
	}
	p := &pending{layout: l, actions: actions, statuses: make([]search.Status, len(actions))}
	if err := x.commit(ctx, p); err != nil {
		return nil, err
	}
	return p.statuses, nil
}

func (x *index) layout() *layout {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.state.layout
}

// prepare checks and analyses the actions of a batch, on all processors.
func (l *layout) prepare(ctx context.Context, batch []search.Action) ([]prepared, error) {
	out := make([]prepared, len(batch))
	errs := make([]error, len(batch))
	var (
		next    atomic.Int64
		workers sync.WaitGroup
	)
	for range min(runtime.GOMAXPROCS(0), (len(batch)+15)/16) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(batch) {
					return
				}
				out[i], errs[i] = l.prepareOne(&batch[i], i)
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (l *layout) prepareOne(a *search.Action, n int) (prepared, error) {
	p := prepared{kind: a.Kind}
	switch a.Kind {
	case "":
		p.kind = search.Upload
	case search.Upload, search.Merge, search.MergeOrUpload, search.Delete:
	default:
		return p, invalidRequest("actions", "%d: Unknown indexing action: '%s'. Use upload, merge, mergeOrUpload or delete.", n, a.Kind)
	}
	var err error
	if p.members, p.key, err = l.members(a.Document, n); err != nil || p.kind == search.Delete {
		return p, err
	}
	p.doc, err = l.read(p.key, p.members)
	if alone, ok := errors.AsType[*refusedError](err); ok {
		p.refusal, err = alone, nil
	}
	return p, err
}

// commit applies a batch together with all others that wait, so that they share one flush of the disk.
func (x *index) commit(ctx context.Context, p *pending) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	x.queueMu.Lock()
	x.queue = append(x.queue, p)
	x.queueMu.Unlock()

	x.commitQueue(p)
	if !p.done {
		return x.engine.gone(x)
	}
	return p.err
}

// commitQueue commits all that waits, unless that was done, or the index has ended.
func (x *index) commitQueue(p *pending) {
	x.committing.Lock()
	defer x.committing.Unlock()
	if p.done || x.ended {
		return
	}
	x.queueMu.Lock()
	group := x.queue
	x.queue = nil
	x.queueMu.Unlock()
	x.commitGroup(group)
	x.maintain()
}

// commitGroup makes the batches durable and then visible, in order. committing must be held.
func (x *index) commitGroup(group []*pending) {
	c := &commit{state: x.state, staged: map[string]*document{}}
	for _, p := range group {
		c.stage(p)
	}
	offsets, err := c.state.log.Append(c.payloads...)
	if err != nil {
		x.engine.config.Logger.Error("a write could not be stored and was refused", slogError(err))
		err = &search.Error{Status: http.StatusServiceUnavailable, Message: "The write could not be stored, and nothing of it was applied: " + cause(err) + "."}
	} else {
		x.apply(c, offsets)
	}
	for _, p := range group {
		p.done = true
		if p.err == nil {
			p.err = err
		}
	}
}

// applyAtOnce is how many documents are applied before queries get their turn.
const applyAtOnce = 50

func (x *index) apply(c *commit, offsets []int64) {
	for ops := c.ops; len(ops) > 0; {
		n := min(applyAtOnce, len(ops))
		x.mu.Lock()
		for _, op := range ops[:n] {
			if op.doc == nil {
				c.state.remove(op.key)
			} else {
				c.state.put(op.doc, offsets[op.record]+op.at)
			}
		}
		x.mu.Unlock()
		ops = ops[n:]
	}
}
