package operator

import (
	"context"
	"errors"
	"fmt"

	"github.com/onbehalf/onbehalf/bearer"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/client"
	"github.com/onbehalf/onbehalf/internal/cli/server"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/directory"
	"github.com/onbehalf/onbehalf/internal/serve"
	"github.com/onbehalf/onbehalf/obo"
	"github.com/onbehalf/onbehalf/signin"
)

// delegate exchanges, with the API's own credential, the tokens of people who have signed in: what the MCP server does for
// each call, done here by its operator.
type delegate struct {
	config    serve.Config
	exchanger *obo.Client
	verifier  *bearer.Verifier
}

// delegate needs the settings of the MCP server: its registration and its credential.
func (o *operator) delegate() (*delegate, error) {
	config, err := server.Configure(o.settings, shell.Trust{Loopback: true}, o.logger)
	if err != nil {
		return nil, err
	}
	d := &delegate{config: config}
	scope, err := o.people.Scope()
	if err != nil {
		return nil, err
	}
	if d.verifier, err = bearer.New(bearer.Config{
		Cloud: config.Server.Cloud, Tenants: config.Server.Tenants, Audiences: []string{config.Server.Client.String(), scope.Resource()},
		Scopes: []entra.Scope{scope}, Resource: config.Server.URL, HTTPClient: config.EntraClient, Now: o.app.Now, Logger: o.logger,
		// Whose groups do not fit into the token is asked for them at Graph, as everybody is here.
		Groups: func(context.Context, *identity.Caller) ([]string, error) { return []string{}, nil },
	}); err != nil {
		return nil, err
	}
	if d.exchanger, err = obo.New(obo.Config{
		Cloud: config.Server.Cloud, Tenant: config.Server.Tenants[0], Client: config.Server.Client, Credential: config.Credential,
		HTTPClient: config.EntraClient, Now: o.app.Now, Logger: o.logger,
	}); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *delegate) close() {
	if d != nil && d.exchanger != nil {
		_ = d.exchanger.Close() // tokens in memory alone
	}
}

// caller verifies the token that somebody's sign-in left on this machine.
func (d *delegate) caller(ctx context.Context, people *client.People, account signin.Account) (*identity.Caller, error) {
	token, err := people.Token(ctx, account)
	if err != nil {
		return nil, err
	}
	caller, err := d.verifier.Verify(ctx, token.Value)
	if err != nil {
		return nil, shell.Hint(fmt.Errorf("the sign-in of %s: %w", account.Name, err), "%s --account %s", people.LoginHint(), account.Name)
	}
	return caller, nil
}

// myGraph is Graph as one person, by her own token.
func (d *delegate) myGraph(ctx context.Context, caller *identity.Caller) (*graph.Client, error) {
	in := d.config.Server.Cloud
	token, err := d.exchanger.Exchange(ctx, caller, in.GraphScope(".default"), "")
	if err != nil {
		return nil, err
	}
	return graph.New(graph.Config{
		Endpoint: in.Graph, HTTPClient: d.config.EntraClient,
		Token: func(context.Context) (identity.Secret, error) { return token.Value, nil },
	})
}

// directory is Microsoft Graph by every way that is open here: as the API's registration itself, as this machine's
// identity, and as each person who has signed in. Without a delegate, this machine's identity alone.
func (o *operator) directory(ctx context.Context, d *delegate) *directory.Directory {
	machine := directory.Source{Name: "this machine's Entra identity", Open: func(context.Context) (*graph.Client, error) {
		if err := o.app.tools.SameHouse(o.cloud); err != nil {
			return nil, err
		}
		credential, err1 := o.identity(o.cloud.Graph, "graph.microsoft.com", "graph.microsoft.us", "microsoftgraph.chinacloudapi.cn")
		client, err2 := o.settings.EntraClient(o.cloud)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		return graph.New(graph.Config{Endpoint: o.cloud.Graph, HTTPClient: client, Token: graphToken(credential, o.cloud)})
	}}
	sources := []directory.Source{machine}
	if o.admin.Given() {
		sources = []directory.Source{{Name: "the administrator", Open: func(context.Context) (*graph.Client, error) { return o.adminGraph() }}}
	}
	if d == nil {
		return directory.New(sources...)
	}
	sources = append([]directory.Source{
		{Name: "the API's own registration", Open: func(context.Context) (*graph.Client, error) { return o.appGraph(d) }},
	}, sources...)
	accounts, err := o.people.SignedIn(ctx)
	if err != nil {
		o.logger.DebugContext(ctx, "the sign-ins of this machine cannot be read")
	}
	for _, account := range accounts {
		object, err := identity.ParseObjectID(account.Object)
		if err != nil {
			continue
		}
		sources = append(sources, directory.Source{Name: account.Name, Self: object, Open: func(ctx context.Context) (*graph.Client, error) {
			caller, err := d.caller(ctx, o.people, account)
			if err != nil {
				return nil, err
			}
			return d.myGraph(ctx, caller)
		}})
	}
	return directory.New(sources...)
}

// adminGraph is Graph as an administrator who signs in for this command alone.
func (o *operator) adminGraph() (*graph.Client, error) {
	if err := o.app.tools.SameHouse(o.cloud); err != nil {
		return nil, err
	}
	entraClient, err := o.settings.EntraClient(o.cloud)
	if err != nil {
		return nil, err
	}
	token, err := o.admin.Token(o.settings, o.cloud, entraClient,
		o.cloud.GraphScope("User.Read.All"), o.cloud.GraphScope("GroupMember.Read.All"))
	if err != nil {
		return nil, err
	}
	return graph.New(graph.Config{Endpoint: o.cloud.Graph, HTTPClient: entraClient, Token: token})
}

// appGraph is Graph as the API itself, which most tenants do not let read the directory.
func (o *operator) appGraph(d *delegate) (*graph.Client, error) {
	secret := o.settings.Get("CLIENT_SECRET")
	if secret == "" {
		return nil, errors.New("CLIENT_SECRET is not set")
	}
	in := d.config.Server.Cloud
	token, err := graph.ClientCredentials(graph.Credentials{
		TokenURL: in.Authority + d.config.Server.Tenants[0].String() + "/oauth2/v2.0/token", ClientID: d.config.Server.Client,
		Secret: identity.NewSecret(secret), Scope: in.GraphScope(".default").String(), HTTPClient: d.config.EntraClient, Now: o.app.Now,
	})
	if err != nil {
		return nil, err
	}
	return graph.New(graph.Config{Endpoint: in.Graph, HTTPClient: d.config.EntraClient, Token: token})
}

// account finds one of those who have signed in, by name or object id; without a name, the only one.
func (o *operator) account(ctx context.Context, name string) (signin.Account, error) {
	accounts, err := o.people.SignedIn(ctx)
	if err != nil {
		return signin.Account{}, err
	}
	var found []signin.Account
	for _, account := range accounts {
		if account.Is(name) {
			found = append(found, account)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return signin.Account{}, shell.Hint(&signin.Ambiguous{Accounts: found}, "choose one with --account %s", found[0].Name)
	case name == "":
		return signin.Account{}, shell.Hint(errors.New("nobody has signed in on this machine"), "%s", o.people.LoginHint())
	}
	return signin.Account{}, shell.Hint(fmt.Errorf("%s has not signed in on this machine", name), "%s", o.people.LoginHint())
}
