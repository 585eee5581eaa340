package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	api "github.com/sashabaranov/go-openai"

	"github.com/onbehalf/onbehalf/internal/agent"
)

// statusError is an answer that is none.
type statusError struct {
	status int
	body   string // bounded; it may quote what people asked, and the key
	retry  time.Duration
}

// Error implements error.
func (e *statusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("HTTP %d %s", e.status, codes(e.body)))
}

var codePattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// codes are an error's codes and types, which is all that the log is told of it: messages quote people's questions (vLLM
// the whole request) and keys.
func codes(body string) string {
	type fields struct {
		Code any
		Type string
	}
	var said struct {
		fields
		Error json.RawMessage
	}
	_ = json.Unmarshal([]byte(body), &said) // no JSON, no codes
	var inner fields
	_ = json.Unmarshal(said.Error, &inner) // as above
	var out []string
	for _, one := range []any{inner.Code, inner.Type, said.Code, said.Type} {
		if text := fmt.Sprint(one); one != nil && codePattern.MatchString(text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, " ")
}

// about reports whether the server does not take a request for this part of it.
func (e *statusError) about(word string) bool {
	return (e.status == http.StatusBadRequest || e.status == http.StatusUnprocessableEntity) && strings.Contains(e.body, word)
}

// reasoning reports whether a model takes tools only where it is told not to reason. It reasons by itself, so that this is
// said of requests that ask for nothing.
//
// https://github.com/openai/openai-openapi/issues/541
// https://github.com/BerriAI/litellm/pull/34569
func (e *statusError) reasoning() bool {
	return e.about("tools with reasoning_effort are not supported")
}

// retryAfter reads how long to wait: in milliseconds as Azure says it, in seconds, or until a date.
//
// https://learn.microsoft.com/azure/ai-foundry/openai/how-to/quota
func retryAfter(header http.Header) time.Duration {
	if ms, err := strconv.Atoi(header.Get("Retry-After-Ms")); err == nil && ms > 0 {
		return time.Duration(min(ms, int(time.Hour/time.Millisecond))) * time.Millisecond
	}
	value := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 3600) * float64(time.Second))
	}
	until, err1 := http.ParseTime(value)
	from, err2 := http.ParseTime(header.Get("Date"))
	if err1 == nil && err2 == nil && until.After(from) {
		return min(until.Sub(from), time.Hour)
	}
	return 0
}

// known makes a kind of an error, and words for people in which the model's server has no say.
func known(err error) error {
	out := &agent.ModelError{Kind: agent.ModelBroken, Text: "The model's answer could not be read.", Cause: err}
	status, isStatus := errors.AsType[*statusError](err)
	said, isError := errors.AsType[*api.APIError](err)
	network, isNetwork := errors.AsType[*url.Error](err)
	_, isConnection := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(err, agent.ErrTooLarge):
		out.Kind, out.Text = agent.ModelExcessive, "The model's answer was longer than is accepted."
	case isStatus:
		byStatus(out, status)
	case isError: // in the middle of the stream
		out.Cause = errors.New("an error in the stream")
		if !byWords(out, fmt.Sprint(said.Code, " ", said.Type, " ", said.Message)) {
			out.Kind, out.Text = agent.ModelUnavailable, "The model failed in the middle of its answer."
		}
	case errors.Is(err, api.ErrReasoningToolsRequireResponses), errors.Is(err, api.ErrReasoningEffortUnsupported):
		out.Kind, out.Text = agent.ModelRejected, noTools
	case isNetwork:
		out.Kind, out.Text, out.Cause = agent.ModelUnavailable, "The model's server cannot be reached.", network.Err
	case errors.Is(err, io.ErrUnexpectedEOF):
		out.Text = "The model's answer ended in the middle."
	case isConnection:
		out.Kind, out.Text = agent.ModelUnavailable, "The connection to the model's server was lost."
	}
	return out
}

// byStatus knows what HTTP says.
//
// https://platform.openai.com/docs/guides/error-codes
func byStatus(out *agent.ModelError, e *statusError) {
	switch {
	case e.status == http.StatusUnauthorized, e.status == http.StatusForbidden:
		out.Kind, out.Text = agent.ModelUnauthorized, "The model's server does not accept this agent's credential: tell its operator."
	case e.status == http.StatusTooManyRequests && strings.Contains(e.body, "insufficient_quota"): // waiting does not help
		out.Kind, out.Text = agent.ModelRejected, "The account at the model's provider is used up: tell this agent's operator."
	case e.status == http.StatusTooManyRequests:
		out.Kind, out.Text, out.Retry = agent.ModelThrottled, "The model has had too many requests: try again in a moment.", e.retry
	case e.status == http.StatusRequestEntityTooLarge:
		out.Kind, out.Text = agent.ModelTooLong, tooLong
	case byWords(out, e.body):
	case e.status == http.StatusNotFound:
		out.Kind, out.Text = agent.ModelRejected, "There is no such model, or nothing at this address: tell this agent's operator."
	case e.status >= http.StatusInternalServerError, e.status == http.StatusRequestTimeout:
		out.Kind, out.Text = agent.ModelUnavailable, "The model's server does not answer now: try again in a moment."
	default:
		out.Kind, out.Text = agent.ModelRejected, "The model's server does not take this request: tell this agent's operator."
	}
}

const noTools = "This model does not take tools over this protocol: tell this agent's operator to choose another."

const tooLong = "This conversation is longer than the model takes: go on in a new one."

// byWords knows what servers say in their own codes and words.
func byWords(out *agent.ModelError, body string) bool {
	lower := strings.ToLower(body)
	holds := func(words ...string) bool {
		for _, word := range words {
			if strings.Contains(lower, word) {
				return true
			}
		}
		return false
	}
	switch {
	case holds("content_filter", "responsibleaipolicyviolation"):
		*out = *filtered(out.Cause)
	case holds("context_length_exceeded", "context length", "maximum context", "context window", "exceed_context_size"):
		out.Kind, out.Text = agent.ModelTooLong, tooLong
	case holds("use /v1/responses", "in v1/responses"): // OpenAI
		out.Kind, out.Text = agent.ModelRejected, noTools
	case holds("does not support tools", "tool choice requires", "enable-auto-tool-choice"): // Ollama, vLLM
		out.Kind, out.Text = agent.ModelRejected, "This model, as it is served, does not call tools: tell this agent's operator."
	default:
		return false
	}
	return true
}

func filtered(cause error) *agent.ModelError {
	return &agent.ModelError{Kind: agent.ModelFiltered, Text: "The model's provider filtered this question or its answer.", Cause: cause}
}
