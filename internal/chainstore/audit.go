package chainstore

import (
	"context"
	"log/slog"

	"github.com/onbehalf/onbehalf/chain"
)

// Audit writes each call as one record, calls of unknown people included.
type Audit struct{ log *slog.Logger }

// NewAudit makes an audit log; a logger with slog's JSON handler gives JSON lines.
func NewAudit(log *slog.Logger) *Audit { return &Audit{log} }

// Record implements [chain.Recorder].
func (a *Audit) Record(ctx context.Context, recorded *chain.Call) {
	call := summarize(recorded)
	level := slog.LevelInfo
	if call.Decision != chain.Allowed {
		level = slog.LevelWarn
	}
	a.log.LogAttrs(ctx, level, "call",
		slog.String("id", call.ID),
		slog.String("tenant", call.owner.tenant),
		slog.String("subject", call.owner.object),
		slog.String("tool", call.Tool),
		slog.String("decision", string(call.Decision)),
		slog.String("reason", call.Reason),
		slog.Duration("took", call.Took),
		slog.Int("dropped", call.Dropped),
		slog.Any("hops", call.Hops),
	)
}
