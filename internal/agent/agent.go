// Package agent drives a conversation: it asks a model, calls the tools of MCP servers as the signed-in person, and stops
// where the person has to decide. It knows no OAuth, no HTTP session and no person's name: a transport that acts as the
// person, and words for a refusal, are given in. Pages, storage and sign-in are package web's.
//
// What the code decides, and no model, document or server can change: which tools there are, whose token a call carries,
// whether a call may run unasked, with which arguments, and when a turn ends. What a tool returns is data to it.
// docs/agent.md has the rules.
//
// All state is in [dialog.Conversation], plain data: what waits for a person survives a restart, and goes on at the very call.
package agent

import (
	"context"
	"log/slog"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/internal/agent/dialog"
)

// Config says how an [Agent] works. [New] validates it whole.
type Config struct {
	// Model answers. See packages builtin and openai below this one.
	Model Model
	// Ask says which tools run unasked; the zero policy asks for each call.
	Ask AskPolicy
	// Limits bound a turn; what is zero gets a good default.
	Limits Limits
	// Instructions are the operator's words to the model, after the built-in ones; "" for none.
	Instructions string
	// Version is what the agent calls itself towards MCP servers, beside its name "onbehalf-agent".
	Version string
	// Now is the clock; nil: the system's.
	Now func() time.Time
	// Logger gets what operators need to know, never what people ask or get; nil: nothing is logged.
	Logger *slog.Logger
}

// AskPolicy says which tools run without asking the person. What a server claims about its tools (readOnlyHint and the
// like) changes nothing.
type AskPolicy struct {
	// Unasked are tools by "server.tool". The value pins the definition that the operator has read, by the first 16 or
	// more hexadecimal digits of its hash ([Tool].Definition); "" stands for the first definition that this process sees.
	// Another definition asks.
	Unasked map[string]string
}

// Limits bound what one turn may cost: from a person's question to the end of the answer. Those of a server are per
// server.
type Limits struct {
	Steps  int           // answers of the model; default 10
	Calls  int           // calls of tools; default 40
	AtOnce int           // calls that run beside each other; default 8
	Tokens int           // tokens in and out, as the model counts them or as bytes/4; default 400,000
	Time   time.Duration // of one [Agent.Run]; what a person takes to decide does not count; default 5 min
	Call   time.Duration // of one call; default 60 s
	Listen time.Duration // for reaching a server and listing its tools; default 15 s

	FirstChunk time.Duration // until the model's answer begins; default 2 min, since a local model may have to load
	NextChunk  time.Duration // between two parts of it; default 45 s

	Question int           // bytes of a person's message; default 64 KiB
	Answer   int           // bytes of one answer of the model, calls included; default 256 KiB
	Result   int           // bytes of a tool's result that are kept; default 64 KiB, at most a quarter of Context
	Context  int           // bytes sent to the model, tools included; default 400 KiB. More: the oldest results are left out
	Tools    int           // tools offered to the model, of all servers; default 128, which is what OpenAI accepts
	Retry    time.Duration // the longest that a throttled model (Retry-After) is waited for; default 20 s
}

// Server is an MCP server as the signed-in person reaches it.
type Server struct {
	// Name is the prefix of its tools: unique, [a-z0-9-], 1 to 24 characters.
	Name string
	// Group is its trust group: what was read from one server of a group may go to another unasked. "": alone.
	Group string
	// Host is shown to people, and part of what makes a tool's definition.
	Host string
	// Transport reaches it as the person. Its errors, and those of its OAuthHandler, come back through [Person].Refuse.
	// Bound the bodies of answers: [BoundBodies]. An error with a method ChainID() string tells the chain of the call that
	// was refused.
	Transport func(ctx context.Context) (mcp.Transport, error)
}

// Person is how one signed-in person's turns run.
type Person struct {
	// Key names the sign-in: MCP sessions and lists of tools are kept under it for a while, and dropped by
	// [Agent.Forget]. Two sign-ins must differ, also of the same person. "": nothing is kept.
	Key string
	// Servers are those that this person may use.
	Servers []Server
	// Refuse turns the error of a transport or call, or a result that is an error or wants a link opened, into words and
	// an action. The call is what failed; its tool is "" when the server could not be reached to list its tools. Nil, or a
	// nil result: no refusal but a plain failure.
	Refuse func(ctx context.Context, call dialog.Call, err error, result *mcp.CallToolResult) *dialog.Refusal
}

// EventKind says what an [Event] tells.
type EventKind string

// Kinds of events.
const (
	EventText    EventKind = "text"    // more text of an assistant's message
	EventCall    EventKind = "call"    // a call is new or has another state
	EventMessage EventKind = "message" // an assistant's message began, or ended: its state says which
	EventState   EventKind = "state"   // the conversation runs, waits or is idle
)

// Event is something that happened in a turn.
type Event struct {
	Kind    EventKind
	Message string       // id of the message
	Text    string       // EventText: what is new
	Call    *dialog.Call // EventCall: a copy
	State   dialog.State // EventMessage: of the message
	Phase   dialog.Phase // EventState
}
