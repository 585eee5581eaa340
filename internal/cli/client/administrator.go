package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/signin"
)

// Administrator says how somebody signs in to set a tenant up.
type Administrator struct {
	Cloud           entra.Cloud
	Tenant          string // "" where the account tells
	Client          identity.ClientID
	HTTPClient      *http.Client // for Entra
	Device, Browser bool
}

// SignIn returns where tokens of the administrator for one API come from: the first asks the person, and all of them stay
// in memory.
func (a Administrator) SignIn(sh *shell.Shell) (func(ctx context.Context, scopes ...entra.Scope) (identity.Secret, error), error) {
	if a.Device && a.Browser {
		return nil, shell.Usage(errors.New("--device-code and --browser exclude each other"))
	}
	logger, err := sh.Logger()
	if err != nil {
		return nil, err
	}
	o := newOptions(sh)
	cfg := signin.Config{
		Authority: a.Cloud.Authority, Tenant: a.Tenant, Client: a.Client, HTTPClient: a.HTTPClient, Now: sh.Now, Logger: logger,
		Prompt: func(ctx context.Context, code signin.DeviceCode) error {
			fmt.Fprintf(sh.Err, "To sign in as the administrator\n  open   %s\n  enter  %s\n", printable(code.VerificationURL), o.tty.bold(printable(code.UserCode)))
			<-ctx.Done()
			return nil
		},
	}
	if a.Browser || o.hasBrowser() && !a.Device {
		cfg.Open = o.openBrowser
	}
	switch {
	case a.Device:
		cfg.Method = signin.ByDeviceCode
	case a.Browser:
		cfg.Method = signin.ByBrowser
	}
	client, err := signin.New(cfg)
	if err != nil {
		return nil, shell.Usage(err)
	}
	return func(ctx context.Context, scopes ...entra.Scope) (identity.Secret, error) {
		resource := ""
		if len(scopes) > 0 {
			resource = scopes[0].Resource()
		}
		token, err := client.Token(ctx, signin.Request{Server: resource, Scopes: slices.Clone(scopes)})
		if refused := (*signin.Refused)(nil); errors.As(err, &refused) {
			return identity.Secret{}, explainRefusal(refused)
		}
		return token.Value, err
	}, nil
}
