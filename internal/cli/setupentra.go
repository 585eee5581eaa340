package cli

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/server"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/envfile"
	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/graphcalls"
	"github.com/onbehalf/onbehalf/internal/provision/registrations"
	"github.com/onbehalf/onbehalf/internal/web"
)

// defaultStateFile is what set-ups remember between runs.
const defaultStateFile = "onbehalf-setup.json"

type setupEntra struct {
	*app
	administrator
	name, state, writeEnv   string
	tenant, mcpURL, webURL  string
	certificate, managed    string
	preauthorize            []string
	secretDays              int
	skipAgent, adopt, retry bool
	readGroups              bool
	asJSON, check, yes      bool
	emit                    string // the tool of the script to print
	offline                 bool
	given                   func(flag string) bool // on the command line
}

func (a *app) setupEntraCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "entra",
		Short: "Register the API, the client and the web agent with Entra ID",
		Long: `Register the API, the public client and the web agent with Entra ID by Microsoft Graph, with their credentials,
pre-authorizations and the consent for Azure AI Search. It uses the Azure CLI's sign-in where az is there, else
--bootstrap-client; the token stays in memory.`,
		Example: `  MCP_URL=https://mcp.contoso.com/mcp onbehalf setup entra plan
  MCP_URL=https://mcp.contoso.com/mcp onbehalf setup entra apply`,
		Args: shell.KnownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.setupEntraPlan(), a.setupEntraApply(), a.setupEntraDestroy())
	return cmd
}

func (a *app) setupEntraPlan() *cobra.Command {
	s := &setupEntra{app: a}
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what is missing or differs; change nothing",
		Long: `Compare the tenant with what is to be and show what "apply" would do: + is created, ~ changed, = as it is to be, ! is
something to know that is left alone. What was changed by others since the set-up is marked as drift.

--emit-script prints the plan as a script of the same calls, with curl or az, for an administrator who will not run a
foreign tool. With --offline it needs no sign-in: it takes the tenant of TENANT_ID for empty.`,
		Example: `  onbehalf setup entra plan
  onbehalf setup entra plan --emit-script curl >setup.sh
  onbehalf setup entra plan --check --json        # exit 1 when there is something to do: for a scheduled check`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.runPlan(cmd.Context()) },
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&s.check, "check", false, "exit 1 when there is something to do")
	cmd.Flags().StringVar(&s.emit, "emit-script", "", "print the plan as a bash script that uses this `TOOL`, curl or az, instead")
	cmd.Flags().BoolVar(&s.offline, "offline", false, "with --emit-script: do not sign in, and take the tenant of TENANT_ID for empty")
	cmd.MarkFlagsMutuallyExclusive("emit-script", "json")
	cmd.MarkFlagsMutuallyExclusive("emit-script", "check")
	return cmd
}

func (a *app) setupEntraApply() *cobra.Command {
	s := &setupEntra{app: a}
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Show the plan, ask, and do it",
		Long: `Show the plan, ask, and do it. It can be interrupted and run again: ids are written to the state file after every object,
secrets and settings to the settings file (0600) at once. What others added to an application stays. --read-groups,
--skip-agent and --preauthorize hold in later runs, too, until they are given anew (--read-groups=false).`,
		Example: `  MCP_URL=https://mcp.contoso.com/mcp onbehalf setup entra apply
  onbehalf setup entra apply --managed-identity CLIENT-ID --preauthorize vscode,azurecli`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.runApply(cmd.Context()) },
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&s.yes, "yes", false, "do not ask")
	return cmd
}

func (s *setupEntra) flags(cmd *cobra.Command) {
	var known []string
	for _, client := range registrations.WellKnownClients() {
		known = append(known, client.Name)
	}
	f := cmd.Flags()
	s.given = f.Changed
	s.common(cmd)
	f.StringVar(&s.mcpURL, "mcp-url", "", "the MCP server's public `URL` (MCP_URL; default "+server.DefaultURL+")")
	f.StringVar(&s.webURL, "web-url", "", "the web agent's public `URL` (WEB_URL; default "+server.DefaultWebURL+")")
	f.StringVar(&s.certificate, "certificate", "", "prove the API with the certificate in this PEM `FILE`, instead of a secret")
	f.StringVar(&s.managed, "managed-identity", "", "trust the managed identity with this client `ID`, instead of a secret")
	f.IntVar(&s.secretDays, "secret-days", 180, "how many days a new client secret lasts")
	f.StringSliceVar(&s.preauthorize, "preauthorize", nil, "clients that need no consent beside our own: client ids, or "+strings.Join(known, ", "))
	f.BoolVar(&s.skipAgent, "skip-agent", false, "without the web agent")
	f.BoolVar(&s.readGroups, "read-groups", false, "let the API ask Microsoft Graph which groups a person is in: for people in more than 200 groups, and for \"index push --sample\"")
	f.BoolVar(&s.adopt, "adopt", false, "take over applications that bear this deployment's tags and that the state file does not know")
	f.BoolVar(&s.retry, "retry-refused", false, "try an App ID URI again that the tenant refused before")
	cmd.MarkFlagsMutuallyExclusive("certificate", "managed-identity")
}

// common are the flags of destroy, too.
func (s *setupEntra) common(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.name, "name", "onbehalf", "what the applications' names begin with; one `NAME` for each deployment in a tenant")
	f.StringVar(&s.state, "state", defaultStateFile, "remember ids in this `FILE`")
	f.StringVar(&s.writeEnv, "write-env", "", "write the settings to this `FILE`; default: the one of --env, or .env")
	f.StringVar(&s.tenant, "tenant", "", "the tenant's `ID` or a domain of it (TENANT_ID; default: the sign-in's)")
	f.BoolVar(&s.asJSON, "json", false, "print the plan as JSON")
	s.administrator.flags(cmd)
}

// site is what a run works with.
type site struct {
	settings *shell.Settings
	env      *envfile.File
	graph    *graph.Client
	cloud    entra.Cloud
	state    *registrations.State
	desired  registrations.Desired
	plan     *registrations.Plan
}

// open reads settings and state, and signs in.
func (s *setupEntra) open() (*site, error) {
	w := &site{}
	var err error
	if w.settings, err = s.Settings(true); err != nil {
		return nil, err
	}
	w.settings.Override("TENANT_ID", s.tenant)
	w.settings.Override("MCP_URL", s.mcpURL)
	w.settings.Override("WEB_URL", s.webURL)
	if w.env, err = s.settingsFile(s.writeEnv); err != nil {
		return nil, err
	}
	if w.state, err = registrations.LoadState(s.path(s.state), s.name); err != nil {
		return nil, shell.Hint(err, "--state and --name belong together: a file for each deployment")
	}
	if s.offline {
		w.cloud, err = w.settings.Cloud(shell.Trust{})
		return w, err
	}
	w.graph, w.cloud, err = s.graph(s.administrator, w.settings)
	return w, err
}

func (s *setupEntra) desire(w *site) (err error) {
	w.desired = registrations.Desired{
		Name: s.name, MCPURL: w.settings.Or("MCP_URL", server.DefaultURL), WebURL: w.settings.Or("WEB_URL", server.DefaultWebURL),
		SecretLife: time.Duration(s.secretDays) * 24 * time.Hour, Adopt: s.adopt, Retry: s.retry,
		Paths: registrations.AgentPaths{Callback: web.CallbackPath, SignedOut: web.SignedOutPath, FrontChannel: web.FrontChannelPath},
		Cloud: w.cloud, Now: s.Now(),
		Env: func(name string) string {
			if value := w.env.Get(name); value != "" {
				return value
			}
			return w.settings.Get(name)
		},
	}
	if err = s.choose(w); err != nil {
		return err
	}
	if err = s.credential(w); err != nil {
		return err
	}
	if err = w.desired.Check(); err != nil {
		return shell.Usage(err)
	}
	return nil
}

// choose takes the choices of the flags, and of earlier runs where there is no flag.
func (s *setupEntra) choose(w *site) (err error) {
	chosen := w.state.Chosen()
	w.desired.ReadGroups, w.desired.SkipAgent, w.desired.PreAuthorize = chosen.ReadGroups, chosen.SkipAgent, chosen.PreAuthorize
	if s.given("read-groups") {
		w.desired.ReadGroups = s.readGroups
	}
	if s.given("skip-agent") {
		w.desired.SkipAgent = s.skipAgent
	}
	if s.given("preauthorize") {
		if w.desired.PreAuthorize, err = registrations.ParseClients(s.preauthorize); err != nil {
			return shell.Usage(fmt.Errorf("--preauthorize: %w", err))
		}
	}
	return nil
}

// credential says how the API proves itself: as flags say, else as the settings do, else by a secret.
func (s *setupEntra) credential(w *site) (err error) {
	managed, certificate, env := s.managed, s.certificate, w.desired.Env
	if managed+certificate+env("CLIENT_SECRET") == "" {
		managed, certificate = env("MANAGED_IDENTITY_CLIENT_ID"), env("CLIENT_CERTIFICATE_PATH")
		w.desired.Credential.Elsewhere = env("AZURE_FEDERATED_TOKEN_FILE") != ""
	}
	switch {
	case managed != "":
		if w.desired.Credential.Identity, err = identity.ParseClientID(managed); err != nil {
			return shell.Usage(fmt.Errorf("managed identity: %w", err))
		}
	case certificate != "":
		w.desired.Credential.Path = s.path(certificate)
		if w.desired.Credential.Certificate, err = readCertificate(w.desired.Credential.Path); err != nil {
			return shell.Usage(fmt.Errorf("certificate: %w", err))
		}
	}
	return nil
}

// readCertificate reads the first certificate of a PEM file; a key beside it is not looked at.
func readCertificate(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	const most = 1 << 20
	text, err := readAtMost(file, most)
	for err == nil {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			err = fmt.Errorf("%s holds no PEM certificate", path)
		} else if block.Type == "CERTIFICATE" {
			return block.Bytes, nil
		}
	}
	return nil, err
}

func readAtMost(r io.Reader, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("larger than %d bytes", most)
	}
	return text, err
}

// prepare makes the plan and shows it.
func (s *setupEntra) prepare(ctx context.Context) (*site, error) {
	w, err := s.open()
	if err != nil {
		return nil, err
	}
	if err = s.desire(w); err != nil {
		return nil, err
	}
	if w.settings.Get("MCP_URL") == "" {
		fmt.Fprintf(s.Err, "note: MCP_URL is not set: %s\n", w.desired.MCPURL)
	}
	if w.settings.Get("WEB_URL") == "" && !w.desired.SkipAgent {
		fmt.Fprintf(s.Err, "note: WEB_URL is not set: %s\n", w.desired.WebURL)
	}
	present, err := s.read(ctx, w)
	if err != nil {
		return nil, s.explain(err)
	}
	if err = w.rightTenant(present.Tenant); err != nil {
		return nil, err
	}
	if w.plan, err = registrations.Make(&w.desired, present, w.state); err != nil {
		return nil, err
	}
	return w, nil
}

// rightTenant refuses a sign-in for another tenant than that of the settings.
func (w *site) rightTenant(found graph.Organization) error {
	wanted := w.settings.Get("TENANT_ID")
	domain := slices.ContainsFunc(found.VerifiedDomains, func(d graph.VerifiedDomain) bool { return strings.EqualFold(d.Name, wanted) })
	if wanted != "" && !domain && !strings.EqualFold(wanted, found.ID) {
		return shell.Hint(fmt.Errorf("the sign-in is for the tenant %s, and TENANT_ID is %s", found.ID, wanted), "sign in to that tenant, or set --tenant")
	}
	return nil
}

// read asks the tenant what there is.
func (s *setupEntra) read(ctx context.Context, w *site) (*registrations.Present, error) {
	if !s.offline {
		return registrations.Read(ctx, w.graph, &w.desired, w.state, pause)
	}
	if err := w.settings.Require("TENANT_ID"); err != nil {
		return nil, err
	}
	tenant, err := w.settings.Tenant()
	if err != nil {
		return nil, err
	}
	if len(w.state.IDs) > 0 || s.managed != "" {
		return nil, shell.Usage(errors.New("--offline: a state file and a managed identity are compared with the tenant, which takes a sign-in"))
	}
	return registrations.Offline(tenant.String()), nil
}

func (s *setupEntra) show(plan *registrations.Plan) error {
	if s.asJSON {
		return shell.WriteJSON(s.Out, plan.Output())
	}
	return plan.Write(s.Out, shell.Printable)
}

func (s *setupEntra) runPlan(ctx context.Context) error {
	if s.offline && s.emit == "" {
		return shell.Usage(errors.New("--offline belongs to --emit-script"))
	}
	w, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	if s.emit != "" {
		return s.script(w)
	}
	if err = s.show(w.plan); err != nil {
		return err
	}
	if w.plan.Blocked != nil {
		return blocked(w.plan)
	}
	if s.check && !w.plan.Empty() {
		return errors.New("the tenant is not as it is to be")
	}
	return nil
}

func blocked(plan *registrations.Plan) error {
	return shell.Hint(plan.Blocked, "--state names its state file, --adopt takes it over, --name makes another deployment beside it")
}

func (s *setupEntra) runApply(ctx context.Context) error {
	w, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	if err = s.show(w.plan); err != nil {
		return err
	}
	if w.plan.Blocked != nil {
		return blocked(w.plan)
	}
	if w.plan.Empty() {
		return w.state.Save(s.path(s.state))
	}
	if err = s.confirm(ctx, "Do this?"); err != nil {
		return err
	}
	if err = registrations.Apply(ctx, s.doer(w), w.plan, w.state); err != nil {
		return s.explain(err)
	}
	fmt.Fprintf(s.Err, "settings in %s, ids in %s\n", w.env.Path(), s.path(s.state))
	return nil
}

func (s *setupEntra) doer(w *site) registrations.Doer {
	return registrations.Doer{
		Maker: graphcalls.Maker{Graph: w.graph, Pause: pause},
		Save:  func(state *registrations.State) error { return state.Save(s.path(s.state)) },
		Set: func(settings []registrations.Setting) error {
			var all []envfile.Setting
			for _, one := range settings {
				if one.Value != "" || w.env.Get(one.Name) != "" {
					all = append(all, envfile.Setting{Name: one.Name, Value: one.Value}) // an empty value counts as none, and keeps no old secret
				}
			}
			return w.env.Set(all...)
		},
		Say: func(format string, args ...any) {
			fmt.Fprintln(s.Err, shell.PrintableLine(fmt.Sprintf(format, args...)))
		},
	}
}
