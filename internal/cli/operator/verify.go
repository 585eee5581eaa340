package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/acl"
	"github.com/onbehalf/onbehalf/internal/provision/corpus"
	"github.com/onbehalf/onbehalf/internal/provision/directory"
	"github.com/onbehalf/onbehalf/obo"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient"
	"github.com/onbehalf/onbehalf/signin"
)

// exitPredicted is the exit code of verify-acl when nothing differed, but for somebody it could only be predicted.
const exitPredicted = 3

func (a *app) verifyACLCommand() *cobra.Command {
	v := &verifyACL{app: a, o: a.newOperator()}
	cmd := &cobra.Command{
		Use:   "verify-acl --as PERSON[,PERSON…]",
		Short: "Prove, document by document, that people see what the permissions allow",
		Long: `For each person who has signed in on this machine: hold the documents that the search service returns to this person
against those that the permissions and the person's groups (from Microsoft Graph, nested ones included) allow. What is
allowed is worked out here and never by the service's permission filter.

It acts as the MCP server does: it exchanges the person's token, with the server's registration and credential
(TENANT_ID, API_CLIENT_ID, CLIENT_SECRET …), for one of the search service. All documents are read with an admin key or,
with --entra, the role Search Index Data Contributor. Nobody can be impersonated: for people who have not signed in on
this machine the allowed documents are shown, and no more; for that Graph has to be asked as somebody who may read the
directory, such as an administrator (--bootstrap-client).

Exit codes: 0 every document is as the permissions say, 1 something differs or could not be done, 2 wrong use,
3 nothing differs, but for somebody it was only predicted, or roles on storage (rbacScope) may decide about documents.`,
		Example: "  onbehalf verify-acl --as alice@contoso.com,bob@contoso.com --env .env\n" +
			"  onbehalf verify-acl --as alice --anonymous --documents documents.jsonl --json --env .env",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return v.run(cmd.Context()) },
	}
	v.o.flags(cmd)
	v.o.admin.Flags(cmd)
	cmd.Flags().StringSliceVar(&v.as, "as", nil, "whose eyes to look through: `PERSON[,PERSON…]` by user principal name or object id")
	cmd.Flags().BoolVar(&v.anonymous, "anonymous", false, "also as a caller without a person, who may see public documents alone")
	cmd.Flags().StringVar(&v.documents, "documents", "", "take the permissions from this `FILE` or folder, as it was pushed, instead of the index")
	cmd.Flags().BoolVar(&v.asJSON, "json", false, "print the outcome as JSON")
	return cmd
}

// verifyACL is one run of the command.
type verifyACL struct {
	*app
	o                 *operator
	as                []string
	anonymous, asJSON bool
	documents         string

	delegated *delegate
	names     *directory.Directory
	fields    acl.Fields
	reference acl.Reference
	server    search.Index // as the MCP server sees it
	admin     search.Index
	subjects  []subject
}

// subject is somebody whose documents are looked at.
type subject struct {
	name     string
	person   acl.Person
	caller   *identity.Caller // nil: nobody's token
	anybody  bool             // no person at all
	verified bool             // the service can be asked with the person's rights
}

func (v *verifyACL) run(ctx context.Context) error {
	if len(v.as) == 0 && !v.anonymous {
		return shell.Usage(errors.New("want --as PERSON[,PERSON…], --anonymous, or both"))
	}
	if err := v.open(ctx); err != nil {
		return err
	}
	defer v.delegated.close()
	if err := v.find(ctx); err != nil {
		return err
	}
	result := verdict{Index: v.o.index, Permissions: v.reference.Describe(), Enforced: v.fields.Enforced, People: []personVerdict{}}
	if !v.fields.Enforced {
		fmt.Fprintf(v.Err, "warning: index %s does not enforce permissions: who may query sees every document\n", v.o.index)
	}
	if v.fields.Scope != "" {
		fmt.Fprintf(v.Err, "warning: %s\n", shell.PrintableLine(rolesUnknown(v.fields.Scope)))
	}
	total, err := v.admin.Search(ctx, acl.Everything(), &search.Query{Count: true, Top: new(0)})
	switch {
	case err == nil:
		result.Documents = total.Count
	case v.documents == "" || !errors.Is(err, search.ErrForbidden): // else nothing needs to be read past permissions
		return v.o.explain(err)
	}
	var failures []error
	for i := range v.subjects {
		one, err := v.look(ctx, &v.subjects[i])
		if err = v.explain(err); err != nil {
			if ctx.Err() != nil {
				return err
			}
			one.Error = err.Error()
			failures = append(failures, fmt.Errorf("%s: %w", one.Name, err)) // the others are looked at all the same
		}
		result.People = append(result.People, *one)
	}
	return v.report(&result, errors.Join(failures...))
}

// rolesUnknown says why what roles on storage allow cannot be worked out.
//
// https://learn.microsoft.com/azure/search/search-query-access-control-rbac-enforcement
func rolesUnknown(field string) string {
	return "field " + field + " also lets roles on storage decide (rbacScope). The service's documentation names one role, Storage Blob Data Reader on the container, " +
		"and does not say whether others, those of the account or the subscription, and conditions count: documents that name a scope and that users and groups do not allow are counted as undecided"
}

// open gets everything ready that does not depend on the people.
func (v *verifyACL) open(ctx context.Context) error {
	if err := v.o.open(); err != nil {
		return err
	}
	service, err := v.o.service()
	if err != nil {
		return err
	}
	definition, err := v.o.definition(ctx, service)
	if err != nil {
		return err
	}
	if v.fields, err = acl.FieldsOf(definition); err != nil {
		return err
	}
	v.admin = service.Index(v.o.index)
	v.server = v.admin
	v.names = v.o.directory(ctx, nil)
	if len(v.as) > 0 { // else nobody's token is exchanged, and the settings of the MCP server may be missing
		if err = v.openServer(ctx); err != nil {
			return err
		}
	}
	return v.openReference(ctx, definition)
}

// openReference decides where the permissions are taken from.
func (v *verifyACL) openReference(ctx context.Context, definition *search.Definition) error {
	v.reference = acl.FromIndex(v.admin, v.fields)
	if v.documents == "" {
		return nil
	}
	in := input{path: v.documents, definition: definition, fields: corpus.DefaultFolderFields(), find: finder(v.names), warn: func(messages ...string) {
		for _, message := range messages {
			fmt.Fprintf(v.Err, "warning: %s\n", shell.PrintableLine(message))
		}
	}}
	source, _, err := in.open(ctx)
	if err == nil {
		v.reference, err = acl.FromInput(source, v.fields, v.documents)
	}
	return err
}

// openServer opens the index as the MCP server does, and Graph.
func (v *verifyACL) openServer(ctx context.Context) error {
	var err error
	if v.delegated, err = v.o.delegate(); err != nil {
		return err
	}
	v.names = v.o.directory(ctx, v.delegated)
	config := v.delegated.config
	server, err := searchclient.New(searchclient.Config{
		Endpoint: config.Search.Endpoint, Key: config.Search.Key, Credential: config.Search.Credential, Cloud: config.Server.Cloud,
		HTTPClient: config.SearchClient, Logger: v.o.logger, Now: v.Now,
	})
	if err != nil {
		return shell.Usage(err)
	}
	v.server = server.Index(v.o.index)
	return nil
}

// find finds out who the people are; all who cannot be found are in one error.
func (v *verifyACL) find(ctx context.Context) error {
	var accounts []signin.Account
	var errs []error
	if len(v.as) > 0 {
		var err error
		if accounts, err = v.o.people.SignedIn(ctx); err != nil {
			return err
		}
	}
	for _, name := range v.as {
		s, err := v.subject(ctx, name, accounts)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		v.subjects = append(v.subjects, *s)
	}
	if v.anonymous {
		v.subjects = append(v.subjects, subject{name: "anonymous", anybody: true, verified: true})
	}
	return errors.Join(errs...)
}

func (v *verifyACL) subject(ctx context.Context, name string, accounts []signin.Account) (*subject, error) {
	if name = strings.TrimSpace(name); name == "" {
		return nil, shell.Usage(errors.New("--as: an empty name"))
	}
	s := &subject{name: name}
	matches := 0
	var account signin.Account
	for _, a := range accounts {
		if a.Is(name) {
			account = a
			matches++
		}
	}
	var err error
	switch {
	case matches > 1:
		return nil, fmt.Errorf("%s: several who have signed in are called so: give the whole name or the object id", name)
	case matches == 1:
		s.name, s.verified = account.Name, true
		if s.caller, err = v.delegated.caller(ctx, v.o.people, account); err != nil {
			return nil, err
		}
		s.person.Object = s.caller.Object
	default:
		if err = v.stranger(ctx, s); err != nil {
			return nil, err
		}
	}
	if s.person.Groups, err = v.names.Groups(ctx, s.person.Object); err != nil {
		return nil, v.unasked(fmt.Errorf("the groups of %s: %w", s.name, err))
	}
	return s, nil
}

// stranger is somebody who has not signed in here: the directory has to know her.
func (v *verifyACL) stranger(ctx context.Context, s *subject) error {
	asked := s.name
	if _, err := identity.ParseObjectID(asked); err != nil && !strings.Contains(asked, "@") {
		domain := v.o.settings.Get("TENANT_DOMAIN")
		if domain == "" {
			return shell.Hint(fmt.Errorf("%s has not signed in on this machine", asked), "give the user principal name or the object id, or: %s", v.o.people.LoginHint())
		}
		asked += "@" + domain
	}
	user, err := v.names.Person(ctx, asked)
	switch {
	case errors.Is(err, graph.ErrNotFound):
		return fmt.Errorf("there is no person %s in the directory", asked)
	case err != nil:
		return v.unasked(fmt.Errorf("%s has not signed in on this machine: %w", asked, err))
	}
	s.name = user.UserPrincipalName
	s.person.Object, err = identity.ParseObjectID(user.ID)
	return err
}

// unasked says which right would let Graph answer.
func (v *verifyACL) unasked(err error) error {
	if refusal, ok := errors.AsType[*obo.Refusal](err); ok { // of somebody's own token, which would do
		return shell.Hint(err, "%s", refusal.Say())
	}
	if !errors.Is(err, directory.ErrUnasked) {
		return err
	}
	return shell.Hint(err, "whoever has signed in may ask for her own groups after \"onbehalf setup entra apply --read-groups\"; for others sign in an administrator with %s", v.o.admin.Hint())
}

// look asks the service as the person, and compares.
func (v *verifyACL) look(ctx context.Context, s *subject) (*personVerdict, error) {
	out := &personVerdict{Name: s.name, Object: s.person.Object.String(), Verified: s.verified, Groups: len(s.person.Groups), Differences: []acl.Difference{}}
	allowed := v.reference.Allowed(ctx, &s.person)
	if !s.verified {
		out.Predicted = []string{}
		for key, err := range allowed {
			if err != nil {
				return out, err
			}
			if out.Allowed++; len(out.Predicted) < maxPredicted {
				out.Predicted = append(out.Predicted, key)
			}
		}
		return out, nil
	}
	user, undecided := search.DangerouslyPublicOnly(), acl.Nothing() // no person has no roles
	if !s.anybody {
		undecided = v.reference.Scoped(ctx)
		token, err := v.delegated.exchanger.Exchange(ctx, s.caller, v.delegated.config.Server.Cloud.SearchScope(), "")
		if err != nil {
			return out, err
		}
		user = search.ByToken{Token: token}
	}
	comparison, err := acl.Compare(allowed, acl.Visible(ctx, v.server, v.fields, user), undecided)
	if err != nil {
		return out, err
	}
	out.Allowed, out.Returned = comparison.Allowed, comparison.Returned
	out.Leaks, out.Missing, out.Undecided, out.Differences = comparison.Leaks, comparison.Missing, comparison.Undecided, comparison.Differences
	return out, nil
}

func (v *verifyACL) explain(err error) error {
	if refusal, ok := errors.AsType[*obo.Refusal](err); ok {
		return shell.Hint(err, "%s", refusal.Say())
	}
	return v.o.explain(err)
}
