package agent

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/internal/agent/dialog"
	"github.com/onbehalf/onbehalf/internal/agent/mcpdata"
	"github.com/onbehalf/onbehalf/internal/agent/mcplink"
)

const (
	maxAsked = 64  // calls of one answer that are looked at
	maxWords = 600 // bytes of what a server says about a failure
)

// reach lists the tools. What the person can mend becomes a call without a tool, and holds the turn; a server that is
// merely away does not, as long as another is there: it is left out until the turn ends. It reports whether the turn
// goes on.
func (t *turn) reach(ctx context.Context, m *dialog.Message) bool {
	t.tools = t.list(ctx, t.links, t.person)
	if t.stopped(ctx, m) {
		return false
	}
	held := false
	for i := range t.person.Servers {
		server := &t.person.Servers[i]
		err := t.tools.failed[server.Name]
		if err == nil {
			continue
		}
		call := dialog.Call{ID: rand.Text(), Server: server.Name, Host: server.Host, Started: t.cfg.Now().UTC(), Attempts: 1}
		t.unreached(ctx, &call, err)
		if call.Waits() {
			if call.Refusal.Kind == kindUnavailable && len(t.tools.failed) < len(t.person.Servers) {
				call.Refusal.Resumable = false
			} else {
				held = true
			}
		}
		m.Calls = append(m.Calls, call)
		t.emit(Event{Kind: EventCall, Message: m.ID, Call: new(call.Clone())})
	}
	if held {
		t.end(m, dialog.Waiting, "")
		return false
	}
	t.person.Servers = slices.DeleteFunc(slices.Clone(t.person.Servers), func(s Server) bool { return t.tools.failed[s.Name] != nil })
	return true
}

// kindUnavailable is the one kind of a refusal that time alone may mend.
const kindUnavailable = "unavailable"

// unreached says of a call that its server's tools could not be listed.
func (t *turn) unreached(ctx context.Context, call *dialog.Call, err error) {
	if call.Refusal = t.person.refuse(ctx, call, err, nil); call.Refusal != nil {
		call.State = dialog.Refused
		return
	}
	call.State, call.Error = dialog.CallFailed, "The tools of "+call.Server+" ("+call.Host+") could not be listed."
}

// plan makes calls of what the model asked for, left being how many more may be made. What it asks for twice at once is
// one call.
func (t *turn) plan(m *dialog.Message, asked []ModelCall, left int) {
	wires, twice := map[string]bool{}, false
	for i, one := range asked {
		if i == maxAsked {
			m.Notes = append(m.Notes, fmt.Sprintf("The model asked for %d calls at once: those after the first %d were left out.", len(asked), maxAsked))
			break
		}
		call := t.planned(&one)
		if slices.ContainsFunc(m.Calls, call.Same) {
			twice = true
			continue
		}
		if left--; left < 0 && call.State != dialog.Declined {
			call.Decided(dialog.CallFailed)
			call.Error = "Not made: this answer may make no further call."
		}
		if one.ID != "" && len(one.ID) <= 256 && !wires[one.ID] {
			call.Wire, wires[one.ID] = one.ID, true
		}
		m.Calls = append(m.Calls, call)
		t.emit(Event{Kind: EventCall, Message: m.ID, Call: new(call.Clone())})
	}
	if twice {
		m.Notes = append(m.Notes, "The model asked for the same call more than once: it counts once.")
	}
}

// settled returns the call of this turn, before a message, that was the same and cannot go otherwise: the person did not
// allow it, it was refused for good, or it could not be made. Nil: there is none.
func (t *turn) settled(call *dialog.Call, before int) *dialog.Call {
	for i := before - 1; i >= 0 && t.conv.Messages[i].Role == dialog.Assistant; i-- {
		for j := range t.conv.Messages[i].Calls {
			one := &t.conv.Messages[i].Calls[j]
			final := one.State == dialog.Declined || one.State == dialog.Refused && !one.Waits() || one.State == dialog.CallFailed && one.Attempts == 0
			if final && one.Tool != "" && one.Same(*call) {
				return one
			}
		}
	}
	return nil
}

// stuck reports whether the model did nothing in its last answer but ask once more for calls that are settled.
func (t *turn) stuck() bool {
	at := len(t.conv.Messages) - 1
	m, again := &t.conv.Messages[at], 0
	for i := range m.Calls {
		switch call := &m.Calls[i]; {
		case call.Tool == "":
		case t.settled(call, at) == nil:
			return false
		default:
			again++
		}
	}
	return again > 0
}

// planned decides about one call: whether there is such a tool, whether the arguments fit, whether it asks.
func (t *turn) planned(one *ModelCall) dialog.Call {
	call := dialog.Call{ID: rand.Text(), State: dialog.CallFailed, Arguments: keptArguments(one.Arguments)}
	o := t.tools.byWire[one.Name]
	if o == nil {
		call.Tool = mcpdata.Line(one.Name, maxWire)
		call.Error = "There is no such tool."
		if call.Tool == "" {
			call.Tool = "unnamed"
		}
		return call
	}
	call.Server, call.Host, call.Tool, call.Title, call.Definition = o.Server, o.server.Host, o.Name, o.Title, o.Definition
	arguments, err := o.schema.Check(one.Arguments)
	if err != nil {
		call.Error = "The arguments do not fit this tool: " + err.Error() + "."
		return call
	}
	call.Arguments, call.State, call.After = arguments, dialog.Approved, slices.Clone(t.conv.Touched)
	if before := t.settled(&call, len(t.conv.Messages)-1); before != nil && before.Definition == call.Definition {
		if call.State, call.Error = before.State, before.Error; call.State == dialog.Refused {
			call.State, call.Error = dialog.CallFailed, "Not made again: this very call was refused a moment ago."
		}
		return call
	}
	if reason, why := t.decide(t.conv, o); reason != "" {
		t.ask(&call, o, reason, why)
	}
	return call
}

// ask lets a call wait for its person, who reads what the tool says of itself, and what it said before.
func (t *turn) ask(call *dialog.Call, o *offer, reason dialog.AskReason, why string) {
	call.State, call.Reason, call.Why, call.Says, call.Said = dialog.Asking, reason, why, o.Description, ""
	if known := t.conv.Known[call.Name()]; known == "" || known == o.Definition {
		return
	}
	if reason != dialog.ReasonChanged {
		call.Why += " " + saysOther
	}
	switch said, kept := t.conv.Told[call.Name()]; {
	case kept && said == o.Description:
		call.Why += " What is shown of its description is the same as before: the change is in the rest of its definition."
	case kept:
		call.Said = said
	}
}

// settle runs what may run of a message's calls. It reports whether all have ended and the model is to be told.
func (t *turn) settle(ctx context.Context, m *dialog.Message) bool {
	ready := false
	for i := range m.Calls {
		ready = ready || m.Calls[i].State == dialog.Approved
	}
	if ready {
		t.emit(Event{Kind: EventMessage, Message: m.ID, State: m.State})
		if t.tools == nil {
			t.tools = t.list(ctx, t.links, t.person)
		}
		t.run(ctx, m)
	}
	if t.stopped(ctx, m) {
		return false
	}
	for i := range m.Calls {
		if m.Calls[i].Waits() {
			t.end(m, dialog.Waiting, "")
			return false
		}
	}
	t.end(m, dialog.Done, "")
	return true
}

// outcome is what came of a call.
type outcome struct {
	call   int
	server *Server
	result *mcp.CallToolResult
	err    error
	took   time.Duration
}

// run makes the approved calls, some beside one another.
func (t *turn) run(ctx context.Context, m *dialog.Message) {
	outcomes := make(chan outcome, t.cfg.Limits.AtOnce)
	running := 0
	finish := func() {
		done := <-outcomes
		running--
		call := &m.Calls[done.call]
		call.Took = done.took
		t.finish(ctx, call, done.server, done.result, done.err)
		t.emit(Event{Kind: EventCall, Message: m.ID, Call: new(call.Clone())})
	}
	for i := range m.Calls {
		if m.Calls[i].State != dialog.Approved {
			continue
		}
		for running == t.cfg.Limits.AtOnce {
			finish()
		}
		if ctx.Err() != nil {
			break
		}
		call := &m.Calls[i]
		o := t.begin(ctx, call)
		t.emit(Event{Kind: EventCall, Message: m.ID, Call: new(call.Clone())})
		if o == nil {
			continue
		}
		running++
		params, link, begun := params(call), t.links.Get(t.person.Key, o.Server, o.server.Transport), t.cfg.Now()
		go func() {
			callCtx, cancel := context.WithTimeoutCause(ctx, t.cfg.Limits.Call, errSlow)
			defer cancel()
			result, err := link.Call(callCtx, params)
			if err != nil && ctx.Err() == nil && callCtx.Err() != nil {
				err = errSlow
			}
			outcomes <- outcome{i, o.server, result, err, t.cfg.Now().Sub(begun)}
		}()
	}
	for running > 0 {
		finish()
	}
}

// begin makes an approved call ready. It returns nil where the call is not to be made: its tool is gone or has another
// definition than the one that was approved, or the call was only to reach a server.
func (t *turn) begin(ctx context.Context, call *dialog.Call) *offer {
	call.Attempts++
	call.Started, call.Took, call.Error, call.Refusal = t.cfg.Now().UTC(), 0, "", nil
	if err := t.tools.failed[call.Server]; err != nil {
		t.unreached(ctx, call, err)
		return nil
	}
	if call.Tool == "" {
		call.State = dialog.Succeeded
		return nil
	}
	o := t.tools.byName[call.Name()]
	server := t.person.server(call.Server)
	if o == nil || server == nil {
		call.State, call.Error = dialog.CallFailed, "This tool is not there any more."
		return nil
	}
	arguments, err := o.schema.Check(string(call.Arguments))
	switch {
	case err != nil:
		call.State, call.Error = dialog.CallFailed, "The arguments do not fit this tool: "+err.Error()+"."
		return nil
	case o.Definition != call.Definition:
		call.Definition, call.Title, call.Back = o.Definition, o.Title, nil
		t.ask(call, o, dialog.ReasonChanged, "What this tool says of itself has changed since the call was allowed: read anew what it does.")
		return nil
	}
	call.Arguments, call.State = arguments, dialog.InFlight
	t.conv.Know(call.Name(), o.Definition, o.Description)
	return o
}

func params(c *dialog.Call) *mcp.CallToolParams {
	params := &mcp.CallToolParams{Name: c.Tool, Arguments: c.Arguments}
	if c.Back != nil {
		params.RequestState = c.Back.State
		if len(c.Back.Links) > 0 {
			params.InputResponses = mcp.InputResponseMap{}
		}
		for _, link := range c.Back.Links {
			params.InputResponses[link] = &mcp.ElicitResult{Action: "accept"}
		}
	}
	return params
}

// finish writes down what came of a call.
func (t *turn) finish(ctx context.Context, call *dialog.Call, server *Server, result *mcp.CallToolResult, err error) {
	call.Back = nil
	call.Chain = mcplink.Chain(result, err)
	if result != nil || mcplink.Said(err) != nil {
		touch(t.conv, server)
	}
	if err != nil {
		result = mcplink.LinksAsked(err)
	}
	switch {
	case ctx.Err() != nil && err != nil:
		call.State, call.Error = dialog.CallFailed, "Stopped while this ran: whether it was done is not known."
	case result != nil && len(result.InputRequests) > 0:
		if t.wanted(ctx, call, result); err != nil {
			call.Back = nil // the older protocol: the call is made again as it was
		}
	case err != nil:
		if call.Refusal = t.person.refuse(ctx, call, err, nil); call.Refusal != nil {
			call.State = dialog.Refused
			return
		}
		call.State, call.Error = dialog.CallFailed, failure(call, err)
	default:
		if result.IsError {
			if call.Refusal = t.person.refuse(ctx, call, nil, result); call.Refusal != nil {
				call.State = dialog.Refused
				return
			}
		}
		call.State = dialog.Succeeded
		t.keep(call, result)
	}
}

// wanted is for a result that wants something of the person: to open a link is all that is passed on.
func (t *turn) wanted(ctx context.Context, call *dialog.Call, result *mcp.CallToolResult) {
	call.State, call.Error = dialog.CallFailed, "The server asks for what this agent gives to none: an answer of the model, files, or a form to fill in."
	back := &dialog.Continuation{State: result.RequestState}
	for name, request := range result.InputRequests {
		if asked, ok := request.(*mcp.ElicitParams); !ok || asked.Mode != "url" {
			return
		}
		back.Links = append(back.Links, name)
	}
	const most = 64 << 10
	if refusal := t.person.refuse(ctx, call, nil, result); refusal != nil && len(back.State) <= most {
		call.State, call.Error, call.Refusal, call.Back = dialog.Refused, "", refusal, back
	}
}
