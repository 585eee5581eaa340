package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// healthTimeout bounds the question of healthcheck.
const healthTimeout = 3 * time.Second

func healthcheckCommand(sh *shell.Shell) *cobra.Command {
	var addr string
	cmd := &cobra.Command{
		Use:     "healthcheck",
		Short:   "Ask a running server whether it is ready, for containers",
		Example: "  onbehalf-server healthcheck --admin-addr 127.0.0.1:8001",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
			defer cancel()
			return checkHealth(ctx, sh, addr)
		},
	}
	cmd.Flags().StringVar(&addr, "admin-addr", "127.0.0.1:8001", "the server's --admin-addr")
	return cmd
}

func checkHealth(ctx context.Context, sh *shell.Shell, addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return shell.Usage(fmt.Errorf("--admin-addr %q: want HOST:PORT", addr))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		return shell.Hint(fmt.Errorf("no answer: %w", err), "start the server, or name where it answers with --admin-addr")
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: HTTP %d", resp.StatusCode)
	}
	fmt.Fprintln(sh.Out, "ready")
	return nil
}
