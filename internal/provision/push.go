// Package provision sets a system up, as an administrator who can read what will be done before it is done: app
// registrations, the search service, the index with permissions, and the documents in it.
package provision

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/search"
)

// Bounds of one batch: the service takes 1,000 actions and 16 MB.
const (
	batchActions = 1000
	batchBytes   = 8 << 20
)

// Retries of documents that the service was too busy for.
const (
	maxTries   = 6
	firstDelay = 250 * time.Millisecond
)

// PushOptions are how documents are uploaded; the zero value is good.
type PushOptions struct {
	Parallel int            // batches under way at once; default 2
	Progress func(done int) // called as documents are settled, never twice at once
	MaxShown int            // failures that are kept; default 1,000
}

// PushReport is what became of an upload.
type PushReport struct {
	Uploaded int
	Failed   int
	Failures []search.Status // the first of those that failed, with the service's reason
}

// Push uploads documents in batches. Documents that the service was too busy for are tried again, alone; those that it
// refuses are in the report. An error means that the upload stopped: the report then says how far it came.
func Push(ctx context.Context, service search.Service, index string, actions iter.Seq2[search.Action, error], options PushOptions) (PushReport, error) {
	p := &pusher{service: service, index: index, options: options}
	if p.options.Parallel <= 0 {
		p.options.Parallel = 2
	}
	if p.options.MaxShown <= 0 {
		p.options.MaxShown = 1000
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	batches := make(chan []search.Action)
	var workers sync.WaitGroup
	for range p.options.Parallel {
		workers.Go(func() {
			for batch := range batches {
				if err := p.write(ctx, batch); err != nil {
					cancel(err)
				}
			}
		})
	}
	err := split(ctx, actions, batches)
	close(batches)
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return p.report, err
}

// split cuts the actions into batches.
func split(ctx context.Context, actions iter.Seq2[search.Action, error], batches chan<- []search.Action) error {
	var batch []search.Action
	size := 0
	send := func() error {
		if len(batch) == 0 {
			return nil
		}
		select {
		case batches <- batch:
			batch, size = nil, 0
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for action, err := range actions {
		if err != nil {
			return errors.Join(send(), err)
		}
		if len(batch) == batchActions || size+len(action.Document) > batchBytes {
			if err := send(); err != nil {
				return err
			}
		}
		batch = append(batch, action)
		size += len(action.Document)
	}
	return send()
}

type pusher struct {
	service search.Service
	index   string
	options PushOptions

	mu     sync.Mutex
	done   int
	report PushReport
}

// write sends a batch until each of its documents is settled.
func (p *pusher) write(ctx context.Context, batch []search.Action) error {
	delay := firstDelay
	for try := 1; ; try++ {
		statuses, err := p.service.Write(ctx, p.index, batch)
		if err != nil && !busy(err) || err != nil && try == maxTries {
			return err
		}
		if err == nil {
			if len(statuses) != len(batch) {
				return fmt.Errorf("the service answered for %d of %d documents", len(statuses), len(batch))
			}
			if batch = p.settle(batch, statuses, try == maxTries); len(batch) == 0 {
				return nil
			}
		}
		select {
		case <-time.After(delay):
			delay *= 2
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func busy(err error) bool {
	return errors.Is(err, search.ErrThrottled) || errors.Is(err, search.ErrUnavailable)
}

// settle counts what is done and returns what to try again.
func (p *pusher) settle(batch []search.Action, statuses []search.Status, last bool) (again []search.Action) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, status := range statuses {
		retry := status.Code == http.StatusServiceUnavailable || status.Code == http.StatusTooManyRequests || status.Code == http.StatusUnprocessableEntity || status.Code == http.StatusConflict
		switch {
		case status.OK:
			p.report.Uploaded++
		case retry && !last:
			again = append(again, batch[i])
			continue
		default:
			p.report.Failed++
			if len(p.report.Failures) < p.options.MaxShown {
				p.report.Failures = append(p.report.Failures, status)
			}
		}
		p.done++
	}
	if p.options.Progress != nil {
		p.options.Progress(p.done)
	}
	return again
}
