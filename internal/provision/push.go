// Package provision uploads documents with their permissions into an index: in batches, with retries of single
// documents, and with a journal by which an upload that was interrupted goes on where it was.
//
// What is uploaded comes from package provision/corpus, the index from package provision/indexplan, and package
// provision/acl holds what the service then returns against what the permissions allow.
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
//
// https://learn.microsoft.com/azure/search/search-limits-quotas-capacity#api-request-limits
const (
	batchActions = 1000
	batchBytes   = 8 << 20
)

// Retries of documents that the service was too busy for.
const (
	maxTries   = 6
	firstDelay = 250 * time.Millisecond
	maxDelay   = time.Minute // also of what Retry-After asks for

	// maxAlone is how many documents may be found, one by one, to be what a whole batch was refused for: beyond it the
	// input does not fit the index at all.
	maxAlone = 100
)

// Item is one document on its way.
type Item struct {
	Position int // where it stands in the input: a line, or the number of a file. Positions ascend
	Action   search.Action
}

// Failure is a document that the service did not take, with its reason.
type Failure struct {
	Position int
	search.Status
}

// PushOptions are how documents are uploaded; the zero value is good.
type PushOptions struct {
	Parallel int                         // batches under way at once; default 4
	Progress func(done int)              // called as documents are settled, never twice at once
	MaxShown int                         // failures that are kept in the report; default 1,000
	Failed   func(Failure) error         // called for every failure, never twice at once; an error ends the upload
	Uploaded func(positions []int) error // called for what was uploaded, never twice at once; an error ends the upload
}

// PushReport is what became of an upload.
type PushReport struct {
	Uploaded int
	Failed   int
	Failures []Failure // the first of those that failed
}

// Number makes items of actions, in their order from 1.
func Number(actions iter.Seq2[search.Action, error]) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		position := 0
		for action, err := range actions {
			position++
			if !yield(Item{position, action}, err) {
				return
			}
		}
	}
}

// Push uploads documents in batches. Documents that the service was too busy for are tried again, alone; when it refuses
// a batch as a whole, the document that it is for is found and the others are uploaded. What is refused in the end is in the
// report. An error means that the upload stopped: the report then says how far it came.
func Push(ctx context.Context, service search.Service, index string, items iter.Seq2[Item, error], options PushOptions) (PushReport, error) {
	p := &pusher{service: service, index: index, options: options}
	if p.options.Parallel <= 0 {
		p.options.Parallel = 4
	}
	if p.options.MaxShown <= 0 {
		p.options.MaxShown = 1000
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	batches := make(chan []Item)
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
	err := split(ctx, items, batches)
	close(batches)
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return p.report, err
}

// split cuts the items into batches.
func split(ctx context.Context, items iter.Seq2[Item, error], batches chan<- []Item) error {
	var batch []Item
	size := 0
	send := func() error {
		if len(batch) == 0 {
			return nil
		}
		if ctx.Err() != nil { // where both may go on, a select chooses at random
			return ctx.Err()
		}
		select {
		case batches <- batch:
			batch, size = nil, 0
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for item, err := range items {
		if err != nil {
			return errors.Join(send(), err)
		}
		if len(batch) == batchActions || size+len(item.Action.Document) > batchBytes {
			if err := send(); err != nil {
				return err
			}
		}
		if batch == nil {
			batch = make([]Item, 0, batchActions)
		}
		batch = append(batch, item)
		size += len(item.Action.Document)
	}
	return send()
}

type pusher struct {
	service search.Service
	index   string
	options PushOptions

	mu     sync.Mutex
	done   int
	alone  int // documents that a whole batch was refused for
	report PushReport
}

// write sends a batch until each of its documents is settled.
func (p *pusher) write(ctx context.Context, batch []Item) error {
	delay := firstDelay
	for try := 1; ; try++ {
		wait := delay
		statuses, err := p.service.Write(ctx, p.index, actionsOf(batch))
		switch {
		case err == nil:
			if len(statuses) != len(batch) {
				return fmt.Errorf("the service answered for %d of %d documents", len(statuses), len(batch))
			}
			if batch, err = p.settle(batch, statuses, try == maxTries); err != nil || len(batch) == 0 {
				return err
			}
		case unfit(err):
			return p.divide(ctx, batch, err)
		case !busy(err) || try == maxTries:
			return err
		default:
			wait = max(delay, retryAfter(err))
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		delay = min(2*delay, maxDelay)
	}
}

func actionsOf(batch []Item) []search.Action {
	actions := make([]search.Action, len(batch))
	for i := range batch {
		actions[i] = batch[i].Action
	}
	return actions
}

func busy(err error) bool {
	return errors.Is(err, search.ErrThrottled) || errors.Is(err, search.ErrUnavailable)
}

// unfit reports that the service refused what a batch holds: nothing of it was applied.
func unfit(err error) bool { return errors.Is(err, search.ErrBadRequest) }

func retryAfter(err error) time.Duration {
	if answer, ok := errors.AsType[*search.Error](err); ok {
		return min(answer.RetryAfter, maxDelay)
	}
	return 0
}

func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// divide finds the documents that a whole batch was refused for, and uploads the others.
func (p *pusher) divide(ctx context.Context, batch []Item, reason error) error {
	if len(batch) > 1 {
		half := len(batch) / 2
		if err := p.write(ctx, batch[:half]); err != nil {
			return err
		}
		return p.write(ctx, batch[half:])
	}
	status := search.Status{Code: http.StatusBadRequest, Message: reason.Error()}
	if answer, ok := errors.AsType[*search.Error](reason); ok {
		status.Code, status.Message = answer.Status, answer.Message
	}
	_, err := p.settle(batch, []search.Status{status}, true)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alone++; err == nil && p.alone > maxAlone && p.report.Uploaded == 0 {
		err = fmt.Errorf("the service refused each of the first %d documents, the last because: %w", p.alone, reason)
	}
	return err
}

// settle counts what is done and returns what to try again.
func (p *pusher) settle(batch []Item, statuses []search.Status, last bool) (again []Item, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	uploaded := make([]int, 0, len(batch))
	var errs []error
	for i, status := range statuses {
		switch {
		case status.OK:
			uploaded = append(uploaded, batch[i].Position)
		case passing(status.Code) && !last:
			again = append(again, batch[i])
		default:
			errs = append(errs, p.fail(Failure{batch[i].Position, status}))
		}
	}
	p.report.Uploaded += len(uploaded)
	p.done += len(batch) - len(again)
	if p.options.Uploaded != nil && len(uploaded) > 0 {
		errs = append(errs, p.options.Uploaded(uploaded))
	}
	if p.options.Progress != nil {
		p.options.Progress(p.done)
	}
	return again, errors.Join(errs...)
}

// passing reports a reason that may be gone a moment later.
//
// https://learn.microsoft.com/rest/api/searchservice/documents#response
func passing(code int) bool {
	switch code {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusUnprocessableEntity, http.StatusConflict:
		return true
	}
	return false
}

func (p *pusher) fail(failure Failure) error {
	p.report.Failed++
	if len(p.report.Failures) < p.options.MaxShown {
		p.report.Failures = append(p.report.Failures, failure)
	}
	if p.options.Failed == nil {
		return nil
	}
	return p.options.Failed(failure)
}
