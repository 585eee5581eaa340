package agent

import (
	"context"
	"errors"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/internal/agent/dialog"
	"github.com/onbehalf/onbehalf/internal/agent/mcpdata"
	"github.com/onbehalf/onbehalf/internal/agent/mcplink"
)

// leastKept is what is kept of a result even where a turn has brought more than a model is ever sent.
const leastKept = 1 << 10

// keep takes what a tool returned: of all results of a turn no more than twice what a model is sent.
func (t *turn) keep(call *dialog.Call, result *mcp.CallToolResult) {
	left := 2 * t.cfg.Limits.Context
	for i := len(t.conv.Messages) - 1; i >= 0 && t.conv.Messages[i].Role == dialog.Assistant; i-- {
		for j := range t.conv.Messages[i].Calls {
			if r := t.conv.Messages[i].Calls[j].Result; r != nil {
				left -= len(r.Text) + len(r.Structured)
			}
		}
	}
	most := min(t.cfg.Limits.Result, max(left, leastKept))
	kept := &dialog.Result{IsError: result.IsError}
	documents := mcpdata.Links(result)
	call.Nothing = false
	if value := mcpdata.ValueOf(result); value != nil && len(documents) == 0 {
		documents = value.Documents()
		call.Nothing = !result.IsError && value.NoDocuments()
		whole := value.JSON(1 << 30)
		if kept.Text = value.JSON(most); kept.Text != "" {
			kept.Text = mcpdata.Plain(kept.Text, most)
			kept.Cut = max(0, len(whole)-len(kept.Text))
		}
	}
	if kept.Text == "" {
		kept.Text, kept.Cut = mcpdata.Words(result, most)
	}
	call.Result = kept
	if !result.IsError {
		t.number(call, documents)
	}
}

// number gives a call's documents their numbers in the turn.
func (t *turn) number(call *dialog.Call, documents []mcpdata.Document) {
	known, most := map[string]int{}, 0
	for i := len(t.conv.Messages) - 1; i >= 0 && t.conv.Messages[i].Role == dialog.Assistant; i-- {
		for j := range t.conv.Messages[i].Calls {
			other := &t.conv.Messages[i].Calls[j]
			for k := range other.Sources {
				known[other.Server+" "+other.Sources[k].Key()] = other.Sources[k].N
				most = max(most, other.Sources[k].N)
			}
		}
	}
	call.Sources = nil
	for _, d := range documents {
		source := dialog.Source{ID: d.ID, Title: d.Title, Extract: d.Extract, Score: d.Score, URI: d.URI}
		if source.Title == "" {
			source.Title = source.Key()
		}
		key := call.Server + " " + source.Key()
		if known[key] == 0 {
			most++
			known[key] = most
		}
		source.N = known[key]
		call.Sources = append(call.Sources, source)
	}
}

// failure says in a sentence why a call failed. What the server says is quoted as such.
func failure(call *dialog.Call, err error) string {
	said := mcplink.Said(err)
	switch {
	case errors.Is(err, errSlow), errors.Is(err, context.DeadlineExceeded):
		return call.Host + " took longer than is waited for: whether the call was done is not known."
	case errors.Is(err, ErrTooLarge):
		return call.Host + " answered with more than is accepted."
	case said != nil:
		return call.Host + " refuses the call, and says: " + mcpdata.Line(said.Message, maxWords)
	default:
		return call.Host + " did not answer as it should."
	}
}

// Repeat makes a call that succeeded once more, as the person who wants to see it now: for what was not kept, since rights
// change. It returns the call with what came back; of its sources those that are still there, under their numbers. A
// call that would not run unasked by configuration alone is not made but comes back asking, unless the person has confirmed
// this very call. One whose tool has another definition now is not made at all.
func (a *Agent) Repeat(ctx context.Context, p Person, call dialog.Call, confirmed bool) (dialog.Call, error) {
	if err := p.check(); err != nil {
		return call, err
	}
	if call.State != dialog.Succeeded || call.Tool == "" {
		return call, dialog.ErrNotWaiting
	}
	pool, done := a.linksFor(&p)
	defer done()
	before := call.Sources
	call = call.Clone()
	call.State = dialog.Approved
	scratch := &dialog.Conversation{Messages: []dialog.Message{{Role: dialog.Assistant, Calls: []dialog.Call{call}}}, Known: map[string]string{call.Name(): call.Definition}, Touched: call.After}
	t := &turn{Agent: a, person: &p, conv: scratch, emit: func(Event) {}, links: pool, tools: a.list(ctx, pool, &p)}
	if o := t.tools.byName[call.Name()]; !confirmed && o != nil && o.Definition == call.Definition {
		if reason, why := a.decide(scratch, o); reason != "" {
			t.ask(&call, o, reason, why)
			return call, context.Cause(ctx)
		}
	}
	t.run(ctx, t.last())
	call = t.last().Calls[0]
	if call.State == dialog.Asking {
		call.Decided(dialog.CallFailed)
		call.Error = "The tool says something else of itself today: ask again."
	}
	call.Sources = slices.DeleteFunc(call.Sources, func(s dialog.Source) bool {
		return !slices.ContainsFunc(before, func(old dialog.Source) bool { return old.N == s.N && old.Key() == s.Key() })
	})
	return call, context.Cause(ctx)
}
