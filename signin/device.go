package signin

import (
	"context"
	"errors"
	"fmt"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
	"golang.org/x/sync/errgroup"
)

// ErrCodeExpired says that nobody used the device code in time.
var ErrCodeExpired = errors.New("the code was not used in time")

// deviceCode signs in by RFC 8628: the prompt shows the code while MSAL asks Entra whether it was used.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code
func (c *Client) deviceCode(ctx context.Context, msal public.Client, key Key, r Request) (public.AuthResult, error) {
	code, err := msal.AcquireTokenByDeviceCode(ctx, scopeStrings(r.Scopes), public.WithClaims(r.Claims))
	if err != nil {
		return public.AuthResult{}, err
	}
	shown := DeviceCode{
		UserCode: code.Result.UserCode, VerificationURL: code.Result.VerificationURL,
		Expires: code.Result.ExpiresOn, Server: r.Server,
	}
	if err := checkVerificationURL(shown.VerificationURL, key.Authority); err != nil {
		return public.AuthResult{}, err
	}
	prompting, endPrompt := context.WithCancel(ctx)
	defer endPrompt()
	group, waiting := errgroup.WithContext(prompting)
	var result public.AuthResult
	group.Go(func() error {
		err := c.cfg.Prompt(waiting, shown)
		if err != nil && waiting.Err() == nil {
			return fmt.Errorf("show the code: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		defer endPrompt()
		var err error
		result, err = code.AuthenticationResult(waiting)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return ErrCodeExpired
		}
		return err
	})
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil {
			return public.AuthResult{}, ctx.Err()
		}
		return public.AuthResult{}, err
	}
	return result, nil
}
