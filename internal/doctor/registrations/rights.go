// Package registrations checks what is registered in the tenant, by Microsoft Graph where somebody here may look: the API,
// its permissions and credential, the public client, the web agent.
//
// https://learn.microsoft.com/graph/api/resources/application
package registrations

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/graph"
)

// Checks returns the checks of this area.
func Checks(shared *check.State) []check.Check {
	return check.Bind(&state{State: shared}, rightsChecks(), registrationChecks(), clientChecks())
}

// areaCheck is one of this area's.
type areaCheck = exam.Check[*state]

// state is what these checks find out for one another, beside what all share.
type state struct {
	*check.State

	graph           *graph.Client           // graph.rights
	apiApp          *graph.Application      // registration.api
	apiPrincipal    *graph.ServicePrincipal // registration.api-principal
	searchPrincipal *graph.ServicePrincipal // registration.search-principal
	webApp          *registered             // registration.web-client
	agentApp        *registered             // registration.agent
}

// What to do without rights at Graph.
const rightsFix = "It takes somebody with Application.Read.All and Directory.Read.All, such as a Global Reader or Cloud Application Administrator. The command signs that person in with Microsoft Graph Command Line Tools; after az login it goes without --bootstrap-client."

// asAdministrator is the doctor's command for somebody with rights.
func (s *state) asAdministrator() string {
	return s.Onbehalf("doctor --bootstrap-client " + graphTools)
}

// graphTools is Microsoft Graph Command Line Tools, a public client that every tenant can use.
//
// https://learn.microsoft.com/powershell/microsoftgraph/authentication-commands
const graphTools = "14d82eec-204b-4c2f-b7e8-296a70dab67e"

// rightsChecks find out whether Microsoft Graph may be asked about registrations.
func rightsChecks() []areaCheck {
	return []areaCheck{
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
			return s.APIToken(ctx, s.Cloud.GraphResource+"/.default")
		}},
	}
	var why []string
	for _, source := range sources {
		if source.token == nil {
			continue
		}
		client, err := graph.New(graph.Config{Endpoint: s.Cloud.Graph, HTTPClient: s.EntraClient, Token: keep(source.token), MaxWait: time.Second})
		if err == nil {
			_, err = graph.Get[graph.Application](ctx, client, graph.ByAppID("applications", s.API.String()), url.Values{"$select": {"id"}})
		}
		if err == nil || errors.Is(err, graph.ErrNotFound) {
			s.graph = client
			return exam.Good("as %s", source.as)
		}
		why = append(why, ", as "+source.as+": "+shortly(err))
	}
	return exam.Skip("no rights at Graph"+strings.Join(why, ""), rightsFix).By(s.asAdministrator())
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

// shortly says in a few words why Graph does not let itself be asked.
func shortly(err error) string {
	if refused, ok := errors.AsType[*entra.Error](err); ok {
		return check.Refused(refused).Seen
	}
	if refused, ok := errors.AsType[*graph.Error](err); ok {
		return fmt.Sprintf("HTTP %d %s", refused.Status, check.Clipped(refused.Code))
	}
	return check.FirstLine(err)
}

// graphTrouble is what is said when Graph does not let itself be asked.
func (s *state) graphTrouble(err error) exam.Finding {
	switch {
	case errors.Is(err, graph.ErrForbidden):
		return exam.Skip("no rights at Graph for this", rightsFix).By(s.asAdministrator())
	case errors.Is(err, graph.ErrTooMany):
		return exam.Skip("there are too many to look at here: "+check.FirstLine(err), "")
	}
	return exam.Failed(check.FirstLine(err), "Microsoft Graph did not answer the question.", "Try again; https://status.cloud.microsoft shows outages.")
}

// principal returns the service principal of an application.
func (s *state) principal(ctx context.Context, appID string) (*graph.ServicePrincipal, error) {
	sp, err := graph.Get[graph.ServicePrincipal](ctx, s.graph, graph.ByAppID("servicePrincipals", appID), nil)
	if err != nil {
		return nil, err
	}
	return &sp, nil
}
