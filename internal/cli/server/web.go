package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/httprun"
	"github.com/onbehalf/onbehalf/internal/serve"
	"github.com/onbehalf/onbehalf/internal/web"
	"github.com/onbehalf/onbehalf/signin"
)

// DefaultWebURL is where browsers find the web agent unless WEB_URL says otherwise.
const DefaultWebURL = "http://localhost:8080"

type webFlags struct {
	addr               string
	hosts              []string
	dangerousAuthority bool
}

func webCommand(sh *shell.Shell) *cobra.Command {
	var flags webFlags
	cmd := &cobra.Command{
		Use:   "web",
		Short: "Run the web-based agent",
		Long: `Run the web-based agent: people sign in with Entra ID and ask, and the tools of MCP servers answer as them. It needs
TENANT_ID, AGENT_CLIENT_ID, AGENT_CLIENT_SECRET and API_APP_ID_URI or API_CLIENT_ID, from the environment, the file named
by --env, .env or onbehalf.yaml.`,
		Example: "  onbehalf web --env .env --addr 127.0.0.1:8080",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runWeb(cmd.Context(), sh, flags) },
	}
	cmd.Flags().StringVar(&flags.addr, "addr", "127.0.0.1:8080", "where to listen")
	cmd.Flags().StringSliceVar(&flags.hosts, "allow-host", nil, "accept this `HOST` in requests beside WEB_URL's, as load balancers send it")
	cmd.Flags().BoolVar(&flags.dangerousAuthority, "dangerously-authority", false, "trust an authority that is none of Microsoft's clouds")
	return cmd
}

func runWeb(ctx context.Context, sh *shell.Shell, flags webFlags) error {
	logger, err := sh.Logger()
	if err != nil {
		return err
	}
	settings, err := sh.Settings(true)
	if err != nil {
		return err
	}
	config, err := ConfigureWeb(settings, shell.Trust{Any: flags.dangerousAuthority}, logger)
	if err != nil {
		return err
	}
	config.Hosts = flags.hosts
	app, err := web.New(config)
	if err != nil {
		return err
	}
	listener, err := httprun.Listen(ctx, flags.addr)
	if err != nil {
		return shell.PortHint(err, "--addr")
	}
	fmt.Fprintf(sh.Err, "serving %s on %s\n", config.URL, listener.Addr())
	return httprun.Serve(ctx, serve.Grace, httprun.Endpoint{Name: "web agent", Listener: listener, Handler: app.Handler(), Logger: logger})
}

// ConfigureWeb turns settings into the web agent's configuration. All that is missing is reported at once.
func ConfigureWeb(settings *shell.Settings, trust shell.Trust, logger *slog.Logger) (web.Config, error) {
	if err := settings.Require("TENANT_ID", "AGENT_CLIENT_ID", "AGENT_CLIENT_SECRET"); err != nil {
		return web.Config{}, err
	}
	in, err1 := settings.Cloud(trust)
	tenant, err2 := settings.Tenant()
	client, err3 := settings.Client("AGENT_CLIENT_ID")
	base, err4 := settings.URL("WEB_URL", DefaultWebURL)
	scope, err5 := apiScope(settings)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return web.Config{}, err
	}
	entraClient, err := settings.EntraClient(in)
	if err != nil {
		return web.Config{}, err
	}
	hosted, err := signin.NewHosted(signin.HostedConfig{
		Authority: in.Authority, Tenant: tenant.String(), Client: client, Redirect: web.Callback(base), HTTPClient: entraClient, Logger: logger,
		Secret: func() (identity.Secret, error) {
			secret, err := settings.Fresh("AGENT_CLIENT_SECRET")
			return identity.NewSecret(secret), err
		},
	})
	if err != nil {
		return web.Config{}, shell.Usage(err)
	}
	_, notMicrosoft := entra.CloudOf(in.Authority)
	return web.Config{
		URL: base, SignIn: hosted, Scope: scope, Authority: in.Authority, Local: notMicrosoft != nil && settings.Get("ONBEHALF_LOCAL") == "1", Logger: logger,
	}, nil
}

// apiScope is what a client of the MCP server asks for.
func apiScope(settings *shell.Settings) (entra.Scope, error) {
	api := settings.Get("API_APP_ID_URI")
	if api == "" {
		if err := settings.Require("API_CLIENT_ID"); err != nil {
			return entra.Scope{}, err
		}
		id, err := settings.Client("API_CLIENT_ID")
		if err != nil {
			return entra.Scope{}, err
		}
		api = "api://" + id.String()
	}
	scope, err := entra.NewScope(api, "execute")
	if err != nil {
		return entra.Scope{}, shell.Usage(fmt.Errorf("API_APP_ID_URI: %w", err))
	}
	return scope, nil
}
