package web

import (
	"html/template"
	"time"

	"github.com/onbehalf/onbehalf/internal/web/hops"
)

// What pages show and what the JSON of the API holds: one set of structs for both, so that words (times, sentences,
// indented arguments) are made once, here.

// Page is what every template gets, embedded.
type Page struct {
	Title  string  // of the document, before " · onbehalf"
	CSRF   string  // for <meta name="csrf"> and the hidden field csrf
	Person *Person // nil: nobody is signed in
	Notice *Notice // what the last redirect wants to say once; nil: nothing
	Local  bool    // the authority is a local stand-in: the pages say so
}

// Notice is one sentence that is shown once.
type Notice struct {
	Kind        string // info, bad
	Text        string
	Correlation string // of Entra's refusal; "" for none
}

// Person is who is signed in, for the corner of the page.
type Person struct {
	Key                 string // names the person to the scripts of the page
	Name, UPN, Initials string
	Tint                int // 0 to 5, from the object id, as the local Entra's pages do
}

// WelcomePage is GET / for who is not signed in.
type WelcomePage struct {
	Page
	Return string // where the sign-in leads to: a path of ours, or ""
	Kept   string // a question that could not be taken
}

// ChatPage is GET / and GET /c/{id}.
type ChatPage struct {
	Page
	Conversations []Item        // newest first
	Older         int           // how many there are beside them
	Current       *Conversation // nil: none is chosen
	Model         Model
	Servers       []string // names and hosts of the MCP servers
	Examples      []string // up to three questions to begin with
	Limit         int      // characters that a message may have
	Unsent        string   // a question that could not be taken: it stays in the box
	KeptDays      int      // how long conversations are kept; 0: until they are deleted
	InMemory      bool     // they end with this server in any case
}

// Item is a conversation in the list.
type Item struct {
	ID      string    `json:"id"`
	Title   string    `json:"title"`
	Updated time.Time `json:"updated"`
	Current bool      `json:"-"`
}

// Model is what answers.
type Model struct {
	Name    string `json:"name"`
	Builtin bool   `json:"builtin"` // the stand-in: no model is configured
}

// Conversation is a whole conversation.
type Conversation struct {
	ID       string    `json:"id"`
	Title    string    `json:"title"`
	State    string    `json:"state"` // idle, running, waiting
	Messages []Message `json:"messages"`
	Model    Model     `json:"model"`
}

// Message is one message of a person or of the assistant.
type Message struct {
	ID      string        `json:"id"`
	Role    string        `json:"role"` // user, assistant
	Text    string        `json:"text"`
	HTML    template.HTML `json:"html"` // of an assistant's text, rendered and sanitised here
	State   string        `json:"state"`
	Failure string        `json:"failure"` // in words, for state failed
	At      time.Time     `json:"at"`
	Calls   []Call        `json:"calls"`
	Notes   []string      `json:"notes"`           // sentences that the person should know
	Last    bool          `json:"last"`            // of its turn: the turn's sources, copy and retry stand below it
	Sources []Source      `json:"sources"`         // of all calls of the turn, at its last message
	Refetch bool          `json:"refetch"`         // of sources of the turn only ids were kept: they can be fetched again
	Again   []Call        `json:"again,omitempty"` // the calls that fetching them makes, which the person has to confirm
}

// Call is a call of a tool.
type Call struct {
	ID        string   `json:"id"`
	Server    string   `json:"server"`
	Tool      string   `json:"tool"`
	Host      string   `json:"host"`
	Title     string   `json:"title"`          // the tool's own title if it has one, else its name
	Line      string   `json:"line"`           // what is shown of it in one line
	State     string   `json:"state"`          // asking, approved, declined, running, done, failed, refused
	Why       string   `json:"why"`            // a sentence: why it asks
	Says      *Saying  `json:"says,omitempty"` // state asking: what the tool says of itself
	Said      *Saying  `json:"said,omitempty"` // what it said before, if that was something else
	Arguments string   `json:"arguments"`
	Took      string   `json:"took"`  // "12 ms"; "" while it runs
	Chain     string   `json:"chain"` // the id that the server gave the last attempt: 32 hexadecimal digits, or ""
	Attempts  int      `json:"attempts"`
	Output    string   `json:"output"`
	Nothing   bool     `json:"nothing"` // it looked for documents and found none
	Sources   []Source `json:"sources"`
	Refusal   Refusal  `json:"refusal,omitzero"`
	Error     string   `json:"error"` // state failed: in words
	Thin      bool     `json:"thin"`  // of what it returned only the documents' ids were kept

	// Of the last attempt: Made once it has ended, so that there is something to tell of how it was done.
	Made    bool          `json:"-"`
	Started time.Time     `json:"-"`
	Lasted  time.Duration `json:"-"`
}

// Saying is what a server says of a tool: shown as text, as its words.
type Saying struct {
	Text string `json:"text"`

	ID, Whose string `json:"-"`
	Start     string `json:"-"` // of a long text, which is folded; "": it is short
}

// Source is a document that a call brought.
type Source struct {
	N       int     `json:"n"` // in the turn, from 1: the number by which the answer cites it
	ID      string  `json:"id"`
	Title   string  `json:"title"`
	Extract string  `json:"extract"`
	Score   float64 `json:"score"`
	Host    string  `json:"host"` // of the server that it came from

	Scored    bool   `json:"-"`
	ScoreText string `json:"-"`
	Anchor    string `json:"-"`
}

// Refusal is why somebody said no, and what can be done.
type Refusal struct {
	Kind        string  `json:"kind"`
	Text        string  `json:"text"` // the sentence of the catalogue
	Who         string  `json:"who"`  // whom to ask, and for what
	Correlation string  `json:"correlation"`
	Code        string  `json:"code"` // AADSTS…
	Button      *Button `json:"button"`
	Link        *Link   `json:"link"`
}

// Button is what a person can do about it. Its action is always a path of our own.
type Button struct {
	Label  string `json:"label"`
	Method string `json:"method"` // GET, POST
	Action string `json:"action"`
}

// Link is an address that a server named: shown as text, never to be followed by a click.
type Link struct {
	Text string `json:"text"`
	Host string `json:"host"`
}

// ChainPage is GET /c/{id}/calls/{call}/chain.
type ChainPage struct {
	Page
	Back  string // to the conversation
	Chain hops.Chain
}

// MePage is GET /me.
type MePage struct {
	Page
	Claims        []Claim
	Servers       []ServerTools
	Groups        []string // of the token; nil: it holds none
	Overage       bool     // too many groups for the token
	Tokens        []Claim  // per MCP server: for which audience a token is held, until when
	Conversations int
}

// ServerTools is an MCP server with what this person may use of it.
type ServerTools struct {
	Name, Host, Group string
	Tools             []Tool
	Refusal           *Refusal  // why they could not be listed
	Troubles          []Trouble // what else cannot be used
	More              int       // troubles that are not listed
}

// Tool is a tool that a model may ask for.
type Tool struct {
	Name, Title string
	Unasked     bool // it runs without asking, by the operator's configuration
	Says        *Saying
}

// Trouble is why a tool ("": its server) cannot be used.
type Trouble struct{ Tool, Text string }

// Claim is one line of [MePage].
type Claim struct {
	Label, Value, Note string
	Code               bool // an id
}

// AwayPage is shown for the moment until the browser is at Entra.
type AwayPage struct {
	Title   string
	Address string
	Host    string // of the address
}

// ProblemPage is any error that is a page.
type ProblemPage struct {
	Page
	Status                           int
	Heading, Text, Hint, Correlation string
	Code                             string // AADSTS…, or ""
	Return                           string // where the sign-in leads to
	SignIn                           bool   // offer to sign in
	Kept                             string // a question that could not be taken
}
