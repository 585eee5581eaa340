package agent

import (
	"context"
	"errors"
)

// Agent runs conversations. It is safe for concurrent use; each conversation runs once at a time.
type Agent struct{ cfg Config }

// New validates the configuration.
func New(cfg Config) (*Agent, error) {
	if cfg.Model == nil {
		return nil, errors.New("agent: a model is missing")
	}
	return &Agent{cfg: cfg}, nil
}

// Run drives a conversation forward until it is done, waits for its person, or ended by a limit, a stop or a failure:
// the state of its last message says which. It derives everything from the conversation: after a wait, answer with
// [Conversation.Answer] or [Conversation.Resume], and run it again. Where there is nothing to do it returns at once.
//
// Emit is called with one event at a time; while it is, the conversation does not change and may be read. Cancelling ctx
// stops; its cause, unless it is context.Canceled, becomes the message's Failure. The error is not nil only where the
// conversation or person is malformed.
func (a *Agent) Run(_ context.Context, _ Person, _ *Conversation, _ func(Event)) error {
	return errors.New("agent: conversations are not built yet")
}
