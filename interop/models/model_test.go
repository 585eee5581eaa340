//go:build interop

package models

import (
	"errors"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/openai"
)

// stream asks a model as the agent does, within limits that do not matter here.
func stream(t *testing.T, cfg openai.Config, in *agent.ModelRequest) (*agent.Answer, error) {
	t.Helper()
	model, err := openai.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	in.Limits = agent.Limits{Answer: 256 << 10, FirstChunk: 2 * time.Minute, NextChunk: time.Minute}
	return model.Stream(t.Context(), in, func(string) {})
}

func kindOf(t *testing.T, err error) agent.ModelErrorKind {
	t.Helper()
	if err == nil {
		return ""
	}
	known, ok := errors.AsType[*agent.ModelError](err)
	if !ok {
		t.Fatal(err)
	}
	return known.Kind
}
