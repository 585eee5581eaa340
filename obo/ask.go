package obo

import (
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/msalerr"
)

// ask exchanges at Entra, when a slot is free. It tries once more after a passing failure, and once more with a new
// credential when Entra refused the present one and there is a newer; nothing else is tried twice.
func (cl *Client) ask(ctx context.Context, w *wish) (answer, error) {
	select {
	case cl.slots <- struct{}{}:
		defer func() { <-cl.slots }()
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
	retried, renewed := false, false
	for {
		got, err := cl.authority.exchange(ctx, w)
		switch {
		case !renewed && credentialRefused(err) && cl.authority.credential.renew(ctx, got.credential):
			renewed = true
		case !retried && passing(err):
			retried = true
			if errWait := wait(ctx, retryPause()); errWait != nil {
				return got, err
			}
		default:
			return got, err
		}
	}
}

// credentialRefused reports whether Entra said that the secret or certificate is wrong or has expired.
func credentialRefused(err error) bool {
	e, ok := errors.AsType[*entra.Error](err)
	return ok && slices.ContainsFunc(e.AADSTS, func(code int) bool {
		return code == 7000215 || code == 7000222 || code == 700024 || code == 700027 || code == 50012
	})
}

// passing reports whether the failure may be over in a moment. An exchange changes nothing at Entra, so that asking
// twice does no harm; where Entra says how long to wait, we wait that long instead.
func passing(err error) bool {
	if e, ok := errors.AsType[*entra.Error](err); ok {
		return e.Status >= http.StatusInternalServerError && e.RetryAfter == 0
	}
	return errors.Is(err, msalerr.ErrConnection)
}

// retryPause is 50 to 150 ms, so that many do not come back at once.
func retryPause() time.Duration {
	return 50*time.Millisecond + rand.N(100*time.Millisecond) //nolint:gosec // spreads load, guards nothing
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func sha256Sum(s identity.Secret) [32]byte { return sha256.Sum256([]byte(s.Reveal())) }
