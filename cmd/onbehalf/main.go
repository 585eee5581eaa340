// Command onbehalf is everything: server, client, set-up, and the local stand-ins.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/onbehalf/onbehalf/internal/cli"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, shell.New(), os.Args[1:])
	stop()
	os.Exit(code)
}
