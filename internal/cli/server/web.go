package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/history"
	"github.com/onbehalf/onbehalf/internal/httprun"
	"github.com/onbehalf/onbehalf/internal/serve"
	"github.com/onbehalf/onbehalf/internal/web"
	"github.com/onbehalf/onbehalf/signin"
)

// DefaultWebURL is where browsers find the web agent unless WEB_URL says otherwise.
const DefaultWebURL = "http://localhost:8080"

// DefaultHistoryFile is where conversations are kept when HISTORY_KEY is set.
const DefaultHistoryFile = "onbehalf-history.db"

// mainServer is the name of the MCP server at MCP_URL.
const mainServer = "docs"

type webFlags struct {
	addr               string
	hosts, proxies     []string
	servers, unasked   []string
	model              string
	instructions       string
	modelContext       int
	plainModel         bool
	history            string
	historyFile        string
	historyDays        int
	dangerousAuthority bool
}

func webCommand(sh *shell.Shell) *cobra.Command {
	var flags webFlags
	cmd := &cobra.Command{
		Use:   "web",
		Short: "Run the web-based agent",
		Long: `Run the web-based agent: people sign in with Entra ID and ask, and the tools of MCP servers answer as them. It needs
TENANT_ID, AGENT_CLIENT_ID, AGENT_CLIENT_SECRET and API_APP_ID_URI or API_CLIENT_ID, from the environment, the file named
by --env, .env or onbehalf.yaml. The server at MCP_URL is called docs.

Without a model a stand-in answers: it searches with the person's words and quotes what it found. A model is named by
OPENAI_MODEL (with OPENAI_API_KEY, and OPENAI_BASE_URL for Ollama, vLLM and others) or AZURE_OPENAI_DEPLOYMENT (with
AZURE_OPENAI_ENDPOINT, and AZURE_OPENAI_API_KEY or this machine's identity). Calls ask the person first unless --unasked
names their tool.

Conversations are kept in an encrypted file when HISTORY_KEY is set, otherwise in memory until the process ends.`,
		Example: `  onbehalf web --env .env --unasked docs.get_documents
  OPENAI_BASE_URL=http://localhost:11434/v1 onbehalf web --env .env --model qwen3
  onbehalf web --env .env --server wiki=https://wiki.contoso.com/mcp,group=internal,api=api://contoso-wiki`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runWeb(cmd.Context(), sh, flags) },
	}
	cmd.Flags().StringVar(&flags.addr, "addr", "127.0.0.1:8080", "where to listen")
	cmd.Flags().StringArrayVar(&flags.servers, "server", nil, "another MCP server, as `NAME=URL[,group=GROUP][,api=APP-ID-URI]`: servers of one group may follow one another unasked; api names an API that is the server's beside its own URL")
	cmd.Flags().StringArrayVar(&flags.unasked, "unasked", nil, "let this `SERVER.TOOL[=HASH]` run without asking the person, such as docs.get_documents; HASH pins its definition")
	cmd.Flags().StringVar(&flags.model, "model", "", "let this `MODEL` of the endpoint in the settings answer in place of OPENAI_MODEL or AZURE_OPENAI_DEPLOYMENT; builtin for the stand-in")
	cmd.Flags().StringVar(&flags.history, "history", "full", "what is kept of conversations: full, or ids-only, which keeps nothing of documents but their ids, and fetches sources again when their person wants to see them")
	cmd.Flags().StringVar(&flags.historyFile, "history-file", "", "keep conversations in this `FILE`, encrypted with HISTORY_KEY; default "+DefaultHistoryFile+" here when HISTORY_KEY is set")
	cmd.Flags().IntVar(&flags.historyDays, "history-days", 30, "forget conversations that were not changed for so many days; 0 for never")
	cmd.Flags().StringSliceVar(&flags.hosts, "allow-host", nil, "accept this `HOST` in requests beside WEB_URL's, as load balancers send it")
	cmd.Flags().StringSliceVar(&flags.proxies, "trust-proxy", nil, "believe the X-Forwarded-For of reverse proxies in this `NETWORK`, such as 10.0.0.0/8: else all who come through one count as one address")
	cmd.Flags().IntVar(&flags.modelContext, "model-context", 0, "send the model no more than fits into so many `TOKENS` of context, answer included; 0 for 128,000")
	cmd.Flags().StringVar(&flags.instructions, "instructions", "", "tell the model what is in this `FILE`, after the built-in words: who asks here, and how to answer")
	cmd.Flags().BoolVar(&flags.plainModel, "dangerously-plain-model", false, "let OPENAI_BASE_URL be http to another machine: questions, documents and the key go there in clear")
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
	if err = flags.apply(&config); err != nil {
		return err
	}
	if config.Agent, config.Model, err = newAgent(settings, flags, config.Servers, logger); err != nil {
		return err
	}
	kept, err := flags.openHistory(settings, &config)
	if err != nil {
		return err
	}
	app, err := web.New(config)
	if err != nil {
		return errors.Join(err, config.History.Close())
	}
	listener, err := httprun.Listen(ctx, flags.addr)
	if err != nil {
		return errors.Join(shell.PortHint(err, "--addr"), config.History.Close())
	}
	noteOtherPort(sh, "WEB_URL", config.URL, listener.Addr())
	fmt.Fprintf(sh.Err, "serving %s on %s\n%s\n%s\n", config.URL, listener.Addr(), kept, answering(config.Model))
	ending := make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { ending <- app.Run(ctx) }()
	err = httprun.Serve(ctx, serve.Grace, httprun.Endpoint{Name: "web agent", Listener: listener, Handler: app.Handler(), Logger: logger})
	stop()
	return errors.Join(err, <-ending)
}

// apply puts what flags say into the configuration.
func (f *webFlags) apply(config *web.Config) error {
	config.Hosts = f.hosts
	var err error
	if config.Proxies, err = parseNetworks(f.proxies); err != nil {
		return err
	}
	for _, text := range f.servers {
		server, bad := parseServer(text)
		if bad != nil {
			return shell.Usage(fmt.Errorf("--server %q: %w", text, bad))
		}
		config.Servers = append(config.Servers, server)
	}
	switch f.history {
	case "full":
	case "ids-only":
		config.IDsOnly = true
	default:
		return shell.Usage(fmt.Errorf("--history %q: want full or ids-only", f.history))
	}
	if f.historyDays < 0 {
		return shell.Usage(fmt.Errorf("--history-days %d: want 0 or more", f.historyDays))
	}
	config.KeepDays = f.historyDays
	return nil
}

// openHistory opens the file of conversations, or none, and says which.
func (f *webFlags) openHistory(settings *shell.Settings, config *web.Config) (said string, err error) {
	key := settings.Get("HISTORY_KEY")
	if key == "" {
		if f.historyFile != "" {
			return "", shell.Usage(shell.Hint(errors.New("--history-file: HISTORY_KEY is not set, and nothing is kept unencrypted"), "set HISTORY_KEY to a random text of at least 32 characters, such as openssl rand -base64 48 makes"))
		}
		config.History = &history.Memory{}
		return "conversations are kept in memory and end with this process; HISTORY_KEY keeps them in a file", nil
	}
	path := f.historyFile
	if path == "" {
		path = DefaultHistoryFile
	}
	var secrets []identity.Secret
	for one := range strings.SplitSeq(key, ",") {
		secrets = append(secrets, identity.NewSecret(strings.TrimSpace(one)))
	}
	file, err := history.Open(path, secrets...)
	switch {
	case errors.Is(err, history.ErrShortKey):
		return "", shell.Wrong("HISTORY_KEY", err)
	case errors.Is(err, history.ErrKey):
		return "", shell.Hint(fmt.Errorf("%s: %w", path, err), "while the key is being changed, HISTORY_KEY holds both: the new one, a comma, the old one")
	case errors.Is(err, history.ErrInUse):
		return "", shell.Hint(fmt.Errorf("%s: %w", path, err), "each process needs a file of its own: --history-file")
	case err != nil:
		return "", shell.Hint(err, "--history-file names another place")
	}
	config.History = file
	return "conversations are kept in " + path, nil
}

// parseServer reads NAME=URL[,group=G][,api=URI].
func parseServer(text string) (web.Server, error) {
	parts := strings.Split(text, ",")
	name, address, ok := strings.Cut(parts[0], "=")
	if !ok {
		return web.Server{}, errors.New("want NAME=URL")
	}
	u, err := signin.ServerURL(address)
	if err != nil {
		return web.Server{}, err
	}
	server := web.Server{Name: name, URL: u}
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(part, "=")
		switch {
		case value == "":
			return server, fmt.Errorf("%q: want %s=VALUE", part, key)
		case key == "group":
			server.Group = value
		case key == "api":
			server.APIs = append(server.APIs, value)
		default:
			return server, fmt.Errorf("there is no %q: want group or api", key)
		}
	}
	return server, nil
}

// askPolicy reads --unasked. A server that there is not is a slip: its tool would go on asking.
func askPolicy(unasked []string, servers []web.Server) (agent.AskPolicy, error) {
	policy := agent.AskPolicy{Unasked: map[string]string{}}
	names := make([]string, len(servers))
	for i := range servers {
		names[i] = servers[i].Name
	}
	for _, text := range unasked {
		tool, hash, _ := strings.Cut(text, "=")
		server, name, ok := strings.Cut(tool, ".")
		switch {
		case !ok || server == "" || name == "":
			return policy, shell.Usage(fmt.Errorf("--unasked %q: want SERVER.TOOL", text))
		case !slices.Contains(names, server):
			return policy, shell.Usage(shell.Hint(fmt.Errorf("--unasked %q: there is no server %s", text, server), "the servers are %s", strings.Join(names, ", ")))
		}
		policy.Unasked[tool] = hash
	}
	return policy, nil
}

// newAgent makes what drives conversations.
func newAgent(settings *shell.Settings, flags webFlags, servers []web.Server, logger *slog.Logger) (*agent.Agent, web.Model, error) {
	policy, err := askPolicy(flags.unasked, servers)
	if err != nil {
		return nil, web.Model{}, err
	}
	model, err := modelOf(settings, flags.model, flags.plainModel)
	if err != nil {
		return nil, web.Model{}, err
	}
	name, standIn := model.Name()
	instructions, err := readInstructions(flags.instructions)
	if err != nil {
		return nil, web.Model{}, err
	}
	const least, most, bytesPerToken = 4000, 10_000_000, 3 // four, and a quarter of it for the answer
	if n := flags.modelContext; n != 0 && (n < least || n > most) {
		return nil, web.Model{}, shell.Usage(fmt.Errorf("--model-context %d: want 0, or %d to %d", n, least, most))
	}
	limits := agent.Limits{Context: flags.modelContext * bytesPerToken}
	a, err := agent.New(agent.Config{Model: model, Ask: policy, Limits: limits, Instructions: instructions, Version: shell.Version().Version, Logger: logger})
	if err != nil {
		return nil, web.Model{}, shell.Usage(err)
	}
	return a, web.Model{Name: name, Builtin: standIn}, nil
}

// readInstructions reads the operator's words to the model.
func readInstructions(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	const most = 16 << 10
	text, err := os.ReadFile(file)
	switch {
	case err != nil:
		return "", shell.Usage(fmt.Errorf("--instructions: %w", err))
	case len(text) > most || !utf8.Valid(text):
		return "", shell.Usage(fmt.Errorf("--instructions: %s: want UTF-8 text of %d KiB at most", file, most>>10))
	}
	return strings.TrimSpace(string(text)), nil
}

// answering says at the start what answers.
func answering(model web.Model) string {
	if model.Builtin {
		return "no model is configured: the stand-in searches with people's words and quotes what it found"
	}
	return "answers come from " + model.Name
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
	scope, err5 := settings.APIScope()
	mcpURL, err6 := settings.URL("MCP_URL", DefaultURL)
	mcpClient, err7 := settings.HTTPClient()
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7); err != nil {
		return web.Config{}, err
	}
	entraClient, err := settings.EntraClient(in)
	if err != nil {
		return web.Config{}, err
	}
	hosted, err := signin.NewHosted(signin.HostedConfig{
		Authority: in.Authority, Tenant: tenant.String(), Client: client, Redirect: web.Callback(base), HTTPClient: entraClient, Logger: logger,
		Secret: func() (identity.Secret, error) {
			value, bad := settings.Fresh("AGENT_CLIENT_SECRET")
			return identity.NewSecret(value), bad
		},
	})
	if err != nil {
		return web.Config{}, shell.Usage(err)
	}
	_, notMicrosoft := entra.CloudOf(in.Authority)
	local := notMicrosoft != nil && settings.Get("ONBEHALF_LOCAL") == "1"
	return web.Config{
		URL: base, SignIn: hosted, Scope: scope, Authority: in.Authority, Local: local, Logger: logger,
		Servers:   []web.Server{{Name: mainServer, URL: mcpURL, APIs: []string{scope.Resource()}}},
		MCPClient: mcpClient,
		Examples:  examples(local),
	}, nil
}

// examples are questions to begin with: about the sample documents where the authority is a local one.
func examples(local bool) []string {
	if local {
		return []string{"What is on the roadmap?", "How many days of leave are there?", "What does the forecast say about revenue?"}
	}
	return []string{"Which documents may I see?"}
}
