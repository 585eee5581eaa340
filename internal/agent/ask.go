package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/internal/agent/dialog"
)

var pinned = regexp.MustCompile(`^[0-9a-f]{16,64}$`)

func (p AskPolicy) check() error {
	var wrong []error
	for tool, hash := range p.Unasked {
		if server, name, ok := strings.Cut(tool, "."); !ok || server == "" || name == "" {
			wrong = append(wrong, fmt.Errorf("unasked tool %q: want SERVER.TOOL", tool))
		}
		if hash != "" && !pinned.MatchString(hash) {
			wrong = append(wrong, fmt.Errorf("unasked tool %q: a definition is pinned by 16 to 64 of its hash's hexadecimal digits, in lower case", tool))
		}
	}
	return errors.Join(wrong...)
}

// unasked reports whether the operator lets this definition of the tool run without asking.
func (a *Agent) unasked(t *Tool) bool {
	name := t.Server + "." + t.Name
	pin, named := a.cfg.Ask.Unasked[name]
	if !named {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	first := a.seen[name]
	if first == "" {
		first, a.seen[name] = t.Definition, t.Definition
		a.cfg.Logger.Info("a tool is configured to run unasked", slog.String("tool", name), slog.String("definition", t.Definition), slog.Bool("pinned", pin != ""))
	}
	may := first == t.Definition
	if pin != "" {
		may = strings.HasPrefix(t.Definition, pin)
	}
	if !may && a.other[name] != t.Definition {
		a.other[name] = t.Definition
		a.cfg.Logger.Warn("a tool asks although it is configured not to: its definition is another one", slog.String("tool", name), slog.String("definition", t.Definition))
	}
	return may
}

// pinned reports whether the operator has read this very definition.
func (a *Agent) pinned(t *Tool) bool {
	return a.cfg.Ask.Unasked[t.Server+"."+t.Name] != "" && a.unasked(t)
}

// group is the trust group of a server: its own where none is named.
func group(s *Server) string {
	if s.Group != "" {
		return "group " + s.Group
	}
	return "server " + s.Name
}

// decide says whether a call of this tool has to ask, and why. Nothing that a model, a document or a server says takes
// part: the operator's configuration does, what the person allowed, and which servers were read from.
func (a *Agent) decide(c *dialog.Conversation, o *offer) (reason dialog.AskReason, why string) {
	name := o.Server + "." + o.Name
	own := group(o.server)
	var others []string
	for _, touched := range c.Touched {
		if touched != own {
			others = append(others, touched)
		}
	}
	grant, granted := c.Allowed[name]
	current := granted && grant.Definition == o.Definition
	if current {
		others = slices.DeleteFunc(others, func(one string) bool { return slices.Contains(grant.From, one) })
	}
	if len(others) > 0 {
		return dialog.ReasonFlow, fmt.Sprintf("This conversation has read from %s: the call could carry that to %s.", names(others), o.server.Host)
	}
	known := c.Known[name]
	switch _, configured := a.cfg.Ask.Unasked[name]; {
	case current, o.Unasked && (known == "" || known == o.Definition || a.pinned(&o.Tool)):
		return "", ""
	case configured, granted, known != "" && known != o.Definition:
		return dialog.ReasonChanged, saysOther
	default:
		return dialog.ReasonDefault, "Nobody has said that this tool may run unasked."
	}
}

const saysOther = "What this tool says of itself is not what was allowed before: read anew what it does."

// names puts trust groups into words.
func names(groups []string) string {
	var out []string
	for _, one := range groups {
		kind, name, _ := strings.Cut(one, " ")
		if kind == "server" {
			out = append(out, name)
		} else {
			out = append(out, "the servers of "+name)
		}
	}
	return strings.Join(out, " and ")
}

// touch notes that a conversation holds what was read from a server.
func touch(c *dialog.Conversation, s *Server) {
	if own := group(s); !slices.Contains(c.Touched, own) {
		c.Touched = append(c.Touched, own)
	}
}
