package onbehalf

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/sealed"
	"github.com/onbehalf/onbehalf/obo"
)

// retriesSince is the first protocol in which a result may ask for input, and the client calls again with what it got.
// Before it a server would have to call the client, which one without sessions cannot.
//
// https://modelcontextprotocol.io/specification/2026-07-28/client/elicitation
const retriesSince = "2026-07-28"

// linkInput is our name of the one thing that a result asks for: that the person opens a link.
const linkInput = "link"

const (
	notThisCall = "This call came back with a state that belongs to another call, or is too old. Nothing was done: repeat the question."
	staysAsItIs = " The link asks for it in your browser. Sign in to your client again afterwards: its token stays as it is."
)

// resume checks a call that comes back after its person was asked to open a link. What was refused before is forgotten,
// so that the consent counts at once.
func (s *Server) resume(req *mcp.CallToolRequest, caller *identity.Caller, downstream entra.Scope) error {
	if req.Params.RequestState == "" {
		return nil
	}
	if _, err := s.states.Open(useOf(req, caller), req.Params.RequestState, s.config.Now()); err != nil {
		return Say(notThisCall, err)
	}
	if remembers, ok := s.config.Exchanger.(interface {
		Forget(c *identity.Caller, scope entra.Scope)
	}); ok && !downstream.IsZero() {
		remembers.Forget(caller, downstream)
	}
	return nil
}

// ask returns the result that sends the person to the link of a refusal, or nil when words or a challenge must do: there
// is no link, the client cannot show it, or it has been shown in this call.
//
// The link leads to Entra and carries nothing of ours. Whoever opens it consents for themselves alone.
func (s *Server) ask(ctx context.Context, req *mcp.CallToolRequest, caller *identity.Caller, failure error) *mcp.CallToolResult {
	refusal, ok := errors.AsType[*obo.Refusal](failure)
	if !ok || req.Params.RequestState != "" || challengeFor(failure, caller) != nil || !opensLinks(req) {
		return nil
	}
	link, message := refusal.ConsentURL, refusal.Say()
	if link == "" {
		link, message = refusal.SignInURL, message+staysAsItIs
	}
	if link == "" {
		return nil
	}
	state, err := s.states.Seal(useOf(req, caller), nil, s.config.Now())
	if err != nil {
		s.config.Logger.ErrorContext(ctx, "no state for a call that asks its person", slog.Any("error", err))
		return nil
	}
	return &mcp.CallToolResult{
		InputRequests: mcp.InputRequestMap{linkInput: &mcp.ElicitParams{Mode: "url", Message: message, URL: link, ElicitationID: rand.Text()}},
		RequestState:  state,
		Meta:          mcp.Meta{MetaRefusal: refusalOf(refusal)},
	}
}

// opensLinks reports whether the client said, in this very request, that it shows links to its person.
func opensLinks(req *mcp.CallToolRequest) bool {
	if req.ProtocolVersion() < retriesSince {
		return false
	}
	able := req.ClientCapabilities()
	return able != nil && able.Elicitation != nil && able.Elicitation.URL != nil
}

// useOf is what the state of a call is bound to.
func useOf(req *mcp.CallToolRequest, caller *identity.Caller) sealed.Use {
	return sealed.Use{Caller: caller, Tool: req.Params.Name, Arguments: canonical(req.Params.Arguments)}
}

// canonical writes arguments in one way, whatever order and spaces the client gave them the second time.
func canonical(arguments json.RawMessage) []byte {
	if len(bytes.TrimSpace(arguments)) == 0 {
		return []byte("{}")
	}
	decoder := json.NewDecoder(bytes.NewReader(arguments))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return arguments
	}
	written, err := json.Marshal(value)
	if err != nil {
		return arguments
	}
	return written
}
