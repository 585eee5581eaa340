package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/envfile"
	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/graphcalls"
	"github.com/onbehalf/onbehalf/internal/provision/registrations"
	"github.com/onbehalf/onbehalf/internal/provision/searchservice"
	"github.com/onbehalf/onbehalf/internal/sample"
)

type setupSearch struct {
	*app
	administrator
	service, group, subscription string
	principal, state, writeEnv   string
	index, emit, arm             string
	graphToken                   string // file, beside tokenFile
	asJSON, check, yes           bool
}

func (a *app) setupSearchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "search",
		Short: "Let the search service take tokens, and the server read",
		Long: `Let an Azure AI Search service take tokens of Entra ID beside its keys, and give the server's identity the role Search
Index Data Reader there, by Azure Resource Manager. It uses the Azure CLI's sign-in where az is there. The service itself
is made in the portal, or with "az search service create".`,
		Example: `  onbehalf setup search plan --service contoso
  onbehalf setup search apply --service contoso`,
		Args: shell.KnownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.setupSearchPlan(), a.setupSearchApply())
	return cmd
}

func (a *app) setupSearchPlan() *cobra.Command {
	s := &setupSearch{app: a}
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what is missing; change nothing",
		Long: `Compare the search service with what is to be and show what "apply" would do. --emit-script az prints it as commands of the
Azure CLI; with --subscription, --resource-group and --service that takes no sign-in.`,
		Example: `  onbehalf setup search plan --service contoso
  onbehalf setup search plan --service contoso --emit-script az >search.sh`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.runPlan(cmd.Context()) },
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&s.emit, "emit-script", "", "print the plan as a bash script that uses this `TOOL`, az, instead")
	cmd.Flags().BoolVar(&s.check, "check", false, "exit 1 when there is something to do")
	cmd.MarkFlagsMutuallyExclusive("emit-script", "json")
	return cmd
}

func (a *app) setupSearchApply() *cobra.Command {
	s := &setupSearch{app: a}
	cmd := &cobra.Command{
		Use:     "apply",
		Short:   "Show the plan, ask, and do it",
		Long:    "Show the plan, ask, and do it. Run again, it finds nothing to do. A role takes up to ten minutes to come into force.",
		Example: "  onbehalf setup search apply --service contoso",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.runApply(cmd.Context()) },
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&s.yes, "yes", false, "do not ask")
	return cmd
}

func (s *setupSearch) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.service, "service", "", "the search service's `NAME` (default: from AZURE_SEARCH_ENDPOINT)")
	f.StringVar(&s.group, "resource-group", "", "its resource `GROUP`, with --subscription; default: it is looked for")
	f.StringVar(&s.subscription, "subscription", "", "its subscription's `ID`; default: all that the sign-in sees")
	f.StringVar(&s.principal, "principal", "", "the object `ID` of the server's identity; default: the API's service principal while CLIENT_SECRET is set, else the managed identity's")
	f.StringVar(&s.index, "index", "", "the index's `NAME`, for the settings (AZURE_SEARCH_INDEX; default: "+sample.IndexName+")")
	f.StringVar(&s.state, "state", defaultStateFile, "the `FILE` with the ids of \"setup entra\"")
	f.StringVar(&s.writeEnv, "write-env", "", "write the settings to this `FILE`; default: the one of --env, or .env")
	f.BoolVar(&s.asJSON, "json", false, "print the plan as JSON")
	f.StringVar(&s.arm, "arm-endpoint", "", "with an authority on this machine: an Azure Resource Manager there, for tests")
	_ = f.MarkHidden("arm-endpoint") // it is there
	s.administrator.flags(cmd)
	f.StringVar(&s.graphToken, "graph-token-file", "", "with --token-file, which is for Azure: look the server's identity up with the access token in this `FILE`, for Microsoft Graph")
}

// searchSite is what a run works with.
type searchSite struct {
	settings *shell.Settings
	env      *envfile.File
	cloud    entra.Cloud
	desired  searchservice.Desired
	arm      *searchservice.Client
}

// principalQuery asks for what tells whose service principal it is.
func principalQuery() url.Values { return url.Values{"$select": {"id,appId,displayName"}} }

func (s *setupSearch) open() (*searchSite, error) {
	w := &searchSite{}
	var err error
	if w.settings, err = s.Settings(true); err != nil {
		return nil, err
	}
	if w.env, err = s.settingsFile(s.writeEnv); err != nil {
		return nil, err
	}
	if w.cloud, err = w.settings.Cloud(shell.Trust{}); err != nil {
		return nil, err
	}
	if s.service == "" {
		if s.service, err = serviceOf(w.settings.Get("AZURE_SEARCH_ENDPOINT")); err != nil {
			return nil, err
		}
	}
	w.desired.Held = w.env.Get
	w.desired.HasKey = w.settings.Get("AZURE_SEARCH_KEY") != ""
	return w, s.who(w)
}

// serviceOf reads the name of a service from where it answers.
func serviceOf(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	name, _, dotted := strings.Cut(u.Hostname(), ".")
	if err != nil || !dotted {
		return "", shell.Usage(shell.Hint(errors.New("which search service?"), "--service NAME, or AZURE_SEARCH_ENDPOINT=https://NAME.search.windows.net"))
	}
	return name, nil
}

// who finds out which identity the server has, as "serve" chooses it. What it takes from the state file is not believed
// before [setupSearch.confirm].
func (s *setupSearch) who(w *searchSite) (err error) {
	if s.principal != "" {
		w.desired.Who = "the server's identity"
		if w.desired.Principal, err = identity.ParseObjectID(s.principal); err != nil {
			return shell.Usage(fmt.Errorf("--principal: %w", err))
		}
		return nil
	}
	app, managed, secret := w.settings.Get("API_CLIENT_ID"), w.settings.Get("MANAGED_IDENTITY_CLIENT_ID"), w.settings.Get("CLIENT_SECRET")
	w.desired.Who = "the API's service principal"
	switch {
	case secret != "":
	case managed != "":
		w.desired.Who, app = "the managed identity", managed
	default:
		return shell.Usage(shell.Hint(errors.New("whose role? the settings name no identity of the server"), "--principal OBJECT-ID: that of the managed or workload identity that the server runs as"))
	}
	if w.desired.App, err = identity.ParseClientID(app); err != nil {
		return shell.Usage(fmt.Errorf("the server's client id: %w", err))
	}
	state, err := registrations.LoadState(s.path(s.state), "")
	if err == nil && secret != "" && ofSettings(state, w.settings) && state.IDs["api_sp"] != "" {
		w.desired.Principal, err = identity.ParseObjectID(state.IDs["api_sp"])
	}
	return err
}

// ofSettings reports whether a state file is of the deployment that the settings are of: the role of one deployment must
// not go to the server of another.
func ofSettings(state *registrations.State, settings *shell.Settings) bool {
	return strings.EqualFold(state.IDs["api_app"], settings.Get("API_CLIENT_ID")) && strings.EqualFold(state.Tenant, settings.Get("TENANT_ID"))
}

// confirm asks Microsoft Graph whose the service principal is: a state file of somebody else's making could name one of
// theirs, and it would get the role.
func (s *setupSearch) confirm(ctx context.Context, w *searchSite) error {
	if w.desired.App.IsZero() {
		return nil // the person named it
	}
	admin := s.administrator
	if admin.tokenFile != "" {
		if admin.tokenFile = s.graphToken; admin.tokenFile == "" {
			return shell.Usage(shell.Hint(errors.New("--token-file is for Azure, and cannot look up the server's identity"), "--graph-token-file FILE holds a token for Microsoft Graph, or --principal OBJECT-ID names the identity"))
		}
	}
	directory, _, err := s.graph(admin, w.settings)
	if err != nil {
		return err
	}
	app := w.desired.App
	found, err := graph.Get[graph.ServicePrincipal](ctx, directory, graph.ByAppID("servicePrincipals", app.String()), principalQuery())
	if err != nil {
		return shell.Hint(fmt.Errorf("look up the service principal of %s: %w", app, err), "--principal OBJECT-ID names it")
	}
	id, err := identity.ParseObjectID(found.ID)
	switch {
	case err != nil:
		return fmt.Errorf("look up the service principal of %s: %w", app, err)
	case !strings.EqualFold(found.AppID, app.String()):
		return fmt.Errorf("look up the service principal of %s: the answer is about %q", app, found.AppID)
	case !w.desired.Principal.IsZero() && w.desired.Principal != id:
		return shell.Hint(fmt.Errorf("%s names the service principal %s for the API, and that of API_CLIENT_ID %s is %s: nobody was given a role", s.path(s.state), w.desired.Principal, app, id),
			"did somebody change the file, or was the application registered anew? \"onbehalf setup entra plan\" compares; --principal OBJECT-ID names the identity without the file")
	}
	w.desired.Principal = id
	if name := graphcalls.OneLine(found.DisplayName); name != "" {
		w.desired.Who += " " + name
	}
	return nil
}

// connect makes the client of Azure Resource Manager. A token goes to that of the authority, and to nobody else.
func (s *setupSearch) connect(w *searchSite) error {
	endpoint := searchservice.EndpointOf(w.cloud)
	if endpoint == "" {
		u, err := url.Parse(s.arm)
		if s.arm == "" || err != nil || u.Scheme != "https" || u.Hostname() != "localhost" || strings.Trim(u.Path, "/") != "" {
			return shell.Usage(shell.Hint(fmt.Errorf("%s is a local Entra, which has no Azure Resource Manager", w.cloud.Authority), "the local Search takes tokens and keys as it is"))
		}
		endpoint = "https://" + u.Host
	} else if s.arm != "" {
		return shell.Usage(errors.New("--arm-endpoint goes with an authority on this machine alone"))
	}
	scope, err := entra.NewScope(endpoint, "user_impersonation")
	if err != nil {
		return err
	}
	httpClient, err := w.settings.EntraClient(w.cloud)
	if err != nil {
		return err
	}
	token, err := s.administratorToken(s.administrator, w.settings, w.cloud, endpoint, httpClient, scope)
	if err != nil {
		return err
	}
	w.arm = &searchservice.Client{Endpoint: endpoint, HTTPClient: httpClient, Token: token, Pause: pause}
	return nil
}

// find reads the service, by its id where that is known.
func (s *setupSearch) find(ctx context.Context, w *searchSite) (*searchservice.Service, error) {
	if err := s.connect(w); err != nil {
		return nil, err
	}
	if s.group != "" && s.subscription != "" {
		id, err := searchservice.ResourceID(s.subscription, s.group, s.service)
		if err != nil {
			return nil, shell.Usage(err)
		}
		return searchservice.Get(ctx, w.arm, id)
	}
	return searchservice.Find(ctx, w.arm, s.service, s.subscription)
}

func (s *setupSearch) prepare(ctx context.Context, w *searchSite) (*searchservice.Plan, error) {
	if err := s.confirm(ctx, w); err != nil {
		return nil, s.explain(err)
	}
	service, err := s.find(ctx, w)
	if err != nil {
		return nil, s.explain(err)
	}
	w.desired.Settings = []searchservice.Setting{
		{Name: "AZURE_SEARCH_ENDPOINT", Value: service.URL(w.cloud)}, {Name: "AZURE_SEARCH_INDEX", Value: s.indexName(w.settings)},
	}
	plan, err := searchservice.Make(ctx, w.arm, service, w.desired)
	if err != nil {
		return nil, s.explain(err)
	}
	if s.asJSON {
		return plan, shell.WriteJSON(s.Out, plan.Output())
	}
	return plan, plan.Write(s.Out, shell.Printable)
}

func (s *setupSearch) indexName(settings *shell.Settings) string {
	if s.index != "" {
		return s.index
	}
	return settings.Or("AZURE_SEARCH_INDEX", sample.IndexName)
}

func (s *setupSearch) runPlan(ctx context.Context) error {
	if s.emit != "" && s.emit != "az" {
		return shell.Usage(fmt.Errorf("--emit-script %q: want az", s.emit))
	}
	w, err := s.open()
	if err != nil {
		return err
	}
	if s.emit != "" {
		return s.script(ctx, w)
	}
	plan, err := s.prepare(ctx, w)
	if err == nil && s.check && !plan.Empty() {
		err = errors.New("the search service is not as it is to be")
	}
	return err
}

// script prints the commands of the Azure CLI; where service and identity are named whole, nobody is asked for anything, and
// the script itself makes sure whose identity it is.
func (s *setupSearch) script(ctx context.Context, w *searchSite) error {
	if w.desired.Principal.IsZero() {
		if err := s.confirm(ctx, w); err != nil {
			return s.explain(err)
		}
	}
	id, err := searchservice.ResourceID(s.subscription, s.group, s.service)
	if s.group == "" || s.subscription == "" {
		var service *searchservice.Service
		if service, err = s.find(ctx, w); err == nil {
			id = service.ID
		}
	} else if err != nil {
		err = shell.Usage(err)
	}
	if err != nil {
		return s.explain(err)
	}
	text, err := searchservice.Script(id, &w.desired)
	if err != nil {
		return err
	}
	_, err = io.WriteString(s.Out, text)
	return err
}

func (s *setupSearch) runApply(ctx context.Context) error {
	w, err := s.open()
	if err != nil {
		return err
	}
	plan, err := s.prepare(ctx, w)
	if err != nil || plan.Empty() {
		return err
	}
	if !s.yes {
		if err = s.Confirm(ctx, "Do this?"); err != nil {
			return err
		}
	}
	err = searchservice.Apply(ctx, w.arm, plan, func(text string) { fmt.Fprintln(s.Err, shell.PrintableLine(text)) })
	if errors.Is(err, searchservice.ErrForbidden) && !s.asJSON {
		if text, scriptErr := searchservice.Script(plan.Service.ID, &w.desired); scriptErr == nil {
			fmt.Fprintf(s.Out, "\nfor somebody who has the role:\n\n%s", text)
		}
	}
	if err != nil {
		return s.explain(err)
	}
	var all []envfile.Setting
	for _, one := range plan.Settings {
		all = append(all, envfile.Setting{Name: one.Name, Value: one.Value})
	}
	if err = w.env.Set(all...); err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "settings in %s; a role takes up to ten minutes to come into force\n", w.env.Path())
	return nil
}

// explain adds what can be done.
func (s *setupSearch) explain(err error) error {
	switch {
	case errors.Is(err, errNoAzureCLI):
		return shell.Hint(err, "az login")
	case errors.Is(err, searchservice.ErrForbidden):
		return shell.Hint(err, "%s; hand over what \"onbehalf setup search plan --emit-script az\" prints", searchservice.Rights)
	case errors.Is(err, searchservice.ErrNotFound):
		return shell.Hint(err, "is it the right tenant and subscription? \"az search service create\" makes one")
	}
	return err
}
