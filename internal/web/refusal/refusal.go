// Package refusal puts what failed into words and into what the person can do. The words are ours and those of the AADSTS
// catalogue; what a server says chooses among them and adds none.
package refusal

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/agent/dialog"
	"github.com/onbehalf/onbehalf/signin"
)

// Kinds of refusals, as pages know them.
const (
	SignIn        = "sign-in"
	Consent       = "consent"
	Blocked       = "blocked"
	NotAssigned   = "not-assigned"
	Expired       = "expired"
	Throttled     = "throttled"
	Misconfigured = "misconfigured"
	Unavailable   = "unavailable"
	Link          = "link"
)

const notAssigned = 50105 // AADSTS

// metaRefusal is where a server of ours says to programs why it refused: see package onbehalf.
const metaRefusal = "onbehalf/refusal"

// Of says what an error of the way to a server, or a result that is an error or wants something, means to the person; nil
// where it is no refusal but a failure.
func Of(host string, err error, result *mcp.CallToolResult) *dialog.Refusal {
	if result != nil {
		return refusedResult(result)
	}
	var (
		needed  *signin.Needed
		answer  *entra.Error
		busy    *BusyError
		said    *jsonrpc.Error
		network *url.Error
	)
	switch {
	case errors.As(err, &needed):
		return signInNeeded(needed)
	case errors.As(err, &answer):
		return ByEntra(answer)
	case errors.Is(err, signin.ErrNotTrusted):
		return &dialog.Refusal{Kind: Misconfigured, Text: "This server asks for a token that nobody said it may have, so it got none.", Who: forWhom(entra.Operator, "Name its App ID URI where the server is configured, if that API is the server's own.")}
	case errors.Is(err, signin.ErrStillRefused), errors.Is(err, signin.ErrTooMany):
		return &dialog.Refusal{Kind: Misconfigured, Text: "The server does not accept your sign-in, although it is new.", Who: forWhom(entra.Operator, "Compare the audience, issuer and clock that the server expects with what it gets.")}
	case errors.Is(err, signin.ErrForbidden):
		return &dialog.Refusal{Kind: Blocked, Text: "The server does not let you do this.", Who: forWhom(entra.Operator, "Grant the permission or role that this needs, if that is right.")}
	case errors.As(err, &busy):
		return serverBusy(host, busy)
	case errors.As(err, &network): // before what follows: the SDK adds an error of its own to that of the network
		return &dialog.Refusal{Kind: Unavailable, Text: host + " cannot be reached.", Who: "Try again in a moment; if it stays so, tell its operator.", Resumable: true}
	case errors.As(err, &said):
		var info refusalInfo
		if json.Unmarshal(said.Data, &info) == nil {
			return info.refusal()
		}
		return nil
	default:
		return nil
	}
}

// BusyError is an answer of an MCP server that no protocol says anything in: it has no time, or is not there.
type BusyError struct {
	Status int
	Wait   time.Duration // Retry-After; 0 for none
}

// Error implements error.
func (e *BusyError) Error() string { return "the server answers HTTP " + strconv.Itoa(e.Status) }

func serverBusy(host string, busy *BusyError) *dialog.Refusal {
	r := &dialog.Refusal{Kind: Unavailable, Text: host + " does not answer now.", Who: "Try again in a moment; if it stays so, tell its operator.", Code: fmt.Sprintf("HTTP %d", busy.Status), Resumable: true}
	if busy.Status == 429 {
		r.Kind, r.Text, r.Who = Throttled, host+" has had too many requests.", waitText(busy.Wait)
	}
	return r
}

func waitText(wait time.Duration) string {
	if wait <= 0 {
		return "Wait a moment, then try again."
	}
	return fmt.Sprintf("Wait %s, then try again.", wait.Round(time.Second))
}

// signInNeeded is for what only the person can mend, at Entra.
func signInNeeded(needed *signin.Needed) *dialog.Refusal {
	r := &dialog.Refusal{Kind: SignIn, Text: "You have to sign in again before this can go on.", Resumable: true, Claims: needed.Request.Claims}
	if answer, ok := errors.AsType[*entra.Error](needed.Cause); ok {
		if r = ByEntra(answer); r.Claims == "" || needed.Request.Claims != "" {
			r.Claims = needed.Request.Claims
		}
		return r
	}
	if strings.Contains(needed.Request.Claims, `"acrs"`) {
		r.Text = "What is asked for demands a stronger sign-in than yours."
	}
	return r
}

// ByEntra is for Entra's own answers.
func ByEntra(answer *entra.Error) *dialog.Refusal {
	r := refusalBy(answer.Advice(), answer.Correlation, answer.RetryAfter)
	if r.Kind == SignIn {
		r.Claims = answer.Claims
	}
	return r
}

// refusalBy puts the catalogue's advice.
func refusalBy(advice entra.Advice, correlation string, wait time.Duration) *dialog.Refusal {
	r := &dialog.Refusal{Text: advice.Cause, Who: adviceText(advice), Correlation: correlation}
	if advice.Code != 0 {
		r.Code = fmt.Sprintf("AADSTS%d", advice.Code)
	}
	switch advice.Kind {
	case entra.ConsentRequired:
		r.Kind, r.Resumable = Consent, true
	case entra.InteractionRequired:
		r.Kind, r.Resumable = SignIn, true
	case entra.AssertionExpired:
		r.Kind, r.Resumable = Expired, true
	case entra.Throttled:
		r.Kind, r.Resumable, r.Who = Throttled, true, waitText(wait)
	case entra.Unavailable:
		r.Kind, r.Resumable = Unavailable, true
	case entra.Blocked:
		r.Kind = Blocked
		if advice.Code == notAssigned {
			r.Kind = NotAssigned
		}
	default:
		r.Kind = Misconfigured
	}
	if !r.Resumable && correlation != "" && advice.Who != entra.You {
		r.Who += " Hand over the correlation id: it finds this very event in Entra's logs."
	}
	return r
}

// refusalInfo is what a server of ours tells programs (package onbehalf).
type refusalInfo struct {
	Kind        string `json:"kind"`
	AADSTS      int    `json:"aadsts"`
	Correlation string `json:"correlation"`
	RetryAfter  int    `json:"retryAfter"` // seconds
}

var correlationID = regexp.MustCompile(`^[0-9A-Za-z-]{8,64}$`)

// refusal looks the code up in the catalogue, or takes what is known of the kind; nil when it is neither.
func (i refusalInfo) refusal() *dialog.Refusal {
	advice, known := entra.AdviceFor(i.AADSTS)
	if !known {
		advice = entra.Advice{Code: max(i.AADSTS, 0), Who: entra.Operator, Fix: "Look the code up with the correlation id in Entra's sign-in logs."}
		switch i.Kind {
		case entra.ConsentRequired.String():
			advice.Kind, advice.Cause, advice.Who, advice.Fix = entra.ConsentRequired, "Nobody has consented yet to what this asks for.", entra.You, "Give your consent, or ask an administrator to give it for everybody."
		case entra.InteractionRequired.String():
			advice.Kind, advice.Cause, advice.Who, advice.Fix = entra.InteractionRequired, "Entra wants to see you before this can go on.", entra.You, "Sign in again."
		case entra.AssertionExpired.String():
			advice.Kind, advice.Cause, advice.Who, advice.Fix = entra.AssertionExpired, "Your sign-in no longer counts.", entra.You, "Sign in again."
		case entra.Blocked.String():
			advice.Kind, advice.Cause, advice.Who, advice.Fix = entra.Blocked, "A policy does not allow this.", entra.Admin, "Look the correlation id up in Entra's sign-in logs."
		case entra.Throttled.String():
			advice.Kind, advice.Cause = entra.Throttled, "There have been too many requests."
		case entra.Unavailable.String():
			advice.Kind, advice.Cause, advice.Who, advice.Fix = entra.Unavailable, "The tool's sign-in service does not answer.", entra.You, "Try again in a moment."
		case entra.Misconfigured.String(), entra.AppOnly.String(), entra.AssertionAudience.String():
			advice.Kind, advice.Cause = entra.Misconfigured, "The tool is not set up for this."
		default:
			return nil
		}
	}
	correlation := ""
	if correlationID.MatchString(i.Correlation) {
		correlation = i.Correlation
	}
	const longest = 600
	return refusalBy(advice, correlation, time.Duration(min(max(i.RetryAfter, 0), longest))*time.Second)
}

// refusedResult reads a tool's result that is an error, or that wants a link opened. Of servers that say nothing to
// programs the text is searched for one of Entra's codes.
func refusedResult(result *mcp.CallToolResult) *dialog.Refusal {
	var info refusalInfo
	if meta, err := json.Marshal(result.Meta[metaRefusal]); err == nil && json.Unmarshal(meta, &info) == nil {
		if r := info.refusal(); r != nil {
			return r
		}
	}
	if link := linkOf(result); link != "" {
		return &dialog.Refusal{
			Kind: Link, Text: "The server wants you to open an address before it goes on.", Link: link, Resumable: true,
			Who: "Nobody here has checked that address. Open it only if you know and trust whose it is; then try again.",
		}
	}
	if !result.IsError {
		return nil
	}
	text := textOf(result)
	for _, code := range entra.CodesIn(text) {
		if _, known := entra.AdviceFor(code); known {
			info = refusalInfo{AADSTS: code, Correlation: correlationIn(text)}
			return info.refusal()
		}
	}
	return nil
}

// linkOf returns the first address that a result wants opened. An address is of ASCII (RFC 3986): what is not could turn
// the writing or show another host than it leads to.
func linkOf(result *mcp.CallToolResult) string {
	names := make([]string, 0, len(result.InputRequests))
	for name := range result.InputRequests {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if asked, ok := result.InputRequests[name].(*mcp.ElicitParams); ok && asked.Mode == "url" {
			if u, err := url.Parse(asked.URL); err == nil && len(asked.URL) <= 2048 && u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http") && !strings.ContainsFunc(asked.URL, notPrintable) {
				return asked.URL
			}
		}
	}
	return ""
}

func notPrintable(r rune) bool { return r <= ' ' || r >= 0x7f }

func textOf(result *mcp.CallToolResult) string {
	const most = 16 << 10
	var out strings.Builder
	for _, content := range result.Content {
		if text, ok := content.(*mcp.TextContent); ok && out.Len() < most {
			out.WriteString(text.Text[:min(len(text.Text), most)] + "\n")
		}
	}
	return out.String()
}

var correlationPattern = regexp.MustCompile(`(?i)correlation[ _-]?id:? ?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})`)

func correlationIn(text string) string {
	if match := correlationPattern.FindStringSubmatch(text); match != nil {
		return match[1]
	}
	return ""
}

// adviceText says who has to do what.
func adviceText(advice entra.Advice) string {
	if advice.Who == entra.You {
		return advice.Fix
	}
	return forWhom(advice.Who, advice.Fix)
}

func forWhom(who, fix string) string { return "This is for " + who + ": " + fix }
