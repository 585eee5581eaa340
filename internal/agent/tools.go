package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/internal/agent/dialog"
	"github.com/onbehalf/onbehalf/internal/agent/mcpdata"
	"github.com/onbehalf/onbehalf/internal/agent/mcplink"
)

// Tool is a tool of a server as this agent takes it.
type Tool struct {
	Server, Name       string
	Title, Description string // without what steers a screen, bounded
	Definition         string // hash of all that the model and the person are told of it, and of the server's host
	Unasked            bool   // by configuration it runs without asking
}

// Problem is a tool or server that cannot be used, and why in a sentence.
type Problem struct {
	Server, Tool string
	Text         string
	Refusal      *dialog.Refusal // of the server: what the person can do about it
}

const (
	maxName        = 128 // of a tool, by the protocol
	maxTitle       = 100
	maxDescription = 1024 // OpenAI's own limit
)

// offer is a tool with what it takes to offer, check and call it.
type offer struct {
	Tool
	server *Server
	wire   string // its name towards the model
	schema *mcpdata.Schema
}

// listing is what a server offers. It does not change.
type listing struct {
	offers   []*offer
	problems []Problem
}

// toolset is what one step has at hand.
type toolset struct {
	offers   []*offer // for the model
	byWire   map[string]*offer
	byName   map[string]*offer // "server.tool"
	problems []Problem
	failed   map[string]error // by server
}

// Tools lists what a person may use. Lists are kept for some minutes under the person's key.
func (a *Agent) Tools(ctx context.Context, p Person) ([]Tool, []Problem, error) {
	if err := p.check(); err != nil {
		return nil, nil, err
	}
	pool, done := a.linksFor(&p)
	defer done()
	set := a.list(ctx, pool, &p)
	out := make([]Tool, 0, len(set.offers))
	for _, o := range set.offers {
		out = append(out, o.Tool)
	}
	for i := range p.Servers {
		server := &p.Servers[i]
		if err := set.failed[server.Name]; err != nil {
			refusal := p.refuse(ctx, &dialog.Call{Server: server.Name, Host: server.Host}, err, nil)
			problem := Problem{Server: server.Name, Text: unreachable(server), Refusal: refusal}
			if refusal != nil {
				problem.Text = refusal.Text
			}
			set.problems = append(set.problems, problem)
		}
	}
	return out, set.problems, context.Cause(ctx)
}

func unreachable(server *Server) string {
	return "The tools of " + server.Name + " (" + server.Host + ") could not be listed."
}

// list asks all servers beside one another for their tools.
func (a *Agent) list(ctx context.Context, pool *links, p *Person) *toolset {
	lists, errs := make([]*listing, len(p.Servers)), make([]error, len(p.Servers))
	var group sync.WaitGroup
	for i := range p.Servers {
		group.Go(func() {
			within, cancel := context.WithTimeoutCause(ctx, a.cfg.Limits.Listen, errSlow)
			defer cancel()
			server := &p.Servers[i]
			lists[i], errs[i] = pool.Get(p.Key, server.Name, server.Transport).List(within, a.read(server))
		})
	}
	group.Wait()
	set := &toolset{byWire: map[string]*offer{}, byName: map[string]*offer{}, failed: map[string]error{}}
	for i := range p.Servers {
		if errs[i] != nil {
			set.failed[p.Servers[i].Name] = errs[i]
			continue
		}
		set.problems = append(set.problems, lists[i].problems...)
	}
	set.share(a, lists)
	return set
}

// share takes the servers' offers in turns, so that one that lists many takes no place from another, and of each as much as
// fits into its part of what a model is sent.
func (s *toolset) share(a *Agent, lists []*listing) {
	room := make([]int, len(lists))
	for i := range room {
		room[i] = a.cfg.Limits.Context / 2 / len(lists)
	}
	order := map[string]int{}
	for turn, more := 0, true; more; turn++ {
		more = false
		for i, list := range lists {
			if list == nil || turn >= len(list.offers) {
				continue
			}
			more = true
			o := list.offers[turn]
			order[o.Server] = i
			if size := o.size(); size <= room[i] {
				room[i] -= size
				s.add(a, o)
			} else {
				s.problems = append(s.problems, noRoom(o))
			}
		}
	}
	slices.SortStableFunc(s.offers, func(a, b *offer) int { return cmp.Compare(order[a.Server], order[b.Server]) })
}

func noRoom(o *offer) Problem {
	return Problem{Server: o.Server, Tool: o.Name, Text: "It is left out: what this server says of its tools is more than a model is sent."}
}

// size is what a model is sent of it.
func (o *offer) size() int {
	return len(o.wire) + len(o.Title) + len(o.Description) + len(o.schema.JSON)
}

func (s *toolset) add(a *Agent, o *offer) {
	switch {
	case s.byWire[o.wire] != nil:
		s.problems = append(s.problems, Problem{Server: o.Server, Tool: o.Name, Text: "Its name cannot be told apart from that of another tool."})
		return
	case len(s.offers) == a.cfg.Limits.Tools:
		s.problems = append(s.problems, Problem{Server: o.Server, Tool: o.Name, Text: fmt.Sprintf("More than %d tools are too many for a model.", a.cfg.Limits.Tools)})
		return
	}
	one := *o
	one.Unasked = a.unasked(&one.Tool)
	s.offers = append(s.offers, &one)
	s.byWire[one.wire], s.byName[one.Server+"."+one.Name] = &one, &one
}

// read makes offers of what a server lists.
func (a *Agent) read(server *Server) func(tools []*mcp.Tool, more bool) *listing {
	return func(tools []*mcp.Tool, more bool) *listing {
		out, room := &listing{}, a.cfg.Limits.Context // a list is kept for a while
		for _, tool := range tools {
			o, err := newOffer(server, tool)
			switch {
			case err == nil && o.size() > room:
				out.problems = append(out.problems, noRoom(o))
				continue
			case err == nil:
				out.offers, room = append(out.offers, o), room-o.size()
				continue
			}
			problem := Problem{Server: server.Name, Tool: mcpdata.Line(tool.Name, maxName), Text: "This tool is not used: " + err.Error() + "."}
			a.cfg.Logger.Warn("a tool is not used", slog.String("server", server.Name), slog.String("tool", problem.Tool), slog.Any("error", err))
			out.problems = append(out.problems, problem)
		}
		if more {
			out.problems = append(out.problems, Problem{Server: server.Name, Text: fmt.Sprintf("It lists more than %d tools: the others are left out.", len(tools))})
		}
		slices.SortStableFunc(out.offers, func(a, b *offer) int { return cmp.Compare(a.Name, b.Name) })
		return out
	}
}

func newOffer(server *Server, tool *mcp.Tool) (*offer, error) {
	if tool.Name == "" || len(tool.Name) > maxName || mcpdata.Line(tool.Name, maxName) != tool.Name {
		return nil, errors.New("its name is empty, too long, or cannot be shown")
	}
	definition, err := mcpdata.Definition(server.Host, tool)
	if err != nil {
		return nil, err
	}
	schema, err := mcpdata.NewSchema(tool.InputSchema)
	if err != nil {
		return nil, err
	}
	copied := *server
	return &offer{
		Tool: Tool{
			Server: server.Name, Name: tool.Name, Definition: definition,
			Title: mcpdata.Line(mcpdata.Title(tool), maxTitle), Description: mcpdata.Plain(tool.Description, maxDescription),
		},
		server: &copied, wire: wireName(server.Name, tool.Name), schema: schema,
	}, nil
}

const maxWire = 64

var unfit = regexp.MustCompile(`[^a-zA-Z0-9_-]`)

// wireName is a tool's name towards models: prefixed by its server, which holds no underscore, and in the letters that
// OpenAI takes. Where that changes a name, a hash of it keeps it apart from others.
//
// https://platform.openai.com/docs/api-reference/chat/create#chat-create-tools
func wireName(server, tool string) string {
	plain := unfit.ReplaceAllString(tool, "_")
	name := server + "__" + plain
	if plain == tool && len(name) <= maxWire {
		return name
	}
	sum := sha256.Sum256([]byte(tool))
	tail := "_" + hex.EncodeToString(sum[:4])
	return name[:min(len(name), maxWire-len(tail))] + tail
}

// modelTools are the offers as the model is told of them.
func (s *toolset) modelTools() []ModelTool {
	out := make([]ModelTool, 0, len(s.offers))
	for _, o := range s.offers {
		description := o.Description
		if o.Title != "" && !strings.Contains(description, o.Title) {
			description = mcpdata.Cut(o.Title+". "+description, maxDescription)
		}
		out = append(out, ModelTool{Name: o.wire, Description: description, Schema: o.schema.JSON})
	}
	return out
}

// Forget drops what is kept under a person's key, as when that person signs out. Calls that run go on.
func (a *Agent) Forget(key string) {
	if key != "" {
		a.links.Drop(key)
	}
}

// Close ends all MCP sessions. No conversation may run.
func (a *Agent) Close() { a.links.Close() }

// links are people's ways to servers.
type links = mcplink.Links[*listing]

// linksFor returns where a person's links are kept; call done afterwards.
func (a *Agent) linksFor(p *Person) (pool *links, done func()) {
	if p.Key != "" {
		return a.links, func() {}
	}
	pool = mcplink.New[*listing](a.cfg.Version, a.cfg.Now)
	return pool, pool.Close
}
