package entraserver

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/localhost"
)

// Scenario is a refusal that people meet, produced on purpose.
type Scenario struct {
	Name    string
	Summary string // what a person sees, and why: one sentence
	apply   func(*Server) error
}

// Scenarios returns all scenarios, by name; docs/local-entra.md tells each at length.
func Scenarios() []Scenario {
	return []Scenario{
		{"blocked", "The exchange for Azure AI Search is refused by Conditional Access (AADSTS53003); signing in again does not help.", policies(Policies{Rules: []Rule{{Name: "block search", Resources: []string{searchURI}, Require: requireBlock}}})},
		{"consent", "Nobody has consented that the MCP server searches on a person's behalf (AADSTS65001), until someone does.", policies(Policies{ConsentMissing: []ConsentGap{{Client: ContosoAPI, Resource: entra.SearchAppID}}})},
		{"empty", "No application of the organisation's own is registered: the tenant as it is before a set-up, for onbehalf setup entra.", empty},
		{"expired", "A sign-in does not last: access tokens and unused refresh tokens live six minutes, then the person has to sign in again (AADSTS700082, AADSTS500133).", policies(Policies{AccessTokenSeconds: shortLife, RefreshTokenSeconds: shortLife})},
		{"mfa", "Azure AI Search wants multi-factor authentication (AADSTS50076 with claims): the next sign-in with these claims has it.", policies(Policies{Rules: []Rule{{Name: "MFA for search", Resources: []string{searchURI}, Require: requireMFA}}})},
		{"overage", "Everyone's token says only that there are too many groups: who needs them asks Graph.", overage},
		{"resource-mismatch", "A sign-in with a resource parameter that is not the App ID URI of its scopes fails (AADSTS9010010).", policies(Policies{Resource: ResourceEnforced})},
		{"revoked", "All sign-ins up to now are void, and each new one a minute after it: refresh tokens give AADSTS50173, and so does the exchange.", revokeAll},
		{"rotate-keys", "All signing keys are replaced at once, and once more a minute after the next token: older tokens no longer verify, new ones need the new keys.", replaceKeys},
		{"slow", "Every exchange takes three seconds longer, for the next hundred.", fault(localhost.Fault{Endpoint: exchanges, Count: 100, DelayMS: 3000})},
		{"throttled", "The next five exchanges are answered with 429 and Retry-After (AADSTS90055).", fault(localhost.Fault{Endpoint: exchanges, Count: 5, Status: http.StatusTooManyRequests, RetryAfter: 5, AADSTS: 90055})},
	}
}

// shortLife is six minutes: MSAL refuses an exchanged token of five or less.
const shortLife = 360

// exchanges are token requests of the grant on-behalf-of, for faults.
const exchanges = "token/jwt-bearer"

const searchURI = "https://search.azure.com"

// Scenario applies a scenario by name, in place of the policies before.
func (s *Server) Scenario(name string) error {
	all := Scenarios()
	i := slices.IndexFunc(all, func(x Scenario) bool { return x.Name == name })
	if i < 0 {
		var names []string
		for _, x := range all {
			names = append(names, x.Name)
		}
		return fmt.Errorf("no scenario is called %q: want %s", name, strings.Join(names, ", "))
	}
	return all[i].apply(s)
}

func (s *Server) controlScenario(w http.ResponseWriter, c *call) error {
	if err := s.Scenario(c.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func policies(p Policies) func(*Server) error {
	return func(s *Server) error { return s.SetPolicies(p) }
}

func fault(f localhost.Fault) func(*Server) error {
	return func(s *Server) error { return s.QueueFault(f) }
}

func revokeAll(s *Server) error {
	var everyone []string
	for _, p := range s.dir.People() {
		everyone = append(everyone, p.UPN)
	}
	return s.SetPolicies(Policies{Revoked: everyone, RefuseRevoked: new(true), RevokeAfterSeconds: 60, AccessTokenSeconds: shortLife})
}

// replaceKeys also shows to who has not signed in yet.
func replaceKeys(s *Server) error {
	s.keys.armReplacement(time.Minute)
	return s.RotateKeys(true)
}

// empty unregisters the sample applications. People, groups, Microsoft's applications and the managed identity stay.
func empty(s *Server) error {
	for _, a := range s.dir.Applications() {
		if a.Foreign {
			continue
		}
		if err := s.dir.DeleteApplication(a.AppID); err != nil {
			return err
		}
	}
	return nil
}

// overage puts everyone into as many groups as dana is in: into all staff, and all staff into the groups.
func overage(s *Server) error {
	for _, group := range s.dir.MemberOf(object(Dana)) {
		if err := s.dir.AddMember(group, object(AllStaff)); err != nil {
			return err
		}
	}
	for _, p := range s.dir.People() {
		if err := s.dir.AddMember(object(AllStaff), p.ID); err != nil {
			return err
		}
	}
	return nil
}
