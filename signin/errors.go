package signin

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	msalerrors "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
)

// unreachable shortens MSAL's errors, which hold whole answers and addresses: what remains may be shown.
func unreachable(err error) error {
	var call msalerrors.CallErr
	var syntax msalerrors.InvalidJsonErr
	var transport *url.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrCodeExpired):
		return err
	case errors.As(err, &transport):
		return fmt.Errorf("cannot reach %s: %w", hostOf(transport.URL), transport.Err)
	case errors.As(err, &call) && call.Resp != nil:
		return fmt.Errorf("the authority answered HTTP %d", call.Resp.StatusCode)
	case errors.As(err, &syntax):
		return errors.New("the authority answered something that is not JSON")
	default:
		return err
	}
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the authority"
	}
	return u.Host
}

// checkVerificationURL keeps a tampered answer from sending the person to somebody else's page: only https, at the
// authority itself or at Microsoft's own pages.
func checkVerificationURL(address, authority string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.User != nil {
		return fmt.Errorf("the authority names a sign-in page that is not https: %w", ErrNotTrusted)
	}
	host := strings.ToLower(u.Hostname())
	if strings.EqualFold(u.Host, hostOf(authority)) || host == "microsoft.com" || host == "www.microsoft.com" ||
		host == "login.microsoft.com" || host == "aka.ms" || host == "microsoft.us" || host == "login.microsoftonline.com" {
		return nil
	}
	return fmt.Errorf("the authority names a sign-in page elsewhere, at %s: %w", u.Host, ErrNotTrusted)
}
