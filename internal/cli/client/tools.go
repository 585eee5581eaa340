package client

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

func toolsCommand(sh *shell.Shell) *cobra.Command {
	o := newOptions(sh)
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "tools",
		Short:   "List the tools of an MCP server",
		Example: "  onbehalf tools --server https://mcp.contoso.com/mcp\n  onbehalf tools --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, handler, err := o.openCaller()
			if err != nil {
				return err
			}
			ctx, cancel := o.within(cmd.Context())
			defer cancel()
			session, err := s.connect(ctx, o, handler, nil)
			if err != nil {
				return s.explain(ctx, err)
			}
			defer session.Close()
			tools, err := listTools(ctx, session)
			if err != nil {
				return s.explain(ctx, err)
			}
			if asJSON {
				return shell.WriteJSON(sh.Out, tools)
			}
			rows := make([][]string, len(tools))
			for i, tool := range tools {
				description, _, _ := strings.Cut(tool.Description, "\n")
				rows[i] = []string{tool.Name, usageOf(schemaOf(tool)), description}
			}
			o.tty.table(o.sh.Out, []string{"tool", "arguments", "what it does"}, rows)
			return nil
		},
	}
	o.signInFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with the schemas")
	return cmd
}

// maxTools bounds how many tools of a server are listed.
const maxTools = 2000

func listTools(ctx context.Context, session *mcp.ClientSession) ([]*mcp.Tool, error) {
	tools := []*mcp.Tool{}
	for tool, err := range session.Tools(ctx, nil) {
		if err != nil {
			return nil, err
		}
		if tools = append(tools, tool); len(tools) > maxTools {
			return nil, fmt.Errorf("the server has more than %d tools", maxTools)
		}
	}
	return tools, nil
}

// connect opens the MCP session. progress may be nil.
func (s *signer) connect(ctx context.Context, o *options, handler auth.OAuthHandler, progress func(*mcp.ProgressNotificationParams)) (*mcp.ClientSession, error) {
	options := &mcp.ClientOptions{Capabilities: &mcp.ClientCapabilities{}, Logger: s.logger}
	if progress != nil {
		options.ProgressNotificationHandler = func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { progress(r.Params) }
	}
	if o.tty.interactive {
		options.Capabilities.Elicitation = &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}
		options.ElicitationHandler = o.elicit
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "onbehalf", Version: shell.Version().Version}, options)
	return client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: s.server.String(), HTTPClient: s.http, OAuthHandler: handler, DisableStandaloneSSE: true, MaxRetries: -1,
	}, nil)
}

// elicit answers a server that asks the person to open a page, such as the one where consent is given.
func (o *options) elicit(ctx context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
	u, err := url.Parse(r.Params.URL)
	if err != nil || u.Scheme != "https" || u.User != nil {
		return nil, errors.New("only https pages are shown to the person")
	}
	fmt.Fprintf(o.sh.Err, "The server asks you to open a page of %s: %s\n  %s\n", printable(u.Host), printable(r.Params.Message), u)
	ok, err := o.tty.yes(ctx, "Open it?")
	if err != nil || !ok {
		return &mcp.ElicitResult{Action: "decline"}, err
	}
	if o.hasBrowser() {
		if err := o.openBrowser(ctx, u.String()); err != nil {
			return &mcp.ElicitResult{Action: "cancel"}, err
		}
	}
	return &mcp.ElicitResult{Action: "accept"}, nil
}
