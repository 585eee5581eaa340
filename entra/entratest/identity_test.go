package entratest_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/entra/entratest"
)

// managedIdentity is azidentity's credential, on a machine whose environment points to the local Entra.
func managedIdentity(t *testing.T, e *entratest.Entra, options azidentity.ManagedIdentityCredentialOptions) azcore.TokenCredential {
	t.Helper()
	options.Transport = e.Client()
	credential, err := azidentity.NewManagedIdentityCredential(&options)
	if err != nil {
		t.Fatal(err)
	}
	return credential
}

// TestManagedIdentityByAzidentity is App Service's way. A virtual machine's address is written into the library: it goes
// to the link-local network, whatever the environment says, so that only its wire is tried (package entraserver).
func TestManagedIdentityByAzidentity(t *testing.T) {
	e := entratest.Start(t, nil)
	t.Setenv("IDENTITY_ENDPOINT", e.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", "x")
	for _, id := range []azidentity.ManagedIDKind{nil, azidentity.ClientID(entraserver.ContosoIdentity)} {
		credential := managedIdentity(t, e, azidentity.ManagedIdentityCredentialOptions{ID: id})
		token, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{searchScope}})
		if err != nil || time.Until(token.ExpiresOn) < 20*time.Hour {
			t.Errorf("%v: %v until %v", id, err, token.ExpiresOn)
		}
	}
}

// The exchange without a secret: the API proves itself with its managed identity, or with a certificate.
func TestOnBehalfOfWithoutASecret(t *testing.T) {
	e := entratest.Start(t, nil)
	// Not by azidentity: it keeps such tokens for the whole process, and so that of another test's Entra.
	federated := confidential.NewCredFromAssertionCallback(func(ctx context.Context, _ confidential.AssertionRequestOptions) (string, error) {
		return identityToken(ctx, e)
	})
	key, cert := newCertificate(t)
	app := e.Server.Directory().FindApplication(e.API)
	if err := e.Server.Directory().UpdateApplication(app.AppID, func(a *entraserver.Application) error {
		a.KeyCredentials = append(a.KeyCredentials, entraserver.KeyCredential{Type: "AsymmetricX509Cert", Usage: "Verify", Key: cert.Raw})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	signed, err := confidential.NewCredFromCert([]*x509.Certificate{cert}, key)
	if err != nil {
		t.Fatal(err)
	}
	assertion := e.SignIn("alice", e.WebClient, apiScope(e))
	for desc, credential := range map[string]confidential.Credential{"managed identity": federated, "certificate": signed} {
		client, err := confidential.New(e.Authority(), e.API, credential, confidential.WithInstanceDiscovery(false), confidential.WithHTTPClient(e.Client()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.AcquireTokenOnBehalfOf(t.Context(), assertion.Reveal(), []string{searchScope}); err != nil {
			t.Errorf("%s: %v", desc, err)
		}
	}
}

// identityToken asks for a token of the managed identity as App Service has it.
func identityToken(ctx context.Context, e *entratest.Entra) (string, error) {
	query := url.Values{"api-version": {"2019-08-01"}, "resource": {"api://AzureADTokenExchange"}, "client_id": {entraserver.ContosoIdentity}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL+"/msi/token?"+query.Encode(), nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("X-Identity-Header", "x")
	response, err := e.Client().Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var body struct {
		AccessToken string `json:"access_token"`
	}
	err = json.NewDecoder(response.Body).Decode(&body)
	return body.AccessToken, err
}

func newCertificate(t *testing.T) (*rsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mcp-server"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}
