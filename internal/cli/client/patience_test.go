package client

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/signin"
)

// A person may take longer to sign in than a server to answer.
func TestSignInDoesNotCountAgainstTheTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &options{sh: &shell.Shell{Err: io.Discard}, timeout: time.Minute, device: true}
		ctx, cancel := o.within(t.Context())
		defer cancel()
		time.Sleep(50 * time.Second)
		if err := o.ask(ctx, signin.Cause{Server: "https://server.example/mcp"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(14 * time.Minute)
		o.patience.resume()
		time.Sleep(59 * time.Second)
		if ctx.Err() != nil {
			t.Fatalf("the sign-in counted: %v", context.Cause(ctx))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		err := timedOut(ctx, errors.New("what the SDK says"))
		if err.Error() != "no answer within 1m0s" || shell.HintOf(err) == "" {
			t.Errorf("after the time: %v, hint %q", err, shell.HintOf(err))
		}
	})
}
