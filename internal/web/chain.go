package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/chain"
)

// Chain is how a call was done, station by station, in words.
type Chain struct {
	ID       string  `json:"id"`
	Tool     string  `json:"tool"`
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
	errNoChain   = &apiError{http.StatusNotFound, "no_chain", "the server keeps no such call of yours", "it keeps the newest ones only"}
	errChainAway = &apiError{http.StatusBadGateway, "chain_away", "the server could not be asked how this was done", "try again in a moment"}
)

// showChain is GET /api/chain/{chain}.
func (a *App) showChain(w http.ResponseWriter, v *visit) error {
	c, err := a.findChain(v)
	if err == nil {
		writeJSON(w, http.StatusOK, c)
	}
	return err
}

// chainPage is GET /c/{id}/chain/{chain}; with part it is the piece of HTML alone, for the panel beside the conversation.
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

// findChain fetches the hops of a call from the MCP server that made them, as the person who asked: it shows them to
// nobody else. The person's sign-in and the token for the server come first; these happened here.
func (a *App) findChain(v *visit) (Chain, error) {
	id, name := v.PathValue("chain"), v.URL.Query().Get("server")
	if !chainID.MatchString(id) {
		return Chain{}, errNoChain
	}
	var failed error = errNoChain
	for i := range a.cfg.Servers {
		server := &a.cfg.Servers[i]
		if name != "" && server.Name != name {
			continue
		}
		call, err := a.fetchChain(v.Context(), v.session, server, id)
		if err == nil {
			return a.chainOf(v.session, server, call), nil
		}
		if !errors.Is(err, errNoChain) {
			failed = err
		}
	}
	return Chain{}, failed
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
	if err != nil || len(text) > maxChain || json.Unmarshal(text, &call) != nil || len(call.Hops) > chain.MaxHops {
		return nil, errChainAway
	}
	return &call, nil
}

func (a *App) chainOf(s *session, server *Server, call *recordedCall) Chain {
	out := Chain{
		ID: call.ID, Tool: call.Tool, Decision: string(call.Decision), Reason: call.Reason, Took: took(call.Took), MS: milliseconds(call.Took),
	}
	s.mu.Lock()
	signIn := s.signIn
	var token chain.Hop
	if c := s.servers[server.Name]; c != nil {
		token = c.last
	}
	s.mu.Unlock()
	if !signIn.Start.IsZero() {
		hop := wordsOf(signIn, call.Start)
		hop.Before, hop.Title, hop.Text = true, "Sign-in", s.person.Name+" signed in with Entra ID"
		out.Hops = append(out.Hops, hop)
	}
	if !token.Start.IsZero() {
		hop := wordsOf(token, call.Start)
		hop.Before, hop.Title = true, "Token for the MCP server"
		hop.Text = "This agent got a token of yours that is good for " + server.URL.Host + " alone"
		out.Hops = append(out.Hops, hop)
	}
	for _, one := range call.Hops {
		out.Hops = append(out.Hops, wordsOf(one, call.Start))
	}
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
			return "Token checked", "The MCP server refused the token"
		case h.Decision == chain.Cached:
			return "Token checked", "The MCP server had checked this token a moment ago"
		}
		return "Token checked", "The MCP server checked whose token it is, and that it is meant for this server"
	case chain.Exchange:
		switch {
		case refused:
			return "Token exchanged", "Entra refused a token for the API behind the tool, on behalf of the person"
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
