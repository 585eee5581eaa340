package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/internal/agent"
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

var (
	chainID      = regexp.MustCompile(`^[0-9a-f]{32}$`)
	errNoCall    = &apiError{http.StatusNotFound, "not_found", "there is no such call in this conversation", "it may have been deleted, or has not run yet"}
	errNoChain   = errors.New("the server keeps no such call")
	errChainAway = errors.New("the server could not be asked")
)

// showChain is GET /api/conversations/{id}/calls/{call}/chain.
func (a *App) showChain(w http.ResponseWriter, v *visit) error {
	c, err := a.findChain(v)
	if err == nil {
		writeJSON(w, http.StatusOK, c)
	}
	return err
}

// chainPage is GET /c/{id}/calls/{call}/chain; with part it is the piece of HTML alone, for the panel beside the conversation.
func (a *App) chainPage(w http.ResponseWriter, v *visit) error {
	back := "/c/" + v.PathValue("id")
	part := v.URL.Query().Has("part")
	switch {
	case v.session == nil && part:
		writeProblem(w, http.StatusUnauthorized, "signed_out", "you are not signed in", "sign in again")
		return nil
	case v.session == nil:
		return a.welcome(w, v, back)
	case a.calls.Take(v.owner().String()) > 0:
		return &pageError{status: http.StatusTooManyRequests, heading: "That was too much at once", text: "Wait a moment, then try again."}
	}
	c, err := a.findChain(v)
	if said, ok := errors.AsType[*apiError](err); ok {
		return &pageError{status: said.status, heading: "How it was done is not known", text: upperFirst(said.message) + ".", hint: upperFirst(said.hint) + "."}
	}
	if err != nil {
		return err
	}
	if part {
		return a.pages.show(w, http.StatusOK, "chain", c)
	}
	return a.pages.show(w, http.StatusOK, "chainpage", ChainPage{Page: a.frame(v, "How it was done"), Back: back, Chain: c})
}

// findChain tells how a call of a conversation was done. What happened here is told from here: the sign-in, and the token
// for the server. The hops at the server are asked of it as the person, since it shows them to nobody else; where it keeps
// none, what it answered stands in their place.
func (a *App) findChain(v *visit) (Chain, error) {
	t, err := a.desk.open(v.owner(), v.PathValue("id"))
	if err != nil {
		return Chain{}, err
	}
	view := t.view()
	a.desk.release(t)
	call := view.call(v.PathValue("call"))
	if call == nil || !call.Made {
		return Chain{}, errNoCall
	}
	out := chainOf(call)
	at := slices.IndexFunc(a.cfg.Servers, func(s Server) bool { return s.Name == call.Server })
	if at < 0 {
		out.Note = "This server is not configured any more."
		return out, nil
	}
	server := &a.cfg.Servers[at]
	out.Hops = append(hopsBefore(v.session, server, call), out.Hops...)
	recorded, err := a.fetchChain(v.Context(), v.session, server, call.Chain)
	switch {
	case err == nil:
		out.add(recorded)
	case errors.Is(err, errNoChain):
		out.Note = call.Host + " keeps no more of this call that it would show you."
	default:
		out.Note = call.Host + " could not be asked what it did: try again in a moment."
	}
	return out, nil
}

// call finds one by its id.
func (c *Conversation) call(id string) *Call {
	for i := range c.Messages {
		for j := range c.Messages[i].Calls {
			if one := &c.Messages[i].Calls[j]; one.ID == id {
				return one
			}
		}
	}
	return nil
}

// chainOf is what is known here of a call: that it was made, and what came of it.
func chainOf(call *Call) Chain {
	hop := Hop{
		Title: "Answer of " + call.Host, Text: "It answered", Decision: string(chain.Allowed), At: call.Started.UTC(),
		MS: milliseconds(call.Lasted), Took: call.Took, Checks: []string{}, Facts: []Fact{},
	}
	switch refused := agent.CallState(call.State) == agent.Refused; {
	case call.Error != "":
		hop.Decision, hop.Text = string(chain.Failed), call.Error
	case refused:
		hop.Decision, hop.Text, hop.Reason, hop.Correlation = string(chain.Refused), call.Refusal.Text, call.Refusal.Code, call.Refusal.Correlation
		if call.Refusal.Kind == kindUnavailable {
			hop.Decision = string(chain.Failed)
		}
	}
	hop.Text = strings.TrimSuffix(hop.Text, ".")
	return Chain{Tool: cmp.Or(call.Tool, call.Server), Host: call.Host, Decision: hop.Decision, Took: call.Took, MS: hop.MS, Hops: []Hop{hop}}
}

// add puts what a server recorded in the place of its answer.
func (c *Chain) add(call *recordedCall) {
	c.ID, c.Decision, c.Reason, c.Took, c.MS = call.ID, string(call.Decision), call.Reason, took(call.Took), milliseconds(call.Took)
	c.Hops = c.Hops[:len(c.Hops)-1]
	for _, one := range call.Hops {
		hop := wordsOf(one, call.Start)
		hop.There = true
		c.Hops = append(c.Hops, hop)
	}
}

// recordedCall is what a server answers (internal/chainstore).
type recordedCall struct {
	ID       string         `json:"id"`
	Start    time.Time      `json:"start"`
	Took     time.Duration  `json:"took"`
	Tool     string         `json:"tool"`
	Decision chain.Decision `json:"decision"`
	Reason   string         `json:"reason"`
	Hops     []chain.Hop    `json:"hops"`
}

const (
	maxChain     = 1 << 20
	chainTimeout = 10 * time.Second
)

func (a *App) fetchChain(ctx context.Context, s *session, server *Server, id string) (*recordedCall, error) {
	if !chainID.MatchString(id) {
		return nil, errNoChain
	}
	ctx, cancel := context.WithTimeout(ctx, chainTimeout)
	defer cancel()
	c, err := a.connect(s, server)
	if err != nil {
		return nil, err
	}
	source, err := c.handler.TokenSource(ctx)
	if err != nil || source == nil {
		return nil, errNoChain // no token for this server: then no call of this session is there
	}
	token, err := source.Token()
	if err != nil {
		return nil, errChainAway
	}
	address := *server.URL
	address.Path, address.RawPath, address.RawQuery = "/api/chain/"+id, "", ""
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token.AccessToken)
	req.Header.Set("Accept", "application/json")
	resp, err := a.mcp.Do(req)
	if err != nil {
		return nil, errChainAway
	}
	defer resp.Body.Close()
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusOK && mediaType != "application/json":
		return nil, errNoChain
	case resp.StatusCode != http.StatusOK:
		return nil, errChainAway
	}
	var call recordedCall
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxChain+1))
	if err != nil || len(text) > maxChain || json.Unmarshal(text, &call) != nil || len(call.Hops) > chain.MaxHops || call.ID != id {
		return nil, errChainAway
	}
	call.plain()
	return &call, nil
}

// plain bounds what a server says, and takes out what steers a screen.
func (c *recordedCall) plain() {
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

// hopsBefore are the person's sign-in and the token for the server, as far as they are those of this call.
func hopsBefore(s *session, server *Server, call *Call) []Hop {
	s.mu.Lock()
	signIn := s.signIn
	var token chain.Hop
	if c := s.servers[server.Name]; c != nil {
		token = c.last
	}
	s.mu.Unlock()
	var out []Hop
	before := func(one chain.Hop, title, text string) {
		if one.Start.IsZero() || one.Start.After(call.Started.Add(call.Lasted)) {
			return // of a later sign-in
		}
		hop := wordsOf(one, call.Started)
		hop.Before, hop.Title, hop.Text = true, title, text
		out = append(out, hop)
	}
	before(signIn, "Sign-in", s.person.Name+" signed in with Entra ID")
	before(token, "Token for the MCP server", "This agent got a token of yours that is good for "+server.URL.Host+" alone")
	return out
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}

// wordsOf says a hop in words. What it knows of documents is how many came back, never how many did not.
func wordsOf(h chain.Hop, start time.Time) Hop {
	out := Hop{
		Station: string(h.Station), Decision: string(h.Decision), Reason: h.Reason, At: h.Start.UTC(), Offset: max(milliseconds(h.Start.Sub(start)), 0),
		MS: milliseconds(h.Took), Took: took(h.Took), Request: h.RequestID, Correlation: h.CorrelationID, Checks: checksIn(h.Checks), Facts: []Fact{},
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
	fact("Signed in with", methodsIn(h.Methods), false)
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
	refused := h.Decision == chain.Refused
	switch h.Station {
	case chain.SignIn:
		return "Sign-in", "The person signed in"
	case chain.Verify:
		switch {
		case refused:
			return "Token not accepted", "The MCP server refused the token"
		case h.Decision == chain.Cached:
			return "Token checked", "The MCP server had checked this token a moment ago"
		}
		return "Token checked", "The MCP server checked whose token it is, and that it is meant for this server"
	case chain.Exchange:
		switch {
		case refused:
			return "Token not exchanged", "Entra refused a token for the API behind the tool, on behalf of the person"
		case h.Decision == chain.Cached:
			return "Token exchanged", "The server still had a token for the API behind the tool, on behalf of the person"
		}
		return "Token exchanged", "Entra exchanged it, on behalf of the person, for a token of the API behind the tool"
	case chain.Search:
		switch {
		case refused:
			return "Documents", "The search service refused the query"
		case h.Count == 1:
			return "Documents", "Azure AI Search returned 1 document that the person may see"
		}
		return "Documents", fmt.Sprintf("Azure AI Search returned %d documents, all of which the person may see", h.Count)
	case chain.Graph:
		return "Microsoft Graph", "Microsoft Graph was asked as the person"
	case chain.Tool:
		if refused || h.Decision == chain.Failed {
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

func methodsIn(methods []string) string {
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
