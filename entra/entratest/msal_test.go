package entratest_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	msalerrors "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/entra/entratest"
)

const searchScope = "https://search.azure.com/.default"

func apiScope(e *entratest.Entra) string { return "api://" + e.API + "/execute" }

func publicClient(t *testing.T, e *entratest.Entra) public.Client {
	t.Helper()
	client, err := public.New(e.WebClient, public.WithAuthority(e.Authority()), public.WithInstanceDiscovery(false), public.WithHTTPClient(e.Client()))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func confidentialClient(t *testing.T, e *entratest.Entra, id string, options ...confidential.Option) confidential.Client {
	t.Helper()
	credential, err := confidential.NewCredFromSecret(e.Secret(id).Reveal())
	if err != nil {
		t.Fatal(err)
	}
	options = append([]confidential.Option{confidential.WithInstanceDiscovery(false), confidential.WithHTTPClient(e.Client())}, options...)
	client, err := confidential.New(e.Authority(), id, credential, options...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// deviceSignIn signs a person in with MSAL's device code flow.
func deviceSignIn(t *testing.T, e *entratest.Entra, client public.Client, person string, options ...public.AcquireByDeviceCodeOption) public.AuthResult {
	t.Helper()
	code, err := client.AcquireTokenByDeviceCode(t.Context(), []string{apiScope(e)}, options...)
	if err != nil {
		t.Fatal(err)
	}
	e.Approve(code.Result.UserCode, person)
	result, err := code.AuthenticationResult(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// refusal returns Entra's error behind one of MSAL's.
func refusal(t *testing.T, err error) *entra.Error {
	t.Helper()
	var call msalerrors.CallErr
	if !errors.As(err, &call) || call.Resp == nil {
		t.Fatalf("got %v, want a refusal", err)
	}
	body, readErr := io.ReadAll(call.Resp.Body)
	if readErr != nil {
		t.Fatal(readErr)
	}
	return entra.ParseError(call.Resp.StatusCode, call.Resp.Header, strings.NewReader(string(body)))
}

func TestMSALDeviceCodeAndSilentRefresh(t *testing.T) {
	e := entratest.Start(t, &entratest.Options{AccessTokenLife: 4 * time.Minute}) // below what MSAL takes from its cache
	client := publicClient(t, e)
	first := deviceSignIn(t, e, client, "alice")
	if first.Account.PreferredUsername != "alice@contoso.example" || first.Account.HomeAccountID != entraserver.Alice+"."+e.Tenant {
		t.Errorf("account: %+v", first.Account)
	}
	accounts, err := client.Accounts(t.Context())
	if err != nil || len(accounts) != 1 {
		t.Fatalf("accounts: %v, %v", accounts, err)
	}
	for range 2 { // a refresh token is good for more than one use
		again, err := client.AcquireTokenSilent(t.Context(), []string{apiScope(e)}, public.WithSilentAccount(accounts[0]))
		if err != nil {
			t.Fatal(err)
		}
		if again.AccessToken == first.AccessToken {
			t.Error("the token was not refreshed")
		}
	}
	if n := e.Count("token", "refresh_token"); n != 2 {
		t.Errorf("%d refreshes, want 2", n)
	}
	// The refresh token is good for another resource that there is consent for.
	if _, err := client.AcquireTokenSilent(t.Context(), []string{"User.Read"}, public.WithSilentAccount(accounts[0])); err != nil {
		t.Errorf("multi-resource refresh token: %v", err)
	}
}

func TestMSALOnBehalfOf(t *testing.T) {
	e := entratest.Start(t, nil)
	assertion := deviceSignIn(t, e, publicClient(t, e), "alice").AccessToken
	api := confidentialClient(t, e, e.API)
	got, err := api.AcquireTokenOnBehalfOf(t.Context(), assertion, []string{searchScope})
	if err != nil {
		t.Fatal(err)
	}
	if got.Account.HomeAccountID != entraserver.Alice+"."+e.Tenant || !strings.Contains(strings.Join(got.GrantedScopes, " "), "https://search.azure.com/user_impersonation") {
		t.Errorf("account %v, scopes %v", got.Account, got.GrantedScopes)
	}
	// With the same assertion, another resource: MSAL sends the refresh token of the exchange.
	if _, err := api.AcquireTokenOnBehalfOf(t.Context(), assertion, []string{"https://graph.microsoft.com/.default"}); err != nil {
		t.Errorf("another resource: %v", err)
	}
	if exchanges, refreshes := e.Count("token", "jwt-bearer"), e.Count("token", "refresh_token"); exchanges != 1 || refreshes != 1 {
		t.Errorf("%d exchanges and %d refreshes, want one each", exchanges, refreshes)
	}
}

func TestMSALClientCredentials(t *testing.T) {
	e := entratest.Start(t, nil)
	got, err := confidentialClient(t, e, entra.SearchAppID).AcquireTokenByCredential(t.Context(), []string{"https://graph.microsoft.com/.default"})
	if err != nil || got.AccessToken == "" {
		t.Fatal(err)
	}
	_, err = confidentialClient(t, e, e.API).AcquireTokenByCredential(t.Context(), []string{"https://search.azure.com/user_impersonation"})
	if got := refusal(t, err); got.Number() != 1002012 || got.Code != "invalid_scope" {
		t.Errorf("without .default: %v", got)
	}
}

// TestMSALClaimsChallenge is the whole way of a step-up: the exchange is refused with claims, the person signs in again
// with these claims, and the exchange works.
func TestMSALClaimsChallenge(t *testing.T) {
	e := entratest.Start(t, &entratest.Options{Scenario: "mfa"})
	person, api := publicClient(t, e), confidentialClient(t, e, e.API)
	_, err := api.AcquireTokenOnBehalfOf(t.Context(), deviceSignIn(t, e, person, "alice").AccessToken, []string{searchScope})
	got := refusal(t, err)
	if got.Number() != 50076 || got.Code != "invalid_grant" || got.Sub != "basic_action" || !strings.Contains(got.Claims, "capolids") {
		t.Fatalf("got %v with claims %q, want AADSTS50076 with a challenge", got, got.Claims)
	}
	stepped := deviceSignIn(t, e, person, "alice", public.WithClaims(got.Claims))
	if _, err := api.AcquireTokenOnBehalfOf(t.Context(), stepped.AccessToken, []string{searchScope}); err != nil {
		t.Errorf("after the step-up: %v", err)
	}
	// Signing in again without the claims changes nothing: the policy is on search, not on the API.
	plain := deviceSignIn(t, e, person, "alice")
	if _, err := api.AcquireTokenOnBehalfOf(t.Context(), plain.AccessToken, []string{searchScope}); err == nil {
		t.Error("a sign-in without the claims satisfies them")
	}
}

func TestMSALPolling(t *testing.T) {
	e := entratest.Start(t, nil)
	client := publicClient(t, e)
	code, err := client.AcquireTokenByDeviceCode(t.Context(), []string{apiScope(e)})
	if err != nil {
		t.Fatal(err)
	}
	pending, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := code.AuthenticationResult(pending); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody has signed in yet: %v", err)
	}
	e.Advance(16 * time.Minute)
	if _, err := code.AuthenticationResult(t.Context()); err == nil || !strings.Contains(err.Error(), "AADSTS70020") {
		t.Errorf("an expired code: %v", err)
	}
}

func TestAzidentity(t *testing.T) {
	e := entratest.Start(t, nil)
	options := policy.ClientOptions{
		Transport: e.Client(),
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: e.URL + "/"},
	}
	assertion := e.SignIn("alice", e.WebClient, apiScope(e)).Reveal()
	obo, err := azidentity.NewOnBehalfOfCredentialWithSecret(e.Tenant, e.API, assertion, e.Secret(e.API).Reveal(), &azidentity.OnBehalfOfCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = obo.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{searchScope}}); err != nil {
		t.Errorf("on behalf of: %v", err)
	}
	secret, err := azidentity.NewClientSecretCredential(e.Tenant, e.API, e.Secret(e.API).Reveal(), &azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = secret.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://graph.microsoft.com/.default"}}); err != nil {
		t.Errorf("client credentials: %v", err)
	}
	device, err := azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{
		ClientOptions: options, DisableInstanceDiscovery: true, TenantID: e.Tenant, ClientID: e.WebClient,
		UserPrompt: func(_ context.Context, m azidentity.DeviceCodeMessage) error {
			e.Approve(m.UserCode, "bob")
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = device.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{apiScope(e)}, EnableCAE: true}); err != nil {
		t.Errorf("device code: %v", err)
	}
}
