package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/httprun"
	"github.com/onbehalf/onbehalf/internal/local"
	"github.com/onbehalf/onbehalf/internal/localhost"
	"github.com/onbehalf/onbehalf/internal/serve"
)

type localFlags struct {
	entraAddr, searchAddr, data, people, writeEnv, scenario, policies string
	poseAs                                                            []string
	dangerousListen                                                   bool
}

func (a *app) localCommand() *cobra.Command {
	var flags localFlags
	cmd := &cobra.Command{
		Use:   "local",
		Short: "Run a local Entra ID and a local Azure AI Search",
		Long: `Run a local Entra ID and a local Azure AI Search with the sample tenant contoso.example, for tests and laptops.
Every program on this machine may sign in there as anyone: what they protect is sample data.`,
		Example: "  onbehalf local --write-env .env\n  onbehalf serve --env .env      # in another terminal",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runLocal(cmd.Context(), flags) },
	}
	cmd.Flags().StringVar(&flags.entraAddr, "entra-addr", "127.0.0.1:8443", "where the local Entra listens; port 0 picks one")
	cmd.Flags().StringVar(&flags.searchAddr, "search-addr", "127.0.0.1:8444", "where the local Search listens; port 0 picks one")
	cmd.Flags().StringVar(&flags.data, "data", "", "keep the local Search's documents in this `DIR`; default: in memory")
	cmd.Flags().StringVar(&flags.people, "people", "", "add the people of this `FILE`, a JSON object a line: name, upn, oid, groups")
	cmd.Flags().StringVar(&flags.writeEnv, "write-env", "", "write the settings to this `FILE`, for --env of the other commands")
	cmd.Flags().StringVar(&flags.scenario, "scenario", "", "start with a `NAME`d trouble: "+strings.Join(local.Scenarios(), ", "))
	cmd.Flags().StringVar(&flags.policies, "policies", "", "put the policies of this YAML `FILE` in force: docs/local-entra.md has an example")
	cmd.MarkFlagsMutuallyExclusive("scenario", "policies")
	_ = cmd.RegisterFlagCompletionFunc("scenario", cobra.FixedCompletions(local.Scenarios(), cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	cmd.Flags().StringArrayVar(&flags.poseAs, "dangerously-pose-as", nil, "answer as if the local Entra were this `HOST` of Microsoft (repeatable), such as login.microsoftonline.com: for programs that have it written into them, with a hosts file and --entra-addr 127.0.0.1:443")
	cmd.Flags().BoolVar(&flags.dangerousListen, "dangerously-listen-on", false, "allow addresses that other machines reach")
	return cmd
}

func (a *app) runLocal(ctx context.Context, flags localFlags) error {
	logger, err := a.Logger()
	if err != nil {
		return err
	}
	listeners, err := listenAll(ctx, flags.dangerousListen, flagged{"--entra-addr", flags.entraAddr}, flagged{"--search-addr", flags.searchAddr})
	if err != nil {
		return err
	}
	config := local.Config{Entra: listeners[0], Search: listeners[1], DataDir: flags.data, PoseAs: flags.poseAs, Now: a.Now, Logger: logger}
	if config.People, err = openPeople(flags.people); err != nil {
		return errors.Join(err, closeAll(listeners))
	}
	l, err := local.New(ctx, config)
	if err != nil {
		return errors.Join(err, closeAll(listeners))
	}
	defer l.Close()
	if flags.scenario != "" {
		if err = scenario(l, flags.scenario); err != nil {
			return errors.Join(err, closeAll(listeners))
		}
	}
	if flags.policies != "" {
		if err = policies(l, flags.policies); err != nil {
			return errors.Join(err, closeAll(listeners))
		}
	}
	tls, err := l.TLS()
	if err != nil {
		return err
	}
	entraTLS, err := l.EntraTLS()
	if err != nil {
		return err
	}
	if flags.writeEnv != "" {
		if err := l.WriteEnv(flags.writeEnv); err != nil {
			if errors.Is(err, local.ErrForeignEnv) {
				err = shell.Hint(err, "--write-env another file, or move that one away")
			}
			return errors.Join(err, closeAll(listeners))
		}
	}
	endpoints := []httprun.Endpoint{
		{Name: "local Entra", Listener: listeners[0], Handler: l.EntraHandler(), TLS: entraTLS, Logger: logger},
		{Name: "local Search", Listener: listeners[1], Handler: l.SearchHandler(), TLS: tls, Logger: logger},
	}
	// The listeners take connections already; "ready" is true from here on.
	fmt.Fprintf(a.Out, "Entra  %s\nSearch %s\n", l.EntraURL, l.SearchURL)
	for _, host := range flags.poseAs {
		fmt.Fprintf(a.Out, "poses as %s: whoever has \"127.0.0.1 %s\" in a hosts file and trusts this process's authority signs in here\n", host, host)
	}
	if flags.writeEnv != "" {
		fmt.Fprintf(a.Out, "settings in %s\n", flags.writeEnv)
	}
	fmt.Fprintln(a.Out, "ready")
	return httprun.Serve(ctx, serve.Grace, endpoints...)
}

func scenario(l *local.Local, name string) error {
	if !slices.Contains(local.Scenarios(), name) {
		err := fmt.Errorf("--scenario: there is no %q", name)
		if near := shell.Nearest(name, local.Scenarios()); near != "" {
			err = shell.Hint(err, "did you mean %s?", near)
		}
		return shell.Usage(err)
	}
	return l.Entra().Scenario(name)
}

// policies puts those of a file in force.
func policies(l *local.Local, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("--policies: %w", err)
	}
	defer func() { _ = file.Close() }()
	p, err := entraserver.ReadPolicies(file)
	if err == nil {
		err = l.Entra().SetPolicies(p)
	}
	if err != nil {
		return fmt.Errorf("--policies %s: %w", path, err)
	}
	return nil
}

// flagged is an address with the flag that it came from.
type flagged struct{ flag, addr string }

// listenAll listens on all addresses or on none. An address that other machines reach needs to be asked for.
func listenAll(ctx context.Context, anywhere bool, addresses ...flagged) ([]net.Listener, error) {
	var listeners []net.Listener
	for _, a := range addresses {
		if _, _, err := net.SplitHostPort(a.addr); err != nil {
			return nil, errors.Join(shell.PortHint(err, a.flag), closeAll(listeners))
		}
		if !anywhere && !localhost.IsLoopbackHost(a.addr) {
			err := fmt.Errorf("%s %s: other machines would reach it, and anyone may sign in there as anyone", a.flag, a.addr)
			return nil, errors.Join(shell.Usage(shell.Hint(err, "use 127.0.0.1, or add --dangerously-listen-on")), closeAll(listeners))
		}
		listener, err := httprun.Listen(ctx, a.addr)
		if err != nil {
			_ = closeAll(listeners)
			return nil, shell.PortHint(err, a.flag)
		}
		listeners = append(listeners, listener)
	}
	return listeners, nil
}

func closeAll(listeners []net.Listener) error {
	var errs []error
	for _, listener := range listeners {
		errs = append(errs, listener.Close())
	}
	return errors.Join(errs...)
}
