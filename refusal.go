package onbehalf

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/bearer"
	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/arguments"
	"github.com/onbehalf/onbehalf/obo"
)

// MetaChain is the key of a result's _meta that holds the id of the call's chain.
const MetaChain = "onbehalf/chain"

// MetaRefusal is the key of a result's _meta that tells programs what the words of a refusal tell people: an object with
// kind, aadsts, correlation and retryAfter (seconds), each only where it is known.
const MetaRefusal = "onbehalf/refusal"

// codeRefused is the JSON-RPC error code in the body of an HTTP 401 or 403 that a tool's refusal became: a client that
// cannot act on the header still shows the reason.
const codeRefused = -32001

// Say makes an error whose message is meant for the person and the model. The cause, which may be nil, goes to the log
// alone.
func Say(message string, cause error) error { return &said{message: message, cause: cause} }

// Report is [Say] for what the server's operator has to mend: the cause goes to the log as an error, and the message ends
// with the reference under which the operator finds it there.
func Report(message string, cause error) error {
	return &said{message: message, cause: cause, report: true}
}

type said struct {
	message string
	cause   error
	report  bool
}

func (s *said) Error() string { return s.message }
func (s *said) Unwrap() error { return s.cause }

// recoverPanics keeps a panic in a tool from ending the process; the SDK has none of that by policy.
func (s *Server) recoverPanics(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (result mcp.Result, err error) {
		defer func() {
			if reason := recover(); reason != nil {
				s.config.Logger.ErrorContext(ctx, "panic in a handler", slog.String("method", method),
					slog.String("chain", chainID(ctx)), slog.Any("reason", reason), slog.String("stack", string(debug.Stack())))
				result, err = nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: internalMessage(ctx)}
			}
		}()
		return next(ctx, method, req)
	}
}

// nullArguments reads arguments that are null as none at all: some clients send that for a tool without any, and the SDK
// panics on it where the schema has defaults.
func nullArguments(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if call, ok := req.(*mcp.CallToolRequest); ok && call.Params != nil && string(bytes.TrimSpace(call.Params.Arguments)) == "null" {
			call.Params.Arguments = nil
		}
		return next(ctx, method, req)
	}
}

// answerRefusals turns the error of a tool into what the client can act on: a challenge where that is possible, words
// where it is not, and a reference where the error is not meant for anybody outside.
func (s *Server) answerRefusals(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		result, err := next(ctx, method, req)
		call, isCall := result.(*mcp.CallToolResult)
		if err != nil || !isCall {
			return result, err
		}
		if failure := call.GetError(); failure != nil {
			if request, ok := req.(*mcp.CallToolRequest); ok && unreached(ctx, failure) {
				failure = Say(s.misfit(request.Params, failure), nil)
			}
			if challenge := challengeFor(failure, callerOf(req)); challenge != nil && bearer.Raise(ctx, challenge) {
				return nil, &jsonrpc.Error{Code: codeRefused, Message: s.words(ctx, failure), Data: refusalData(ctx, failure)}
			}
			call.Content = []mcp.Content{&mcp.TextContent{Text: s.words(ctx, failure)}}
			call.StructuredContent = nil
			if refusal, ok := errors.AsType[*obo.Refusal](failure); ok {
				setMeta(call, MetaRefusal, refusalOf(refusal))
			}
		}
		if id := chainID(ctx); id != "" {
			setMeta(call, MetaChain, id)
		}
		return call, nil
	}
}

// challengeFor returns the HTTP answer that a refusal should become, or nil when words must do. A claims challenge goes
// only to clients whose token says that they can handle one.
func challengeFor(failure error, caller *identity.Caller) *bearer.Challenge {
	if challenge, ok := errors.AsType[*bearer.Challenge](failure); ok {
		return challenge
	}
	refusal, ok := errors.AsType[*obo.Refusal](failure)
	if !ok || refusal.Claims == "" || caller == nil || !caller.CP1 {
		return nil
	}
	return &bearer.Challenge{
		Status: http.StatusUnauthorized, Code: "insufficient_claims",
		Description: refusal.Advice.Cause, Claims: refusal.Claims,
	}
}

// words says an error in a way that may leave the server.
func (s *Server) words(ctx context.Context, failure error) string {
	var (
		meant     *said
		refusal   *obo.Refusal
		challenge *bearer.Challenge
	)
	switch {
	case errors.As(failure, &refusal):
		return refusal.Say()
	case errors.As(failure, &meant):
		if meant.report {
			s.config.Logger.ErrorContext(ctx, "tool failed", slog.String("chain", chainID(ctx)), slog.Any("error", meant.cause))
			return meant.message + "; the operator finds the reason under the reference " + chainID(ctx)
		}
		if meant.cause != nil {
			s.config.Logger.InfoContext(ctx, "tool said no", slog.String("chain", chainID(ctx)), slog.Any("cause", meant.cause))
		}
		return meant.message
	case errors.As(failure, &challenge):
		return challenge.Description
	case errors.Is(failure, context.DeadlineExceeded):
		return "the call took too long and was given up; try again, or ask for less"
	default:
		s.config.Logger.ErrorContext(ctx, "tool failed", slog.String("chain", chainID(ctx)), slog.Any("error", failure))
		return internalMessage(ctx)
	}
}

// misfit says why a tool cannot take the arguments of a call. A tool that was added to the SDK's server has words of its own.
func (s *Server) misfit(call *mcp.CallToolParamsRaw, failure error) string {
	if schema, ok := s.tools.Load(call.Name); ok {
		if schema, ok := schema.(*jsonschema.Schema); ok {
			return call.Name + " cannot take these arguments: " + arguments.Explain(schema, call.Arguments, failure.Error())
		}
	}
	return failure.Error()
}

// unreached reports whether an error is the SDK's, about arguments that do not fit the schema: no handler has run.
func unreached(ctx context.Context, failure error) bool {
	if errors.Unwrap(failure) != nil {
		return false
	}
	call := chain.FromContext(ctx)
	if call == nil {
		return false
	}
	hops, dropped := call.Hops()
	return dropped == 0 && !slices.ContainsFunc(hops, func(h chain.Hop) bool { return h.Station == chain.Tool })
}

func internalMessage(ctx context.Context) string {
	return "the tool failed; the operator finds the reason under the reference " + chainID(ctx)
}

func setMeta(call *mcp.CallToolResult, key string, value any) {
	if call.Meta == nil {
		call.Meta = mcp.Meta{}
	}
	call.Meta[key] = value
}

// refusalInfo tells programs what the words tell people.
type refusalInfo struct {
	Kind        string `json:"kind,omitempty"`
	AADSTS      int    `json:"aadsts,omitempty"`
	Correlation string `json:"correlation,omitempty"` // of Entra's answer
	RetryAfter  int    `json:"retryAfter,omitempty"`  // seconds
	Chain       string `json:"chain,omitempty"`
}

func refusalOf(refusal *obo.Refusal) refusalInfo {
	info := refusalInfo{Kind: refusal.Kind.String(), AADSTS: refusal.Advice.Code, RetryAfter: int(refusal.RetryAfter.Seconds())}
	if refusal.Entra != nil {
		info.Correlation = refusal.Entra.Correlation
	}
	return info
}

func refusalData(ctx context.Context, failure error) json.RawMessage {
	var data refusalInfo
	if refusal, ok := errors.AsType[*obo.Refusal](failure); ok {
		data = refusalOf(refusal)
	}
	data.Chain = chainID(ctx)
	out, err := json.Marshal(data)
	if err != nil {
		return nil
	}
	return out
}

func callerOf(req mcp.Request) *identity.Caller {
	extra := req.GetExtra()
	if extra == nil {
		return nil
	}
	caller, ok := bearer.CallerFrom(extra.TokenInfo)
	if !ok {
		return nil
	}
	return caller
}

// decisionOf says in the chain's words what an error was.
func decisionOf(err error) chain.Decision {
	var (
		refusal   *obo.Refusal
		meant     *said
		challenge *bearer.Challenge
	)
	switch {
	case err == nil:
		return chain.Allowed
	case errors.As(err, &refusal), errors.As(err, &meant), errors.As(err, &challenge):
		return chain.Refused
	default:
		return chain.Failed
	}
}

func chainID(ctx context.Context) string {
	if call := chain.FromContext(ctx); call != nil {
		return call.ID()
	}
	return ""
}
