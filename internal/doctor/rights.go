package doctor

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/graph"
)

// What to do without rights at Graph.
const rightsFix = "Run it as somebody with Application.Read.All and Directory.Read.All (Cloud Application Administrator, Global Reader): after az login, or with --bootstrap-client ID, a public client that signs that person in"

// rightsChecks find out whether Microsoft Graph may be asked about registrations.
func rightsChecks() []check {
	return []check{
		{ID: "graph.rights", Title: "somebody here may look at the tenant's registrations", Needs: []string{"network.graph", "authority.tenant", "settings.api"}, Run: graphRights},
	}
}

// graphRights tries who is there: the administrator whose token was given, then the API by its own credential. That
// nobody may look is no failure.
func graphRights(ctx context.Context, s *state) exam.Finding {
	sources := []struct {
		as    string
		token graph.TokenFunc
	}{
		{s.GraphAs, s.GraphToken},
		{"the API's own credential", func(ctx context.Context) (identity.Secret, error) {
			return s.appToken(ctx, s.cloud.GraphResource+"/.default")
		}},
	}
	var why []string
	for _, source := range sources {
		if source.token == nil {
			continue
		}
		client, err := graph.New(graph.Config{Endpoint: s.cloud.Graph, HTTPClient: s.EntraClient, Token: keep(source.token), MaxWait: time.Second})
		if err == nil {
			_, err = graph.Get[graph.Application](ctx, client, graph.ByAppID("applications", s.api.String()), url.Values{"$select": {"id"}})
		}
		if err == nil || errors.Is(err, graph.ErrNotFound) {
			s.graph = client
			return exam.Good("as %s", source.as)
		}
		why = append(why, "as "+source.as+": "+firstLine(err))
	}
	return exam.Skip("no rights at Graph, "+strings.Join(why, ", "), rightsFix)
}

// keep asks a source once and keeps its answer, for as long as one run takes.
func keep(source graph.TokenFunc) graph.TokenFunc {
	type result struct {
		token identity.Secret
		err   error
	}
	turn := make(chan *result, 1)
	turn <- nil
	return func(ctx context.Context) (identity.Secret, error) {
		select {
		case <-ctx.Done():
			return identity.Secret{}, context.Cause(ctx)
		case got := <-turn:
			if got == nil {
				token, err := source(ctx)
				got = &result{token, err}
			}
			turn <- got
			return got.token, got.err
		}
	}
}

// appToken returns a token of the API itself: by the secret here, by any other credential as the command line makes it.
func (s *state) appToken(ctx context.Context, scope string) (identity.Secret, error) {
	if secret := s.Setting("CLIENT_SECRET"); secret != "" {
		return s.clientCredentials(ctx, s.api, secret, scope)
	}
	if s.AppToken == nil {
		return identity.Secret{}, errNoToken
	}
	return s.AppToken(ctx, scope)
}

var errNoToken = errors.New("there is no credential of the API to ask with")

func (s *state) clientCredentials(ctx context.Context, id identity.ClientID, secret, scope string) (identity.Secret, error) {
	source, err := graph.ClientCredentials(graph.Credentials{
		TokenURL: s.cloud.Authority + s.tenant.String() + "/oauth2/v2.0/token", ClientID: id, Secret: identity.NewSecret(secret),
		Scope: scope, HTTPClient: s.EntraClient, Now: s.Now,
	})
	if err != nil {
		return identity.Secret{}, err
	}
	return source(ctx)
}

// credentialChecks prove to Entra that who has the credentials is who the settings say.
func credentialChecks() []check {
	return []check{
		{
			ID: "credential.known", Title: "Entra knows the API in this tenant", Needs: []string{"settings.credential", "authority.tenant", "settings.api"},
			Unless: []string{"settings.quotes", "settings.secret", "settings.certificate", "network.clock", "registration.api", "registration.api-principal"}, Run: credentialKnown,
		},
		{
			ID: "credential.api", Title: "Entra accepts the API's credential", Needs: []string{"credential.known"}, Unless: []string{"registration.credential"},
			Run: func(_ context.Context, s *state) exam.Finding { return credentialFinding(s.appErr, s.credential()) },
		},
		{
			ID: "credential.agent", Title: "Entra accepts the web agent's secret", Needs: []string{"settings.agent", "authority.tenant"},
			Unless: []string{"settings.quotes", "registration.agent", "registration.agent-secret"},
			Run: func(ctx context.Context, s *state) exam.Finding {
				if s.agent.IsZero() {
					return exam.Good("not used")
				}
				_, err := s.clientCredentials(ctx, s.agent, s.Setting("AGENT_CLIENT_SECRET"), s.cloud.GraphResource+"/.default")
				return credentialFinding(err, "AGENT_CLIENT_SECRET")
			},
		},
	}
}

// credentialKnown asks Entra for a token as the API. What Entra says is judged here, where it says that there is no such
// application, and else by credential.api.
func credentialKnown(ctx context.Context, s *state) exam.Finding {
	_, s.appErr = s.appToken(ctx, s.cloud.GraphResource+"/.default")
	if e, ok := errors.AsType[*entra.Error](s.appErr); ok && slices.Contains([]int{700016, 700038, 7000112, 70001}, e.Number()) {
		return refused(e)
	}
	return exam.Good("%s", s.api)
}

func credentialFinding(err error, setting string) exam.Finding {
	var e *entra.Error
	switch {
	case err == nil:
		return exam.Good("%s", setting)
	case errors.Is(err, errNoToken):
		return exam.Skip("not tried: "+setting, "")
	case errors.As(err, &e):
		found := refused(e)
		found.Seen = setting + ": " + found.Seen
		return found
	}
	return exam.Failed(setting+": "+reason(err), "The credential could not be used.", "Check "+setting+".")
}
