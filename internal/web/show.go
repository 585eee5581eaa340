package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/internal/agent/dialog"
	"github.com/onbehalf/onbehalf/internal/history"
	"github.com/onbehalf/onbehalf/internal/web/hops"
	"github.com/onbehalf/onbehalf/internal/web/refusal"
)

// show makes the agent's conversation into what pages and scripts show: words for states and times, HTML for Markdown,
// buttons for refusals.
func (a *App) show(item history.Item, c *dialog.Conversation, thin map[string]bool) Conversation {
	out := Conversation{ID: item.ID, Title: item.Title, State: string(c.Phase()), Model: a.model, Messages: make([]Message, 0, len(c.Messages))}
	for i := range c.Messages {
		out.Messages = append(out.Messages, a.showMessage(item.ID, &c.Messages[i], thin[c.Messages[i].ID]))
	}
	out.finishTurns()
	return out
}

// notKept is what stands in place of an answer of which only the sources' ids were kept.
const notKept = "The text of this answer is not kept, nor are its sources beyond their ids."

func (a *App) showMessage(conversation string, m *dialog.Message, thin bool) Message {
	out := Message{
		ID: m.ID, Role: string(m.Role), Text: m.Text, State: string(m.State), Failure: m.Failure, At: m.At,
		Calls: make([]Call, 0, len(m.Calls)), Notes: append([]string{}, m.Notes...), Sources: []Source{},
	}
	if m.Role == dialog.Assistant {
		out.HTML = a.markdown.HTML(m.Text)
	}
	if thin {
		out.Notes = append(out.Notes, notKept)
	}
	for i := range m.Calls {
		out.Calls = append(out.Calls, a.showCall(conversation, &m.Calls[i]))
	}
	return out
}

// maxOutput is how much of a result is shown where a call is unfolded.
const maxOutput = 4 << 10

func (a *App) showCall(conversation string, c *dialog.Call) Call {
	out := Call{
		ID: c.ID, Server: c.Server, Tool: c.Tool, Host: c.Host, Title: c.Title, State: string(c.State), Why: c.Why,
		Arguments: indented(c.Arguments), Chain: c.Chain, Error: c.Error, Sources: make([]Source, 0, len(c.Sources)),
		Attempts: c.Attempts, Started: c.Started, Lasted: c.Took,
	}
	out.Made = c.Attempts > 0 && (c.State == dialog.Succeeded || c.State == dialog.Refused || c.State == dialog.CallFailed)
	out.Nothing = c.Nothing
	if c.State == dialog.Asking {
		out.Says = sayingOf("says-"+c.ID, "In the words of "+c.Host+", which nobody here has checked:", c.Says)
		if c.Said != "" {
			out.Said = sayingOf("said-"+c.ID, "Before, it said:", c.Said)
		}
	}
	if out.Title == "" {
		out.Title = c.Tool
	}
	if out.Title == "" {
		out.Title = c.Server
	}
	if c.Took > 0 && c.State != dialog.InFlight {
		out.Took = hops.Took(c.Took)
	}
	if c.Result != nil {
		out.Output = cut(indented(json.RawMessage(c.Result.Text)), maxOutput)
	}
	for i := range c.Sources {
		s := &c.Sources[i]
		out.Sources = append(out.Sources, Source{
			N: s.N, ID: s.ID, Title: s.Title, Extract: s.Extract, Score: s.Score, Host: c.Host,
			Scored: s.Score > 0, ScoreText: fmt.Sprintf("%.2f", s.Score),
		})
	}
	if c.State == dialog.Refused && c.Refusal != nil {
		out.Refusal = showRefusal(conversation, c)
	}
	out.Thin = thinCall(c)
	out.Line = lineOf(&out)
	return out
}

// sayingOf folds what is long, or has many lines.
func sayingOf(id, whose, text string) *Saying {
	const long, lines, start = 300, 5, 200
	c := &Saying{ID: id, Whose: whose, Text: strings.TrimSpace(text)}
	if len(c.Text) > long || strings.Count(c.Text, "\n") >= lines {
		c.Start = cut(strings.Join(strings.Fields(c.Text), " "), start)
	}
	return c
}

// lineOf says a call in one line.
func lineOf(c *Call) string {
	line := c.Title
	switch dialog.CallState(c.State) {
	case dialog.Asking:
		line += " asks"
	case dialog.Approved:
		line += " will run"
	case dialog.Declined:
		line += " was not run"
	case dialog.InFlight:
		line += " runs as you"
	case dialog.Refused:
		line += " was refused"
	case dialog.CallFailed:
		line += " failed"
	case dialog.Succeeded:
		switch n := len(c.Sources); {
		case c.Nothing:
			line += " found nothing"
		case n == 0:
			line += " answered"
		case n == 1:
			line += " found 1 document"
		default:
			line += fmt.Sprintf(" found %d documents", n)
		}
	}
	if c.Took != "" {
		line += ", " + c.Took
	}
	return line
}

// showRefusal makes the button. Where it leads is a path of ours, whatever the server said.
func showRefusal(conversation string, c *dialog.Call) Refusal {
	r := c.Refusal
	out := refusalWords(r)
	if !r.Resumable {
		return out
	}
	path := func(what string) string {
		return "/c/" + conversation + "/" + what + "?call=" + url.QueryEscape(c.ID)
	}
	switch r.Kind {
	case refusal.SignIn, refusal.Expired:
		out.Button = &Button{"Sign in and go on", "POST", path("signin")}
	case refusal.Consent:
		out.Button = &Button{"Give consent and go on", "GET", path("consent")}
	default:
		out.Button = &Button{"Try again", "POST", path("resume")}
	}
	return out
}

// refusalWords is what a refusal says, without what can be done about it.
func refusalWords(r *dialog.Refusal) Refusal {
	out := Refusal{Kind: r.Kind, Text: r.Text, Who: r.Who, Correlation: r.Correlation, Code: r.Code}
	if u, err := url.Parse(r.Link); err == nil && u.Host != "" {
		out.Link = &Link{Text: r.Link, Host: u.Host}
	}
	return out
}

// finishTurns marks the last message of each turn, gathers the turn's sources there, and leads citations to them. It may
// be called again when a turn has grown.
func (c *Conversation) finishTurns() {
	var (
		sources []Source
		turn    string // id of the question
		thin    bool   // of sources of the turn only the ids were kept
	)
	for i := range c.Messages {
		m := &c.Messages[i]
		m.Last, m.Sources, m.Refetch = false, []Source{}, false
		if m.Role == string(dialog.User) {
			sources, turn, thin = nil, m.ID, false
			continue
		}
		for j := range m.Calls {
			thin = thin || m.Calls[j].Thin
			for _, s := range m.Calls[j].Sources {
				if !slices.ContainsFunc(sources, func(known Source) bool { return known.N == s.N }) {
					s.Anchor = fmt.Sprintf("s-%s-%d", turn, s.N)
					sources = append(sources, s)
				}
			}
		}
		m.HTML = cite(m.HTML, sources)
		if i+1 == len(c.Messages) || c.Messages[i+1].Role == string(dialog.User) {
			m.Last, m.Refetch = true, thin
			m.Sources = append(m.Sources, sources...)
			slices.SortFunc(m.Sources, func(a, b Source) int { return a.N - b.N })
		}
	}
}

func (c *Conversation) message(id string) *Message {
	for i := len(c.Messages) - 1; i >= 0; i-- {
		if c.Messages[i].ID == id {
			return &c.Messages[i]
		}
	}
	return nil
}

// clone copies what changes.
func (c *Conversation) clone() Conversation {
	out := *c
	out.Messages = slices.Clone(c.Messages)
	for i := range out.Messages {
		out.Messages[i].Calls = slices.Clone(out.Messages[i].Calls)
	}
	return out
}

func indented(arguments json.RawMessage) string {
	if len(arguments) == 0 {
		return ""
	}
	var out bytes.Buffer
	if json.Indent(&out, arguments, "", "  ") != nil {
		return string(arguments)
	}
	return out.String()
}

// cut shortens a text at a boundary of characters.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// titleLength is how many characters of the first question name a conversation.
const titleLength = 60

// titleOf names a conversation by its first question.
func titleOf(question string) string {
	words := strings.Join(strings.Fields(question), " ")
	runes := []rune(words)
	if len(runes) <= titleLength {
		return words
	}
	short := string(runes[:titleLength])
	if i := strings.LastIndexByte(short, ' '); i > titleLength/2 {
		short = short[:i]
	}
	return short + "…"
}
