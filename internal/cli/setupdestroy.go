package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/graphcalls"
	"github.com/onbehalf/onbehalf/internal/provision/registrations"
)

func (a *app) setupEntraDestroy() *cobra.Command {
	s := &setupEntra{app: a}
	cmd := &cobra.Command{
		Use:   "destroy",
		Short: "Take away what apply made, and nothing else",
		Long: `Show what would be taken away, ask, and do it: the applications that the state file names by object id and that bear the
deployment's tag, with their service principals, credentials and consents. Everything else is left alone. Entra keeps
deleted applications for thirty days (App registrations > Deleted applications).`,
		Example: "  onbehalf setup entra destroy",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.runDestroy(cmd.Context()) },
	}
	s.common(cmd)
	cmd.Flags().BoolVar(&s.yes, "yes", false, "do not ask")
	return cmd
}

func (s *setupEntra) runDestroy(ctx context.Context) error {
	w, err := s.open()
	if err != nil {
		return err
	}
	if w.state.Done() {
		_, err = fmt.Fprintf(s.Out, "nothing to do: %s names nothing\n", s.path(s.state))
		return err
	}
	removal, err := registrations.PlanRemoval(ctx, w.graph, w.state)
	if err != nil {
		return s.explain(err)
	}
	if err = w.rightTenant(removal.Tenant); err != nil {
		return err
	}
	if err = s.show(&removal.Plan); err != nil {
		return err
	}
	if len(removal.Steps) > 0 {
		if err = s.confirm(ctx, "Take this away?"); err != nil {
			return err
		}
		if err = registrations.Remove(ctx, s.doer(w), removal, w.state, w.env.Get); err != nil {
			return s.explain(err)
		}
	}
	if len(removal.Left) > 0 {
		return shell.Hint(fmt.Errorf("left alone: %s", strings.Join(removal.Left, ", ")), "what does not bear the deployment's tag is somebody else's by now: take it away in the portal, if it is yours")
	}
	if err = os.Remove(s.path(s.state)); err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	return nil
}

// script prints the plan as a script.
func (s *setupEntra) script(w *site) error {
	tool := graphcalls.Tool(s.emit)
	if tool != graphcalls.Curl && tool != graphcalls.Az {
		return shell.Usage(fmt.Errorf("--emit-script %q: want curl or az", s.emit))
	}
	if w.plan.Blocked != nil {
		return blocked(w.plan)
	}
	text, err := registrations.Script(w.plan, w.state, &w.desired, tool, registrations.ScriptFiles{Env: w.env.Path(), State: s.path(s.state)})
	if err != nil {
		return err
	}
	_, err = io.WriteString(s.Out, text)
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// explain adds to an error of Graph's which right is missing, and what to do without it.
func (s *setupEntra) explain(err error) error {
	refused, isGraph := errors.AsType[*graph.Error](err)
	step, isStep := errors.AsType[*graphcalls.Error](err)
	switch {
	case errors.Is(err, errNoAzureCLI):
		return shell.Hint(err, "az login, or --bootstrap-client %s", graphTools)
	case errors.Is(err, graph.ErrForbidden):
		right := graphcalls.ManageApps
		if isStep {
			right = step.Call.Right
		}
		return shell.Hint(err, "%s; run it again as somebody who has them, and it goes on from here, or hand over what \"onbehalf setup entra plan --emit-script curl\" prints (--offline without any right)", right.Explain())
	case isGraph && strings.HasPrefix(refused.Code, "Credential") && strings.HasSuffix(refused.Code, "PerAppPolicy"):
		return shell.Hint(err, "a policy of the tenant limits secrets: --secret-days for a shorter life, --managed-identity or --certificate for none, --skip-agent where the web agent is not needed")
	case isGraph && refused.Status == http.StatusUnauthorized:
		return shell.Hint(err, "the token is not one for Microsoft Graph, or has expired: sign in again")
	}
	return err
}

// confirm asks at the terminal, unless --yes was said.
func (s *setupEntra) confirm(ctx context.Context, question string) error {
	if s.yes {
		return nil
	}
	return s.Confirm(ctx, question)
}
