package web

import (
	"bytes"
	"fmt"
	"html/template"
	"log/slog"
	"regexp"
	"strconv"
	"strings"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/internal/agent/dialog"
	"github.com/onbehalf/onbehalf/internal/web/hops"
	"github.com/onbehalf/onbehalf/internal/web/refusal"
)

// Pages get what changes as pieces of HTML, made by the templates that make the whole page: there is one rendering, and
// one escaping, which is Go's. Programs get the same as JSON.

// drawn is a message as the template "message" gets it. CSRF is "" in events, which several sessions share: there the
// page's script fills it in.
type drawn struct {
	Message
	Conversation, CSRF string
}

// drawnCall is a call as the template "call" gets it.
type drawnCall struct {
	Call
	Conversation, CSRF string
}

// whole is what the template "log" gets.
type whole struct {
	*Conversation
	CSRF string
}

// What is told of a conversation, as JSON.
type (
	toldWhole struct {
		Conversation Conversation `json:"conversation"`
	}
	toldMessage struct {
		Message Message `json:"message"`
	}
	toldCall struct {
		Message string `json:"message"`
		Call    Call   `json:"call"`

		within *Message
	}
)

// drawnEvent is an event as pages get it.
func (a *App) drawnEvent(conversation, name string, data any) event {
	switch data := data.(type) {
	case toldWhole:
		return newEvent("log", map[string]any{"state": data.Conversation.State, "html": a.draw("log", whole{Conversation: &data.Conversation})})
	case toldMessage:
		return newEvent("message", map[string]any{"id": "m-" + data.Message.ID, "html": a.draw("message", drawn{Message: data.Message, Conversation: conversation})})
	case toldCall:
		return newEvent("message", map[string]any{"id": "m-" + data.Message, "html": a.draw("message", drawn{Message: *data.within, Conversation: conversation})})
	default:
		return newEvent(name, data)
	}
}

func (a *App) draw(name string, data any) template.HTML {
	var out bytes.Buffer
	if err := a.pages.templates.ExecuteTemplate(&out, name, data); err != nil {
		a.cfg.Logger.Error("a piece of a page failed", slog.String("template", name), slog.Any("error", err))
		return ""
	}
	return template.HTML(out.String()) //nolint:gosec // a template made it
}

// drawing are the functions of templates that draw conversations and chains.
func drawing() template.FuncMap {
	return template.FuncMap{
		"whole": func(c *Conversation, csrf string) whole { return whole{c, csrf} },
		"drawn": func(in whole, m Message) drawn { return drawn{m, in.ID, in.CSRF} },
		"drawnCall": func(in drawn, c Call) drawnCall {
			return drawnCall{c, in.Conversation, in.CSRF}
		},
		"callIcon": callIcon, "refusalIcon": refusalIcon, "refusalTitle": refusalTitle, "hopIcon": hopIcon, "decisionWord": decisionWord,
		"barStart": barStart, "barWidth": barWidth,
	}
}

func callIcon(state string) string {
	switch dialog.CallState(state) {
	case dialog.Succeeded:
		return "ok"
	case dialog.CallFailed:
		return "bad"
	case dialog.Declined, dialog.Refused:
		return "no"
	default:
		return "chevron"
	}
}

func refusalIcon(kind string) string {
	switch kind {
	case refusal.SignIn, refusal.Expired, refusal.Consent:
		return "key"
	case refusal.Blocked, refusal.NotAssigned:
		return "no"
	default:
		return "bad"
	}
}

func refusalTitle(kind string) string {
	switch kind {
	case refusal.SignIn:
		return "Sign in once more"
	case refusal.Expired:
		return "Your sign-in no longer counts"
	case refusal.Consent:
		return "Your consent is needed"
	case refusal.Blocked:
		return "A policy does not allow this"
	case refusal.NotAssigned:
		return "You are not assigned to this"
	case refusal.Throttled:
		return "Too much at once"
	case refusal.Unavailable:
		return "It does not answer now"
	case refusal.Link:
		return "It wants you to open an address"
	default:
		return "This is not set up"
	}
}

func hopIcon(decision string) string {
	switch chain.Decision(decision) {
	case chain.Refused:
		return "no"
	case chain.Allowed, chain.Cached:
		return "ok"
	default:
		return "bad"
	}
}

func decisionWord(decision string) string {
	switch chain.Decision(decision) {
	case chain.Allowed:
		return "allowed"
	case chain.Cached:
		return "allowed a moment ago, and remembered"
	case chain.Refused:
		return "refused"
	default:
		return decision
	}
}

// barScale is how wide the bar of a whole call is, and barLeast how wide that of a hop is at least.
const barScale, barLeast = 1000, 8

func barStart(h hops.Hop, all float64) string {
	return fmt.Sprintf("%.0f", barScale*within(h.Offset, all)*(1-barLeast/float64(barScale)))
}

func barWidth(h hops.Hop, all float64) string {
	return fmt.Sprintf("%.0f", max(barScale*min(within(h.MS, all), 1-within(h.Offset, all)), barLeast))
}

// within is which part of the whole a time is.
func within(part, all float64) float64 {
	if all <= 0 {
		return 0
	}
	return min(max(part/all, 0), 1)
}

// pieces are what cite looks at in rendered Markdown: tags, and citations. In it every < begins a tag.
var pieces = regexp.MustCompile(`<[^>]*>|\[[0-9]{1,2}\]`)

// cite makes links of the numbers by which an answer cites its sources, outside of links and code. What is one already
// stays so.
func cite(text template.HTML, sources []Source) template.HTML {
	if len(sources) == 0 || !strings.Contains(string(text), "[") {
		return text
	}
	within := 0                                                                                // links and code
	return template.HTML(pieces.ReplaceAllStringFunc(string(text), func(piece string) string { //nolint:gosec // made of what was sanitised and of numbers
		name, _, _ := strings.Cut(strings.Trim(piece, "</>"), " ")
		switch {
		case piece[0] == '<' && name != "a" && name != "code":
		case strings.HasPrefix(piece, "</"):
			within--
		case piece[0] == '<':
			within++
		case within == 0:
			for i := range sources {
				if piece == "["+strconv.Itoa(sources[i].N)+"]" {
					return `<a class="cite" href="#` + sources[i].Anchor + `">` + piece + `</a>`
				}
			}
		}
		return piece
	}))
}
