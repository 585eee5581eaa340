package directory

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/lookalike"
)

// groupNames are all groups of the directory, by what their names look like.
type groupNames struct {
	all   []graph.Group
	alike map[string][]int // by the keys of names
}

func (d *Directory) listGroups(ctx context.Context) (*groupNames, error) {
	all, err := ask(ctx, d, "list groups", func(c *graph.Client) ([]graph.Group, error) {
		return graph.List[graph.Group](ctx, c, "/groups", url.Values{"$select": {"id,displayName"}, "$top": {"999"}}, maxListed)
	})
	if err != nil {
		return nil, err
	}
	names := &groupNames{all: all, alike: map[string][]int{}}
	for i := range all {
		for _, key := range d.table.Keys(all[i].DisplayName) {
			names.alike[key] = append(names.alike[key], i)
		}
	}
	for i := range all {
		name := all[i].DisplayName
		d.remember(all[i].ID, Entry{Name: name, Known: true, Alone: lookalike.Plain(name) && d.twin(names, &all[i]) == nil})
	}
	return names, nil
}

// twin returns another group whose name looks like that of a group.
func (d *Directory) twin(names *groupNames, group *graph.Group) *graph.Group {
	for _, key := range d.table.Keys(group.DisplayName) {
		for _, i := range names.alike[key] {
			if names.all[i].ID != group.ID {
				return &names.all[i]
			}
		}
	}
	return nil
}

// AllGroups lists the groups of the directory.
func (d *Directory) AllGroups(ctx context.Context) ([]graph.Group, error) {
	names, err := d.groups(ctx)
	if err != nil {
		return nil, err
	}
	return names.all, nil
}

// ErrAmbiguous says that a name does not tell which group is meant: who reads the file that holds it may take it for another.
var ErrAmbiguous = errors.New("give the object id")

// GroupByName returns the object id of the one group with the display name: graph.ErrNotFound when there is none. It is
// [ErrAmbiguous] when there are several, when the name is written to be taken for another, and, as far as all groups may be
// listed, when another group's name looks like it.
func (d *Directory) GroupByName(ctx context.Context, name string) (string, error) {
	if !lookalike.Plain(name) {
		return "", fmt.Errorf("the name holds characters that nobody sees, or letters of several alphabets: %w", ErrAmbiguous)
	}
	groups, err := ask(ctx, d, "group", func(c *graph.Client) ([]graph.Group, error) {
		return graph.List[graph.Group](ctx, c, "/groups", url.Values{"$filter": {"displayName eq " + graph.Quote(name)}, "$select": {"id,displayName"}}, 10)
	})
	switch {
	case err != nil:
		return "", err
	case len(groups) == 0:
		return "", graph.ErrNotFound
	case len(groups) > 1:
		return "", fmt.Errorf("%d groups have this name: %w", len(groups), ErrAmbiguous)
	case !strings.EqualFold(groups[0].DisplayName, name):
		return "", fmt.Errorf("the group is called %q: %w", groups[0].DisplayName, ErrAmbiguous)
	}
	names, err := d.groups(ctx)
	if err != nil {
		return groups[0].ID, ctx.Err() // the name decides
	}
	if twin := d.twin(names, &groups[0]); twin != nil {
		return "", fmt.Errorf("%q (%s) and %q (%s) look alike: %w", groups[0].DisplayName, groups[0].ID, twin.DisplayName, twin.ID, ErrAmbiguous)
	}
	return groups[0].ID, nil
}
