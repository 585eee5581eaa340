package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/corpus"
	"github.com/onbehalf/onbehalf/internal/provision/directory"
	"github.com/onbehalf/onbehalf/search"
)

// Bounds of what Graph is asked about the groups that documents name.
const (
	maxGroupsChecked = 200
	groupsAtOnce     = 8
)

// finder looks the names of an ACL file up.
func (p *push) finder(ctx context.Context) func(context.Context, corpus.Kind, string) (string, error) {
	return finder(p.o.directory(ctx, p.delegated))
}

func finder(names *directory.Directory) func(context.Context, corpus.Kind, string) (string, error) {
	return func(ctx context.Context, kind corpus.Kind, name string) (id string, err error) {
		if kind == corpus.Group {
			id, err = names.GroupByName(ctx, name)
		} else {
			var user graph.User
			user, err = names.Person(ctx, name)
			id = user.ID
		}
		if errors.Is(err, graph.ErrNotFound) {
			return "", nil
		}
		return id, err
	}
}

// remark warns of what is right by the letter and looks wrong: readers that cannot be, documents that nobody may read.
func (p *push) remark(definition *search.Definition) {
	if definition.PermissionFilterOption != search.PermissionsEnabled {
		p.warn("index " + p.o.index + " does not enforce permissions: who may query sees every document")
	}
	if n := len(p.survey.Strange); n > 0 {
		p.warn("permission fields hold what is no object id in lower case, so that nobody reads by it: " + strings.Join(p.survey.Strange, ", "))
	}
	if p.survey.Nobody > 0 {
		p.warn(fmt.Sprintf("documents that nobody may read: %d", p.survey.Nobody))
	}
}

// lookGroupsUp asks Graph, beside the upload, which of the groups that documents name do not exist. What it returns waits for
// the answer and warns.
func (p *push) lookGroupsUp(ctx context.Context) (warn func()) {
	if len(p.survey.Groups) == 0 || p.flags.sample {
		return func() {}
	}
	names := p.o.directory(ctx, p.delegated) // may ask for the passphrase of the sign-ins: before there is a progress bar
	var missing []string
	var unasked error
	done := make(chan struct{})
	go func() {
		defer close(done)
		missing, unasked = missingGroups(ctx, names, p.survey.Groups)
	}()
	return func() {
		<-done
		p.warnOfMissing(missing)
		switch {
		case ctx.Err() != nil:
		case unasked != nil:
			p.warn("whether the groups exist was not checked: " + directory.ErrUnasked.Error())
			p.o.logger.DebugContext(ctx, "the groups were not checked", slog.String("refused", names.Refused()))
		case len(p.survey.Groups) > maxGroupsChecked:
			p.warn(fmt.Sprintf("only the first %d of %d groups were looked up", maxGroupsChecked, len(p.survey.Groups)))
		}
	}
}

// maxShownGroups is how many missing groups are named at the terminal; --json has all.
const maxShownGroups = 10

func (p *push) warnOfMissing(groups []string) {
	slices.Sort(groups)
	for _, id := range groups[:min(len(groups), maxShownGroups)] {
		p.warn("there is no group " + id)
	}
	if more := len(groups) - maxShownGroups; more > 0 {
		fmt.Fprintf(p.Err, "warning: %d more groups are not there; --json names them\n", more)
		for _, id := range groups[maxShownGroups:] {
			p.outcome.Warnings = append(p.outcome.Warnings, "there is no group "+id)
		}
	}
}

// missingGroups returns which of the groups the directory does not have, or why that is not known.
func missingGroups(ctx context.Context, names *directory.Directory, groups []string) (missing []string, unasked error) {
	if len(groups) > maxGroupsChecked {
		groups = groups[:maxGroupsChecked]
	}
	if _, err := names.Group(ctx, groups[0]); err != nil && !errors.Is(err, graph.ErrNotFound) {
		return nil, err // for one as for all
	}
	var mu sync.Mutex
	var all errgroup.Group
	all.SetLimit(groupsAtOnce)
	for _, id := range groups {
		all.Go(func() error {
			_, err := names.Group(ctx, id)
			if errors.Is(err, graph.ErrNotFound) {
				mu.Lock()
				defer mu.Unlock()
				missing = append(missing, id)
				return nil
			}
			return err
		})
	}
	return missing, all.Wait()
}
