// Package client holds the commands of the person at the terminal: login, logout, accounts, token, tools, call, stdio.
// They work with every MCP server that Entra protects, not with ours alone.
package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/spf13/cobra"
	"golang.org/x/oauth2"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/signin"
	"github.com/onbehalf/onbehalf/signin/vault"
)

// Commands returns the commands.
func Commands(sh *shell.Shell) []*cobra.Command {
	return []*cobra.Command{
		loginCommand(sh), logoutCommand(sh), accountsCommand(sh), tokenCommand(sh), toolsCommand(sh), callCommand(sh), stdioCommand(sh), chainCommand(sh),
	}
}

// defaultServer is the server of "onbehalf serve" on this machine.
const defaultServer = "http://localhost:8000/mcp"

// options are the flags that several commands have.
type options struct {
	sh  *shell.Shell
	tty *terminal

	server, account, client, tenant, resource string
	scopes                                    []string
	device, browser                           bool
	plaintext, anyAuthority                   bool
	passphraseFile                            string
	timeout                                   time.Duration
	patience                                  patience
}

func newOptions(sh *shell.Shell) *options { return &options{sh: sh, tty: newTerminal(sh)} }

// cacheFlags are those of every command that opens the token cache.
func (o *options) cacheFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.server, "server", "", "the MCP server's `URL` (MCP_URL; default "+defaultServer+")")
	flags.StringVar(&o.account, "account", "", "the account, by `NAME` or object id, where several are signed in")
	o.keeperFlags(cmd)
	must(cmd.RegisterFlagCompletionFunc("server", o.completeServers))
	must(cmd.RegisterFlagCompletionFunc("account", o.completeAccounts))
}

// keeperFlags say who holds the key of the token cache.
func (o *options) keeperFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&o.plaintext, "plaintext-cache", false, "keep tokens unencrypted, where no keyring is to be had: whoever reads the file is you")
	flags.StringVar(&o.passphraseFile, "cache-passphrase-file", "", "read the passphrase of the token cache from this `FILE` (CACHE_PASSPHRASE_FILE)")
}

// signInFlags are those of every command that may sign in.
func (o *options) signInFlags(cmd *cobra.Command) {
	o.tokenFlags(cmd)
	cmd.Flags().BoolVar(&o.device, "device-code", false, "sign in with a code on another device")
	cmd.Flags().BoolVar(&o.browser, "browser", false, "sign in with the browser on this machine")
}

// tokenFlags are those of every command that needs the token of a sign-in.
func (o *options) tokenFlags(cmd *cobra.Command) {
	o.cacheFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.client, "client-id", "", "the public client's application `ID` (WEB_CLIENT_ID)")
	flags.StringVar(&o.tenant, "tenant", "", "the tenant, by `ID` or domain (TENANT_ID; default: the one that the server names)")
	flags.StringArrayVar(&o.scopes, "scope", nil, "ask for this `SCOPE` instead of what the server asks for, and trust it with that; may be repeated")
	flags.StringVar(&o.resource, "resource", "", "send this `URI` as the parameter resource (RFC 8707), or \"none\"; default: only where the server's URL is the App ID URI")
	flags.BoolVar(&o.anyAuthority, "dangerously-authority", false, "trust an AZURE_AUTHORITY_HOST that is none of Microsoft's")
	flags.DurationVar(&o.timeout, "timeout", 2*time.Minute, "give up after this `TIME`, a sign-in on the way included; login: wait so long for an answer of the server")
}

// must is for mistakes of the program alone: a flag that does not exist.
func must(err error) {
	if err != nil {
		panic(err) //nolint:forbidigo // a mistake in this file, found by every test
	}
}

// opened is what a command works with.
type opened struct {
	server   *url.URL
	settings *shell.Settings
	cache    *vault.Vault
	ledger   *vault.Book
	logger   *slog.Logger
}

// openCache opens settings, cache and ledger: enough for commands that only look.
func (o *options) openCache() (*opened, error) {
	logger, err := o.sh.Logger()
	if err != nil {
		return nil, err
	}
	settings, err := o.sh.Settings(false)
	if err != nil {
		return nil, err
	}
	settings.Override("MCP_URL", o.server)
	server, err := signin.ServerURL(settings.Or("MCP_URL", defaultServer))
	if err != nil {
		return nil, shell.Usage(shell.Hint(err, "--server, or MCP_URL, is where the server is, such as https://mcp.contoso.com/mcp"))
	}
	if o.passphraseFile == "" {
		o.passphraseFile = settings.Get("CACHE_PASSPHRASE_FILE")
	}
	cache, ledger, err := o.openFiles()
	if err != nil {
		return nil, shell.Hint(err, "XDG_CACHE_HOME and XDG_CONFIG_HOME name other folders")
	}
	return &opened{server: server, settings: settings, cache: cache, ledger: ledger, logger: logger}, nil
}

// openFiles opens what is kept on this machine.
func (o *options) openFiles() (*vault.Vault, *vault.Book, error) {
	cacheDir, err := os.UserCacheDir()
	if err != nil {
		return nil, nil, fmt.Errorf("where to keep tokens: %w", err)
	}
	configDir, err := os.UserConfigDir()
	if err != nil {
		return nil, nil, fmt.Errorf("where to keep what was confirmed: %w", err)
	}
	notice := func(message string) { fmt.Fprintln(o.sh.Err, "note: "+message) }
	cache, err := vault.Open(vault.Config{Dir: filepath.Join(cacheDir, "onbehalf", "tokens"), Keepers: o.keepers(), Notice: notice})
	if err != nil {
		return nil, nil, err
	}
	ledger, err := vault.OpenBook(vault.Config{Dir: filepath.Join(configDir, "onbehalf"), Notice: notice})
	return cache, ledger, err
}

// keepers lists who may hold the key of the cache here, best first.
func (o *options) keepers() []vault.Keeper {
	var keepers []vault.Keeper
	if o.plaintext {
		keepers = append(keepers, vault.Plain{})
	}
	passphrase := &vault.Passphrase{Ask: o.passphrase}
	if o.passphraseFile != "" {
		keepers = append(keepers, passphrase)
	}
	if o.hasDesktop() {
		keepers = append(keepers, vault.Desktop{})
	}
	keepers = append(keepers, vault.Kernel{})
	if o.passphraseFile == "" && o.tty.interactive {
		keepers = append(keepers, passphrase)
	}
	return keepers
}

func (o *options) passphrase(ctx context.Context) (string, error) {
	if o.passphraseFile == "" {
		return o.tty.askSecret(ctx, "passphrase of the token cache: ")
	}
	text, err := os.ReadFile(o.passphraseFile)
	if err != nil {
		return "", fmt.Errorf("the passphrase: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// signer is what a command works with that may sign in.
type signer struct {
	*opened
	handler *signin.Handler // nil for [options.openCaller] without a client to sign in with
	http    *http.Client    // for the server
	watch   *watch

	loginHint string // the command that signs in
}

// newSigner makes a signer without a handler.
func (o *options) newSigner(opened *opened) (*signer, error) {
	client, err := opened.settings.HTTPClient()
	if err != nil {
		return nil, err
	}
	s := &signer{opened: opened, watch: &watch{base: client.Transport, begin: o.patience.resume}, loginHint: o.loginHint(opened)}
	client.Timeout = 0 // a tool may take its time: --timeout bounds the whole
	client.Transport = s.watch
	s.http = signin.SameOrigin(client)
	return s, nil
}

// openSigner makes the handler for the server. explicit says that the person has just asked to sign in: then nothing
// more needs a yes.
func (o *options) openSigner(explicit bool) (*signer, error) {
	if o.device && o.browser {
		return nil, shell.Usage(errors.New("--device-code and --browser exclude each other"))
	}
	opened, err := o.openCache()
	if err != nil {
		return nil, err
	}
	settings := opened.settings
	settings.Override("WEB_CLIENT_ID", o.client)
	settings.Override("TENANT_ID", o.tenant)
	if err = settings.Require("WEB_CLIENT_ID"); err != nil {
		return nil, err
	}
	client, err := settings.Client("WEB_CLIENT_ID")
	if err != nil {
		return nil, err
	}
	cloud, err := settings.Cloud(shell.Trust{Loopback: true, Any: o.anyAuthority})
	if err != nil {
		return nil, err
	}
	entraClient, err := settings.EntraClient(cloud)
	if err != nil {
		return nil, err
	}
	acquirer, err := signin.New(o.config(opened, cloud, client, entraClient))
	if err != nil {
		return nil, shell.Usage(shell.Hint(err, "--tenant, or TENANT_ID, is the tenant's id or domain; without it the server names the tenant"))
	}
	scopes, err := parseScopes(o.scopes)
	if err != nil {
		return nil, err
	}
	s, err := o.newSigner(opened)
	if err != nil {
		return nil, err
	}
	forHandler := new(*s.http)
	forHandler.Timeout = max(o.timeout, 0) // where the server wants a sign-in; the sign-in itself may take its time
	cfg := signin.HandlerConfig{
		HTTPClient: forHandler, Scopes: scopes, APIs: o.ownAPIs(opened), Account: o.account, Resource: o.resource,
		Ledger: opened.ledger, Logger: opened.logger, Now: o.sh.Now, Ask: o.ask,
	}
	if o.tty.interactive {
		cfg.Confirm = o.confirm
	}
	if explicit {
		cfg.Ask = nil
	}
	if s.handler, err = signin.NewHandler(opened.server, acquirer, cfg); err != nil {
		return nil, shell.Usage(err)
	}
	return s, nil
}

// openCaller is openSigner for commands that work with a server which asks nobody to sign in, too: a client to sign in
// with is missed only where the server asks for it.
func (o *options) openCaller() (*signer, auth.OAuthHandler, error) {
	s, err := o.openSigner(false)
	missing, ok := errors.AsType[*shell.MissingError](err)
	if !ok {
		if err != nil {
			return nil, nil, err
		}
		return s, s.handler, nil
	}
	opened, err := o.openCache()
	if err != nil {
		return nil, nil, err
	}
	if s, err = o.newSigner(opened); err != nil {
		return nil, nil, err
	}
	return s, &noClient{missing}, nil
}

// noClient is an OAuthHandler that cannot sign in.
type noClient struct{ missing *shell.MissingError }

// TokenSource implements [auth.OAuthHandler]: without a token.
func (*noClient) TokenSource(context.Context) (oauth2.TokenSource, error) { return nil, nil }

// Authorize implements [auth.OAuthHandler]: it says what is missing.
func (n *noClient) Authorize(_ context.Context, _ *http.Request, resp *http.Response) error {
	_ = resp.Body.Close() // its text says less than the error
	return n.missing
}

// loginHint repeats how the server was named.
func (o *options) loginHint(opened *opened) string {
	hint := "onbehalf login"
	if file := o.sh.EnvFile(); file != "" {
		hint += " --env " + file
	}
	if o.server != "" || o.sh.EnvFile() == "" {
		hint += " --server " + opened.server.String()
	}
	return hint
}

func (o *options) config(opened *opened, cloud entra.Cloud, client identity.ClientID, entraClient *http.Client) signin.Config {
	cfg := signin.Config{
		Tenant: opened.settings.Get("TENANT_ID"), Client: client, HTTPClient: entraClient,
		Prompt: o.showCode, Cache: opened.cache, Now: o.sh.Now, Logger: opened.logger,
	}
	if opened.settings.Get("AZURE_AUTHORITY_HOST") != "" {
		cfg.Authority = cloud.Authority
	}
	if o.browser || o.hasBrowser() && !o.device {
		cfg.Open = o.openBrowser
	}
	switch {
	case o.device:
		cfg.Method = signin.ByDeviceCode
	case o.browser:
		cfg.Method = signin.ByBrowser
	}
	return cfg
}

// ownAPIs are the App ID URIs of the server that the settings describe. They say nothing of another server.
func (o *options) ownAPIs(opened *opened) []string {
	described, err := o.sh.Settings(false)
	if err != nil {
		return nil
	}
	server, err := signin.ServerURL(described.Or("MCP_URL", defaultServer))
	if err != nil || *server != *opened.server {
		return nil
	}
	var apis []string
	if uri := described.Get("API_APP_ID_URI"); uri != "" {
		apis = append(apis, uri)
	}
	if id := described.Get("API_CLIENT_ID"); id != "" {
		apis = append(apis, "api://"+id)
	}
	return apis
}

func parseScopes(texts []string) ([]entra.Scope, error) {
	var scopes []entra.Scope
	for _, text := range texts {
		scope, err := entra.ParseScope(text)
		if err != nil {
			return nil, shell.Usage(fmt.Errorf("--scope: %w", err))
		}
		scopes = append(scopes, scope)
	}
	return scopes, nil
}
