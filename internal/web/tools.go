package web

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/web/refusal"
	"github.com/onbehalf/onbehalf/signin"
)

// What the page "Who am I here?" says of servers and their tools: which there are for this person, which ask first, what
// cannot be used and why, and what the person can do about it.

const (
	listTime    = 5 * time.Second // for listing tools while a page waits for it
	maxTroubles = 20              // of one server that a page lists
)

// toolsOf lists the tools of all servers, as the session's person.
func (a *App) toolsOf(ctx context.Context, s *session) []ServerTools {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	tools, problems, _ := a.cfg.Agent.Tools(ctx, a.personFor(s)) // what was not listed in time is among the problems
	out := make([]ServerTools, len(a.cfg.Servers))
	at := make(map[string]*ServerTools, len(out))
	for i := range a.cfg.Servers {
		server := &a.cfg.Servers[i]
		out[i] = ServerTools{Name: server.Name, Host: server.URL.Host, Group: server.Group}
		at[server.Name] = &out[i]
	}
	for i := range tools {
		t := &tools[i]
		server := at[t.Server]
		one := Tool{Name: t.Name, Title: t.Title, Unasked: t.Unasked, Says: sayingOf("says-"+t.Server+"-"+t.Name, "", t.Description)}
		if one.Title == "" {
			one.Title = t.Name
		}
		server.Tools = append(server.Tools, one)
	}
	for i := range problems {
		p := &problems[i]
		server := at[p.Server]
		switch {
		case p.Tool == "" && p.Refusal != nil:
			server.Refusal = showListRefusal(p)
		case len(server.Troubles) < maxTroubles:
			server.Troubles = append(server.Troubles, Trouble{p.Tool, p.Text})
		default:
			server.More++
		}
	}
	return out
}

// showListRefusal makes the button of a server that could not be asked for its tools. Where it leads is a path of ours.
func showListRefusal(p *agent.Problem) *Refusal {
	out := refusalWords(p.Refusal)
	path := "/me/signin?server=" + url.QueryEscape(p.Server)
	switch {
	case !p.Refusal.Resumable:
	case out.Kind == refusal.SignIn, out.Kind == refusal.Expired:
		out.Button = &Button{"Sign in again", http.MethodPost, path}
	case out.Kind == refusal.Consent:
		out.Button = &Button{"Give consent", http.MethodPost, path}
	default:
		out.Button = &Button{"Try again", http.MethodGet, "/me"}
	}
	return &out
}

// signInForTools is the button of a server whose tools are not listed before the person has signed in again, or has
// consented. What the server wants is asked for anew: nothing of it comes from the page.
func (a *App) signInForTools(w http.ResponseWriter, v *visit) error {
	if v.session == nil {
		return a.welcome(w, v, "/me")
	}
	if err := v.checkForm(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(v.Context(), listTime)
	defer cancel()
	name := v.URL.Query().Get("server")
	_, problems, _ := a.cfg.Agent.Tools(ctx, a.personFor(v.session)) // as in toolsOf
	for i := range problems {
		p := &problems[i]
		if p.Server != name || p.Tool != "" || p.Refusal == nil || !p.Refusal.Resumable {
			continue
		}
		start, err := signin.Start{Scopes: a.scopesOf(v.session, name), Claims: p.Refusal.Claims, Hint: v.session.person.UPN}, error(nil)
		if p.Refusal.Kind == refusal.Consent {
			start, err = a.consentTo(v.session, name)
		}
		if err != nil {
			return err
		}
		return a.sendToSignIn(w, v, start, attempt{back: "/me"})
	}
	redirect(w, "/me")
	return nil
}
