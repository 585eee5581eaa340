package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// errNoAzureCLI says that there is no az here, or that nobody is signed in to it.
var errNoAzureCLI = errors.New("the Azure CLI gives no token")

const (
	azureCLITimeout = time.Minute
	maxAzureCLI     = 1 << 20
	azureCLIKeeps   = 5 * time.Minute // az itself keeps tokens and renews them
)

// azureCLI runs az with the person's own sign-in. What it prints is not shown: it may hold a token.
func azureCLI(ctx context.Context, args ...string) ([]byte, error) {
	path, err := exec.LookPath("az")
	if err != nil {
		return nil, fmt.Errorf("%w: there is no az on PATH", errNoAzureCLI)
	}
	ctx, cancel := context.WithTimeout(ctx, azureCLITimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // the person's own az
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errs, time.Second
	if err = cmd.Run(); err != nil {
		why, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n")
		const longest = 300
		if len(why) > longest {
			why = strings.ToValidUTF8(why[:longest], "") + "…"
		}
		switch {
		case ctx.Err() != nil:
			why = "no answer within " + azureCLITimeout.String()
		case why == "":
			why = err.Error()
		}
		return nil, fmt.Errorf("%w: az %s: %s", errNoAzureCLI, args[0], shell.Printable(why))
	}
	if out.Len() > maxAzureCLI {
		return nil, fmt.Errorf("%w: it printed too much", errNoAzureCLI)
	}
	return out.Bytes(), nil
}

// azureCLIToken returns a source of access tokens of the person who is signed in to az.
//
// https://learn.microsoft.com/cli/azure/account#az-account-get-access-token
func (a *app) azureCLIToken(resource, tenant string) func(ctx context.Context) (identity.Secret, error) {
	var token identity.Secret
	var until time.Time
	return func(ctx context.Context) (identity.Secret, error) {
		if !token.IsZero() && a.Now().Before(until) {
			return token, nil
		}
		args := []string{"account", "get-access-token", "--resource", resource, "--output", "json"}
		if tenant != "" {
			args = append(args, "--tenant", tenant)
		}
		text, err := azureCLI(ctx, args...)
		if err != nil {
			return identity.Secret{}, err
		}
		var answer struct {
			AccessToken identity.Secret `json:"accessToken"`
		}
		if json.Unmarshal(text, &answer) != nil || answer.AccessToken.IsZero() {
			return identity.Secret{}, fmt.Errorf("%w: its answer holds none", errNoAzureCLI)
		}
		token, until = answer.AccessToken, a.Now().Add(azureCLIKeeps)
		return token, nil
	}
}
