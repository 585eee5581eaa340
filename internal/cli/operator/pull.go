package operator

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/provision/acl"
	"github.com/onbehalf/onbehalf/internal/provision/directory"
	"github.com/onbehalf/onbehalf/search"
)

// pullACL is one run of "index pull-acl".
type pullACL struct {
	*app
	o          *operator
	principals []string
	asJSON     bool

	names  *directory.Directory
	fields acl.Fields
}

func (a *app) indexPullCommand() *cobra.Command {
	p := &pullACL{app: a, o: a.newOperator()}
	cmd := &cobra.Command{
		Use:   "pull-acl",
		Short: "Show who can read what",
		Long: `Show, for every document of the index, which people and groups may read it, with their names where Microsoft Graph may be
asked. It reads all documents, with an admin key or with --entra as somebody with the role Search Index Data Contributor.

Permission fields should not be readable, and often are not. Then the service is asked, for each person and group of the
directory, which documents name them; ids that the directory does not know show only if --principal names them.`,
		Example: "  onbehalf index pull-acl --env .env\n  onbehalf index pull-acl --json --env .env | jq 'select(.everyone)'",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.run(cmd.Context()) },
	}
	p.o.flags(cmd)
	p.o.admin.Flags(cmd)
	cmd.Flags().StringSliceVar(&p.principals, "principal", nil, "also look for this object `ID` of a person or group; may be repeated")
	cmd.Flags().BoolVar(&p.asJSON, "json", false, "print a JSON object a line for each document")
	return cmd
}

func (p *pullACL) run(ctx context.Context) error {
	for i, id := range p.principals {
		object, err := identity.ParseObjectID(id)
		if err != nil {
			return shell.Usage(fmt.Errorf("--principal: %w", err))
		}
		p.principals[i] = object.String()
	}
	if err := p.o.open(); err != nil {
		return err
	}
	service, err := p.o.service()
	if err != nil {
		return err
	}
	definition, err := p.o.definition(ctx, service)
	if err != nil {
		return err
	}
	if p.fields, err = acl.FieldsOf(definition); err != nil {
		return err
	}
	if !p.fields.Enforced {
		fmt.Fprintf(p.Err, "warning: index %s does not enforce permissions: who may query sees every document\n", p.o.index)
	}
	delegated, err := p.o.delegate()
	if err != nil {
		p.o.logger.DebugContext(ctx, "the settings of the MCP server are not complete: Graph is asked without them")
	}
	defer delegated.close()
	p.names = p.o.directory(ctx, delegated)
	documents := 0
	for readers, err := range p.documents(ctx, service.Index(p.o.index)) {
		if err != nil {
			return p.o.explain(err)
		}
		if err := p.print(ctx, &readers); err != nil {
			return err
		}
		documents++
	}
	if !p.asJSON {
		fmt.Fprintf(p.Out, "%d documents\n", documents)
	}
	return nil
}

// documents are the readers of each document, read or asked for.
func (p *pullACL) documents(ctx context.Context, index search.Index) iter.Seq2[acl.Readers, error] {
	if p.fields.Readable {
		p.learnNames(ctx)
		return acl.Documents(ctx, index, p.fields)
	}
	users, groups := slices.Clone(p.principals), slices.Clone(p.principals)
	people, err1 := p.names.People(ctx)
	for _, person := range people {
		users = append(users, person.ID)
	}
	all, err2 := p.names.AllGroups(ctx)
	for _, group := range all {
		groups = append(groups, group.ID)
	}
	accounts, err := p.o.people.SignedIn(ctx)
	if err != nil {
		p.o.logger.DebugContext(ctx, "the sign-ins of this machine cannot be read")
	}
	for _, account := range accounts {
		users = append(users, account.Object)
	}
	slices.Sort(users)
	slices.Sort(groups)
	users, groups = slices.Compact(users), slices.Compact(groups)
	fmt.Fprintf(p.Err, "note: the permission fields of the index cannot be read; asked for %d people and %d groups, others do not show\n", len(users), len(groups))
	p.unlisted(ctx, err1, err2)
	return acl.Asked(ctx, index, p.fields, users, groups, p.tools.Progress("asking"))
}

// learnNames asks for all names at once, where Graph lets it: one by one they would take their time.
func (p *pullACL) learnNames(ctx context.Context) {
	_, err1 := p.names.People(ctx)
	_, err2 := p.names.AllGroups(ctx)
	p.unlisted(ctx, err1, err2)
}

// unlisted says which part of the directory is not known, and who could ask for it.
func (p *pullACL) unlisted(ctx context.Context, people, groups error) {
	var missing []string
	if people != nil {
		missing = append(missing, "people")
	}
	if groups != nil {
		missing = append(missing, "groups")
	}
	if len(missing) == 0 {
		return
	}
	fmt.Fprintf(p.Err, "note: the %s of the directory are not known, Microsoft Graph could not be asked: %s signs in an administrator for this command\n",
		strings.Join(missing, " and "), p.o.admin.Hint())
	p.o.logger.DebugContext(ctx, "the directory cannot be listed", slog.String("refused", p.names.Refused()))
}

// reader is somebody who may read a document. The id decides who it is; a name is for people.
type reader struct {
	ID        string `json:"id"`
	Name      string `json:"name,omitempty"`
	Ambiguous bool   `json:"ambiguous,omitempty"` // the name does not tell who it is
}

func readerOf(id string, entry directory.Entry) reader {
	return reader{ID: id, Name: entry.Name, Ambiguous: entry.Name != "" && !entry.Alone}
}

// String is the name, with the id where another name looks like it or not all names are known. A name that reads like several,
// or holds what nobody sees, is quoted.
func (r reader) String() string {
	name := r.Name
	if strings.ContainsAny(name, ",\"()") || strings.ContainsFunc(name, func(c rune) bool { return !strconv.IsPrint(c) }) {
		name = strconv.Quote(name)
	}
	switch {
	case name == "":
		return r.ID
	case r.Ambiguous:
		return name + " (" + r.ID + ")"
	}
	return name
}

func (p *pullACL) print(ctx context.Context, readers *acl.Readers) error {
	out := struct {
		Document string   `json:"document"`
		Everyone bool     `json:"everyone"`
		Users    []reader `json:"users"`
		Groups   []reader `json:"groups"`
		Scope    string   `json:"rbacScope,omitempty"`
	}{Document: readers.Key, Everyone: readers.Allow(&acl.Person{}), Users: []reader{}, Groups: []reader{}, Scope: readers.Scope}
	for _, id := range readers.Users {
		if id != "all" && id != "none" {
			out.Users = append(out.Users, readerOf(id, p.names.NameOfPerson(ctx, id)))
		}
	}
	for _, id := range readers.Groups {
		if id != "all" && id != "none" {
			out.Groups = append(out.Groups, readerOf(id, p.names.NameOfGroup(ctx, id)))
		}
	}
	if p.asJSON {
		return shell.WriteJSON(p.Out, out)
	}
	var words []string
	if out.Everyone {
		words = append(words, "everyone")
	}
	for _, u := range out.Users {
		words = append(words, "user "+u.String())
	}
	for _, g := range out.Groups {
		words = append(words, "group "+g.String())
	}
	if out.Scope != "" {
		words = append(words, "roles on "+out.Scope)
	}
	if len(words) == 0 {
		words = append(words, p.nobody(readers))
	}
	_, err := fmt.Fprintln(p.Out, shell.PrintableLine(readers.Key+"  "+strings.Join(words, ", ")))
	return err
}

// nobody is what is known of a document without a known reader.
func (p *pullACL) nobody(readers *acl.Readers) string {
	if p.fields.Readable || len(readers.Users)+len(readers.Groups) > 0 {
		return "nobody"
	}
	return "nobody who was asked for"
}
