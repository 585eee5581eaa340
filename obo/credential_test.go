package obo_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/obo"
)

func TestSecretsAreReadAgainOnce(t *testing.T) {
	for _, tt := range []struct {
		desc    string
		secrets []string // what reading yields, in order; the last one repeats
		code    int
		want    bool
		reads   int
		asked   int64
	}{
		{"rotated after it expired", []string{"old", "new"}, 7000222, true, 2, 2},
		{"rotated after it was revoked", []string{"old", "new"}, 7000215, true, 2, 2},
		{"still the same", []string{"old"}, 7000215, false, 2, 1},
		{"the newer one is wrong, too", []string{"old", "older", "new"}, 7000215, false, 2, 2},
		{"another refusal", []string{"old", "new"}, 700016, false, 1, 1},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			a := startAuthority(t)
			a.answer = func(w http.ResponseWriter, r *http.Request) {
				if r.FormValue("client_secret") == "new" {
					a.grant(w, r, nil)
					return
				}
				refuse(401, "invalid_client", tt.code, "")(w, r)
			}
			reads := 0
			var log bytes.Buffer
			client := newClient(t, a, func(c *obo.Config) {
				c.Logger = slog.New(slog.NewTextHandler(&log, nil))
				c.Credential = obo.SecretCredential(func() (identity.Secret, error) {
					reads++
					return identity.NewSecret(tt.secrets[min(reads, len(tt.secrets))-1]), nil
				})
			})
			_, err := client.Exchange(t.Context(), person(t, 1, 1), searchScope(t), "")
			if (err == nil) != tt.want || reads != tt.reads || a.exchanges.Load() != tt.asked {
				t.Errorf("got %v after %d reads and %d requests, want %t, %d, %d", err, reads, a.exchanges.Load(), tt.want, tt.reads, tt.asked)
			}
			if !tt.want {
				if r := refusalOf(t, err); r.Kind != entra.Misconfigured || !strings.Contains(log.String(), r.Advice.Fix[:20]) {
					t.Errorf("got %+v; log: %s", r, log.String())
				}
			}
		})
	}
}

func TestARotatedSecretServesACrowd(t *testing.T) {
	a := startAuthority(t)
	a.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("client_secret") == "new" {
			a.grant(w, r, nil)
			return
		}
		refuse(401, "invalid_client", 7000222, "")(w, r)
	}
	var mu sync.Mutex
	secret := "old"
	client := newClient(t, a, func(c *obo.Config) {
		c.Credential = obo.SecretCredential(func() (identity.Secret, error) {
			mu.Lock()
			defer mu.Unlock()
			return identity.NewSecret(secret), nil
		})
	})
	mu.Lock()
	secret = "new"
	mu.Unlock()
	var wg sync.WaitGroup
	for n := range 30 {
		wg.Go(func() { get(t, client, person(t, n, 1), searchScope(t)) })
	}
	wg.Wait()
}

// keyPair makes a certificate with its key.
func keyPair(t *testing.T) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "server"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func pemFile(t *testing.T, cert *x509.Certificate, key *rsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
}

// signedBy reports whether the client assertion (PS256) was signed with the certificate's key.
func signedBy(assertion string, cert *x509.Certificate) bool {
	cut := strings.LastIndexByte(assertion, '.')
	signature, err := base64.RawURLEncoding.DecodeString(assertion[cut+1:])
	public, ok := cert.PublicKey.(*rsa.PublicKey)
	digest := sha256.Sum256([]byte(assertion[:max(cut, 0)]))
	return err == nil && ok && rsa.VerifyPSS(public, crypto.SHA256, digest[:], signature, nil) == nil
}

func TestCertificates(t *testing.T) {
	first, firstKey := keyPair(t)
	second, secondKey := keyPair(t)
	pfx, err := pkcs12.Modern.Encode(firstKey, first, nil, "pass")
	if err != nil {
		t.Fatal(err)
	}
	for desc, content := range map[string][]byte{"PEM": pemFile(t, first, firstKey), "PFX": pfx} {
		t.Run(desc, func(t *testing.T) {
			a := startAuthority(t)
			var presented string
			a.answer = func(w http.ResponseWriter, r *http.Request) {
				presented = r.FormValue("client_assertion")
				a.grant(w, r, nil)
			}
			path := filepath.Join(t.TempDir(), "cert")
			replace := func(data []byte) {
				t.Helper()
				if errWrite := errors.Join(os.WriteFile(path+".new", data, 0o600), os.Rename(path+".new", path)); errWrite != nil {
					t.Fatal(errWrite)
				}
			}
			replace(content)
			client := newClient(t, a, func(c *obo.Config) { c.Credential = obo.CertificateCredential(path, identity.NewSecret("pass")) })
			get(t, client, person(t, 1, 1), searchScope(t))
			if !signedBy(presented, first) {
				t.Error("not signed with the first certificate")
			}
			replace([]byte("half a fi"))
			get(t, client, person(t, 2, 1), searchScope(t))
			if !signedBy(presented, first) {
				t.Error("a file that cannot be used drove the former certificate out")
			}
			replace(pemFile(t, second, secondKey))
			get(t, client, person(t, 3, 1), searchScope(t))
			if !signedBy(presented, second) {
				t.Error("the rotated certificate is not used")
			}
		})
	}
}

func TestCredentialsThatCannotWork(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cloud, _ := entra.CloudOf("")
	for _, tt := range []struct {
		desc       string
		credential obo.Credential
		want       string
	}{
		{"an empty secret", obo.Secret(identity.Secret{}), "empty"},
		{"a secret that cannot be read", obo.SecretCredential(func() (identity.Secret, error) { return identity.Secret{}, errors.New("vault sealed") }), "vault sealed"},
		{"no such certificate", obo.CertificateCredential(filepath.Join(dir, "none"), identity.Secret{}), "no such file"},
		{"not a certificate", obo.CertificateCredential(file("junk", "junk"), identity.Secret{}), "neither PEM nor a PFX"},
		{"an encrypted key", obo.CertificateCredential(file("enc", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), identity.Secret{}), "encrypted"},
		{"a huge file", obo.CertificateCredential(file("huge", strings.Repeat("x", 2<<20)), identity.Secret{}), "larger than"},
		{"no such token file", obo.TokenFileCredential(filepath.Join(dir, "none")), "no such file"},
		{"an empty token file", obo.TokenFileCredential(file("empty", "\n")), "empty"},
		{"a managed identity without id", obo.ManagedIdentityCredential(identity.ClientID{}), "client id"},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			_, err := obo.New(obo.Config{Cloud: cloud, Client: mustClientID(t), Credential: tt.credential})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestTokenFileIsReadForEachExchange(t *testing.T) {
	a := startAuthority(t)
	var presented, kind string
	a.answer = func(w http.ResponseWriter, r *http.Request) {
		presented, kind = r.FormValue("client_assertion"), r.FormValue("client_assertion_type")
		a.grant(w, r, nil)
	}
	path := filepath.Join(t.TempDir(), "token")
	client := func() *obo.Client {
		if err := os.WriteFile(path, []byte("token-0\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return newClient(t, a, func(c *obo.Config) { c.Credential = obo.TokenFileCredential(path) })
	}()
	for n := range 3 {
		want := fmt.Sprintf("token-%d", n)
		if err := os.WriteFile(path, []byte(want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		get(t, client, person(t, n, 1), searchScope(t))
		if presented != want || kind != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
			t.Errorf("presented %q as %q, want %q", presented, kind, want)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err := client.Exchange(t.Context(), person(t, 9, 1), searchScope(t), "")
	if r := refusalOf(t, err); r.Kind != entra.Misconfigured || r.Reason != "credential" {
		t.Errorf("got %v", err)
	}
}

func TestManagedIdentity(t *testing.T) {
	const identityID = "22222222-2222-4222-8222-222222222222"
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Identity-Header") != "header-secret" || r.FormValue("resource") != "api://AzureADTokenExchange" || r.FormValue("client_id") != identityID {
			http.Error(w, `{"statusCode":400,"message":"no"}`, http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, `{"access_token":"identity-token","expires_on":"%d","resource":"api://AzureADTokenExchange","token_type":"Bearer"}`, time.Now().Add(time.Hour).Unix())
	}))
	defer platform.Close()
	t.Setenv("IDENTITY_ENDPOINT", platform.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", "header-secret")
	a := startAuthority(t)
	a.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("client_assertion") != "identity-token" {
			refuse(401, "invalid_client", 700213, "")(w, r)
			return
		}
		a.grant(w, r, nil)
	}
	id, err := identity.ParseClientID(identityID)
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(t, a, func(c *obo.Config) {
		c.Cloud.FICAudience = "api://AzureADTokenExchange"
		c.Credential = obo.ManagedIdentityCredential(id)
	})
	get(t, client, person(t, 1, 1), searchScope(t))
}
