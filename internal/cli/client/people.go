package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/signin"
)

// People are those who have signed in on this machine for the MCP server of the settings. An operator's commands use their
// tokens, with the server's own registration, to see what each of them may see; they never sign anybody in.
type People struct {
	o        *options
	opened   *opened
	acquirer *signin.Client
	client   identity.ClientID
	scope    entra.Scope
}

// NewPeople makes them; nothing is opened before it is needed.
func NewPeople(sh *shell.Shell) *People { return &People{o: newOptions(sh)} }

// Flags adds the flags that say where the sign-ins are kept.
func (p *People) Flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&p.o.server, "server", "", "the MCP server's `URL` for which people have signed in (MCP_URL; default "+defaultServer+")")
	flags.BoolVar(&p.o.plaintext, "plaintext-cache", false, "the sign-ins were kept with --plaintext-cache")
	flags.StringVar(&p.o.passphraseFile, "cache-passphrase-file", "", "read the passphrase of the token cache from this `FILE` (CACHE_PASSPHRASE_FILE)")
}

// Server returns the server that a flag named, or "".
func (p *People) Server() string { return p.o.server }

// open reads the settings and opens the cache.
func (p *People) open() error {
	if p.opened != nil {
		return nil
	}
	opened, err := p.o.openCache()
	if err != nil {
		return err
	}
	settings := opened.settings
	if err = settings.Require("WEB_CLIENT_ID", "API_CLIENT_ID"); err != nil {
		return err
	}
	client, err1 := settings.Client("WEB_CLIENT_ID")
	scope, err2 := settings.APIScope()
	cloud, err3 := settings.Cloud(shell.Trust{Loopback: true})
	if err = errors.Join(err1, err2, err3); err != nil {
		return err
	}
	entraClient, err := settings.EntraClient(cloud)
	if err != nil {
		return err
	}
	config := p.o.config(opened, cloud, client, entraClient)
	config.Prompt, config.Open = nil, nil // nobody is asked
	config.Method = signin.Auto
	if p.acquirer, err = signin.New(config); err != nil {
		return shell.Usage(err)
	}
	p.opened, p.client, p.scope = opened, client, scope
	return nil
}

// Scope is the permission that people's tokens are for.
func (p *People) Scope() (entra.Scope, error) { return p.scope, p.open() }

// SignedIn lists who is signed in for the server by the public client of the settings, each once: the tokens of another
// client, such as one that was registered before, are not ours to use.
func (p *People) SignedIn(ctx context.Context) ([]signin.Account, error) {
	if err := p.open(); err != nil {
		return nil, err
	}
	all, err := signin.Accounts(ctx, p.opened.cache)
	if err != nil {
		return nil, explainOr(err)
	}
	here := strings.TrimSuffix(p.opened.server.String(), "/")
	seen := map[string]bool{}
	var accounts []signin.Account
	for _, account := range all {
		if account.For.Server == here && account.For.Client == p.client && !seen[account.Object] {
			seen[account.Object] = true
			accounts = append(accounts, account.Account)
		}
	}
	return accounts, nil
}

// Token returns the access token of somebody who is signed in, for the MCP server, without asking anybody.
func (p *People) Token(ctx context.Context, account signin.Account) (identity.Token, error) {
	if err := p.open(); err != nil {
		return identity.Token{}, err
	}
	token, err := p.acquirer.Token(ctx, signin.Request{
		Server: strings.TrimSuffix(p.opened.server.String(), "/"), Scopes: []entra.Scope{p.scope}, Account: account.Object, Silent: true,
	})
	if err == nil {
		return token, nil
	}
	if needed, ok := errors.AsType[*signin.Needed](err); ok {
		err = fmt.Errorf("%s must sign in again", account.Name)
		if needed.Cause != nil {
			err = fmt.Errorf("%w: %w", err, needed.Cause)
		}
		return token, shell.Hint(err, "%s --account %s", p.LoginHint(), account.Name)
	}
	return token, explainOr(err)
}

// LoginHint is the command that signs somebody in.
func (p *People) LoginHint() string {
	if p.opened == nil {
		return "onbehalf login"
	}
	return p.o.loginHint(p.opened)
}
