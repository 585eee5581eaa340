package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/corpus"
	"github.com/onbehalf/onbehalf/internal/provision/directory"
	"github.com/onbehalf/onbehalf/search"
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
	var looked int
	var failure error
	done := make(chan struct{})
	go func() {
		defer close(done)
		missing, looked, failure = names.Missing(ctx, p.survey.Groups)
	}()
	return func() {
		<-done
		p.warnOfMissing(missing)
		switch unknown := len(p.survey.Groups) - looked; {
		case ctx.Err() != nil:
		case failure != nil && looked == 0:
			p.warn("whether the groups exist was not checked: " + unchecked(failure))
			p.o.logger.DebugContext(ctx, "the groups were not checked", slog.String("refused", names.Refused()))
		case failure != nil:
			p.warn(fmt.Sprintf("whether %d of %d groups exist was not checked: %s", unknown, len(p.survey.Groups), unchecked(failure)))
		case p.survey.MoreGroups:
			p.warn(fmt.Sprintf("documents name more than %d groups: whether the others exist was not checked", len(p.survey.Groups)))
		}
	}
}

// unchecked says why Graph did not answer; a refusal of every way there is in the log.
func unchecked(err error) string {
	if errors.Is(err, directory.ErrUnasked) {
		return directory.ErrUnasked.Error()
	}
	return err.Error()
}

// How many missing groups are named at the terminal, and in --json.
const (
	maxShownGroups = 10
	maxNamedGroups = 10_000
)

func (p *push) warnOfMissing(groups []string) {
	slices.Sort(groups)
	for _, id := range groups[:min(len(groups), maxShownGroups)] {
		p.warn("there is no group " + id)
	}
	more := len(groups) - maxShownGroups
	if more <= 0 {
		return
	}
	fmt.Fprintf(p.Err, "warning: %d more groups are not there; --json names them\n", more)
	for _, id := range groups[maxShownGroups:min(len(groups), maxNamedGroups)] {
		p.outcome.Warnings = append(p.outcome.Warnings, "there is no group "+id)
	}
	if len(groups) > maxNamedGroups {
		p.outcome.Warnings = append(p.outcome.Warnings, fmt.Sprintf("%d more groups are not there", len(groups)-maxNamedGroups))
	}
}
