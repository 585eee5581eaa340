package directory

import (
	"context"
	"errors"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/onbehalf/onbehalf/internal/graph"
)

// How groups are looked up that documents name. Graph takes a thousand ids a request of who may read the directory, and
// fifteen of others; for these the whole directory is listed where that takes less.
const (
	lookupsAtOnce = 4
	pageOfGroups  = 999
	idsAFilter    = 15
	maxGroups     = 150_000 // that are listed
)

// Missing returns which of the object ids are no groups of the directory, and how many were looked up. Where Graph may not be
// asked, or does not want to be asked any more, the error says why: what is returned holds all the same, and the rest is not
// known.
func (d *Directory) Missing(ctx context.Context, groups []string) (missing []string, looked int, err error) {
	chunks := slices.Collect(slices.Chunk(groups, graph.MaxIDs))
	if len(chunks) == 0 {
		return nil, 0, nil
	}
	lookUp := d.byID
	there, err := lookUp(ctx, chunks[0])
	if errors.Is(err, ErrUnasked) {
		if there, err = d.listed(ctx, len(groups)); err == nil {
			return without(groups, there), len(groups), nil
		}
		lookUp = d.among
		there, err = lookUp(ctx, chunks[0])
	}
	if err != nil {
		return nil, 0, err
	}
	missing, looked = without(chunks[0], there), len(chunks[0])
	var mu sync.Mutex
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(lookupsAtOnce)
	for _, chunk := range chunks[1:] {
		all.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			found, failure := lookUp(ctx, chunk)
			if failure != nil {
				return failure
			}
			mu.Lock()
			defer mu.Unlock()
			missing, looked = append(missing, without(chunk, found)...), looked+len(chunk)
			return nil
		})
	}
	err = all.Wait()
	return missing, looked, err
}

// without returns what is not there.
func without(asked, there []string) []string {
	found := make(map[string]bool, len(there))
	for _, id := range there {
		found[id] = true
	}
	return slices.DeleteFunc(slices.Clone(asked), func(id string) bool { return found[id] })
}

func (d *Directory) byID(ctx context.Context, ids []string) ([]string, error) {
	return ask(ctx, d, "groups by id", func(c *graph.Client) ([]string, error) { return c.GroupsByID(ctx, ids) })
}

func (d *Directory) among(ctx context.Context, ids []string) ([]string, error) {
	return ask(ctx, d, "group", func(c *graph.Client) ([]string, error) { return c.GroupsAmong(ctx, ids) })
}

// errDearer says that listing the directory would take longer than asking.
var errDearer = errors.New("the directory has too many groups to list them for this")

// listed lists all groups, unless asking for so many ids takes less.
func (d *Directory) listed(ctx context.Context, asked int) ([]string, error) {
	count, err := ask(ctx, d, "count groups", func(c *graph.Client) (int, error) { return c.CountGroups(ctx) })
	if err != nil {
		return nil, err
	}
	if pages, rounds := count/pageOfGroups+1, asked/idsAFilter/lookupsAtOnce+1; pages > rounds || count > maxGroups {
		return nil, errDearer
	}
	return ask(ctx, d, "list groups", func(c *graph.Client) ([]string, error) { return c.AllGroupIDs(ctx, maxGroups) })
}
