// Package dialog is a conversation of a person with a model that calls tools: plain data that goes through JSON and back,
// and what the person can do to it. Package agent drives it; how a call came to its state is written there.
package dialog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Conversation is the whole state of a conversation. While an agent works on it nobody else may touch it, but
// what is told of events.
type Conversation struct {
	Messages []Message `json:"messages"`
	// Known holds, by "server.tool", the hash of the definition that the person last allowed or that ran.
	Known map[string]string `json:"known,omitempty"`
	// Told holds, by "server.tool", what the tool said of itself with that definition.
	Told map[string]string `json:"told,omitempty"`
	// Allowed holds, by "server.tool", what the person allowed for the rest of the conversation.
	Allowed map[string]Grant `json:"allowed,omitempty"`
	// Touched are the trust groups that were read from so far.
	Touched []string `json:"touched,omitempty"`
}

// Grant is a tool that may run unasked in one conversation.
type Grant struct {
	Definition string   `json:"definition"`     // hash; another definition asks
	From       []string `json:"from,omitempty"` // trust groups that had been read from when the person was asked; any further one asks
}

// Role is whose message it is.
type Role string

// Roles.
const (
	User      Role = "user"
	Assistant Role = "assistant"
)

// State is how far a message is.
type State string

// States of a message.
const (
	Running State = "running" // the model answers, or calls run
	Waiting State = "waiting" // a call waits for the person: see [CallState] Asking and Refused
	Done    State = "done"
	Stopped State = "stopped" // by the person, or because the program ended
	Failed  State = "failed"  // Failure says why
)

// Phase is what a conversation does.
type Phase string

// Phases of a conversation.
const (
	PhaseIdle    Phase = "idle"
	PhaseRunning Phase = "running"
	PhaseWaiting Phase = "waiting"
)

// Message is one message. A turn is a user's message and the assistant's messages that follow it: one for each answer
// of the model.
type Message struct {
	ID    string    `json:"id"`
	Role  Role      `json:"role"`
	Text  string    `json:"text,omitempty"` // Markdown of an assistant; may be empty where there are calls
	Calls []Call    `json:"calls,omitempty"`
	At    time.Time `json:"at"`
	State State     `json:"state"`
	// Failure says in a sentence why the message failed or what stopped it.
	Failure string `json:"failure,omitempty"`
	// Notes say in sentences what the person should know of this answer, such as that older results were left out.
	Notes []string `json:"notes,omitempty"`
	Usage Usage    `json:"usage,omitzero"`
}

// Usage is what an answer cost.
type Usage struct {
	In        int  `json:"in"`                  // tokens of the question, with all that was sent along
	Out       int  `json:"out"`                 // tokens of the answer
	Estimated bool `json:"estimated,omitempty"` // the model did not say: bytes/4
}

// CallState is how far a call is.
type CallState string

// States of a call.
const (
	Asking     CallState = "asking"   // waits for the person: [Conversation.Answer]
	Approved   CallState = "approved" // will run when the agent goes on
	Declined   CallState = "declined" // by the person
	InFlight   CallState = "running"
	Succeeded  CallState = "done"    // the tool answered; Result.IsError says whether it was content
	CallFailed CallState = "failed"  // Error says why
	Refused    CallState = "refused" // Refusal says why, and whether it can go on: [Conversation.Resume]
)

// Call is one call of a tool. One without a tool is the attempt to reach the server and list its tools.
type Call struct {
	ID        string          `json:"id"`
	Server    string          `json:"server"` // "": the model asked for a tool that there is not
	Host      string          `json:"host,omitempty"`
	Tool      string          `json:"tool"`
	Title     string          `json:"title,omitempty"`     // the tool's own, without what steers a screen
	Arguments json.RawMessage `json:"arguments,omitempty"` // an object that fits the tool's schema, unless the call failed for that
	State     CallState       `json:"state"`
	// Reason and Why say why it asks, as a code and as a sentence.
	Reason AskReason `json:"reason,omitempty"`
	Why    string    `json:"why,omitempty"`
	// After are the trust groups that had been read from when the model asked for it: what Why tells, and "always" covers.
	After []string `json:"after,omitempty"`
	// Says is what the tool says of itself, and Said what it said before where that was something else: the server's own
	// words, without what steers a screen, bounded. They are held while the call asks.
	Says string `json:"says,omitempty"`
	Said string `json:"said,omitempty"`
	// Definition is the hash of the definition that was in force when the call was made: it runs with no other.
	Definition string        `json:"definition,omitempty"`
	Result     *Result       `json:"result,omitempty"`
	Sources    []Source      `json:"sources,omitempty"`
	Nothing    bool          `json:"nothing,omitempty"` // it returned a list of documents that holds none
	Error      string        `json:"error,omitempty"`   // state failed, in a sentence
	Refusal    *Refusal      `json:"refusal,omitempty"`
	Chain      string        `json:"chain,omitempty"` // of the last attempt, from _meta["onbehalf/chain"]
	Started    time.Time     `json:"started,omitzero"`
	Took       time.Duration `json:"took,omitempty"` // of the last attempt, in nanoseconds
	Attempts   int           `json:"attempts,omitempty"`

	// Wire is the id that the model gave the call.
	Wire string `json:"wire,omitempty"`
	// Back is what the server wants to see again when the call is resumed.
	Back *Continuation `json:"back,omitempty"`
}

// Continuation is what a call takes along when it is made again after its person opened a link.
//
// https://modelcontextprotocol.io/specification/2026-07-28/client/elicitation
type Continuation struct {
	State string   `json:"state,omitempty"`
	Links []string `json:"links,omitempty"` // keys of the requests that the person was shown
}

// AskReason is why a call asks.
type AskReason string

// Reasons for asking. ReasonFlow and ReasonChanged win over the others, in this order.
const (
	ReasonDefault AskReason = "default" // nobody said that it may run unasked
	ReasonChanged AskReason = "changed" // its definition is not the one that was allowed
	ReasonFlow    AskReason = "flow"    // it may carry what was read from servers of another trust group
)

// Result is what a tool returned, bounded. People see what the model gets.
type Result struct {
	Text       string          `json:"text,omitempty"`       // all content in words: text as it is, images and resources described
	Structured json.RawMessage `json:"structured,omitempty"` // structured content, whole or not at all
	IsError    bool            `json:"isError,omitempty"`
	Cut        int             `json:"cut,omitempty"` // bytes that were left out
}

// Source is a document that a call returned. The model is told its number and nothing else to cite by.
type Source struct {
	N       int     `json:"n"` // in the turn, from 1; the same document of the same server has the same number
	ID      string  `json:"id,omitempty"`
	Title   string  `json:"title"`
	Extract string  `json:"extract,omitempty"` // up to 600 characters
	Score   float64 `json:"score,omitempty"`
	URI     string  `json:"uri,omitempty"` // as the server named it: show it as text
}

// Refusal is what was made of an error for the person. The agent reads Text, Resumable, and whether the kind is unavailable;
// the rest is for whoever shows it.
type Refusal struct {
	Kind        string `json:"kind"` // sign-in, consent, blocked, not-assigned, expired, throttled, misconfigured, unavailable, link, other
	Text        string `json:"text"` // in a sentence; the model is told it, too
	Who         string `json:"who,omitempty"`
	Correlation string `json:"correlation,omitempty"`
	Code        string `json:"code,omitempty"`
	Claims      string `json:"claims,omitempty"` // a claims challenge to satisfy
	Link        string `json:"link,omitempty"`   // that a server named: show it as text, with its host
	// Resumable says that the person can do something about it, after which the very call is made again.
	Resumable bool `json:"resumable,omitempty"`
}

// Decision is what a person answers when a call asks.
type Decision string

// Decisions.
const (
	Allow       Decision = "allow"
	AllowAlways Decision = "allow-always" // this tool, with this definition, in this conversation, after what had been read when it was asked
	Deny        Decision = "deny"
)

// ErrNotWaiting says that a call does not wait for what was answered: it does not exist, or somebody was faster.
var ErrNotWaiting = errors.New("the call does not wait for an answer")

// Ask appends a person's message. What still waited is given up: [Conversation.GiveUp].
func (c *Conversation) Ask(id, text string, at time.Time) {
	c.GiveUp()
	c.Messages = append(c.Messages, Message{ID: id, Role: User, Text: text, At: at, State: Done})
}

// Answer decides about a call that asks. Run the conversation afterwards.
func (c *Conversation) Answer(call string, decision Decision) error {
	waiting := c.find(call)
	if waiting == nil || waiting.State != Asking {
		return ErrNotWaiting
	}
	switch decision {
	case Allow:
	case AllowAlways:
		c.Allowed = set(c.Allowed, waiting.Name(), Grant{waiting.Definition, slices.Clone(waiting.After)})
	case Deny:
		waiting.Decided(Declined)
		return nil
	default:
		return fmt.Errorf("a call is answered with allow, allow-always or deny, not with %q", decision)
	}
	c.Know(waiting.Name(), waiting.Definition, waiting.Says)
	waiting.Decided(Approved)
	if decision == AllowAlways {
		c.allowAlike(waiting)
	}
	return nil
}

// allowAlike approves what asks beside a call that was allowed for good, and which that covers.
func (c *Conversation) allowAlike(allowed *Call) {
	for i := range c.Messages {
		for j := range c.Messages[i].Calls {
			one := &c.Messages[i].Calls[j]
			beyond := func(read string) bool { return !slices.Contains(allowed.After, read) }
			if one.State == Asking && one.Name() == allowed.Name() && one.Definition == allowed.Definition && !slices.ContainsFunc(one.After, beyond) {
				one.Decided(Approved)
			}
		}
	}
}

// Know notes which definition of a tool the person allowed, or ran.
func (c *Conversation) Know(tool, definition, says string) {
	c.Known, c.Told = set(c.Known, tool, definition), set(c.Told, tool, says)
}

// Resume lets a call that was refused run again, since its person has signed in or opened the link. Run the conversation
// afterwards.
func (c *Conversation) Resume(call string) error {
	waiting := c.find(call)
	if waiting == nil || waiting.State != Refused || waiting.Refusal == nil || !waiting.Refusal.Resumable {
		return ErrNotWaiting
	}
	waiting.State = Approved
	return nil
}

// GiveUp ends the waiting: what asks counts as declined, what was refused stays so.
func (c *Conversation) GiveUp() {
	for i := range c.Messages {
		m := &c.Messages[i]
		for j := range m.Calls {
			switch call := &m.Calls[j]; {
			case call.State == Asking || call.State == Approved:
				call.Decided(Declined)
			case call.Waits():
				call.Refusal.Resumable = false
			}
		}
		if m.State == Waiting {
			m.State = Stopped
		}
	}
}

// Recover makes a conversation whole that was read back after the program ended in the middle of it. A call that was
// running counts as failed, since nobody knows whether it was done.
func (c *Conversation) Recover() {
	for i := range c.Messages {
		m := &c.Messages[i]
		for j := range m.Calls {
			if call := &m.Calls[j]; call.State == InFlight {
				call.State, call.Error = CallFailed, interruptedCall
			}
		}
		if m.State == Running && !m.pending() {
			m.State, m.Failure = Stopped, "The server was restarted in the middle of this answer."
		}
	}
}

const interruptedCall = "The server was restarted while this ran: whether it was done is not known."

// Retry drops the last answer, so that Run asks the model again. It reports whether there was one. What the calls of
// the answer did stays done.
func (c *Conversation) Retry() bool {
	for i, message := range slices.Backward(c.Messages) {
		if message.Role == User {
			dropped := len(c.Messages) > i+1
			c.Messages = c.Messages[:i+1]
			return dropped
		}
	}
	return false
}

// Phase reports what the conversation does, as far as the messages tell.
func (c *Conversation) Phase() Phase {
	if len(c.Messages) == 0 {
		return PhaseIdle
	}
	switch c.Messages[len(c.Messages)-1].State {
	case Running:
		return PhaseRunning
	case Waiting:
		return PhaseWaiting
	default:
		return PhaseIdle
	}
}

// Clone returns a deep copy.
func (c *Conversation) Clone() *Conversation {
	out := &Conversation{
		Messages: slices.Clone(c.Messages), Known: maps.Clone(c.Known), Told: maps.Clone(c.Told), Allowed: maps.Clone(c.Allowed), Touched: slices.Clone(c.Touched),
	}
	for i := range out.Messages {
		m := &out.Messages[i]
		m.Notes = slices.Clone(m.Notes)
		m.Calls = slices.Clone(m.Calls)
		for j := range m.Calls {
			m.Calls[j] = m.Calls[j].Clone()
		}
	}
	return out
}

// Clone copies what may still change: arguments and results are replaced, never written into.
func (c Call) Clone() Call {
	c.Sources = slices.Clone(c.Sources)
	if c.Refusal != nil {
		c.Refusal = new(*c.Refusal)
	}
	return c
}

func (c *Conversation) find(call string) *Call {
	for i := range c.Messages {
		for j := range c.Messages[i].Calls {
			if c.Messages[i].Calls[j].ID == call {
				return &c.Messages[i].Calls[j]
			}
		}
	}
	return nil
}

// Name is by which tool policies and grants know it.
func (c *Call) Name() string { return c.Server + "." + c.Tool }

// Decided ends the asking.
func (c *Call) Decided(state CallState) { c.State, c.Says, c.Said = state, "", "" }

// Waits reports whether the call waits for its person to do something.
func (c *Call) Waits() bool {
	return c.State == Asking || c.State == Refused && c.Refusal != nil && c.Refusal.Resumable
}

// pending reports whether a call of the message is not finished.
func (m *Message) pending() bool {
	return slices.ContainsFunc(m.Calls, func(c Call) bool { return c.State == Approved || c.State == InFlight || c.Waits() })
}

func set[V any](m map[string]V, key string, value V) map[string]V {
	if m == nil {
		m = map[string]V{}
	}
	m[key] = value
	return m
}

// Same reports whether another call is of the same tool with the same arguments.
func (c *Call) Same(other Call) bool {
	return c.Tool == other.Tool && c.Server == other.Server && bytes.Equal(c.Arguments, other.Arguments)
}

// Key tells it from the other documents of its server.
func (s *Source) Key() string {
	if s.ID != "" {
		return s.ID
	}
	return s.URI
}
