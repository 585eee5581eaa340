// Package server holds the commands that run in production: serve, web, healthcheck. It links no stand-in and no set-up
// code.
package server

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// Main runs the command line of the production server and returns the exit code.
func Main(ctx context.Context, sh *shell.Shell, args []string) int {
	root := sh.Root("onbehalf-server", "The MCP server whose tools act as the signed-in person, and the web agent that calls them",
		"  onbehalf-server serve --addr 0.0.0.0:8000\n  onbehalf-server web --addr 0.0.0.0:8080")
	root.AddCommand(Commands(sh)...)
	return sh.Run(ctx, args)
}

// Commands returns the commands, for this program and for the one that has all of them.
func Commands(sh *shell.Shell) []*cobra.Command {
	return []*cobra.Command{serveCommand(sh), webCommand(sh), healthcheckCommand(sh)}
}
