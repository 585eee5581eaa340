package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/internal/web/hops"
	"github.com/onbehalf/onbehalf/internal/web/refusal"
)

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
func (a *App) findChain(v *visit) (hops.Chain, error) {
	t, err := a.desk.open(v.owner(), v.PathValue("id"))
	if err != nil {
		return hops.Chain{}, err
	}
	view := t.view()
	a.desk.release(t)
	call := view.call(v.PathValue("call"))
	if call == nil || !call.Made {
		return hops.Chain{}, errNoCall
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
		out.Add(recorded)
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
func chainOf(call *Call) hops.Chain {
	hop := hops.Hop{
		Title: "Answer of " + call.Host, Text: "It answered", Decision: string(chain.Allowed), At: call.Started.UTC(),
		MS: hops.Milliseconds(call.Lasted), Took: call.Took, Checks: []string{}, Facts: []hops.Fact{},
	}
	if r := &call.Refusal; call.Error != "" {
		hop.Decision, hop.Text = string(chain.Failed), call.Error
	} else if r.Kind != "" {
		hop.Decision, hop.Text, hop.Reason, hop.Correlation = string(chain.Refused), r.Text, r.Code, r.Correlation
		if r.Kind == refusal.Unavailable {
			hop.Decision = string(chain.Failed)
		}
	}
	hop.Text = strings.TrimSuffix(hop.Text, ".")
	return hops.Chain{Tool: cmp.Or(call.Tool, call.Server), Host: call.Host, Decision: hop.Decision, Took: call.Took, MS: hop.MS, Hops: []hops.Hop{hop}}
}

const (
	maxChain     = 1 << 20
	chainTimeout = 10 * time.Second
)

func (a *App) fetchChain(ctx context.Context, s *session, server *Server, id string) (*hops.Recorded, error) {
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
	var call hops.Recorded
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxChain+1))
	if err != nil || len(text) > maxChain || json.Unmarshal(text, &call) != nil || len(call.Hops) > chain.MaxHops || call.ID != id {
		return nil, errChainAway
	}
	call.Plain()
	return &call, nil
}

// hopsBefore are the person's sign-in and the token for the server, as far as they are those of this call.
func hopsBefore(s *session, server *Server, call *Call) []hops.Hop {
	s.mu.Lock()
	signIn := s.signIn
	var token chain.Hop
	if c := s.servers[server.Name]; c != nil {
		token = c.last
	}
	s.mu.Unlock()
	var out []hops.Hop
	before := func(one chain.Hop, title, text string) {
		if one.Start.IsZero() || one.Start.After(call.Started.Add(call.Lasted)) {
			return // of a later sign-in
		}
		hop := hops.Of(one, call.Started)
		hop.Before, hop.Title, hop.Text = true, title, text
		out = append(out, hop)
	}
	before(signIn, "Sign-in", s.person.Name+" signed in with Entra ID")
	before(token, "Token for the MCP server", "This agent got a token of yours that is good for "+server.URL.Host+" alone")
	return out
}
