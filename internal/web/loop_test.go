package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/tools"
)

// loop is the smallest thing that drives a conversation: it calls get_documents with the person's words, over the
// transport that it is given, and quotes what came back. It stands for the agent where sign-in, refusals, events and
// history are tested; what a model may do is the agent's own to test.
type loop struct {
	asks bool                      // the call asks first
	hold func(ctx context.Context) // called in the middle of each answer
}

func (*loop) Forget(string) {}
func (*loop) Close()        {}

func (l *loop) Run(ctx context.Context, p agent.Person, c *agent.Conversation, emit func(agent.Event)) error {
	question := ""
	for i := range c.Messages {
		if c.Messages[i].Role == agent.User {
			question = c.Messages[i].Text
		}
	}
	last := &c.Messages[len(c.Messages)-1]
	if last.Role == agent.User {
		arguments, err := json.Marshal(tools.DocumentsInput{Query: question})
		if err != nil {
			return err
		}
		n := len(c.Messages)
		call := agent.Call{ID: fmt.Sprintf("call%d", n), Server: p.Servers[0].Name, Host: p.Servers[0].Host, Tool: "get_documents", Arguments: arguments, State: agent.Approved}
		if l.asks {
			call.State, call.Why = agent.Asking, "Calls ask by default."
		}
		c.Messages = append(c.Messages, agent.Message{ID: fmt.Sprintf("answer%d", n), Role: agent.Assistant, At: time.Now().UTC(), State: agent.Running, Calls: []agent.Call{call}})
		last = &c.Messages[len(c.Messages)-1]
		emit(agent.Event{Kind: agent.EventMessage, Message: last.ID, State: last.State})
	}
	call := &last.Calls[0]
	if call.State == agent.Approved {
		last.State, call.State = agent.Running, agent.InFlight
		emit(agent.Event{Kind: agent.EventCall, Message: last.ID, Call: new(*call)})
		l.call(ctx, p, call)
		emit(agent.Event{Kind: agent.EventCall, Message: last.ID, Call: new(*call)})
	}
	switch {
	case call.State == agent.Asking, call.State == agent.Refused && call.Refusal.Resumable:
		last.State = agent.Waiting
	default:
		l.answer(ctx, last, emit)
	}
	emit(agent.Event{Kind: agent.EventMessage, Message: last.ID, State: last.State})
	return nil
}

func (l *loop) call(ctx context.Context, p agent.Person, call *agent.Call) {
	result, err := func() (*mcp.CallToolResult, error) {
		transport, err := p.Servers[0].Transport(ctx)
		if err != nil {
			return nil, err
		}
		session, err := mcp.NewClient(&mcp.Implementation{Name: "test"}, nil).Connect(ctx, transport, nil)
		if err != nil {
			return nil, err
		}
		defer session.Close()
		return session.CallTool(ctx, &mcp.CallToolParams{Name: call.Tool, Arguments: call.Arguments})
	}()
	if result != nil {
		call.Chain, _ = result.Meta["onbehalf/chain"].(string)
	}
	if err != nil || result.IsError {
		if call.Refusal = p.Refuse(ctx, *call, err, result); call.Refusal != nil {
			call.State = agent.Refused
			return
		}
		call.State, call.Error = agent.CallFailed, fmt.Sprint(err)
		return
	}
	var out tools.DocumentsOutput
	text, _ := json.Marshal(result.StructuredContent)
	_ = json.Unmarshal(text, &out)
	call.State, call.Result = agent.Succeeded, &agent.Result{Text: string(text), Structured: text}
	for i, d := range out.Documents {
		call.Sources = append(call.Sources, agent.Source{N: i + 1, ID: d.ID, Title: d.Name, Extract: d.Content, Score: d.Score})
	}
}

func (l *loop) answer(ctx context.Context, m *agent.Message, emit func(agent.Event)) {
	say := func(text string) {
		m.Text += text
		emit(agent.Event{Kind: agent.EventText, Message: m.ID, Text: text})
	}
	say("Found: ")
	if l.hold != nil {
		l.hold(ctx)
	}
	if ctx.Err() != nil {
		m.State = agent.Stopped
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
			m.Failure = cause.Error()
		}
		return
	}
	var names []string
	for _, s := range m.Calls[0].Sources {
		names = append(names, "**"+s.Title+"**")
	}
	say(strings.Join(names, ", "))
	m.State = agent.Done
}
