// Package chain collects the hops of one call: who was checked where, as whom the next system was asked, what it
// decided, how long it took. The stations of a call (bearer, obo, searchclient, a tool of one's own) add to it; a
// [Recorder] gets the whole once the call has ended.
//
// A hop never holds a token, an assertion or a document, and a query only where the operator asks for the arguments of
// tools. The package stores and prints nothing.
package chain

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"sync"
	"time"
)

// Station is where a hop happened.
type Station string

// The stations of a call, in the order of the way.
const (
	SignIn   Station = "sign-in"
	Verify   Station = "verify"
	Tool     Station = "tool"
	Exchange Station = "exchange"
	Search   Station = "search"
	Graph    Station = "graph"
)

// Decision is what a station decided.
type Decision string

// The decisions.
const (
	Allowed Decision = "allowed" // checked or fetched just now
	Cached  Decision = "cached"  // allowed, from a cache of ours
	Refused Decision = "refused" // the other side, or our own check, said no
	Failed  Decision = "failed"  // no answer to go by: network, time, an outage
)

// Hop is one step of a call. Empty fields are not known or do not apply.
type Hop struct {
	Station  Station  `json:"station"`
	Decision Decision `json:"decision"`
	Reason   string   `json:"reason,omitempty"` // a fixed word or code, such as "audience" or "AADSTS50076"; never foreign text

	Issuer   string   `json:"issuer,omitempty"`
	Audience string   `json:"audience,omitempty"`
	Client   string   `json:"client,omitempty"`  // application id
	Subject  string   `json:"subject,omitempty"` // oid of the person
	Tenant   string   `json:"tenant,omitempty"`
	Actor    string   `json:"actor,omitempty"` // application id of an agent that acts for the person
	Scopes   []string `json:"scopes,omitempty"`
	Methods  []string `json:"amr,omitempty"` // how the person signed in
	TokenID  string   `json:"tokenId,omitempty"`
	Checks   []string `json:"checks,omitempty"` // what was checked, in order: "signature", "iss", "aud", …

	Name string `json:"name,omitempty"` // of the tool, index or endpoint
	// Arguments are those of a tool call, only where the operator asks for them: they hold what people look for.
	Arguments json.RawMessage `json:"arguments,omitempty"`

	RequestID     string    `json:"requestId,omitempty"`
	CorrelationID string    `json:"correlationId,omitempty"`
	TraceID       string    `json:"traceId,omitempty"`
	Status        int       `json:"status,omitempty"` // HTTP
	Count         int       `json:"count,omitempty"`  // documents
	Expires       time.Time `json:"expires,omitzero"`

	Start time.Time     `json:"start"`
	Took  time.Duration `json:"took"` // nanoseconds
}

// MaxHops bounds what one call may record; later hops are counted, not kept.
const MaxHops = 64

// Call collects the hops of one request. It is safe for concurrent use.
type Call struct {
	id string

	mu      sync.Mutex
	hops    []Hop
	dropped int
}

type callKey struct{}

// Begin starts a call, with an id of 128 random bits, and puts it into the context.
func Begin(ctx context.Context) (context.Context, *Call) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails since Go 1.24
	call := &Call{id: hex.EncodeToString(random[:])}
	return context.WithValue(ctx, callKey{}, call), call
}

// FromContext returns the call that [Begin] put into the context, or nil.
func FromContext(ctx context.Context) *Call {
	call, _ := ctx.Value(callKey{}).(*Call)
	return call
}

// Add records a hop of the call in the context; without one it does nothing.
func Add(ctx context.Context, hop Hop) {
	call := FromContext(ctx)
	if call == nil {
		return
	}
	call.mu.Lock()
	defer call.mu.Unlock()
	if len(call.hops) == MaxHops {
		call.dropped++
		return
	}
	call.hops = append(call.hops, hop)
}

// ID names the call: 32 hexadecimal digits.
func (c *Call) ID() string { return c.id }

// Hops returns a copy of what was recorded so far, and how many hops were left out.
func (c *Call) Hops() (hops []Hop, dropped int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Hop(nil), c.hops...), c.dropped
}

// Recorder receives the calls that have ended. Record must not block and must not change the call.
type Recorder interface {
	Record(ctx context.Context, call *Call)
}
