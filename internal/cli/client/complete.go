package client

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/signin"
)

func (o *options) completeServers(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	opened, err := o.openCache()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	grants, err := opened.ledger.Grants(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var servers []string
	for _, grant := range grants {
		servers = append(servers, grant.Server)
	}
	return servers, cobra.ShellCompDirectiveNoFileComp
}

func (o *options) completeAccounts(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	opened, err := o.openCache()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, err := signin.Accounts(cmd.Context(), opened.cache)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, account := range all {
		names = append(names, account.Name)
	}
	slices.Sort(names)
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}

// completionTimeout is how long a person who has pressed Tab waits for a server.
const completionTimeout = 10 * time.Second

// completeCall completes a tool's name, then the names of its arguments, as the server lists them to whoever is signed in.
func (o *options) completeCall(cmd *cobra.Command, words []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	tools, err := o.toolsUnasked(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, tool := range tools {
		if len(words) == 0 {
			names = append(names, tool.Name)
			continue
		}
		if tool.Name == words[0] {
			for _, name := range propertyNames(schemaOf(tool)) {
				names = append(names, name+"=")
			}
			return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// toolsUnasked lists the tools without asking anybody for anything.
func (o *options) toolsUnasked(ctx context.Context) ([]*mcp.Tool, error) {
	o.tty.interactive = false
	s, handler, err := o.openCaller()
	if err != nil {
		return nil, err
	}
	session, err := s.connect(ctx, o, unasked{handler}, nil)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	return listTools(ctx, session)
}

// unasked is an OAuthHandler that has the token of a former sign-in, or none.
type unasked struct{ auth.OAuthHandler }

// Authorize implements [auth.OAuthHandler].
func (unasked) Authorize(_ context.Context, _ *http.Request, resp *http.Response) error {
	_ = resp.Body.Close() // nobody reads why
	return &signin.Needed{}
}
