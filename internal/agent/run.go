package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/internal/agent/dialog"
	"github.com/onbehalf/onbehalf/internal/agent/mcplink"
)

// Agent runs conversations. It is safe for concurrent use; each conversation runs once at a time.
type Agent struct {
	cfg   Config
	links *links

	mu sync.Mutex
	// By "server.tool" that is configured to run unasked: its first definition, and one that asks of which the log knows.
	seen, other map[string]string
}

// New validates the configuration.
func New(cfg Config) (*Agent, error) {
	if cfg.Model == nil {
		return nil, errors.New("agent: a model is missing")
	}
	if err := cfg.Ask.check(); err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // the one place where the system's clock is the default
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Limits = cfg.Limits.complete()
	a := &Agent{cfg: cfg, seen: map[string]string{}, other: map[string]string{}}
	a.links = mcplink.New[*listing](cfg.Version, cfg.Now)
	return a, nil
}

// complete puts the defaults in place of what is zero.
func (l Limits) complete() Limits {
	number := func(n *int, fallback int) {
		if *n <= 0 {
			*n = fallback
		}
	}
	span := func(d *time.Duration, fallback time.Duration) {
		if *d <= 0 {
			*d = fallback
		}
	}
	number(&l.Steps, 10)
	number(&l.Calls, 40)
	number(&l.AtOnce, 8)
	number(&l.Tokens, 400_000)
	span(&l.Time, 5*time.Minute)
	span(&l.Call, time.Minute)
	span(&l.Listen, 15*time.Second)
	span(&l.FirstChunk, 2*time.Minute)
	span(&l.NextChunk, 45*time.Second)
	number(&l.Question, 64<<10)
	number(&l.Answer, 256<<10)
	number(&l.Result, 64<<10)
	number(&l.Context, 400<<10)
	number(&l.Tools, 128)
	span(&l.Retry, 20*time.Second)
	l.Result = min(l.Result, l.Context/4) // so that some fit beside one another
	return l
}

var serverName = regexp.MustCompile(`^[a-z0-9-]{1,24}$`)

func (p *Person) check() error {
	names := map[string]bool{}
	for i := range p.Servers {
		s := &p.Servers[i]
		if !serverName.MatchString(s.Name) || names[s.Name] || s.Transport == nil {
			return fmt.Errorf("agent: server %q: want a name of its own of 1 to 24 of a-z, 0-9 and -, and a transport", s.Name)
		}
		names[s.Name] = true
	}
	return nil
}

func (p *Person) server(name string) *Server {
	for i := range p.Servers {
		if p.Servers[i].Name == name {
			return &p.Servers[i]
		}
	}
	return nil
}

func (p *Person) refuse(ctx context.Context, call *dialog.Call, err error, result *mcp.CallToolResult) *dialog.Refusal {
	if p.Refuse == nil {
		return nil
	}
	return p.Refuse(context.WithoutCancel(ctx), call.Clone(), err, result)
}

// What ends a turn or a call, in sentences for people.
var (
	errTime = errors.New("This answer took longer than is allowed, and was stopped.") //nolint:staticcheck,revive // a sentence for people
	errSlow = errors.New("It took longer than is waited for, and was given up.")      //nolint:staticcheck,revive // a sentence for people
)

// Run drives a conversation forward until it is done, waits for its person, or ended by a limit, a stop or a failure:
// the state of its last message says which. It derives everything from the conversation: after a wait, answer with
// [dialog.Conversation.Answer] or [dialog.Conversation.Resume], and run it again. Where there is nothing to do it returns at once.
//
// Emit is called with one event at a time; while it is, the conversation does not change and may be read. Cancelling ctx
// stops; its cause, unless it is context.Canceled, becomes the message's Failure. The error is not nil only where the
// conversation or person is malformed.
func (a *Agent) Run(ctx context.Context, p Person, c *dialog.Conversation, emit func(Event)) error {
	if err := p.check(); err != nil {
		return err
	}
	if len(c.Messages) == 0 {
		return nil
	}
	last := &c.Messages[len(c.Messages)-1]
	switch {
	case last.Role == dialog.User && len(last.Text) > a.cfg.Limits.Question:
		return fmt.Errorf("agent: the question is longer than %d bytes", a.cfg.Limits.Question)
	case last.Role != dialog.User && last.State != dialog.Running && last.State != dialog.Waiting:
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, a.cfg.Limits.Time, errTime)
	defer cancel()
	pool, done := a.linksFor(&p)
	defer done()
	t := &turn{Agent: a, person: &p, conv: c, emit: emit, links: pool}
	emit(Event{Kind: EventState, Phase: dialog.PhaseRunning})
	t.drive(ctx)
	emit(Event{Kind: EventState, Phase: c.Phase()})
	return nil
}

// turn is a conversation at work.
type turn struct {
	*Agent
	person *Person
	conv   *dialog.Conversation
	emit   func(Event)
	links  *links
	tools  *toolset // nil: not listed yet
}

func (t *turn) drive(ctx context.Context) {
	if m := t.last(); m.Role == dialog.Assistant {
		if m.State = dialog.Running; !t.settle(ctx, m) {
			return
		}
	}
	for goOn := true; goOn; {
		goOn = t.step(ctx)
	}
}

func (t *turn) last() *dialog.Message { return &t.conv.Messages[len(t.conv.Messages)-1] }

// end gives a message the state in which the turn leaves it.
func (t *turn) end(m *dialog.Message, state dialog.State, failure string) {
	m.State, m.Failure = state, failure
	t.emit(Event{Kind: EventMessage, Message: m.ID, State: state})
}

// stopped ends a message whose context ended, and reports whether it did.
func (t *turn) stopped(ctx context.Context, m *dialog.Message) bool {
	if ctx.Err() == nil {
		return false
	}
	t.conv.GiveUp()
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errTime):
		t.end(m, dialog.Failed, cause.Error())
	case errors.Is(cause, context.Canceled), errors.Is(cause, context.DeadlineExceeded):
		t.end(m, dialog.Stopped, "")
	default:
		t.end(m, dialog.Stopped, cause.Error())
	}
	return true
}

// spent is what the turn has cost so far.
func (t *turn) spent() (steps, calls, tokens int) {
	for i := len(t.conv.Messages) - 1; i >= 0 && t.conv.Messages[i].Role == dialog.Assistant; i-- {
		m := &t.conv.Messages[i]
		tokens += m.Usage.In + m.Usage.Out
		asked := 0
		for j := range m.Calls {
			if m.Calls[j].Tool != "" {
				asked++
			}
		}
		calls += asked
		if m.Text != "" || asked > 0 {
			steps++
		}
	}
	return steps, calls, tokens
}

// step is one answer of the model, with its calls. It reports whether another is to follow.
func (t *turn) step(ctx context.Context) bool {
	steps, calls, tokens := t.spent()
	stuck := t.stuck()
	t.conv.Messages = append(t.conv.Messages, dialog.Message{ID: rand.Text(), Role: dialog.Assistant, At: t.cfg.Now().UTC(), State: dialog.Running})
	m := t.last()
	t.emit(Event{Kind: EventMessage, Message: m.ID, State: m.State})
	switch l := &t.cfg.Limits; {
	case steps >= l.Steps:
		t.end(m, dialog.Failed, fmt.Sprintf("This answer took %d steps, which is as many as are allowed.", steps))
		return false
	case tokens >= l.Tokens:
		t.end(m, dialog.Failed, fmt.Sprintf("This answer took %d tokens, which is as many as are allowed.", tokens))
		return false
	}
	if !t.reach(ctx, m) {
		return false
	}
	var tools []ModelTool
	left := t.cfg.Limits.Calls - calls
	switch {
	case stuck:
		m.Notes = append(m.Notes, "No further tool was called: the model asked again for what was not allowed, or cannot be done.")
	case steps+1 >= t.cfg.Limits.Steps, left <= 0:
		m.Notes = append(m.Notes, "No further tool was called: this answer has used as many calls or steps as are allowed.")
	default:
		tools = t.tools.modelTools()
	}
	answer := t.listen(ctx, m, tools)
	if answer == nil {
		return false
	}
	switch {
	case len(answer.Calls) > 0:
		if tools == nil {
			left = 0
		}
		t.plan(m, answer.Calls, left)
		return t.settle(ctx, m)
	case strings.TrimSpace(m.Text) == "":
		t.end(m, dialog.Failed, "The model gave no answer.")
	default:
		t.end(m, dialog.Done, "")
	}
	return false
}

// listen lets the model answer into the message. It returns nil when it ended the message.
func (t *turn) listen(ctx context.Context, m *dialog.Message, tools []ModelTool) *Answer {
	request, cut, err := t.request(t.conv, tools)
	if cut {
		m.Notes = append(m.Notes, "Older results were left out of what the model was sent, since all together was too much.")
	}
	var answer *Answer
	var text strings.Builder // its String copies nothing
	say := func(more string) {
		if more == "" {
			return
		}
		text.WriteString(more)
		m.Text = text.String()
		t.emit(Event{Kind: EventText, Message: m.ID, Text: more})
	}
	for again := false; err == nil; again = true {
		answer, err = t.cfg.Model.Stream(ctx, request, say)
		if again || text.Len() > 0 || !t.waitFor(ctx, err) {
			break
		}
		err = nil
	}
	if t.stopped(ctx, m) {
		return nil
	}
	if err == nil && answer != nil {
		if text.Len() == 0 {
			say(answer.Text)
		}
		m.Usage = answer.Usage
		if m.Usage.In+m.Usage.Out == 0 {
			m.Usage = estimate(request, answer)
		}
		if answer.Cut {
			m.Notes = append(m.Notes, "The model stopped here since its answer was as long as it may be.")
		}
		return answer
	}
	failure := "The model could not answer."
	if known, ok := errors.AsType[*ModelError](err); ok {
		failure = known.Text
	}
	name, _ := t.cfg.Model.Name()
	t.cfg.Logger.WarnContext(ctx, "the model did not answer", slog.String("model", name), slog.Any("error", err), slog.Any("cause", errors.Unwrap(err)))
	t.end(m, dialog.Failed, failure)
	return nil
}

// waitFor waits as long as a throttled model says, if that is not too long, and reports whether to ask it again.
func (t *turn) waitFor(ctx context.Context, err error) bool {
	throttled, ok := errors.AsType[*ModelError](err)
	if !ok || throttled.Kind != ModelThrottled || throttled.Retry <= 0 || throttled.Retry > t.cfg.Limits.Retry {
		return false
	}
	timer := time.NewTimer(throttled.Retry)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// estimate counts four bytes as a token.
func estimate(request *ModelRequest, answer *Answer) dialog.Usage {
	const bytesPerToken = 4
	in, out := 0, len(answer.Text)
	for i := range request.Messages {
		in += request.Messages[i].size()
	}
	for _, call := range answer.Calls {
		out += len(call.Name) + len(call.Arguments)
	}
	return dialog.Usage{In: in / bytesPerToken, Out: out / bytesPerToken, Estimated: true}
}
