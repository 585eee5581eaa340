package web_test

import (
	"context"

	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/builtin"
)

// held is the stand-in, held in the middle of each answer.
type held struct {
	builtin.Model
	hold func(ctx context.Context)
}

func (h held) Stream(ctx context.Context, request *agent.ModelRequest, text func(string)) (*agent.Answer, error) {
	first := true
	return h.Model.Stream(ctx, request, func(part string) {
		text(part)
		if first {
			first = false
			h.hold(ctx)
		}
	})
}

// holdUntilStopped is for answers that never end by themselves.
func holdUntilStopped(ctx context.Context) { <-ctx.Done() }
