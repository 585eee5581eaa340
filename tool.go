package onbehalf

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

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
}

// Handler does the work of a tool, as the caller. The token is one for the tool's downstream scope, issued to the
// caller; it is zero when the tool has none. Its text reaches the model only when err is made by [Say], or is a refusal
// that the catalogue of package entra knows how to put; any other error is logged and answered by a reference.
//
// When err says that the downstream API rejected the token (it has a method Rejected() (claims string, rejected bool)),
// the token is dropped and the handler is run once more with a fresh one.
type Handler[In, Out any] func(ctx context.Context, caller *identity.Caller, token identity.Token, in In) (Out, error)

// AddTool adds a tool to the server. The JSON schemas of input and output are derived from In and Out, which must be
// structs or maps; a downstream scope that is not zero makes the handler get a token for it. The error says what is
// wrong with the tool.
func AddTool[In, Out any](s *Server, tool *Tool, downstream entra.Scope, handle Handler[In, Out]) (err error) {
	if !downstream.IsZero() && s.config.Exchanger == nil {
		return fmt.Errorf("tool %q: names the downstream scope %s, but the server has no Exchanger", tool.Name, downstream)
	}
	definition, err := define[In, Out](tool)
	if err != nil {
		return err
	}
	if err = s.tools.add(tool); err != nil {
		return err
	}
	defer func() { // the SDK panics on what it cannot accept
		if reason := recover(); reason != nil {
			err = fmt.Errorf("tool %q: %v", tool.Name, reason)
		}
	}()
	mcp.AddTool(s.mcp, definition, func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		var out Out
		caller, err := s.admit(ctx, tool, req)
		if err != nil {
			return nil, out, err
		}
		ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
		defer cancel()
		start := s.config.Now()
		err = s.spend(ctx, caller, downstream, func(token identity.Token) (failure error) {
			out, failure = handle(ctx, caller, token, in)
			return failure
		})
		chain.Add(ctx, chain.Hop{
			Station: chain.Tool, Decision: decisionOf(err), Name: tool.Name, Subject: caller.Object.String(),
			Tenant: caller.Tenant.String(), Start: start, Took: s.config.Now().Sub(start),
		})
		return nil, out, err
	})
	return nil
}

// spend runs use with a token for the scope, or with none when there is no scope.
func (s *Server) spend(ctx context.Context, caller *identity.Caller, scope entra.Scope, use func(identity.Token) error) error {
	if scope.IsZero() {
		return use(identity.Token{})
	}
	return obo.Do(ctx, s.config.Exchanger, caller, scope, use)
}

// admit takes the caller from the request, the only place where that happens, and checks what the tool asks for. The
// middleware has checked it already where the header named the tool; here it cannot be got around.
func (s *Server) admit(_ context.Context, tool *Tool, req *mcp.CallToolRequest) (*identity.Caller, error) {
	if req.Extra == nil {
		return nil, errNoCaller
	}
	caller, ok := bearer.CallerFrom(req.Extra.TokenInfo)
	if !ok {
		return nil, errNoCaller
	}
	return caller, s.lacking(tool, caller)
}

// errNoCaller cannot happen behind the middleware; it is here so that a mistake in the wiring fails closed.
var errNoCaller = errors.New("no verified caller")

// lacking returns the challenge that names what the caller needs for the tool, or nil.
func (s *Server) lacking(tool *Tool, caller *identity.Caller) error {
	if len(tool.Roles) > 0 && !slices.ContainsFunc(tool.Roles, caller.HasRole) {
		return &bearer.Challenge{Status: 403, Code: "insufficient_scope", Description: "this tool needs an application role that you do not have"}
	}
	var missing bool
	for _, name := range tool.Scopes {
		missing = missing || !caller.HasScope(name)
	}
	if !missing {
		return nil
	}
	needed := []entra.Scope{s.scope}
	for _, name := range tool.Scopes {
		scope, err := entra.NewScope(s.config.AppIDURI, name)
		if err != nil {
			return err
		}
		needed = append(needed, scope)
	}
	return &bearer.Challenge{Status: 403, Code: "insufficient_scope", Description: "this tool needs more permissions", Scopes: needed}
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

// toolTable knows the tools by name, for the checks before and beside the SDK.
type toolTable struct {
	mu    sync.RWMutex
	tools map[string]*Tool
}

func newToolTable() *toolTable { return &toolTable{tools: map[string]*Tool{}} }

func (t *toolTable) add(tool *Tool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, taken := t.tools[tool.Name]; taken {
		return fmt.Errorf("tool %q: there is one of that name", tool.Name)
	}
	t.tools[tool.Name] = tool
	return nil
}

func (t *toolTable) find(name string) (*Tool, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	tool, ok := t.tools[name]
	return tool, ok
}
