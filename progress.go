package onbehalf

import (
	"context"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Progress tells the person how far a tool has come: done of total, 0 where nobody knows, and a word about it, or "". Ctx
// is that of the [Handler]. It does nothing for a client that did not ask for progress, so that a tool need not know, and
// nothing where done has not grown, as when a handler runs once more with a fresh token.
//
// The first progress begins the answer. What a tool learns afterwards can no longer become an HTTP 401 that makes the
// client sign in anew: its person gets words. So report when the first downstream call has succeeded.
//
// https://modelcontextprotocol.io/specification/2026-07-28/basic/utilities/progress
func Progress(ctx context.Context, done, total float64, message string) {
	r, _ := ctx.Value(reporterKey{}).(*reporter)
	if r == nil || ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun && done <= r.done {
		return
	}
	r.begun, r.done = true, done
	_ = r.session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ // who is gone is noticed by the context
		ProgressToken: r.token, Progress: done, Total: total, Message: message,
	})
}

// reporter is where the progress of one call goes.
type reporter struct {
	session *mcp.ServerSession
	token   any

	mu    sync.Mutex
	begun bool
	done  float64
}

type reporterKey struct{}

// reporting puts the reporter of a call into its context, where the client asked for progress.
func reporting(ctx context.Context, req *mcp.CallToolRequest) context.Context {
	token := req.Params.GetProgressToken()
	if token == nil || req.Session == nil {
		return ctx
	}
	return context.WithValue(ctx, reporterKey{}, &reporter{session: req.Session, token: token})
}
