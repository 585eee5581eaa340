package call

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
)

// credentialChecks prove to Entra that who has the credentials is who the settings say.
func credentialChecks() []areaCheck {
	return []areaCheck{
		{
			ID: "credential.known", Title: "Entra knows the API in this tenant", Needs: []string{"settings.credential", "authority.tenant", "settings.api"},
			Unless: []string{"settings.quotes", "settings.secret", "settings.certificate", "network.clock", "registration.api", "registration.api-principal"}, Run: credentialKnown,
		},
		{
			ID: "credential.api", Title: "Entra accepts the API's credential", Needs: []string{"credential.known"}, Unless: []string{"registration.credential"},
			Run: func(_ context.Context, s *state) exam.Finding {
				return credentialFinding(s.appErr, s.Credential(), s.API)
			},
		},
		{
			ID: "credential.agent", Title: "Entra accepts the web agent's secret", Needs: []string{"settings.agent", "authority.tenant"},
			Unless: []string{"settings.quotes", "registration.agent", "registration.agent-secret"},
			Run: func(ctx context.Context, s *state) exam.Finding {
				if s.Agent.IsZero() {
					return exam.Good("not used")
				}
				_, err := s.ClientCredentials(ctx, s.Agent, s.Setting("AGENT_CLIENT_SECRET"), s.Cloud.GraphResource+"/.default")
				return credentialFinding(err, "AGENT_CLIENT_SECRET", s.Agent)
			},
		},
	}
}

// credentialKnown asks Entra for a token as the API. What Entra says is judged here, where it says that there is no such
// application, and else by credential.api.
func credentialKnown(ctx context.Context, s *state) exam.Finding {
	_, s.appErr = s.APIToken(ctx, s.Cloud.GraphResource+"/.default")
	if e, ok := errors.AsType[*entra.Error](s.appErr); ok && slices.Contains([]int{700016, 700038, 7000112, 70001}, e.Number()) {
		found := check.Refused(e)
		found.Fix = "API_CLIENT_ID: " + check.PortalApp + " > Overview > Application (client) ID; where it has no service principal, the command makes one."
		found.Command = "az ad sp create --id " + s.API.String()
		if e.Number() == 7000112 {
			found.Fix, found.Command = "Entra admin center > Enterprise applications > the API > Properties > Enabled for users to sign-in: Yes", ""
		}
		return found
	}
	return exam.Good("%s", s.API)
}

func credentialFinding(err error, setting string, id identity.ClientID) exam.Finding {
	var e *entra.Error
	switch {
	case err == nil:
		return exam.Good("%s", setting)
	case errors.Is(err, check.ErrNoToken):
		return exam.Skip("not tried: "+setting, "")
	case errors.As(err, &e):
		found := check.Refused(e)
		found.Seen = setting + ": " + found.Seen
		if strings.HasSuffix(setting, "_SECRET") && slices.Contains([]int{7000215, 7000222}, e.Number()) {
			found.Cause, found.Fix = "Entra does not know this secret, or it has expired.", setting+": the secret's value, not its id, from "+check.PortalApp+" > Certificates & secrets; the command makes a new one."
			if setting == "AGENT_CLIENT_SECRET" {
				found.Fix = strings.ReplaceAll(found.Fix, check.PortalApp, check.PortalAgent)
			}
			found.Command = check.NewSecret(id.String())
		}
		return found
	}
	return exam.Failed(setting+": "+check.Reason(err), "The credential could not be used.", "Check "+setting+".")
}
