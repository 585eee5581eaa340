package cli

import (
	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/internal/cli/operator"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// setupCommand holds what changes a tenant or a service. Each part has plan, apply and, where something can be taken
// away, destroy.
func (a *app) setupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Set a system up: app registrations, roles at the search service, the index",
		Long: `Set a system up as an administrator. "plan" shows what is missing and changes nothing, "apply" shows the plan and does
it, "destroy" takes away what apply made. They can be interrupted and run again.`,
		Example: "  onbehalf setup entra plan\n  onbehalf setup entra apply",
		Args:    shell.KnownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.setupEntraCommand())
	cmd.AddCommand(a.setupSearchCommand())
	cmd.AddCommand(operator.SetupCommand(a.Shell, a.operatorTools()))
	return cmd
}
