package signin

import (
	"context"
	"sync"
)

// flights lets the first of several callers with the same key do the work; the others wait for its outcome. The work
// goes on as long as anybody waits: that the first caller gives up does not end the sign-in of the others.
type flights struct {
	mu    sync.Mutex
	byKey map[string]*flight
}

type flight struct {
	waiting int
	cancel  context.CancelFunc
	done    chan struct{}
	err     error // readable once done is closed
}

func (f *flights) do(ctx context.Context, key string, work func(context.Context) error) error {
	f.mu.Lock()
	current, ok := f.byKey[key]
	if !ok {
		current = f.start(ctx, key, work)
	}
	current.waiting++
	f.mu.Unlock()
	select {
	case <-current.done:
		return current.err
	case <-ctx.Done():
		f.mu.Lock()
		defer f.mu.Unlock()
		if current.waiting--; current.waiting == 0 {
			current.cancel()
			if f.byKey[key] == current {
				delete(f.byKey, key) // who comes now starts anew
			}
		}
		return ctx.Err()
	}
}

// start runs the work apart from the caller's cancellation. The caller holds mu.
func (f *flights) start(ctx context.Context, key string, work func(context.Context) error) *flight {
	detached, cancel := context.WithCancel(context.WithoutCancel(ctx))
	started := &flight{cancel: cancel, done: make(chan struct{})}
	if f.byKey == nil {
		f.byKey = map[string]*flight{}
	}
	f.byKey[key] = started
	go func() {
		defer cancel()
		started.err = work(detached)
		f.mu.Lock()
		if f.byKey[key] == started {
			delete(f.byKey, key)
		}
		f.mu.Unlock()
		close(started.done)
	}()
	return started
}
