// Package hops puts the hops of a call in words: who was asked as whom, what was checked, how long it took.
package hops

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/internal/agent/mcpdata"
)

// Chain is how a call was done, station by station, in words.
type Chain struct {
	ID       string  `json:"id"` // "" where the server keeps none
	Tool     string  `json:"tool"`
	Host     string  `json:"host"` // of the server
	Note     string  `json:"note"` // why there are no hops of the server's
	Decision string  `json:"decision"`
	Reason   string  `json:"reason"`
	Took     string  `json:"took"` // "41 ms"
	MS       float64 `json:"ms"`
	Hops     []Hop   `json:"hops"`
}

// Hop is one station.
type Hop struct {
	Station     string    `json:"station"`
	Title       string    `json:"title"`
	Text        string    `json:"text"` // a sentence: what was done
	Decision    string    `json:"decision"`
	Reason      string    `json:"reason"`
	Before      bool      `json:"before"` // before the call: not part of its time
	There       bool      `json:"there"`  // at the server, as it tells
	At          time.Time `json:"at"`
	Offset      float64   `json:"offset"` // milliseconds since the call began
	MS          float64   `json:"ms"`
	Took        string    `json:"took"`
	Checks      []string  `json:"checks"`
	Facts       []Fact    `json:"facts"`
	Request     string    `json:"request"` // id at the service, for its logs
	Correlation string    `json:"correlation"`
}

// Fact is one thing that a hop knows.
type Fact struct {
	Label string `json:"label"`
	Value string `json:"value"`
	Code  bool   `json:"code"`
}

// Recorded is what a server of ours tells of a call (internal/chainstore).
type Recorded struct {
	ID       string         `json:"id"`
	Start    time.Time      `json:"start"`
	Took     time.Duration  `json:"took"`
	Tool     string         `json:"tool"`
	Decision chain.Decision `json:"decision"`
	Reason   string         `json:"reason"`
	Hops     []chain.Hop    `json:"hops"`
}

// Plain bounds what a server says, and takes out what steers a screen.
func (c *Recorded) Plain() {
	const most, each = 200, 64
	line := func(text string) string { return mcpdata.Line(text, most) }
	lines := func(texts []string) []string {
		texts = texts[:min(len(texts), each)]
		for i := range texts {
			texts[i] = line(texts[i])
		}
		return texts
	}
	c.Reason = line(c.Reason)
	for i := range c.Hops {
		h := &c.Hops[i]
		for _, text := range []*string{&h.Reason, &h.Issuer, &h.Audience, &h.Client, &h.Subject, &h.Tenant, &h.Actor, &h.Name, &h.RequestID, &h.CorrelationID} {
			*text = line(*text)
		}
		h.Station = chain.Station(line(string(h.Station)))
		h.Scopes, h.Methods, h.Checks = lines(h.Scopes), lines(h.Methods), lines(h.Checks)
	}
}

// Add puts what a server recorded in the place of its answer, which is the last hop.
func (c *Chain) Add(call *Recorded) {
	c.ID, c.Decision, c.Reason, c.Took, c.MS = call.ID, string(call.Decision), call.Reason, Took(call.Took), Milliseconds(call.Took)
	c.Hops = c.Hops[:len(c.Hops)-1]
	for _, one := range call.Hops {
		hop := Of(one, call.Start)
		hop.There = true
		c.Hops = append(c.Hops, hop)
	}
}

// Milliseconds returns a duration for people: to 10 us.
func Milliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}

// Of says a hop in words. What it knows of documents is how many came back, never how many did not.
func Of(h chain.Hop, start time.Time) Hop {
	out := Hop{
		Station: string(h.Station), Decision: string(h.Decision), Reason: h.Reason, At: h.Start.UTC(), Offset: max(Milliseconds(h.Start.Sub(start)), 0),
		MS: Milliseconds(h.Took), Took: Took(h.Took), Request: h.RequestID, Correlation: h.CorrelationID, Checks: checksIn(h.Checks), Facts: []Fact{},
	}
	out.Title, out.Text = stationWords(h)
	fact := func(label, value string, code bool) {
		if value != "" {
			out.Facts = append(out.Facts, Fact{label, value, code})
		}
	}
	fact("As", h.Subject, true)
	fact("For (audience)", h.Audience, true)
	fact("Client", h.Client, true)
	fact("Acting agent", h.Actor, true)
	fact("Tenant", h.Tenant, true)
	fact("Issuer", h.Issuer, true)
	fact("Permissions", strings.Join(h.Scopes, ", "), true)
	fact("Signed in with", MethodsInWords(h.Methods), false)
	if !h.Expires.IsZero() {
		fact("Ends", h.Expires.UTC().Format("2006-01-02 15:04:05 UTC"), false)
	}
	if h.Station == chain.Search && (h.Decision == chain.Allowed || h.Decision == chain.Cached) {
		fact("Documents returned", strconv.Itoa(h.Count), false)
	}
	if h.Status != 0 {
		fact("HTTP", strconv.Itoa(h.Status), false)
	}
	return out
}

func stationWords(h chain.Hop) (title, text string) {
	refused, failed := h.Decision == chain.Refused, h.Decision == chain.Failed
	switch h.Station {
	case chain.SignIn:
		return "Sign-in", "The person signed in"
	case chain.Verify:
		switch {
		case refused:
			return "Token not accepted", "The MCP server refused the token"
		case failed:
			return "Token not checked", "The MCP server could not find out whether the token is good"
		case h.Decision == chain.Cached:
			return "Token checked", "The MCP server had checked this token a moment ago"
		}
		return "Token checked", "The MCP server checked whose token it is, and that it is meant for this server"
	case chain.Exchange:
		switch {
		case refused:
			return "Token not exchanged", "Entra refused a token for the API behind the tool, on behalf of the person"
		case failed:
			return "Token not exchanged", "No token for the API behind the tool could be had: Entra gave no answer to go by"
		case h.Decision == chain.Cached:
			return "Token exchanged", "The server still had a token for the API behind the tool, on behalf of the person"
		}
		return "Token exchanged", "Entra exchanged it, on behalf of the person, for a token of the API behind the tool"
	case chain.Search:
		switch {
		case refused:
			return "Documents", "The search service refused the query"
		case failed:
			return "Documents", "The search service gave no answer to go by"
		case h.Count == 1:
			return "Documents", "Azure AI Search returned 1 document that the person may see"
		}
		return "Documents", fmt.Sprintf("Azure AI Search returned %d documents, all of which the person may see", h.Count)
	case chain.Graph:
		switch {
		case refused:
			return "Microsoft Graph", "Microsoft Graph refused what it was asked as the person"
		case failed:
			return "Microsoft Graph", "Microsoft Graph gave no answer to go by"
		}
		return "Microsoft Graph", "Microsoft Graph was asked as the person"
	case chain.Tool:
		if refused || failed {
			return "Tool " + h.Name, "The tool ended without a result"
		}
		return "Tool " + h.Name, "The tool ran"
	default:
		return string(h.Station), ""
	}
}

// checksIn says in words what was checked.
func checksIn(checks []string) []string {
	words := map[string]string{
		"signature": "the signature", "key-issuer": "that the key is the issuer's", "iss": "who issued it", "ver": "its version", "aud": "for whom it is",
		"exp": "that it has not expired", "person": "that a person stands behind it", "scp": "the permission", "azp": "the client", "oid": "who the person is",
		"groups": "the person's groups",
	}
	out := make([]string, 0, len(checks))
	for _, check := range checks {
		if word, ok := words[check]; ok {
			check = word
		}
		out = append(out, check)
	}
	return out
}

// MethodsInWords says how somebody signed in.
func MethodsInWords(methods []string) string {
	words := map[string]string{"pwd": "password", "mfa": "a second factor", "rsa": "a key", "fido": "a security key", "otp": "a one-time code", "wia": "Windows"}
	out := make([]string, 0, len(methods))
	for _, method := range methods {
		if word, ok := words[method]; ok {
			method = word
		}
		out = append(out, method)
	}
	return strings.Join(out, ", ")
}

// Took says how long something took.
func Took(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	default:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
}
