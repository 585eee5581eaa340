package agent

import (
	"context"
	"encoding/json"
	"time"

	"github.com/onbehalf/onbehalf/internal/agent/dialog"
)

// Model answers: OpenAI's chat completions underneath. It is safe for concurrent use.
type Model interface {
	// Name is shown to people; builtin says that it is the stand-in, which only searches.
	Name() (name string, builtin bool)
	// Stream sends the request and calls back with each piece of text as it comes. It returns what came, also beside an
	// error, which is a *[ModelError] unless the context ended.
	Stream(ctx context.Context, request *ModelRequest, text func(string)) (*Answer, error)
}

// ModelRequest is one question to a model.
type ModelRequest struct {
	Messages []ModelMessage
	Tools    []ModelTool
	Limits   Limits
}

// ModelMessage is one message of the protocol.
type ModelMessage struct {
	Role  string // system, user, assistant, tool
	Text  string
	Calls []ModelCall // of an assistant
	Call  string      // of a tool: the id of the call that it answers
}

// ModelCall is a call that a model asks for.
type ModelCall struct {
	ID, Name, Arguments string
}

// ModelTool is a tool that a model may ask for.
type ModelTool struct {
	Name, Description string
	Schema            json.RawMessage
}

// Answer is what a model said.
type Answer struct {
	Text  string
	Calls []ModelCall
	Cut   bool         // the model stopped at a limit of length
	Usage dialog.Usage // zero where it did not say
}

// ModelErrorKind is what kept a model from answering.
type ModelErrorKind string

// Kinds of model errors.
const (
	ModelUnauthorized ModelErrorKind = "unauthorized" // the key or token is not accepted
	ModelThrottled    ModelErrorKind = "throttled"
	ModelTooLong      ModelErrorKind = "too-long"    // more than the model's context takes
	ModelFiltered     ModelErrorKind = "filtered"    // by the provider's content filter
	ModelUnavailable  ModelErrorKind = "unavailable" // not reached, or failing
	ModelHung         ModelErrorKind = "hung"        // nothing came for too long
	ModelBroken       ModelErrorKind = "broken"      // what came is not the protocol, or ended in the middle
	ModelExcessive    ModelErrorKind = "excessive"   // more came than is accepted
	ModelRejected     ModelErrorKind = "rejected"    // it does not take this request: wrong name, no tools
)

// ModelError is why a model did not answer, or not to the end.
type ModelError struct {
	Kind  ModelErrorKind
	Text  string        // a sentence for people, without anything that the model's server said
	Retry time.Duration // throttled: how long to wait, if it said so
	Cause error         // for the log; may quote the model's server
}

// Error implements error.
func (e *ModelError) Error() string { return e.Text }

// Unwrap returns the cause.
func (e *ModelError) Unwrap() error { return e.Cause }
