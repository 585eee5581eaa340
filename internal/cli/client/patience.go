package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// patience is the time that a command's work may take. It stands still while a person is asked or signs in, which has
// limits of its own, and begins anew with the next request to the server.
type patience struct {
	mu    sync.Mutex
	timer *time.Timer // nil: no limit
	limit time.Duration
	held  bool
}

// noAnswerError says that the time was up.
type noAnswerError time.Duration

// Error implements error.
func (e noAnswerError) Error() string { return fmt.Sprintf("no answer within %s", time.Duration(e)) }

// within bounds a command's work by --timeout.
func (o *options) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	o.patience.start(o.timeout, cancel)
	return ctx, func() {
		o.patience.hold()
		cancel(nil)
	}
}

func (p *patience) start(limit time.Duration, cancel context.CancelCauseFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if limit > 0 {
		p.limit, p.timer = limit, time.AfterFunc(limit, func() { cancel(noAnswerError(limit)) })
	}
}

// hold stops the time: now it is the person's turn.
func (p *patience) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.held = p.timer.Stop()
	}
}

// resume lets the time run anew, if it was held.
func (p *patience) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held {
		p.held = false
		p.timer.Reset(p.limit)
	}
}

// timedOut gives an error its cause: that time was up is not "context canceled" to a person.
func timedOut(ctx context.Context, err error) error {
	if up := noAnswerError(0); err != nil && errors.As(context.Cause(ctx), &up) {
		return shell.Hint(up, "--timeout sets another limit")
	}
	return err
}
