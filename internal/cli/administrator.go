package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/client"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/envfile"
	"github.com/onbehalf/onbehalf/internal/graph"
)

// administrator is how whoever sets up signs in.
type administrator struct {
	bootstrap, tokenFile string
	device, browser      bool
}

// graphTools is Microsoft Graph Command Line Tools, a public client of Microsoft that every tenant knows.
const graphTools = "14d82eec-204b-4c2f-b7e8-296a70dab67e"

// azureCLIClient is the public client of the Azure CLI, which may ask for tokens for Azure.
const azureCLIClient = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"

func (ad *administrator) flags(cmd *cobra.Command) {
	ad.signInFlags(cmd)
	cmd.Flags().StringVar(&ad.tokenFile, "token-file", "", "use the access token in this `FILE`, - for standard input")
}

// signInFlags are those of commands to which a token file is something else.
func (ad *administrator) signInFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&ad.bootstrap, "bootstrap-client", "", "sign in with this public client, by its client `ID`, instead of the Azure CLI's sign-in; "+graphTools+" is Microsoft Graph Command Line Tools, which every tenant has")
	cmd.Flags().BoolVar(&ad.device, "device-code", false, "with --bootstrap-client: sign in with a code on another device")
	cmd.Flags().BoolVar(&ad.browser, "browser", false, "with --bootstrap-client: sign in with the browser on this machine")
}

// graph returns a client of the tenant's Microsoft Graph. The token is the administrator's and stays in memory; it goes to
// the Graph of the authority that issued it and nowhere else, whatever a settings file says.
func (a *app) graph(ad administrator, settings *shell.Settings) (*graph.Client, entra.Cloud, error) {
	cloud, err := settings.Cloud(shell.Trust{})
	if err != nil {
		return nil, cloud, err
	}
	if err = sameHouse(cloud); err != nil {
		return nil, cloud, err
	}
	httpClient, err := settings.EntraClient(cloud)
	if err != nil {
		return nil, cloud, err
	}
	token, err := a.administratorToken(ad, settings, cloud, cloud.GraphResource, httpClient,
		cloud.GraphScope("User.Read"), cloud.GraphScope("Application.ReadWrite.All"), cloud.GraphScope("DelegatedPermissionGrant.ReadWrite.All"))
	if err != nil {
		return nil, cloud, err
	}
	c, err := graph.New(graph.Config{Endpoint: cloud.Graph, HTTPClient: httpClient, Token: token})
	return c, cloud, err
}

// sameHouse refuses a GRAPH_ENDPOINT that does not belong to the authority.
func sameHouse(cloud entra.Cloud) error {
	known, err := entra.CloudOf(cloud.Authority)
	if err == nil && cloud.Graph == known.Graph {
		return nil
	}
	graphURL, err1 := url.Parse(cloud.Graph)
	authority, err2 := url.Parse(cloud.Authority)
	if err != nil && err1 == nil && err2 == nil && graphURL.Host == authority.Host { // the local Entra, which Cloud let pass
		return nil
	}
	return shell.Usage(shell.Hint(fmt.Errorf("GRAPH_ENDPOINT: %s is not the Microsoft Graph of %s", cloud.Graph, cloud.Authority),
		"whoever is there would get an administrator's token; leave GRAPH_ENDPOINT out"))
}

func (a *app) administratorToken(ad administrator, settings *shell.Settings, cloud entra.Cloud, resource string, httpClient *http.Client, scopes ...entra.Scope) (func(context.Context) (identity.Secret, error), error) {
	_, isMicrosoft := entra.CloudOf(cloud.Authority)
	switch {
	case ad.tokenFile != "":
		return a.tokenFrom(ad.tokenFile)
	case ad.bootstrap != "":
		id, err := identity.ParseClientID(ad.bootstrap)
		if err != nil {
			return nil, shell.Usage(fmt.Errorf("--bootstrap-client: %w", err))
		}
		signIn, err := client.Administrator{
			Cloud: cloud, Tenant: settings.Get("TENANT_ID"), Client: id, HTTPClient: httpClient, Device: ad.device, Browser: ad.browser,
		}.SignIn(a.Shell)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) (identity.Secret, error) { return signIn(ctx, scopes...) }, nil
	case isMicrosoft == nil && hasAzureCLI():
		return a.azureCLIToken(resource, settings.Get("TENANT_ID")), nil
	}
	err := errors.New("nobody is signed in to set up: the Azure CLI is not here")
	if isMicrosoft != nil {
		err = errors.New("nobody is signed in to set up: the Azure CLI signs in to Microsoft's clouds alone")
	}
	if resource != cloud.GraphResource {
		return nil, shell.Usage(shell.Hint(err, "--bootstrap-client %s signs you in with the Azure CLI's own client", azureCLIClient))
	}
	return nil, shell.Usage(shell.Hint(err, "--bootstrap-client %s signs you in with Microsoft Graph Command Line Tools", graphTools))
}

func hasAzureCLI() bool {
	_, err := exec.LookPath("az")
	return err == nil
}

func (a *app) tokenFrom(path string) (func(context.Context) (identity.Secret, error), error) {
	const most = 64 << 10
	var text []byte
	var err error
	if path == "-" {
		text, err = readAtMost(a.In, most)
	} else {
		var file *os.File
		if file, err = os.Open(path); err == nil {
			text, err = readAtMost(file, most)
			_ = file.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	token := identity.NewSecret(strings.TrimSpace(string(text)))
	if token.IsZero() || strings.ContainsAny(token.Reveal(), " \t\r\n") {
		return nil, shell.Usage(errors.New("--token-file: want one access token"))
	}
	return func(context.Context) (identity.Secret, error) { return token, nil }, nil
}

// path is where a file of a set-up is.
func (a *app) path(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(a.Dir, file)
}

// settingsFile reads the file that a set-up writes settings to: the one that a flag names, else that of --env, else .env.
func (a *app) settingsFile(flag string) (*envfile.File, error) {
	return envfile.Read(a.path(cmp.Or(flag, a.EnvFile(), ".env")))
}
