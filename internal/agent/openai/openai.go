// Package openai is a model behind OpenAI's chat completions: OpenAI's own, Azure OpenAI, Ollama, vLLM and the many that
// speak the same. What a model's server says never reaches people, and none of it is trusted: it is bounded in size and in
// time, and its errors become kinds of [agent.ModelError].
package openai

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	api "github.com/sashabaranov/go-openai"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/agent"
)

// Config says which model, and where it is.
type Config struct {
	// URL is the endpoint's base, such as https://api.openai.com/v1, http://localhost:11434/v1 (Ollama) or
	// https://NAME.openai.azure.com/openai/v1 (Azure OpenAI without API versions).
	URL *url.URL
	// Model is the model's name, or that of the deployment.
	Model string
	// AzureVersion is the API version of an Azure OpenAI resource whose URL is https://NAME.openai.azure.com, such as
	// 2024-10-21. "": URL is used as it is.
	//
	// https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle
	AzureVersion string
	// Credential returns the key, or with Entra an access token; it is asked for each request. Nil: none is sent.
	Credential func(context.Context) (identity.Secret, error)
	// Entra says that the credential is an access token of Entra's.
	Entra bool
	// HTTPClient reaches the endpoint. Its timeout is not used, redirects are not followed.
	HTTPClient *http.Client
}

// Model is a model behind the protocol.
type Model struct {
	cfg    Config
	client *http.Client
	// What the server answered without: stream_options, which older ones do not know, and reasoning, without which OpenAI's
	// models since GPT-5.4 take no tools over chat completions.
	silent, unreasoned atomic.Bool
}

var _ agent.Model = (*Model)(nil)

// New validates the configuration.
func New(cfg Config) (*Model, error) {
	switch {
	case cfg.URL == nil || cfg.URL.Host == "" || cfg.URL.Scheme != "https" && cfg.URL.Scheme != "http" || cfg.URL.User != nil || cfg.URL.RawQuery != "":
		return nil, errors.New("openai: want the endpoint's URL, such as https://api.openai.com/v1")
	case cfg.Model == "" || strings.ContainsAny(cfg.Model, "?#"):
		return nil, errors.New("openai: want a model's name")
	case cfg.AzureVersion != "" && strings.Contains(cfg.Model, "/"):
		return nil, fmt.Errorf("openai: %q is no name of a deployment", cfg.Model)
	}
	m := &Model{cfg: cfg, client: &http.Client{}}
	if cfg.HTTPClient != nil {
		*m.client = *cfg.HTTPClient
	}
	m.client.Timeout = 0 // the agent's limits count
	m.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return m, nil
}

// Name implements [agent.Model].
func (m *Model) Name() (string, bool) { return m.cfg.Model, false }

// Stream implements [agent.Model].
func (m *Model) Stream(ctx context.Context, request *agent.ModelRequest, text func(string)) (*agent.Answer, error) {
	credential := identity.Secret{}
	if m.cfg.Credential != nil {
		var err error
		if credential, err = m.cfg.Credential(ctx); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, &agent.ModelError{Kind: agent.ModelUnauthorized, Text: "The agent could not get its own credential for the model: tell its operator.", Cause: err}
		}
	}
	limits := &request.Limits
	within, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := time.AfterFunc(limits.FirstChunk, func() { cancel(errHung) })
	defer patience.Stop()
	a := &assembly{limits: limits, text: text, beat: func() { patience.Reset(limits.NextChunk) }}
	err := m.ask(within, credential, m.wire(request), a)
	switch {
	case ctx.Err() != nil:
		return a.answer(), context.Cause(ctx)
	case errors.Is(context.Cause(within), errHung):
		return a.answer(), &agent.ModelError{Kind: agent.ModelHung, Text: "The model did not go on for too long.", Cause: err}
	case err != nil:
		return a.answer(), known(err)
	}
	return a.answer(), a.verdict()
}

var errHung = errors.New("nothing came for too long")

// wire puts a request into the library's words.
func (m *Model) wire(request *agent.ModelRequest) api.ChatCompletionRequest {
	out := api.ChatCompletionRequest{Model: m.cfg.Model, Messages: make([]api.ChatCompletionMessage, 0, len(request.Messages))}
	for i := range request.Messages {
		said := &request.Messages[i]
		message := api.ChatCompletionMessage{Role: said.Role, Content: said.Text, ToolCallID: said.Call}
		for _, call := range said.Calls {
			message.ToolCalls = append(message.ToolCalls, api.ToolCall{ID: call.ID, Type: api.ToolTypeFunction, Function: api.FunctionCall{Name: call.Name, Arguments: call.Arguments}})
		}
		out.Messages = append(out.Messages, message)
	}
	for _, tool := range request.Tools {
		out.Tools = append(out.Tools, api.Tool{Type: api.ToolTypeFunction, Function: &api.FunctionDefinition{Name: tool.Name, Description: tool.Description, Parameters: tool.Schema}})
	}
	return out
}

// ask sends a request and assembles the answer. What a server does not take of the optional parts it is not sent again.
func (m *Model) ask(ctx context.Context, credential identity.Secret, request api.ChatCompletionRequest, a *assembly) error {
	client := m.library(credential, a)
	silent, unreasoned := m.silent.Load(), m.unreasoned.Load()
	for {
		request.StreamOptions, request.ReasoningEffort = &api.StreamOptions{IncludeUsage: true}, ""
		if silent {
			request.StreamOptions = nil
		}
		if unreasoned {
			request.ReasoningEffort = api.ReasoningEffortNone
		}
		stream, err := client.CreateChatCompletionStream(ctx, request)
		if err == nil {
			defer stream.Close()
			m.silent.Store(silent)
			m.unreasoned.Store(unreasoned)
			return a.read(stream)
		}
		refused, isStatus := errors.AsType[*statusError](err)
		switch {
		case !silent && isStatus && refused.about("stream_options"):
			silent = true
		case !unreasoned && (isStatus && refused.reasoning() || errors.Is(err, api.ErrReasoningToolsRequireResponses)):
			unreasoned = true
		default:
			return err
		}
	}
}

// library makes a client for one request: the credential may be another one the next time.
func (m *Model) library(credential identity.Secret, a *assembly) *api.Client {
	config := api.DefaultConfig(credential.Reveal())
	if m.cfg.AzureVersion != "" {
		config = api.DefaultAzureConfig(credential.Reveal(), "")
		config.APIVersion = m.cfg.AzureVersion
		config.AzureModelMapperFunc = func(name string) string { return url.PathEscape(name) }
		if m.cfg.Entra {
			config.APIType = api.APITypeAzureAD
		}
	}
	config.BaseURL = m.cfg.URL.String()
	config.HTTPClient = doer{m.client, a}
	config.EmptyMessagesLimit = 10_000 // comments that keep a stream alive count, too
	return api.NewClientWithConfig(config)
}

// doer makes errors of answers that are none, and bounds those that are.
type doer struct {
	client *http.Client
	a      *assembly
}

const (
	maxError    = 16 << 10
	maxLine     = 1 << 20
	envelope    = 64 // bytes of JSON around a byte of text, at most: a token's part has some 250 around it
	maxOverhead = 1 << 20
)

// Do implements the library's HTTPDoer.
func (d doer) Do(r *http.Request) (*http.Response, error) {
	response, err := d.client.Do(r) //nolint:gosec // to the address that the operator configured, without redirects
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(response.Body, maxError)) // what was read is all that is said of it
		return nil, &statusError{status: response.StatusCode, body: string(body), retry: retryAfter(response.Header)}
	}
	response.Body = &lines{ReadCloser: response.Body, left: int64(d.a.limits.Answer)*envelope + maxOverhead, ended: func() { d.a.ended = true }}
	return response, nil
}

// lines bounds a body and each of its lines, and sees its last one: the library does not tell it from a connection that
// was cut.
type lines struct {
	io.ReadCloser
	left  int64 // of the body
	used  int   // of the line
	begin []byte
	ended func()
}

// Read implements [io.Reader].
func (l *lines) Read(into []byte) (int, error) {
	if l.left <= 0 || l.used > maxLine {
		return 0, agent.ErrTooLarge
	}
	n, err := l.ReadCloser.Read(into[:min(int64(len(into)), l.left)])
	l.left -= int64(n)
	for part := range bytes.SplitAfterSeq(into[:n], []byte("\n")) {
		l.take(part)
	}
	return n, err
}

// take sees a line, or a part of one.
func (l *lines) take(part []byte) {
	const done = "data: [DONE]"
	l.used += len(part)
	l.begin = append(l.begin, part[:min(len(part), len(done)+2-min(len(l.begin), len(done)+2))]...)
	if text := strings.TrimSpace(string(l.begin)); text == done || text == "data:[DONE]" {
		l.ended()
	}
	if bytes.HasSuffix(part, []byte("\n")) {
		l.used, l.begin = 0, l.begin[:0]
	}
}
