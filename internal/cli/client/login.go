package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/signin"
)

func loginCommand(sh *shell.Shell) *cobra.Command {
	o := newOptions(sh)
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Sign in for an MCP server",
		Long: "Signs you in for one MCP server: in the browser where there is one, else with a code on another device.\n" +
			"The tokens are kept encrypted, for this server alone.",
		Example: "  onbehalf login --server https://mcp.contoso.com/mcp\n  onbehalf login --device-code --account bob@contoso.com",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := o.openSigner(true)
			if err != nil {
				return err
			}
			token, err := s.handler.Login(cmd.Context())
			if err != nil {
				return s.explain(cmd.Context(), err)
			}
			all, err := signin.Accounts(cmd.Context(), s.cache)
			if err != nil {
				return err
			}
			name := token.Object.String()
			for _, account := range all {
				if account.Object == name {
					name = account.Name
					break
				}
			}
			_, err = fmt.Fprintf(sh.Out, "signed in as %s for %s\n", printable(name), s.server)
			return err
		},
	}
	o.signInFlags(cmd)
	return cmd
}

func logoutCommand(sh *shell.Shell) *cobra.Command {
	o := newOptions(sh)
	var all, forget bool
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "Remove tokens from this machine",
		Long: "Removes the tokens for one server, or with --all for every one. What was issued cannot be called back from here:\n" +
			"the command says until when access tokens stay valid.",
		Example: "  onbehalf logout --server https://mcp.contoso.com/mcp\n  onbehalf logout --all --account bob@contoso.com",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opened, err := o.openCache()
			if err != nil {
				return err
			}
			return o.logout(cmd.Context(), opened, all, forget)
		},
	}
	o.cacheFlags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "for every server")
	cmd.Flags().BoolVar(&forget, "forget", false, "also forget that you confirmed the server")
	return cmd
}

func (o *options) logout(ctx context.Context, opened *opened, all, forget bool) error {
	here := strings.TrimSuffix(opened.server.String(), "/")
	gone, err := signin.SignOut(ctx, opened.cache, func(s signin.SignedIn) bool {
		return (all || s.For.Server == here) && s.Is(o.account)
	})
	if err != nil {
		// What cannot be opened can be removed all the same, if nothing in it was to be kept.
		if o.account != "" {
			return explainOr(err)
		}
		keys, keysErr := opened.cache.Keys(ctx)
		if keysErr != nil {
			return keysErr
		}
		for _, key := range keys {
			if !all && key.Server != here {
				continue
			}
			if err = opened.cache.Remove(ctx, key); err != nil {
				return err
			}
			fmt.Fprintf(o.sh.Out, "removed what was kept for %s, unread\n", key.Server)
		}
	}
	if forget {
		if forgetErr := opened.forget(ctx, here, all); forgetErr != nil {
			return forgetErr
		}
	}
	if len(gone) == 0 && err == nil {
		fmt.Fprintln(o.sh.Out, "nobody was signed in")
		return nil
	}
	now := o.sh.Now()
	for _, account := range gone {
		fmt.Fprintf(o.sh.Out, "signed %s out for %s\n", printable(account.Name), account.For.Server)
		if account.Expires.After(now) {
			fmt.Fprintf(o.sh.Out, "  not revoked: an access token, valid until %s, if anyone has a copy\n", account.Expires.Local().Format("15:04"))
		}
	}
	fmt.Fprintln(o.sh.Out, "Your browser may still be signed in; \"Sign out everywhere\" at https://mysignins.microsoft.com revokes refresh tokens.")
	return nil
}

func (opened *opened) forget(ctx context.Context, here string, all bool) error {
	grants, err := opened.ledger.Grants(ctx)
	if err != nil {
		return err
	}
	for _, grant := range grants {
		if all || grant.Server == here {
			if err := opened.ledger.Revoke(ctx, grant.Server); err != nil {
				return err
			}
		}
	}
	return nil
}

func accountsCommand(sh *shell.Shell) *cobra.Command {
	o := newOptions(sh)
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "accounts",
		Short:   "List who is signed in for which server, and which servers are trusted",
		Example: "  onbehalf accounts\n  onbehalf accounts revoke https://mcp.contoso.com/mcp",
		Args:    shell.KnownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opened, err := o.openCache()
			if err != nil {
				return err
			}
			accounts, err := signin.Accounts(cmd.Context(), opened.cache)
			if err != nil {
				return explainOr(err)
			}
			grants, err := opened.ledger.Grants(cmd.Context())
			if err != nil {
				return err
			}
			accounts, grants = o.chosen(opened, accounts, grants)
			return o.listAccounts(accounts, grants, asJSON)
		},
	}
	o.cacheFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(revokeCommand(sh))
	return cmd
}

func revokeCommand(sh *shell.Shell) *cobra.Command {
	o := newOptions(sh)
	cmd := &cobra.Command{
		Use:     "revoke SERVER",
		Short:   "Trust a server no longer: it is asked about anew",
		Example: "  onbehalf accounts revoke https://mcp.contoso.com/mcp",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return shell.Usage(shell.Hint(errors.New("want the URL of one server"), "onbehalf accounts lists those that are trusted"))
			}
			return nil
		},
		ValidArgsFunction: o.completeServers,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.server = args[0]
			opened, err := o.openCache()
			if err != nil {
				return err
			}
			return o.revoke(cmd.Context(), opened)
		},
	}
	o.keeperFlags(cmd)
	return cmd
}

func (o *options) revoke(ctx context.Context, opened *opened) error {
	server := strings.TrimSuffix(opened.server.String(), "/")
	if _, found, err := opened.ledger.Grant(ctx, server); err != nil || !found {
		if err == nil {
			err = shell.Hint(fmt.Errorf("%s is not trusted", server), "onbehalf accounts lists who is")
		}
		return err
	}
	if err := opened.ledger.Revoke(ctx, server); err != nil {
		return err
	}
	gone, err := signin.SignOut(ctx, opened.cache, func(s signin.SignedIn) bool { return s.For.Server == server })
	if err != nil {
		return explainOr(err)
	}
	_, err = fmt.Fprintf(o.sh.Out, "%s is no longer trusted; %d sign-in(s) removed\n", server, len(gone))
	return err
}

// explainOr explains an error of the cache, or leaves it.
func explainOr(err error) error {
	if hinted := explainCache(err); hinted != nil {
		return hinted
	}
	return err
}

// chosen leaves what the flags name: an account, a server.
func (o *options) chosen(opened *opened, accounts []signin.SignedIn, grants []signin.Grant) ([]signin.SignedIn, []signin.Grant) {
	server := strings.TrimSuffix(opened.server.String(), "/")
	elsewhere := func(s string) bool { return o.server != "" && s != server }
	accounts = slices.DeleteFunc(accounts, func(a signin.SignedIn) bool { return !a.Is(o.account) || elsewhere(a.For.Server) })
	grants = slices.DeleteFunc(grants, func(g signin.Grant) bool { return elsewhere(g.Server) })
	return accounts, append([]signin.Grant{}, grants...)
}

func (o *options) listAccounts(accounts []signin.SignedIn, grants []signin.Grant, asJSON bool) error {
	if asJSON {
		type account struct {
			Name        string            `json:"name"`
			Object      string            `json:"object"`
			Tenant      string            `json:"tenant"`
			Server      string            `json:"server"`
			Client      identity.ClientID `json:"client"`
			Expires     time.Time         `json:"accessTokenExpires,omitzero"`
			Refreshable bool              `json:"refreshable"`
		}
		out := struct {
			Accounts []account      `json:"accounts"`
			Trusted  []signin.Grant `json:"trusted"`
		}{[]account{}, grants}
		for _, a := range accounts {
			out.Accounts = append(out.Accounts, account{a.Name, a.Object, a.Tenant, a.For.Server, a.For.Client, a.Expires, a.Refreshable})
		}
		return shell.WriteJSON(o.sh.Out, out)
	}
	rows := [][]string{}
	for _, a := range accounts {
		rows = append(rows, []string{a.Name, a.For.Server, a.For.Tenant, a.Object})
	}
	if len(rows) == 0 {
		fmt.Fprintln(o.sh.Out, "nobody is signed in")
	} else {
		o.tty.table(o.sh.Out, []string{"account", "server", "tenant", "object id"}, rows)
	}
	rows = rows[:0]
	for _, g := range grants {
		why := "its address is the API's"
		if g.Confirmed {
			why = "confirmed " + g.Since.Local().Format(time.DateOnly)
		}
		rows = append(rows, []string{g.Server, joinScopes(g.Scopes), g.Authority + g.Tenant, why})
	}
	if len(rows) > 0 {
		fmt.Fprintln(o.sh.Out)
		o.tty.table(o.sh.Out, []string{"trusted server", "may have", "from", "since"}, rows)
	}
	return nil
}

func joinScopes(scopes []entra.Scope) string {
	texts := make([]string, len(scopes))
	for i, scope := range scopes {
		texts[i] = scope.String()
	}
	return strings.Join(texts, " ")
}
