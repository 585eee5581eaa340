package agent

import (
	"context"
	"errors"
)

// Tool is a tool of a server as this agent takes it.
type Tool struct {
	Server, Name       string
	Title, Description string // without what steers a screen, bounded
	Definition         string // hash of all that the model and the person are told of it, and of the server's host
	Unasked            bool   // by configuration it runs without asking
}

// Problem is a tool or server that cannot be used, and why in a sentence.
type Problem struct {
	Server, Tool string
	Text         string
	Refusal      *Refusal // of the server: what the person can do about it
}

// Tools lists what a person may use. Lists are kept for some minutes under the person's key.
func (a *Agent) Tools(_ context.Context, _ Person) ([]Tool, []Problem, error) {
	return nil, nil, errors.New("agent: lists are not built yet")
}

// Forget drops what is kept under a person's key, as when that person signs out. Calls that run go on.
func (a *Agent) Forget(_ string) {}

// Close ends all MCP sessions. No conversation may run.
func (a *Agent) Close() {}
