package cli

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/conform"
)

// conformFlags are the flags of onbehalf conform.
type conformFlags struct {
	asJSON, list, remote                        bool
	junit, tokenFile                            string
	only, skip                                  []string
	issuerKey, keyID, issuer, tenant, aud, name string
	clientID                                    string
}

func (a *app) conformCommand() *cobra.Command {
	var f conformFlags
	cmd := &cobra.Command{
		Use:   "conform [URL]",
		Short: "Check the authorization of any MCP server: metadata, challenges, and whether hostile tokens get in",
		Long: `Check the authorization of an MCP server from outside. URL is its endpoint, exactly as clients use it (default MCP_URL).

Tokens, good and hostile, are signed by the local Entra's control API where AZURE_AUTHORITY_HOST is the local Entra; with
--issuer-key by the key of a test issuer that the server trusts. Otherwise --token-file holds one good token, and what
needs others is skipped.

One line a check: verdict, id, what the specification says, what was seen. Exit code 1 when a check fails.`,
		Example: "  onbehalf conform http://localhost:8000/mcp --env .env\n  onbehalf conform https://mcp.contoso.com/mcp --only 'metadata.*' --only 'challenge.*' --dangerously-remote",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.runConform(cmd, args, f) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.asJSON, "json", false, "print the report as JSON")
	flags.StringVar(&f.junit, "junit", "", "also write the report to this `FILE` as JUnit XML")
	flags.StringArrayVar(&f.only, "only", nil, "run only the checks with this `ID`; * stands for anything, as in 'token.*'")
	flags.StringArrayVar(&f.skip, "skip", nil, "leave out the checks with this `ID`")
	flags.BoolVar(&f.list, "list", false, "print the ids of all checks")
	flags.StringVar(&f.tokenFile, "token-file", "", "a `FILE` with a good access token, where none can be made")
	flags.StringVar(&f.issuerKey, "issuer-key", "", "PEM `FILE` of the RSA private key of a test issuer that the server trusts")
	flags.StringVar(&f.keyID, "key-id", "", "with --issuer-key: the kid under which the issuer publishes it")
	flags.StringVar(&f.issuer, "issuer", "", "with --issuer-key: the claim iss")
	flags.StringVar(&f.tenant, "tenant", "", "with --issuer-key: the claim tid (default TENANT_ID)")
	flags.StringVar(&f.aud, "audience", "", "the claim aud (default API_CLIENT_ID)")
	flags.StringVar(&f.clientID, "client-id", "", "with --issuer-key: the claim azp (default WEB_CLIENT_ID)")
	flags.StringVar(&f.name, "scope", "execute", "with --issuer-key: the short name in the claim scp")
	flags.BoolVar(&f.remote, "dangerously-remote", false, "check a server that is not on this machine: it gets hostile requests, so it must be yours")
	return cmd
}

func (a *app) runConform(cmd *cobra.Command, args []string, f conformFlags) error {
	if f.list {
		_, err := io.WriteString(a.Out, strings.Join(conform.IDs(), "\n")+"\n")
		return err
	}
	settings, err := a.Settings(false)
	if err != nil {
		return err
	}
	if len(args) == 1 {
		settings.Override("MCP_URL", args[0])
	}
	if settings.Get("MCP_URL") == "" {
		return shell.Usage(shell.Hint(errors.New("no server is named"), "onbehalf conform http://localhost:8000/mcp --env .env"))
	}
	target, err := settings.URL("MCP_URL", "")
	if err != nil {
		return err
	}
	if !f.remote && !onLoopback(target) {
		return shell.Hint(shell.Usage(fmt.Errorf("%s is not on this machine, and the checks are hostile requests", target.Host)),
			"add --dangerously-remote if the server is yours")
	}
	cfg := conform.Config{URL: target, Only: f.only, Skip: f.skip, Now: a.Now}
	if cfg.HTTPClient, err = settings.HTTPClient(); err != nil {
		return err
	}
	if err = f.tokens(settings, &cfg); err != nil {
		return err
	}
	var lines func(conform.Result)
	if !f.asJSON {
		lines = func(r conform.Result) { _ = conform.WriteLine(a.Out, r) }
	}
	report, err := conform.Run(cmd.Context(), cfg, lines)
	if errors.Is(err, conform.ErrNoCheck) {
		return shell.Usage(shell.Hint(err, "onbehalf conform --list prints the ids"))
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return shell.Hint(err, "start the server, and the local Entra where it is the authority")
	}
	if err != nil {
		return shell.Hint(err, "does the server run, and does it trust the issuer of these tokens (audience, tenant, scope)?")
	}
	return a.writeReport(report, f)
}

func (a *app) writeReport(report *conform.Report, f conformFlags) error {
	if f.junit != "" {
		var text strings.Builder
		if err := report.WriteJUnit(&text); err != nil {
			return err
		}
		if err := os.WriteFile(f.junit, []byte(text.String()), 0o600); err != nil {
			return fmt.Errorf("--junit: %w", err)
		}
	}
	if f.asJSON {
		if err := report.WriteJSON(a.Out); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintln(a.Out, report.Summary()); err != nil {
		return err
	}
	if failed := report.Count(conform.Fail); failed > 0 {
		return shell.Exit(shell.ExitFailed, fmt.Errorf("%d checks failed", failed))
	}
	return nil
}

// tokens chooses who signs.
func (f *conformFlags) tokens(settings *shell.Settings, cfg *conform.Config) error {
	if f.issuerKey != "" {
		issuer, err := f.issuerMinter(settings, cfg.Now)
		cfg.Minter = issuer
		return err
	}
	authority, err := url.Parse(settings.Get("AZURE_AUTHORITY_HOST"))
	if err == nil && authority.Host != "" && onLoopback(authority) {
		local := &conform.Local{Entra: authority.String(), HTTPClient: cfg.HTTPClient}
		if f.aud != "" {
			local.Claims = map[string]any{"aud": f.aud}
		}
		cfg.Minter = local
		return nil
	}
	if f.tokenFile == "" {
		return nil // metadata and challenges can be checked all the same
	}
	text, err := os.ReadFile(f.tokenFile)
	if err != nil {
		return shell.Usage(fmt.Errorf("--token-file: %w", err))
	}
	cfg.Token = strings.TrimSpace(string(text))
	return nil
}

func (f *conformFlags) issuerMinter(settings *shell.Settings, now func() time.Time) (*conform.Issuer, error) {
	text, err := os.ReadFile(f.issuerKey)
	if err != nil {
		return nil, shell.Usage(fmt.Errorf("--issuer-key: %w", err))
	}
	key, err := conform.ParseKey(text)
	if err != nil {
		return nil, shell.Usage(fmt.Errorf("--issuer-key: %s: %w", f.issuerKey, err))
	}
	issuer := &conform.Issuer{
		Key: key, KeyID: f.keyID, Issuer: f.issuer, Tenant: orSetting(f.tenant, settings, "TENANT_ID"),
		Audience: orSetting(f.aud, settings, "API_CLIENT_ID"), Client: orSetting(f.clientID, settings, "WEB_CLIENT_ID"), Scope: f.name, Now: now,
	}
	if issuer.KeyID == "" || issuer.Issuer == "" || issuer.Tenant == "" || issuer.Audience == "" {
		return nil, shell.Usage(errors.New("--issuer-key also needs --key-id, --issuer, --tenant and --audience"))
	}
	return issuer, nil
}

func orSetting(value string, settings *shell.Settings, name string) string {
	if value != "" {
		return value
	}
	return settings.Get(name)
}

func onLoopback(u *url.URL) bool {
	addr, err := netip.ParseAddr(u.Hostname())
	return strings.EqualFold(u.Hostname(), "localhost") || err == nil && addr.Unmap().IsLoopback()
}
