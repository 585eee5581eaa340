package cli

import "github.com/spf13/cobra"

func (a *app) setupEntraCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "entra",
		Short:  "Register the API, the client and the web agent with Entra ID",
		Hidden: true, // until it has plan, apply and destroy
		Args:   cobra.NoArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
}
