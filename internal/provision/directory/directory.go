// Package directory answers, from Microsoft Graph, who people and groups are and who is in which groups. It asks as
// whoever may: each way to Graph that there is on this machine is tried in turn, until one is not refused.
package directory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/lookalike"
)

// Source is one way to Microsoft Graph.
type Source struct {
	Name string // "the API's own registration", for messages
	// Self is the person whose token it is, zero for other tokens: she may always ask for her own groups.
	Self identity.ObjectID
	Open func(ctx context.Context) (*graph.Client, error) // called once, when it is first needed
}

// Directory asks Microsoft Graph. It may be used by many goroutines.
type Directory struct {
	sources []*source
	table   *lookalike.Table
	groups  func(ctx context.Context) (*groupNames, error) // asked for once

	mu    sync.Mutex
	names map[string]Entry
}

type source struct {
	Source
	once   func(ctx context.Context) (*graph.Client, error)
	mu     sync.Mutex
	denied map[string]error // by operation
}

// Entry is what an object id stands for.
type Entry struct {
	Name  string // display name, or the user principal name of a person
	Known bool   // false: the directory has no such object, or could not be asked
	// Alone says that the name is enough to know whose it is: it is a person's, which a tenant has once, or that of a group
	// which no other group's name looks like. Anyone who may make groups chooses their names.
	Alone bool
}

// ErrUnasked says that no way to Microsoft Graph was open: nothing is known, not even that something does not exist.
var ErrUnasked = errors.New("Microsoft Graph could not be asked") //nolint:staticcheck // a proper name

// New makes a directory of the ways to Graph, best first.
func New(sources ...Source) *Directory {
	d := &Directory{names: map[string]Entry{}, table: lookalike.NewTable()}
	d.groups = once(d.listGroups)
	for _, s := range sources {
		d.sources = append(d.sources, &source{Source: s, once: once(s.Open), denied: map[string]error{}})
	}
	return d
}

// once opens a source at its first use. A failure stays: what failed a moment ago would fail for each of a thousand names.
func once[T any](open func(context.Context) (*T, error)) func(context.Context) (*T, error) {
	var mu sync.Mutex
	var opened *T
	var failure error
	return func(ctx context.Context) (*T, error) {
		mu.Lock()
		defer mu.Unlock()
		if opened == nil && failure == nil {
			opened, failure = open(ctx)
		}
		return opened, failure
	}
}

// ask runs an operation by the first source that is let.
func ask[T any](ctx context.Context, d *Directory, operation string, run func(*graph.Client) (T, error)) (T, error) {
	var none T
	reasons := []error{ErrUnasked}
	for _, s := range d.sources {
		value, err := via(ctx, s, operation, run)
		if err == nil {
			return value, nil
		}
		if answer, ok := errors.AsType[*graph.Error](err); ok && !errors.Is(answer, graph.ErrForbidden) && answer.Status != 401 || ctx.Err() != nil {
			return none, err // Graph has answered
		}
		reasons = append(reasons, fmt.Errorf("as %s: %w", s.Name, err))
	}
	return none, errors.Join(reasons...)
}

func via[T any](ctx context.Context, s *source, operation string, run func(*graph.Client) (T, error)) (T, error) {
	var none T
	s.mu.Lock()
	denied := s.denied[operation]
	s.mu.Unlock()
	if denied != nil {
		return none, denied
	}
	client, err := s.once(ctx)
	if err != nil {
		return none, err
	}
	value, err := run(client)
	if _, ok := errors.AsType[*graph.Error](err); err != nil && (!ok || errors.Is(err, graph.ErrForbidden)) && ctx.Err() == nil {
		s.mu.Lock()
		s.denied[operation] = err
		s.mu.Unlock()
	}
	return value, err
}

// Person finds somebody by object id or user principal name: graph.ErrNotFound when there is nobody.
func (d *Directory) Person(ctx context.Context, name string) (graph.User, error) {
	return ask(ctx, d, "person", func(c *graph.Client) (graph.User, error) {
		return graph.Get[graph.User](ctx, c, "/users/"+url.PathEscape(name), url.Values{"$select": {"id,displayName,userPrincipalName"}})
	})
}

// Group returns the group with the object id: graph.ErrNotFound when there is none.
func (d *Directory) Group(ctx context.Context, id string) (graph.Group, error) {
	return ask(ctx, d, "group", func(c *graph.Client) (graph.Group, error) {
		return graph.Get[graph.Group](ctx, c, "/groups/"+url.PathEscape(id), url.Values{"$select": {"id,displayName"}})
	})
}

// Groups returns the object ids of all groups that a person is in, directly or through others.
func (d *Directory) Groups(ctx context.Context, person identity.ObjectID) ([]string, error) {
	for _, s := range d.sources {
		if s.Self != person {
			continue
		}
		groups, err := via(ctx, s, "my groups", func(c *graph.Client) ([]string, error) { return c.MyGroups(ctx) })
		if err == nil || ctx.Err() != nil {
			return groups, err
		}
	}
	return ask(ctx, d, "groups of a person", func(c *graph.Client) ([]string, error) { return c.TransitiveGroups(ctx, person) })
}

// maxListed bounds a list of people or groups.
const maxListed = 20_000

// People lists everybody in the directory.
func (d *Directory) People(ctx context.Context) ([]graph.User, error) {
	people, err := ask(ctx, d, "list people", func(c *graph.Client) ([]graph.User, error) {
		return graph.List[graph.User](ctx, c, "/users", url.Values{"$select": {"id,displayName,userPrincipalName"}, "$top": {"999"}}, maxListed)
	})
	for _, person := range people {
		d.remember(person.ID, Entry{Name: person.UserPrincipalName, Known: true, Alone: lookalike.Plain(person.UserPrincipalName)})
	}
	return people, err
}

// NameOfPerson and NameOfGroup say what an object id stands for. Where Graph may not be asked, or has no such object, the
// entry is not known.
func (d *Directory) NameOfPerson(ctx context.Context, id string) Entry {
	return d.name(id, func() (Entry, error) {
		user, err := d.Person(ctx, id)
		return Entry{Name: user.UserPrincipalName, Alone: lookalike.Plain(user.UserPrincipalName)}, err
	})
}

// NameOfGroup is NameOfPerson for groups. Where it takes asking for the group by itself, not all groups are known, and the name
// is not enough.
func (d *Directory) NameOfGroup(ctx context.Context, id string) Entry {
	return d.name(id, func() (Entry, error) {
		group, err := d.Group(ctx, id)
		return Entry{Name: group.DisplayName}, err
	})
}

// maxNames bounds what is remembered.
const maxNames = 50_000

func (d *Directory) name(id string, find func() (Entry, error)) Entry {
	d.mu.Lock()
	entry, ok := d.names[id]
	d.mu.Unlock()
	if ok {
		return entry
	}
	entry, err := find()
	entry.Known = err == nil && entry.Name != ""
	d.remember(id, entry)
	return entry
}

func (d *Directory) remember(id string, entry Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.names) < maxNames {
		d.names[id] = entry
	}
}

// Refused lists by which ways Graph was asked in vain, and why, for a message.
func (d *Directory) Refused() string {
	var lines []string
	for _, s := range d.sources {
		s.mu.Lock()
		for _, operation := range slices.Sorted(maps.Keys(s.denied)) {
			lines = append(lines, fmt.Sprintf("%s (%s): %s", s.Name, operation, reason(s.denied[operation])))
		}
		s.mu.Unlock()
	}
	return strings.Join(lines, "; ")
}

func reason(err error) string {
	if refusal, ok := errors.AsType[*entra.Error](err); ok {
		return refusal.Error()
	}
	return err.Error()
}
