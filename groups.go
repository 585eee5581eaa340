package onbehalf

import (
	"context"
	"errors"
	"net/http"

	"github.com/onbehalf/onbehalf/bearer"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/obo"
)

// GroupsByGraph is a [Config].Groups that asks Microsoft Graph, on behalf of the caller, for the groups that a token had no
// room for. The API needs consent to Graph's User.Read. The client, nil for one with a timeout, reaches Graph.
func GroupsByGraph(cloud entra.Cloud, exchanger obo.Exchanger, client *http.Client) func(context.Context, *identity.Caller) ([]string, error) {
	if cloud == (entra.Cloud{}) {
		cloud = entra.Clouds()[0]
	}
	if client == nil {
		client = &http.Client{Timeout: answerTime}
	}
	return func(ctx context.Context, caller *identity.Caller) ([]string, error) {
		var groups []string
		err := obo.Do(ctx, exchanger, caller, cloud.GraphScope("User.Read"), func(token identity.Token) error {
			me, err := graph.New(graph.Config{Endpoint: cloud.Graph, HTTPClient: client, Token: func(context.Context) (identity.Secret, error) {
				return token.Value, nil
			}})
			if err != nil {
				return err
			}
			groups, err = me.MyGroups(ctx)
			return err
		})
		if refusal, ok := errors.AsType[*obo.Refusal](err); ok && refusal.Kind != entra.Unavailable && refusal.Kind != entra.Throttled {
			// The person's groups cannot be known before somebody mends this: say so, instead of "try again later".
			err = &bearer.Challenge{
				Status: http.StatusForbidden, Code: bearer.CodeAccessDenied, Reason: "groups",
				Description: "your groups do not fit into the token, and Microsoft Graph may not be asked for them: the server's operator has to consent to User.Read",
			}
		}
		return groups, err
	}
}
