package client

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

func stdioCommand(sh *shell.Shell) *cobra.Command {
	o := newOptions(sh)
	cmd := &cobra.Command{
		Use:   "stdio",
		Short: "Be a local MCP server for clients that cannot sign in",
		Long: "Speaks MCP on standard input and output, and passes every message to the protected server, with your token. It asks\n" +
			"for nothing on standard output; sign in first with \"onbehalf login\".",
		Example: `  {"mcpServers": {"documents": {"command": "onbehalf", "args": ["stdio", "--server", "https://mcp.contoso.com/mcp"]}}}`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, handler, err := o.openCaller()
			if err != nil {
				return err
			}
			b := &bridge{
				client: s.http, handler: handler, server: s.server.String(), out: sh.Out, logger: s.logger, timeout: o.timeout,
				explain: func(ctx context.Context, err error) string {
					explained := s.explain(ctx, err)
					text := explained.Error()
					if hint := shell.HintOf(explained); hint != "" {
						text += " (hint: " + hint + ")"
					}
					return strings.TrimSpace(text)
				},
			}
			if err := b.run(cmd.Context(), sh.In); err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		},
	}
	o.signInFlags(cmd)
	return cmd
}
