package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/httprun"
	"github.com/onbehalf/onbehalf/internal/localhost"
	"github.com/onbehalf/onbehalf/internal/serve"
	"github.com/onbehalf/onbehalf/obo/rediscache"
)

// Memory: the SDK's decoder allocates much for a moment, so that a small heap collects garbage every few requests.
// Collecting later costs some 30 MB and saves most of the server's CPU.
const (
	gcPercent   = 400
	memoryLimit = 512 << 20 // above it the collector works as usual
)

type serveFlags struct {
	addr, adminAddr    string
	hosts, origins     []string
	clients, proxies   []string
	auditLog, otlp     string
	consentRedirect    string
	dangerousAuthority bool
	recordArguments    bool
	drain, grace       time.Duration
}

func serveCommand(sh *shell.Shell) *cobra.Command {
	var flags serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the MCP server",
		Long: `Run the MCP server at /mcp. It needs TENANT_ID, API_CLIENT_ID, a credential (CLIENT_SECRET, CLIENT_CERTIFICATE_PATH,
AZURE_FEDERATED_TOKEN_FILE or MANAGED_IDENTITY_CLIENT_ID), AZURE_SEARCH_ENDPOINT and AZURE_SEARCH_INDEX, from the
environment, the file named by --env, .env or onbehalf.yaml.`,
		Example: "  onbehalf serve --env .env --addr 127.0.0.1:8000",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runServe(cmd.Context(), sh, flags) },
	}
	cmd.Flags().StringVar(&flags.addr, "addr", "127.0.0.1:8000", "where to listen")
	cmd.Flags().StringVar(&flags.adminAddr, "admin-addr", "127.0.0.1:8001", "where to answer /healthz, /readyz and /metrics; empty for nowhere")
	cmd.Flags().StringSliceVar(&flags.hosts, "allow-host", nil, "accept this `HOST` in requests beside MCP_URL's, as load balancers send it")
	cmd.Flags().StringSliceVar(&flags.origins, "allow-origin", nil, "let web pages of this `ORIGIN` call, such as https://inspector.contoso.com")
	cmd.Flags().StringSliceVar(&flags.proxies, "trust-proxy", nil, "believe the X-Forwarded-For of reverse proxies in this `NETWORK`, such as 10.0.0.0/8: else all who come through one count as one address")
	cmd.Flags().StringSliceVar(&flags.clients, "allow-client", nil, "let only clients with this application `ID` call; repeat for several")
	cmd.Flags().StringVar(&flags.auditLog, "audit-log", "", "append one JSON line for each call to this `FILE`; - for standard output")
	cmd.Flags().BoolVar(&flags.recordArguments, "record-arguments", false, "keep the arguments of tool calls in chain, audit log and traces: they say what people look for")
	cmd.Flags().StringVar(&flags.otlp, "otlp", "", "send traces to the OpenTelemetry collector at this `URL`, such as http://localhost:4318")
	cmd.Flags().StringVar(&flags.consentRedirect, "consent-redirect", "",
		"give people links to consent by themselves, which end at this `URL`: a web redirect URI of the API's registration")
	cmd.Flags().BoolVar(&flags.dangerousAuthority, "dangerously-authority", false, "trust an authority that is none of Microsoft's clouds")
	cmd.Flags().DurationVar(&flags.drain, "drain", 0, "when told to stop, go on for this `TIME` while /readyz says no: load balancers turn elsewhere first")
	cmd.Flags().DurationVar(&flags.grace, "grace", serve.Grace, "then let calls in flight take this `TIME` to finish")
	return cmd
}

func runServe(ctx context.Context, sh *shell.Shell, flags serveFlags) error {
	logger, err := sh.Logger()
	if err != nil {
		return err
	}
	settings, err := sh.Settings(true)
	if err != nil {
		return err
	}
	config, err := Configure(settings, shell.Trust{Any: flags.dangerousAuthority}, logger)
	if err != nil {
		return err
	}
	config.Server.Now = sh.Now
	if err = flags.apply(&config, settings); err != nil {
		return err
	}
	audit, err := openAudit(sh, flags.auditLog)
	if err != nil {
		return err
	}
	if audit != nil {
		defer audit.Close()
		config.Audit = slog.New(slog.NewJSONHandler(audit, nil))
	}
	shared, err := SharedCache(settings, logger)
	if err != nil {
		return err
	}
	if shared != nil {
		defer shared.Close()
		config.Shared = shared
	}
	server, err := serve.New(config)
	if err != nil {
		return shell.Hint(err, "\"onbehalf doctor\" checks every setting, one by one")
	}
	defer server.Close()
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)

	endpoints, err := listen(ctx, server, flags, logger)
	if err != nil {
		return err
	}
	noteOtherPort(sh, "MCP_URL", config.Server.URL, endpoints[0].Listener.Addr())
	fmt.Fprintf(sh.Err, "serving %s on %s\n", config.Server.URL, endpoints[0].Listener.Addr())
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	context.AfterFunc(ctx, func() {
		server.Drain()
		time.AfterFunc(flags.drain, stop)
	})
	return httprun.Serve(serving, flags.grace, endpoints...)
}

// noteOtherPort says that clients on this machine will look at another port than the one that was chosen.
func noteOtherPort(sh *shell.Shell, setting string, at *url.URL, listening net.Addr) {
	tcp, ok := listening.(*net.TCPAddr)
	if ok && localhost.IsLoopbackHost(at.Host) && at.Port() != strconv.Itoa(tcp.Port) {
		fmt.Fprintf(sh.Err, "note: clients look for it at %s: unless something forwards from there, set %s to port %d too\n", at, setting, tcp.Port)
	}
}

// parseNetworks reads networks such as 10.0.0.0/8, and single addresses.
func parseNetworks(texts []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if addr, single := netip.ParseAddr(text); single == nil && addr.Zone() == "" {
			network, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, shell.Usage(fmt.Errorf("--trust-proxy %q: want a network such as 10.0.0.0/8, or an address", text))
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

// apply puts what flags say, and what only serving needs, into the configuration.
func (f *serveFlags) apply(config *serve.Config, settings *shell.Settings) error {
	config.Server.Hosts, config.Server.Origins = f.hosts, f.origins
	var err error
	if config.Server.Proxies, err = parseNetworks(f.proxies); err != nil {
		return err
	}
	for _, client := range f.clients {
		id, bad := identity.ParseClientID(client)
		if bad != nil {
			return shell.Usage(fmt.Errorf("--allow-client %q: %w", client, bad))
		}
		config.Server.Clients = append(config.Server.Clients, id)
	}
	config.Traces, config.Server.RecordArguments = f.otlp, f.recordArguments
	config.Server.StateSecrets = rediscache.ParseSecrets(identity.NewSecret(settings.Get("CACHE_SECRET")))
	config.ConsentRedirect = f.consentRedirect
	if _, notMicrosoft := entra.CloudOf(config.Server.Cloud.Authority); f.consentRedirect == "" && notMicrosoft != nil && settings.Get("ONBEHALF_LOCAL") == "1" {
		config.ConsentRedirect = serve.LocalRedirect(config.Server.URL)
	}
	return nil
}

// openAudit opens the audit log, which only its owner can read; nil for none.
func openAudit(sh *shell.Shell, path string) (io.WriteCloser, error) {
	switch path {
	case "":
		return nil, nil
	case "-":
		return struct {
			io.Writer
			io.Closer
		}{sh.Out, io.NopCloser(nil)}, nil
	default:
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, shell.Usage(shell.Hint(fmt.Errorf("--audit-log: %w", err), "its folder has to be there, and this process has to be allowed to write in it"))
		}
		return file, nil
	}
}

func listen(ctx context.Context, server *serve.Server, flags serveFlags, logger *slog.Logger) ([]httprun.Endpoint, error) {
	listener, err := httprun.Listen(ctx, flags.addr)
	if err != nil {
		return nil, shell.PortHint(err, "--addr")
	}
	endpoints := []httprun.Endpoint{{Name: "MCP server", Listener: listener, Handler: server.Handler(), Logger: logger}}
	if flags.adminAddr == "" {
		return endpoints, nil
	}
	admin, err := httprun.Listen(ctx, flags.adminAddr)
	if err != nil {
		_ = listener.Close()
		return nil, shell.PortHint(err, "--admin-addr")
	}
	return append(endpoints, httprun.Endpoint{Name: "admin", Listener: admin, Handler: server.Admin(), Logger: logger}), nil
}

// errNoCredential cannot be reached through the command, which requires one of the settings first.
var errNoCredential = errors.New("the API's registration has no credential")
