package doctor_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/obo"
)

// certificate writes a certificate with its key, and returns the file and the certificate.
func (c *clinic) certificate(key *rsa.PrivateKey, life time.Duration) (path string, der []byte) {
	c.t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mcp-server"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(life)}
	der, err1 := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	private, err2 := x509.MarshalPKCS8PrivateKey(key)
	path = filepath.Join(c.t.TempDir(), "both.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	c.must(err1, err2, os.WriteFile(path, text, 0o600))
	return path, der
}

// registerKey makes a certificate the API's.
func (c *clinic) registerKey(der []byte) {
	c.app(c.entra.API, func(a *entraserver.Application) {
		a.KeyCredentials = []entraserver.KeyCredential{{KeyID: otherID, Type: "AsymmetricX509Cert", Usage: "Verify", Key: der, Start: time.Now().Add(-48 * time.Hour), End: time.Now().Add(1000 * time.Hour)}}
	})
}

// byCertificate is what the command line gives the doctor where the API has a certificate.
func (c *clinic) byCertificate(path string) func(*doctor.Config) {
	return func(cfg *doctor.Config) {
		cfg.AppToken = func(ctx context.Context, scope string) (identity.Secret, error) {
			text, err := os.ReadFile(path)
			c.must(err)
			certificates, key, err := azidentity.ParseCertificates(text, nil)
			c.must(err)
			credential, err := azidentity.NewClientCertificateCredential(c.entra.Tenant, c.entra.API, certificates, key, &azidentity.ClientCertificateCredentialOptions{
				ClientOptions:            azcore.ClientOptions{Transport: c.client, Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: c.entra.URL + "/"}},
				DisableInstanceDiscovery: true,
			})
			c.must(err)
			token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
			return identity.NewSecret(token.Token), err
		}
		cfg.Exchange = func(ctx context.Context, caller *identity.Caller, scope entra.Scope) (identity.Token, error) {
			return c.exchange(ctx, c.settings, obo.CertificateCredential(path, identity.Secret{}), caller, scope)
		}
	}
}

// tokenFile writes a token of another identity provider. Nobody verifies it here.
func (c *clinic) tokenFile(issuer, subject string) string {
	c.t.Helper()
	claims, err := json.Marshal(map[string]string{"iss": issuer, "sub": subject, "aud": "api://AzureADTokenExchange"})
	path := filepath.Join(c.t.TempDir(), "token")
	c.must(err, os.WriteFile(path, []byte("e30."+base64.RawURLEncoding.EncodeToString(claims)+".AA\n"), 0o600))
	return path
}

// TestCredentials looks at what proves the API in place of a secret.
func TestCredentials(t *testing.T) {
	c := open(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	c.must(err)
	long, longDER := c.certificate(key, 1000*time.Hour)
	soon, soonDER := c.certificate(key, 100*time.Hour)
	over, _ := c.certificate(key, -time.Hour)
	const issuer, subject = "https://oidc.example/cluster", "system:serviceaccount:mcp:server"
	file := c.tokenFile(issuer, subject)
	trusted := func(subject string) func(*clinic) {
		return func(c *clinic) {
			c.app(c.entra.API, func(a *entraserver.Application) {
				a.FederatedCredentials = []entraserver.FederatedCredential{{ID: otherID, Name: "cluster", Issuer: issuer, Subject: subject, Audiences: []string{"api://AzureADTokenExchange"}}}
			})
		}
	}
	// Without a way to ask as the workload, what rests on its token is not tried.
	workload := func(cfg *doctor.Config) { cfg.Exchange = nil }
	untried := []string{"credential.api", "exchange.search", "search.person"}
	certificate := func(path string) settings { return settings{"CLIENT_SECRET": "", "CLIENT_CERTIFICATE_PATH": path} }
	federated := func(path string) settings { return settings{"CLIENT_SECRET": "", "AZURE_FEDERATED_TOKEN_FILE": path} }
	managed := func(id string) settings { return settings{"CLIENT_SECRET": "", "MANAGED_IDENTITY_CLIENT_ID": id} }
	for _, tt := range []struct {
		brokenCase
		untried []string
	}{
		{brokenCase{desc: "a server that searches by its identity", set: settings{"AZURE_SEARCH_KEY": ""}}, nil},
		{brokenCase{desc: "a certificate that is well", set: certificate(long), breaks: func(c *clinic) { c.registerKey(longDER) }, config: c.byCertificate(long)}, nil},
		{brokenCase{id: "settings.certificate", want: exam.Warn, says: "4 days", desc: "a certificate that expires soon", set: certificate(soon), breaks: func(c *clinic) { c.registerKey(soonDER) }, config: c.byCertificate(soon)}, nil},
		{brokenCase{id: "settings.certificate", want: exam.Fail, says: "expired", desc: "an expired certificate", set: certificate(over), config: c.byCertificate(over)}, nil},
		{brokenCase{id: "registration.credential", want: exam.Fail, says: "AADSTS700027", desc: "a certificate that was not uploaded", set: certificate(long), breaks: func(c *clinic) { c.registerKey(soonDER) }, config: c.byCertificate(long)}, nil},
		{brokenCase{desc: "a workload identity that is well", set: federated(file), breaks: trusted(subject), config: workload}, untried},
		{brokenCase{id: "registration.credential", want: exam.Fail, says: "Different in spelling alone: cluster", desc: "a subject in another case", set: federated(file), breaks: trusted("system:serviceaccount:MCP:server"), config: workload}, untried},
		{brokenCase{id: "registration.credential", want: exam.Fail, says: "no such file", desc: "no token file", set: federated("/nowhere/token"), config: workload}, untried},
		{brokenCase{id: "registration.credential", want: exam.Fail, says: "no token", desc: "a file that holds no token", set: federated(long), config: workload}, untried},
		{brokenCase{desc: "a managed identity that is well", set: managed(entraserver.ContosoIdentity), config: workload}, untried},
		{brokenCase{id: "registration.credential", want: exam.Fail, says: "AADSTS700213", desc: "a managed identity that the API does not trust", set: managed(entraserver.ContosoIdentity), breaks: trusted(subject), config: workload}, untried},
		{brokenCase{id: "registration.credential", want: exam.Fail, says: "no managed identity", desc: "no such identity", set: managed(otherID), config: workload}, untried},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			c.t = t
			if tt.breaks != nil {
				defer c.mend()
				tt.breaks(c)
			}
			report := c.examine(tt.set, tt.config)
			report.Results = slices.DeleteFunc(report.Results, func(r exam.Result) bool { return slices.Contains(tt.untried, r.ID) })
			judge(t, tt.brokenCase, report)
		})
	}
}

// exchange exchanges as a server with this credential does.
func (c *clinic) exchange(ctx context.Context, settings map[string]string, credential obo.Credential, caller *identity.Caller, scope entra.Scope) (identity.Token, error) {
	cloud, err1 := c.cloud(settings)
	tenant, err2 := identity.ParseTenantID(settings["TENANT_ID"])
	api, err3 := identity.ParseClientID(settings["API_CLIENT_ID"])
	client, err4 := obo.New(obo.Config{Cloud: cloud, Tenant: tenant, Client: api, HTTPClient: c.client, Credential: credential})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return identity.Token{}, err
	}
	defer client.Close()
	return client.Exchange(ctx, caller, scope, "")
}

// TestWithoutRights breaks registrations where nobody may look at them: one cause is named all the same, by what Entra
// says to the API and to the exchange.
func TestWithoutRights(t *testing.T) {
	c := open(t)
	api := c.entra.API
	for _, b := range []brokenCase{
		{desc: "a set-up that is well"},
		{id: "credential.known", want: exam.Fail, says: "AADSTS700016", desc: "another application's id", set: settings{"API_CLIENT_ID": otherID, "API_APP_ID_URI": ""}},
		{id: "credential.known", want: exam.Fail, says: "AADSTS700016", desc: "no service principal", breaks: func(c *clinic) { c.principal(api, nil) }},
		{id: "credential.api", want: exam.Fail, says: "AADSTS7000222", desc: "an expired secret", breaks: func(c *clinic) {
			c.app(api, func(a *entraserver.Application) { a.PasswordCredentials[0].End = time.Now().Add(-time.Hour) })
		}},
		{id: "exchange.search", want: exam.Fail, says: "AADSTS65001", desc: "no consent", breaks: func(c *clinic) { c.revoke(api, entra.SearchAppID) }},
		{id: "exchange.search", want: exam.Fail, says: "AADSTS500011", desc: "a tenant without Azure AI Search", breaks: func(c *clinic) { c.principal(entra.SearchAppID, nil) }},
	} {
		t.Run(b.desc, func(t *testing.T) {
			c.t = t
			if b.breaks != nil {
				defer c.mend()
				b.breaks(c)
			}
			report := c.examine(b.set, func(cfg *doctor.Config) { cfg.GraphToken = nil })
			report.Results = slices.DeleteFunc(report.Results, func(r exam.Result) bool { return r.ID == "graph.rights" || r.Because == "graph.rights" })
			judge(t, b, report)
		})
	}
}

// TestRightsOfItsOwn lets the API look at its registration by itself, where nobody else may.
func TestRightsOfItsOwn(t *testing.T) {
	c := open(t)
	c.assign(c.entra.API, "Directory.Read.All")
	report := c.examine(nil, func(cfg *doctor.Config) { cfg.GraphToken = nil })
	judge(t, brokenCase{}, report)
	for _, r := range report.Results {
		if r.ID == "graph.rights" && r.Seen != "as the API's own credential" || r.ID == "registration.roles" && !strings.Contains(r.Seen, "read alone: Directory.Read.All") {
			t.Errorf("%s: %s", r.ID, r.Seen)
		}
	}
}

// TestNonsense lets everybody answer with what nobody should answer with: it is told as failures, and nothing else happens.
func TestNonsense(t *testing.T) {
	c := open(t)
	for _, body := range []string{"", "null", "{}", "[]", "0", `{"value":null}`, `{"value":[null]}`, `{"fields":[null],"permissionFilterOption":"enabled"}`, "<html>", "\x1b[2J", strings.Repeat("[", 1<<16)} {
		for _, status := range []int{http.StatusOK, http.StatusUnauthorized} {
			everywhere := &http.Client{Transport: tampering{c.transport, func(p *passing) { p.status, p.body = status, []byte(body) }}}
			for _, where := range []func(*doctor.Config){
				func(cfg *doctor.Config) { cfg.EntraClient = everywhere },
				func(cfg *doctor.Config) { cfg.HTTPClient = everywhere },
			} {
				report := c.examine(nil, where)
				if report.Count(exam.Fail) == 0 {
					t.Errorf("HTTP %d %.20q: nothing failed: %s", status, body, report.Summary())
				}
				for _, r := range report.Results {
					if strings.Contains(r.Seen+r.Cause+r.Fix, "\n") || len(r.Seen) > 1000 {
						t.Errorf("HTTP %d %.20q: %s says %.200q", status, body, r.ID, r.Seen)
					}
				}
			}
		}
	}
}
