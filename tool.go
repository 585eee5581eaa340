package onbehalf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/bearer"
	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/obo"
)

// Tool describes a tool to clients and models, and says who may call it.
type Tool struct {
	Name        string // letters, digits, "_", "-", "."; the key of the tool
	Title       string // for people
	Description string // for the model: what it does, when to use it
	ReadOnly    bool   // a hint to clients: the tool changes nothing

	// InputSchema replaces the JSON schema that is derived from the handler's input type.
	InputSchema *jsonschema.Schema

	// Scopes are short names of permissions of this API, all needed besides the server's own. A caller without them
	// gets 403 insufficient_scope with what to ask for, and does not see the tool in the list.
	Scopes []string
	// Roles are application roles of which the caller needs one.
	Roles []string
	// Applications also lets applications without a person call, by one of Roles, where Config.Verify allows them. Such
	// a tool cannot have a downstream scope: there is nobody to act for.
	Applications bool
}

// Handler does the work of a tool, as the caller. The token is one for the tool's downstream scope, issued to the
// caller; it is zero when the tool has none. Its text reaches the model only when err is made by [Say], or is a refusal
// that the catalogue of package entra knows how to put; any other error is logged and answered by a reference.
//
// The context ends with [Config].Timeout, and with the client's request where its protocol is 2026-07-28 or newer; in
// older ones a client that goes away is not noticed. A long call says how far it is by [Progress].
//
// When err says that the downstream API rejected the token (it has a method Rejected() (claims string, rejected bool)),
// the token is dropped and the handler is run once more with a fresh one.
type Handler[In, Out any] func(ctx context.Context, caller *identity.Caller, token identity.Token, in In) (Out, error)

// AddTool adds a tool to the server. The JSON schemas of input and output are derived from In and Out, which must be
// structs or maps; a downstream scope that is not zero makes the handler get a token for it. The error says what is
// wrong with the tool.
func AddTool[In, Out any](s *Server, tool *Tool, downstream entra.Scope, handle Handler[In, Out]) (err error) {
	if tool == nil || handle == nil {
		return errors.New("a tool wants a description and a handler")
	}
	required, err := s.requirement(tool, downstream)
	if err != nil {
		return fmt.Errorf("tool %q: %w", tool.Name, err)
	}
	definition, err := define[In, Out](tool)
	if err != nil {
		return err
	}
	if _, taken := s.tools.LoadOrStore(tool.Name, definition.InputSchema); taken {
		return fmt.Errorf("tool %q: there is one of that name", tool.Name)
	}
	s.gate.Require(tool.Name, required)
	defer func() { // the SDK panics on what it cannot accept
		if reason := recover(); reason != nil {
			s.tools.Delete(tool.Name)
			err = fmt.Errorf("tool %q: %v", tool.Name, reason)
		}
	}()
	mcp.AddTool(s.mcp, definition, func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		var out Out
		caller, err := caller(req)
		if err != nil {
			return nil, out, err
		}
		ctx, cancel := context.WithTimeout(reporting(ctx, req), s.config.Timeout)
		defer cancel()
		start := s.config.Now()
		if err = s.resume(req, caller, downstream); err == nil {
			err = s.spend(ctx, caller, downstream, func(token identity.Token) (failure error) {
				out, failure = handle(ctx, caller, token, in)
				return failure
			})
		}
		chain.Add(ctx, chain.Hop{
			Station: chain.Tool, Decision: decisionOf(err), Name: tool.Name, Subject: caller.Object.String(),
			Tenant: caller.Tenant.String(), Start: start, Took: s.config.Now().Sub(start), Arguments: s.recorded(in),
		})
		if question := s.ask(ctx, req, caller, err); question != nil {
			return question, out, nil
		}
		return nil, out, err
	})
	return nil
}

// maxArguments bounds the arguments that are recorded.
const maxArguments = 4 << 10

// recorded returns the arguments as the chain keeps them: not at all, unless the operator asks for them.
func (s *Server) recorded(in any) json.RawMessage {
	if !s.config.RecordArguments {
		return nil
	}
	raw, err := json.Marshal(in)
	if err != nil || len(raw) > maxArguments {
		return json.RawMessage(`"too large to record"`)
	}
	return raw
}

// spend runs use with a token for the scope, or with none when there is no scope.
func (s *Server) spend(ctx context.Context, caller *identity.Caller, scope entra.Scope, use func(identity.Token) error) error {
	if scope.IsZero() {
		return use(identity.Token{})
	}
	return obo.Do(ctx, s.config.Exchanger, caller, scope, use)
}

// caller takes the caller from the request, the only place where that happens. The gate has checked what the tool asks
// for, by the header and again by the call.
func caller(req *mcp.CallToolRequest) (*identity.Caller, error) {
	if req.Extra == nil {
		return nil, errNoCaller
	}
	verified, ok := bearer.CallerFrom(req.Extra.TokenInfo)
	if !ok {
		return nil, errNoCaller
	}
	return verified, nil
}

// errNoCaller cannot happen behind the middleware; it is here so that a mistake in the wiring fails closed.
var errNoCaller = errors.New("no verified caller")

// toolName is what the protocol allows as the name of a tool.
//
// https://modelcontextprotocol.io/specification/2026-07-28/server/tools#tool-names
var toolName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

// requirement says what a tool asks of its callers, or what is wrong with that.
func (s *Server) requirement(tool *Tool, downstream entra.Scope) (bearer.Requirement, error) {
	required := bearer.Requirement{Roles: tool.Roles, Applications: tool.Applications}
	switch {
	case !toolName.MatchString(tool.Name):
		return required, errors.New(`want a name of 1 to 128 letters, digits, "_", "-" and "."`)
	case tool.Applications && len(tool.Roles) == 0:
		return required, errors.New("applications may call by a role alone, and it names none")
	case tool.Applications && !downstream.IsZero():
		return required, fmt.Errorf("an application has no token to exchange for %s", downstream)
	case !downstream.IsZero() && s.config.Exchanger == nil:
		return required, fmt.Errorf("it names the downstream scope %s, but the server has no Exchanger", downstream)
	}
	for _, name := range tool.Scopes {
		scope, err := entra.NewScope(s.config.AppIDURI, name)
		if err != nil {
			return required, err
		}
		required.Scopes = append(required.Scopes, scope)
	}
	return required, nil
}

// define makes the SDK's description of a tool.
func define[In, Out any](tool *Tool) (*mcp.Tool, error) {
	input := tool.InputSchema
	var err error
	if input == nil {
		if input, err = jsonschema.For[In](nil); err != nil {
			return nil, fmt.Errorf("tool %q: input: %w", tool.Name, err)
		}
	}
	output, err := jsonschema.For[Out](nil)
	if err != nil {
		return nil, fmt.Errorf("tool %q: output: %w", tool.Name, err)
	}
	return &mcp.Tool{
		Name: tool.Name, Title: tool.Title, Description: tool.Description,
		InputSchema: withoutNull(input), OutputSchema: output,
		Annotations: &mcp.ToolAnnotations{Title: tool.Title, ReadOnlyHint: tool.ReadOnly, DestructiveHint: new(!tool.ReadOnly)},
	}, nil
}

// withoutNull turns the union types that Go's slices and pointers are inferred as into plain ones: several clients and
// models refuse {"type": ["null", "array"]} in what they have to fill in.
func withoutNull(schema *jsonschema.Schema) *jsonschema.Schema {
	if schema == nil {
		return nil
	}
	if len(schema.Types) == 2 && slices.Contains(schema.Types, "null") {
		schema.Type = schema.Types[0]
		if schema.Type == "null" {
			schema.Type = schema.Types[1]
		}
		schema.Types = nil
	}
	for _, property := range schema.Properties {
		withoutNull(property)
	}
	withoutNull(schema.Items)
	withoutNull(schema.AdditionalProperties)
	return schema
}
