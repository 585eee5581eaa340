// Package operator holds the commands of whoever looks after the index: setup index, index push, index pull-acl, verify-acl.
package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/client"
	"github.com/onbehalf/onbehalf/internal/cli/server"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient"
)

// Tools are what these commands share with others of the command line.
type Tools struct {
	// Progress shows how far something is.
	Progress func(what string) func(done, all int)
	// Administrator makes a way to sign an administrator in for one command.
	Administrator func() Administrator
	// SameHouse refuses a GRAPH_ENDPOINT that does not belong to the authority.
	SameHouse func(in entra.Cloud) error
}

// Administrator is somebody who may read the directory and signs in for one command; the token stays in memory.
type Administrator interface {
	// Flags adds the flags that say how.
	Flags(cmd *cobra.Command)
	// Given reports whether one of them was given.
	Given() bool
	// Hint is the flag that signs an administrator in.
	Hint() string
	// Token returns a source of tokens for Microsoft Graph.
	Token(settings *shell.Settings, in entra.Cloud, entraClient *http.Client, scopes ...entra.Scope) (func(context.Context) (identity.Secret, error), error)
}

// app is what the commands hang on.
type app struct {
	*shell.Shell
	tools Tools
}

// Commands returns the commands index and verify-acl.
func Commands(sh *shell.Shell, tools Tools) []*cobra.Command {
	a := &app{sh, tools}
	return []*cobra.Command{a.indexCommand(), a.verifyACLCommand()}
}

// SetupCommand returns the command index that goes below setup.
func SetupCommand(sh *shell.Shell, tools Tools) *cobra.Command {
	a := &app{sh, tools}
	return a.setupIndexCommand()
}

func (a *app) indexCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "index",
		Short:   "Put documents into the index, see who can read what",
		Example: "  onbehalf index push documents.jsonl --env .env\n  onbehalf index pull-acl --env .env",
		Args:    shell.KnownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.indexPushCommand(), a.indexPullCommand())
	return cmd
}

// operator is who works on the index: what proves it to the search service and to Microsoft Graph, and the people who have
// signed in on this machine.
type operator struct {
	app      *app
	settings *shell.Settings
	logger   *slog.Logger
	people   *client.People
	admin    Administrator // for Graph, where this command signs one in
	cloud    entra.Cloud
	index    string

	named bool // by --index
	noKey bool // --entra: the service's keys are left aside
	as    string
}

// flags are those of the commands that work with people's sign-ins, too.
func (o *operator) flags(cmd *cobra.Command) {
	o.indexFlags(cmd)
	o.people.Flags(cmd)
}

// indexFlags are those of every command that works on an index.
func (o *operator) indexFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.index, "index", "", "the index's `NAME` (AZURE_SEARCH_INDEX)")
	cmd.Flags().BoolVar(&o.noKey, "entra", false, "use no key, but this machine's Entra identity: AZURE_CLIENT_ID and its secret, workload or managed identity, or \"az login\"")
}

func (a *app) newOperator() *operator {
	return &operator{app: a, people: client.NewPeople(a.Shell), admin: a.tools.Administrator()}
}

// indexName is what an index may be called. Hints repeat it in commands that people copy.
//
// https://learn.microsoft.com/rest/api/searchservice/naming-rules
var indexName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,126}[a-z0-9]$`)

// open reads the settings. The working directory has no say in them: an admin key must not go where a file in a cloned
// repository says.
func (o *operator) open() error {
	var err error
	if o.logger, err = o.app.Logger(); err != nil {
		return err
	}
	if o.settings, err = o.app.Settings(false); err != nil {
		return err
	}
	o.named = o.index != ""
	o.settings.Override("AZURE_SEARCH_INDEX", o.index)
	if err = o.settings.Require("AZURE_SEARCH_ENDPOINT", "AZURE_SEARCH_INDEX"); err != nil {
		return err
	}
	o.index = o.settings.Get("AZURE_SEARCH_INDEX")
	if !indexName.MatchString(o.index) {
		return shell.Wrong("AZURE_SEARCH_INDEX", fmt.Errorf("%q: no index can be called so", o.index))
	}
	o.cloud, err = o.settings.Cloud(shell.Trust{Loopback: true})
	return err
}

// service returns the client of the search service, as administrator.
func (o *operator) service() (*searchclient.Client, error) {
	config := searchclient.Config{Endpoint: o.settings.Get("AZURE_SEARCH_ENDPOINT"), Cloud: o.cloud, Logger: o.logger, Now: o.app.Now}
	var err error
	if config.HTTPClient, err = o.settings.HTTPClient(); err != nil {
		return nil, err
	}
	for _, name := range []string{"SEARCH_ADMIN_KEY", "AZURE_SEARCH_KEY"} {
		if key := o.settings.Get(name); key != "" && !o.noKey {
			config.Key, o.as = identity.NewSecret(key), name
			break
		}
	}
	if o.as == "" {
		if config.Credential, err = o.identity(config.Endpoint, server.SearchHosts()...); err != nil {
			return nil, err
		}
		o.as = "this machine's Entra identity"
	}
	service, err := searchclient.New(config)
	if err != nil {
		return nil, shell.Wrong("AZURE_SEARCH_ENDPOINT", err)
	}
	return service, nil
}

// identity is this machine's identity with Entra. Its tokens go to Microsoft's hosts only, those of a local Entra to this
// machine only: else whoever names the endpoint would get them.
func (o *operator) identity(endpoint string, hosts ...string) (azcore.TokenCredential, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return nil, shell.Usage(errors.New("the endpoint is no URL"))
	}
	entraClient, err := o.settings.EntraClient(o.cloud)
	if err != nil {
		return nil, err
	}
	options := azcore.ClientOptions{Transport: entraClient, Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: o.cloud.Authority}}
	if _, err = entra.CloudOf(o.cloud.Authority); err != nil {
		if host := u.Hostname(); host != "localhost" && host != "127.0.0.1" {
			return nil, fmt.Errorf("%s is not on this machine, but the authority is: it gets no token", u.Host)
		}
		credential, err := azidentity.NewEnvironmentCredential(&azidentity.EnvironmentCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
		if err != nil {
			return nil, shell.Hint(err, "a local Entra knows the identity that AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET name, and no other")
		}
		return credential, nil
	}
	ours := false
	for _, host := range hosts {
		ours = ours || strings.HasSuffix(strings.ToLower(u.Hostname()), host)
	}
	if !ours {
		return nil, shell.Hint(fmt.Errorf("%s is none of Microsoft's hosts: it gets no token of this machine's identity", u.Host), "use a key")
	}
	return azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: options, TenantID: o.settings.Get("TENANT_ID")})
}

// graphToken makes a source of tokens for Graph of a credential.
func graphToken(credential azcore.TokenCredential, in entra.Cloud) func(context.Context) (identity.Secret, error) {
	return func(ctx context.Context) (identity.Secret, error) {
		token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{in.GraphScope(".default").String()}})
		return identity.NewSecret(token.Token), err
	}
}

// definition reads the index's definition.
func (o *operator) definition(ctx context.Context, service search.Service) (*search.Definition, error) {
	definition, err := service.Definition(ctx, o.index)
	if err != nil {
		return nil, o.explain(err)
	}
	return definition, nil
}

// explain adds to an error of the search service what the person can do.
func (o *operator) explain(err error) error {
	answer, ok := errors.AsType[*search.Error](err)
	if !ok || shell.HintOf(err) != "" {
		return err
	}
	switch {
	case answer.Status == http.StatusNotFound:
		return shell.Hint(fmt.Errorf("there is no index %s: %w", o.index, err), "onbehalf setup index apply%s makes it", o.repeated())
	case answer.Status == http.StatusForbidden && o.as == "AZURE_SEARCH_KEY":
		return shell.Hint(fmt.Errorf("AZURE_SEARCH_KEY is no admin key: %w", err), "set SEARCH_ADMIN_KEY (Azure portal > the search service > Keys), or use --entra")
	case answer.Status == http.StatusForbidden && o.as == "SEARCH_ADMIN_KEY":
		return shell.Hint(err, "is SEARCH_ADMIN_KEY an admin key of %s, and are keys allowed there? --entra goes without", o.settings.Get("AZURE_SEARCH_ENDPOINT"))
	case answer.Status == http.StatusForbidden || answer.Status == http.StatusUnauthorized:
		return shell.Hint(fmt.Errorf("as %s: %w", o.as, err),
			"the index needs the roles Search Service Contributor (definitions) and Search Index Data Contributor (documents), and role-based access allowed at the service")
	}
	return err
}

// repeated are the flags that a hint has to repeat.
func (o *operator) repeated() string {
	flags := ""
	if o.named {
		flags += " --index " + o.index
	}
	if file := o.app.EnvFile(); file != "" {
		flags += " --env " + file
	}
	return flags
}
