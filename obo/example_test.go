package obo_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/obo"
)

// The exchange alone, with a workload identity of Kubernetes in place of a secret. The caller comes from package bearer.
func ExampleNew() {
	client, err := identity.ParseClientID("a9100000-0000-4000-8000-000000000001")
	if err != nil {
		log.Fatal(err)
	}
	exchanger, err := obo.New(obo.Config{
		Client:     client,
		Credential: obo.TokenFileCredential("/var/run/secrets/azure/tokens/azure-identity-token"),
		// or obo.CertificateCredential("/etc/mcp/certificate.pem", identity.Secret{}),
		// or obo.ManagedIdentityCredential(identityClientID): no secret at all
	})
	if err != nil {
		log.Fatal(err)
	}
	defer exchanger.Close()
}

// onlyMFA is an Exchanger of a test: an interface, and the errors are made of exported fields.
type onlyMFA struct{}

func (onlyMFA) Exchange(_ context.Context, c *identity.Caller, s entra.Scope, _ string) (identity.Token, error) {
	advice, _ := entra.AdviceFor(50076)
	return identity.Token{}, &obo.Refusal{Kind: advice.Kind, Reason: "AADSTS50076", Advice: advice, Claims: `{"access_token":{}}`}
}

// What a refusal says to whom.
func ExampleDo() {
	ctx, caller := context.Background(), &identity.Caller{}
	var exchanger obo.Exchanger = onlyMFA{} // in a program: what New returned
	err := obo.Do(ctx, exchanger, caller, entra.Clouds()[0].GraphScope("Mail.Read"), func(token identity.Token) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://graph.microsoft.com/v1.0/me/messages", http.NoBody)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token.Value.Reveal())
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		return obo.Rejected(resp) // a 401 makes Do try once more, with a fresh token
	})
	if refusal, ok := errors.AsType[*obo.Refusal](err); ok {
		fmt.Println(refusal)        // for logs
		fmt.Println(refusal.Kind)   // for programs
		fmt.Println(refusal.Say())  // for the person
		fmt.Println(refusal.Claims) // for the person's client: it signs in with these
	}
	// Output:
	// no token on behalf of the person: interaction-required (AADSTS50076)
	// interaction-required
	// The resource demands multifactor authentication, by a policy or because you moved. Sign in again with your second factor.
	// {"access_token":{}}
}
