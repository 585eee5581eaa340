package call

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/doctor/tokens"
	"github.com/onbehalf/onbehalf/signin"
)

// personChecks take the way of a call with the real token of the person who is signed in here.
func personChecks() []areaCheck {
	return []areaCheck{
		{ID: "person.token", Title: "somebody is signed in here for the MCP server", Needs: []string{"settings.mcp-url", "settings.api", "settings.web-client"}, Unless: []string{"network.authority", "authority.tenant"}, Run: personToken},
		{
			ID: "person.accepted", Title: "the person's token is one that the server accepts", Needs: []string{"person.token", "authority.keys", "settings.app-id-uri"},
			Unless: []string{"registration.api", "credential.known", "registration.version", "network.clock"}, Run: personAccepted,
		},
		{ID: "server.accepts", Title: "the server, as it runs, accepts the person's token", Needs: []string{"person.accepted", "server.metadata"}, Unless: []string{"server.authority", "server.scopes", "server.challenge"}, Run: serverAccepts},
		{
			ID: "exchange.search", Title: "Entra exchanges the person's token for one of Azure AI Search", Needs: []string{"person.accepted"},
			Unless: []string{"credential.api", "settings.credential", "settings.secret", "settings.certificate", "registration.api", "registration.api-principal", "registration.credential", "registration.search-principal", "registration.search-permission", "registration.search-consent"},
			Run:    exchangeSearch,
		},
	}
}

func personToken(ctx context.Context, s *state) exam.Finding {
	nobody := func(seen string) exam.Finding {
		return exam.Skip(seen, "Sign in, so that the way of a call is looked at, too.").By(s.Onbehalf("login"))
	}
	if s.Person == nil {
		return nobody("nobody is signed in")
	}
	token, err := s.Person(ctx)
	var needed *signin.Needed
	var ambiguous *signin.Ambiguous
	switch {
	case err == nil:
		s.token = token
		return exam.Good("%s", token.Object)
	case errors.As(err, &ambiguous):
		return exam.Skip(check.FirstLine(err), "Say as whom: by name or object id.").By(s.Onbehalf("doctor --account NAME"))
	case errors.As(err, &needed) && needed.Cause == nil:
		return nobody("nobody is signed in for " + s.MCP.String())
	case needed != nil:
		return nobody(check.FirstLine(err))
	}
	return exam.Skip(check.FirstLine(err), "The command says more.").By(s.Onbehalf("token"))
}

func personAccepted(_ context.Context, s *state) exam.Finding {
	got, err := tokens.Explain(s.token.Value.Reveal(), s.TokenSetup(nil))
	if err != nil {
		return exam.Failed(check.FirstLine(err), "What is kept as the person's token is none.", "Sign out and in again.").By(s.Onbehalf("logout") + " && " + s.Onbehalf("login"))
	}
	if len(got.Refused) > 0 {
		first := got.Refused[0]
		return exam.Failed(first.Claim+": "+first.Seen, first.Cause, first.Fix)
	}
	caller, err := callerOf(s.token)
	if err != nil {
		return exam.Failed(check.FirstLine(err), "What is kept as the person's token is none.", "Sign out and in again.").By(s.Onbehalf("logout") + " && " + s.Onbehalf("login"))
	}
	caller.Expires = got.Expires
	s.Caller = caller
	return exam.Good("%s", got.Who)
}

// callerOf makes the Caller of a token that was found to be good, for the exchange.
func callerOf(token identity.Token) (*identity.Caller, error) {
	parts := strings.Split(token.Value.Reveal(), ".")
	if len(parts) != 3 {
		return nil, errors.New("no JWT")
	}
	plain, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, errors.New("no JWT")
	}
	var claims struct {
		Tenant   identity.TenantID `json:"tid"`
		Object   identity.ObjectID `json:"oid"`
		Client   identity.ClientID `json:"azp"`
		Issuer   string            `json:"iss"`
		Audience string            `json:"aud"`
		Scope    string            `json:"scp"`
	}
	if err := json.Unmarshal(plain, &claims); err != nil {
		return nil, errors.New("no claims of a person")
	}
	return &identity.Caller{
		Tenant: claims.Tenant, Object: claims.Object, Client: claims.Client, Issuer: claims.Issuer, Audience: claims.Audience,
		Scopes: strings.Fields(claims.Scope), Assertion: token.Value, Digest: sha256.Sum256([]byte(token.Value.Reveal())),
	}, nil
}

// serverAccepts shows the person's token to the server as it runs: with whatever settings that was started.
func serverAccepts(ctx context.Context, s *state) exam.Finding {
	got, err := s.initialize(ctx, s.token.Value.Reveal())
	if err != nil {
		return s.Unreachable(s.HTTPClient, s.MCP.String(), err, "MCP_URL")
	}
	if got.Status == http.StatusOK {
		return exam.Good("HTTP 200")
	}
	code, description := signin.Reason(got.Header)
	return exam.Failed(strings.TrimSpace(fmt.Sprintf("HTTP %d %s", got.Status, check.Clipped(code+" "+description))), "The server refuses a token that is good by these settings: it runs with others.", serverFix).By(s.Onbehalf("serve"))
}

func exchangeSearch(ctx context.Context, s *state) exam.Finding {
	if s.Exchange == nil {
		return exam.Skip("not tried", "")
	}
	token, err := s.Exchange(ctx, s.Caller, s.Cloud.SearchScope())
	var e *entra.Error
	switch {
	case errors.As(err, &e):
		found := check.Refused(e)
		switch e.Advice().Kind { //nolint:exhaustive // the others say it themselves
		case entra.InteractionRequired:
			found.Fix += " A client that handles claims challenges does it at the call."
			found.Command = s.Onbehalf("call get_documents")
		case entra.ConsentRequired:
			found.Fix = "As an administrator: " + check.PortalApp + " > API permissions > Grant admin consent"
			found.Command = "az ad app permission admin-consent --id " + s.API.String()
		}
		return found
	case err != nil:
		return exam.Failed(check.FirstLine(err), "The exchange did not come about.", "The log says more.").By(s.Onbehalf("doctor --log-level debug"))
	case token.Object != s.Caller.Object:
		return exam.Failed(token.Object.String(), "The token that came back is another person's.", "Report this: it must never happen.")
	}
	s.SearchToken = token
	return exam.Good("for %s, good until %s", token.Audience, token.Expires.UTC().Format("15:04Z"))
}
