package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Say what this is",
		Example: "  onbehalf version --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := shell.Version()
			if asJSON {
				return json.NewEncoder(a.Out).Encode(v)
			}
			_, err := fmt.Fprintln(a.Out, "onbehalf", v)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
