package entratest_test

import (
	"context"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/entra/entratest"
)

// opens lets a person at a browser answer MSAL, which waits at a loopback port.
func opens(t *testing.T, b *entratest.Browser) func(string) error {
	t.Helper()
	return func(address string) error {
		go func() {
			page, err := b.Open(address)
			if err != nil {
				t.Error(err)
			} else if strings.Contains(page.Body, "AADSTS") {
				t.Errorf("%s: %s", page.URL, page.Body)
			}
		}()
		return nil
	}
}

func TestMSALInteractive(t *testing.T) {
	e := entratest.Start(t, nil)
	e.Policy(entraserver.Policies{Rules: []entraserver.Rule{{Resources: []string{"mcp-server"}, Require: "mfa"}}})
	browser := e.Browser("alice")
	client := publicClient(t, e)
	result, err := client.AcquireTokenInteractive(t.Context(), []string{apiScope(e)}, public.WithOpenURL(opens(t, browser)))
	if err != nil {
		t.Fatal(err)
	}
	if result.Account.PreferredUsername != "alice@contoso.example" {
		t.Errorf("account: %+v", result.Account)
	}
	if _, err := client.AcquireTokenSilent(t.Context(), []string{"User.Read"}, public.WithSilentAccount(result.Account)); err != nil {
		t.Errorf("silent, another resource: %v", err)
	}
}

func TestMSALAuthorizationCodeOfAWebApplication(t *testing.T) {
	e := entratest.Start(t, nil)
	const redirect = "http://localhost:8090/callback"
	client := confidentialClient(t, e, e.Other)
	scopes := []string{apiScope(e)}
	address, err := client.AuthCodeURL(t.Context(), e.Other, redirect, scopes)
	if err != nil {
		t.Fatal(err)
	}
	// Nobody listens at the redirect address: the browser shows where it was sent.
	_, err = e.Browser("bob").Open(address)
	if err == nil || !strings.Contains(err.Error(), redirect+"?") {
		t.Fatalf("got %v, want to be sent to %s", err, redirect)
	}
	_, query, _ := strings.Cut(err.Error(), "code=")
	code, _, _ := strings.Cut(query, "&")
	result, err := client.AcquireTokenByAuthCode(t.Context(), code, redirect, scopes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = client.AcquireTokenSilent(t.Context(), scopes, confidential.WithSilentAccount(result.Account)); err != nil {
		t.Errorf("silent: %v", err)
	}
	if _, err = client.AcquireTokenByAuthCode(t.Context(), code, redirect, scopes); refusal(t, err).Number() != 54005 {
		t.Errorf("a code of before: %v", err)
	}
}

func TestDeviceCodeAtThePage(t *testing.T) {
	e := entratest.Start(t, &entratest.Options{Scenario: "mfa"})
	credential, err := azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{
		ClientOptions:            policy.ClientOptions{Transport: e.Client(), Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: e.URL + "/"}},
		DisableInstanceDiscovery: true, TenantID: e.Tenant, ClientID: e.WebClient,
		UserPrompt: func(_ context.Context, m azidentity.DeviceCodeMessage) error {
			browser := e.Browser("carol")
			browser.UserCode = m.UserCode
			page, err := browser.Open(m.VerificationURL)
			if err == nil && !strings.Contains(page.Body, "signed in") {
				t.Errorf("the last page: %s", page.Body)
			}
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{apiScope(e)}}); err != nil {
		t.Error(err)
	}
}
