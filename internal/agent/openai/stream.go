package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	api "github.com/sashabaranov/go-openai"

	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/dialog"
)

const maxCalls = 128

// assembly puts an answer together from its parts.
type assembly struct {
	limits *agent.Limits
	text   func(string)
	beat   func() // something came

	said   strings.Builder
	calls  []*part
	size   int
	reason api.FinishReason
	ended  bool // by the stream's last line
	usage  dialog.Usage
}

// part is a call as far as it has come.
type part struct {
	index     int // -1: it has none
	id, name  string
	arguments strings.Builder
}

// read takes the stream to its end.
func (a *assembly) read(stream *api.ChatCompletionStream) error {
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		a.beat()
		if chunk.Usage != nil {
			a.usage = dialog.Usage{In: max(0, chunk.Usage.PromptTokens), Out: max(0, chunk.Usage.CompletionTokens)}
		}
		for i := range chunk.Choices {
			if chunk.Choices[i].Index != 0 {
				continue
			}
			if err := a.take(&chunk.Choices[i]); err != nil {
				return err
			}
		}
	}
}

func (a *assembly) take(choice *api.ChatCompletionStreamChoice) error {
	if choice.FinishReason != "" && choice.FinishReason != api.FinishReasonNull {
		a.reason = choice.FinishReason
	}
	for _, text := range []string{choice.Delta.Content, choice.Delta.Refusal} {
		if text == "" {
			continue
		}
		if a.size += len(text); a.size > a.limits.Answer {
			return agent.ErrTooLarge
		}
		a.said.WriteString(text)
		a.text(text)
	}
	for i := range choice.Delta.ToolCalls {
		if err := a.call(&choice.Delta.ToolCalls[i]); err != nil {
			return err
		}
	}
	return nil
}

func (a *assembly) call(delta *api.ToolCall) error {
	if a.size += len(delta.ID) + len(delta.Function.Name) + len(delta.Function.Arguments); a.size > a.limits.Answer {
		return agent.ErrTooLarge
	}
	p := a.partOf(delta)
	if p == nil {
		if len(a.calls) == maxCalls {
			return agent.ErrTooLarge
		}
		p = &part{index: -1}
		if delta.Index != nil {
			p.index = *delta.Index
		}
		a.calls = append(a.calls, p)
	}
	if p.id == "" {
		p.id = delta.ID
	}
	if p.name != delta.Function.Name { // else it is repeated
		p.name += delta.Function.Name
	}
	p.arguments.WriteString(delta.Function.Arguments)
	return nil
}

// partOf returns the call that a delta goes on with; nil for a new one. OpenAI tells calls apart by their index. Ollama has
// given the same index to all calls, with identifiers that differ, or none at all; others leave out the index.
//
// https://github.com/ollama/ollama/issues/15457
// https://github.com/ollama/ollama/issues/7881
func (a *assembly) partOf(delta *api.ToolCall) *part {
	for _, p := range slices.Backward(a.calls) {
		switch {
		case delta.Index != nil && p.index != *delta.Index:
			continue
		case delta.ID != "" && p.id != "" && delta.ID != p.id:
			continue
		case delta.ID == "" && delta.Function.Name != "" && p.name != delta.Function.Name && p.arguments.Len() > 0:
			return nil // another function where one has its arguments
		case delta.ID == "" && delta.Function.Name != "" && delta.Index == nil && json.Valid([]byte(p.arguments.String())):
			return nil // another call of the same function
		}
		return p
	}
	return nil
}

// answer is what came so far.
func (a *assembly) answer() *agent.Answer {
	out := &agent.Answer{Text: a.said.String(), Cut: a.reason == api.FinishReasonLength, Usage: a.usage}
	for _, p := range a.calls {
		out.Calls = append(out.Calls, agent.ModelCall{ID: p.id, Name: p.name, Arguments: p.arguments.String()})
	}
	return out
}

// verdict says whether an answer that ended is whole: it says why it ended, or at least that it did.
func (a *assembly) verdict() error {
	switch {
	case a.reason == "" && !a.ended, a.size == 0 && a.reason == "":
		return &agent.ModelError{Kind: agent.ModelBroken, Text: "The model's answer ended in the middle.", Cause: fmt.Errorf("no finish_reason after %d bytes", a.size)}
	case a.reason == api.FinishReasonContentFilter:
		return filtered(nil)
	default:
		return nil
	}
}
