// Package cli is the command line of onbehalf, a file a command. It alone reads the environment, the settings files and
// the clock, and turns them into the arguments of the other packages; what all commands share is in package shell.
package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/internal/cli/client"
	"github.com/onbehalf/onbehalf/internal/cli/operator"
	"github.com/onbehalf/onbehalf/internal/cli/server"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// app is what the commands hang on.
type app struct{ *shell.Shell }

// Main runs the command line and returns the exit code: 0 success, 1 refused or failed, 2 wrong use.
func Main(ctx context.Context, sh *shell.Shell, args []string) int {
	root(sh)
	return sh.Run(ctx, args)
}

// root makes all commands.
func root(sh *shell.Shell) *cobra.Command {
	a := &app{sh}
	root := sh.Root("onbehalf", "Tools of AI agents that act as the signed-in person, with Entra ID and Azure AI Search",
		`  onbehalf demo                       # everything on this machine, no Azure
  onbehalf local --write-env .env     # a local Entra and a local AI Search
  onbehalf call get_documents --env .env`)
	group(root, "Try it:", a.demoCommand(), a.localCommand())
	group(root, "Use a server as yourself:", client.Commands(sh)...)
	group(root, "Run it:", server.Commands(sh)...)
	group(root, "Set it up, and see that it is right:", append(operator.Commands(sh, a.operatorTools()),
		a.setupCommand(), a.doctorCommand(), a.conformCommand())...)
	root.AddCommand(a.versionCommand())
	return root
}

// group adds commands that the help shows together.
func group(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, cmd := range commands {
		cmd.GroupID = title
	}
	root.AddCommand(commands...)
}
