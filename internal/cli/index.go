package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) indexCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "index",
		Short:   "Put documents into the index, see who can read what",
		Example: "  onbehalf index push documents.jsonl --env .env\n  onbehalf index pull-acl --env .env",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.indexPushCommand(), a.indexPullCommand())
	return cmd
}
