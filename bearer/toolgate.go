package bearer

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// Requirement is what a tool asks of its caller, beyond the scopes that every request needs. The zero Requirement asks
// nothing of a person and keeps applications out.
type Requirement struct {
	Scopes []entra.Scope // a person's token must hold all of them
	Roles  []string      // the caller must hold one of them
	// Applications lets callers without a person use the tool, by one of Roles; the Verifier must allow them, too.
	Applications bool
}

// ToolGate keeps callers from tools that are not theirs. It looks twice: [ToolGate.Middleware] at the HTTP headers,
// cheaply and before anything is parsed; [ToolGate.Receiving] at the call as the MCP server has understood it, so that
// no difference between two parsers is a way around. Tools that a caller may not use are not listed either.
type ToolGate struct {
	base  []entra.Scope
	about about

	mu    sync.RWMutex
	tools map[string]Requirement
}

// NewToolGate returns a gate without any requirement yet.
func NewToolGate(v *Verifier) *ToolGate {
	return &ToolGate{base: v.cfg.Scopes, about: v.about(), tools: map[string]Requirement{}}
}

// Require sets what a tool asks of its caller.
func (g *ToolGate) Require(tool string, r Requirement) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.Scopes, r.Roles = slices.Clone(r.Scopes), slices.Clone(r.Roles)
	g.tools[tool] = r
}

// Check returns why the caller may not use the tool, or nil.
func (g *ToolGate) Check(tool string, c *identity.Caller) *Challenge {
	g.mu.RLock()
	required := g.tools[tool]
	g.mu.RUnlock()
	if c == nil {
		return invalidToken("no-caller", "the tool wants a verified caller")
	}
	if c.AppOnly && (!required.Applications || len(required.Roles) == 0) {
		return accessDenied("app-only", "this tool acts for people: the token is an application's, without a person")
	}
	if len(required.Roles) > 0 && !slices.ContainsFunc(required.Roles, c.HasRole) {
		return accessDenied("role", "this tool wants an application role that an administrator has to assign")
	}
	if c.AppOnly || !slices.ContainsFunc(required.Scopes, func(s entra.Scope) bool { return !c.HasScope(s.Name()) }) {
		return nil
	}
	// All that this operation needs, at once: a client replaces the scopes of its token by those of the challenge.
	scopes := slices.Clone(g.base)
	for _, s := range required.Scopes {
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return insufficientScope("tool-scope", "this tool wants a scope that the token lacks", scopes)
}

// Middleware refuses calls by the headers Mcp-Method and Mcp-Name, which the MCP server compares with the body from
// protocol 2026-07-28 on. It goes below [Verifier.Middleware]. Calls without these headers are left to
// [ToolGate.Receiving].
func (g *ToolGate) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(r.Header["Mcp-Method"], methodCall) {
			caller, _ := CallerFrom(auth.TokenInfoFromContext(r.Context()))
			for _, tool := range r.Header["Mcp-Name"] {
				if challenge := g.Check(tool, caller); challenge != nil {
					g.record(r.Context(), tool, challenge)
					challenge.write(w, g.about)
					return
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}

const (
	methodCall = "tools/call"
	methodList = "tools/list"
)

// Receiving is a middleware of the MCP server ([mcp.Server.AddReceivingMiddleware]). A refused call is answered with
// 403 where that is still possible, and with a JSON-RPC error in any case.
func (g *ToolGate) Receiving(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, request mcp.Request) (mcp.Result, error) {
		switch method {
		case methodCall:
			if err := g.call(ctx, request); err != nil {
				return nil, err
			}
			return next(ctx, method, request)
		case methodList:
			result, err := next(ctx, method, request)
			if list, ok := result.(*mcp.ListToolsResult); ok && err == nil {
				return g.shown(list, callerOf(request)), nil
			}
			return result, err
		default:
			return next(ctx, method, request)
		}
	}
}

func (g *ToolGate) call(ctx context.Context, request mcp.Request) error {
	call, ok := request.(*mcp.CallToolRequest)
	if !ok {
		return &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: "not a tool call"}
	}
	challenge := g.Check(call.Params.Name, callerOf(request))
	if challenge == nil {
		return nil
	}
	g.record(ctx, call.Params.Name, challenge)
	Raise(ctx, challenge)
	return &jsonrpc.Error{Code: errorCode, Message: challenge.Description}
}

func (g *ToolGate) shown(list *mcp.ListToolsResult, caller *identity.Caller) *mcp.ListToolsResult {
	shown := *list
	shown.Tools = slices.DeleteFunc(slices.Clone(list.Tools), func(t *mcp.Tool) bool { return g.Check(t.Name, caller) != nil })
	return &shown
}

func callerOf(request mcp.Request) *identity.Caller {
	extra := request.GetExtra()
	if extra == nil {
		return nil
	}
	caller, _ := CallerFrom(extra.TokenInfo)
	return caller
}

func (g *ToolGate) record(ctx context.Context, tool string, c *Challenge) {
	g.mu.RLock()
	_, known := g.tools[tool]
	g.mu.RUnlock()
	if !known {
		tool = "" // a name that a stranger made up does not belong into the chain
	}
	chain.Add(ctx, chain.Hop{Station: chain.Tool, Decision: chain.Refused, Reason: c.Reason, Name: tool, Status: c.Status})
}
