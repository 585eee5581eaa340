package cli

import (
	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// Root makes all commands, for tests that look at them.
func Root(sh *shell.Shell) *cobra.Command { return root(sh) }
