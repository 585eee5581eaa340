//go:build interop

// Package obo_test tries the shared cache against a real Redis of Debian, with TLS and an ACL user that may do no more
// than the cache needs.
package obo_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/interop/toolchain"
	"github.com/onbehalf/onbehalf/obo"
	"github.com/onbehalf/onbehalf/obo/rediscache"
)

// server is a Redis of its own, in a folder of its own.
type server struct {
	path, dir, port string
	process         *exec.Cmd
	roots           *x509.CertPool
	output          bytes.Buffer
}

func prepare(t *testing.T) *server {
	t.Helper()
	s := &server{path: toolchain.Debian(t, "redis-server", "redis-server"), dir: t.TempDir(), roots: x509.NewCertPool()}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, s.port, _ = net.SplitHostPort(listener.Addr().String())
	_ = listener.Close()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err1 := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	private, err2 := x509.MarshalPKCS8PrivateKey(key)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	err3 := os.WriteFile(filepath.Join(s.dir, "cert.pem"), cert, 0o600)
	err4 := os.WriteFile(filepath.Join(s.dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)
	if err = errors.Join(err1, err2, err3, err4); err != nil || !s.roots.AppendCertsFromPEM(cert) {
		t.Fatal(err)
	}
	return s
}

func (s *server) start(t *testing.T) {
	t.Helper()
	config := strings.Join([]string{
		"port 0", "tls-port " + s.port, "bind 127.0.0.1", "dir " + s.dir, `save ""`, "appendonly no", "tls-auth-clients no",
		"tls-cert-file cert.pem", "tls-key-file key.pem", "tls-ca-cert-file cert.pem",
		"user default off", "user cache on >the-password ~onbehalf:* resetchannels -@all +get +set +del +hello +auth +ping",
	}, "\n")
	if err := os.WriteFile(filepath.Join(s.dir, "redis.conf"), []byte(config+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.process = exec.CommandContext(t.Context(), s.path, "redis.conf")
	s.process.Stdout = &s.output
	s.process.Dir = s.dir
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+s.port); err == nil {
			_ = conn.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("redis-server does not listen:\n%s", s.output.String())
}

func (s *server) stop() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

func key(t *testing.T, person int) obo.SharedKey {
	t.Helper()
	tenant, err1 := identity.ParseTenantID("7f1d3f0e-6d8e-5d6f-9c41-0d9f4f6f2b10")
	object, err2 := identity.ParseObjectID(fmt.Sprintf("00000000-0000-4000-8000-%012d", person))
	client, err3 := identity.ParseClientID("11111111-2222-3333-4444-555555555555")
	scope, err4 := entra.ParseScope("https://search.azure.com/.default")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	assertion := fmt.Sprintf("assertion.%d", person)
	return obo.SharedKey{
		Caller: &identity.Caller{Tenant: tenant, Object: object, Assertion: identity.NewSecret(assertion), Expires: time.Now().Add(time.Hour)},
		Client: client, Scope: scope, Digest: sha256.Sum256([]byte(assertion)),
	}
}

func TestRealRedis(t *testing.T) {
	s := prepare(t)
	s.start(t)
	defer func() { s.stop() }()
	var log bytes.Buffer
	open := func(url string, roots *x509.CertPool) *rediscache.Cache {
		cache, err := rediscache.New(rediscache.Config{
			URL: identity.NewSecret(url), RootCAs: roots, Secrets: []identity.Secret{identity.NewSecret("a-secret-of-the-deployment-0123456789")},
			Logger: slog.New(slog.NewTextHandler(&log, nil)), Timeout: 2 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cache.Close() })
		return cache
	}
	url := "rediss://cache:the-password@localhost:" + s.port
	one, two := open(url, s.roots), open(url, s.roots)
	alice, bob := key(t, 1), key(t, 2)
	token := identity.Token{Value: identity.NewSecret("opaque-token"), Tenant: alice.Caller.Tenant, Object: alice.Caller.Object, Expires: time.Now().Add(30 * time.Minute)}
	one.Put(t.Context(), alice, token)
	if got, ok := two.Get(t.Context(), alice); !ok || got.Value.Reveal() != "opaque-token" {
		t.Fatalf("the other replica gets %v, %t; log:\n%s", got, ok, log.String())
	}
	if _, ok := two.Get(t.Context(), bob); ok {
		t.Error("bob gets something")
	}
	two.Delete(t.Context(), alice)
	if _, ok := one.Get(t.Context(), alice); ok {
		t.Error("found after it was deleted")
	}
	if log.Len() != 0 {
		t.Errorf("the least rights that the documentation names are not enough:\n%s", log.String())
	}

	for desc, wrong := range map[string]*rediscache.Cache{
		"a certificate that nobody vouches for": open(url, nil),
		"a wrong password":                      open(strings.Replace(url, "the-password", "wrong", 1), s.roots),
	} {
		wrong.Put(t.Context(), alice, token)
		if _, ok := wrong.Get(t.Context(), alice); ok {
			t.Errorf("%s: served", desc)
		}
	}
	log.Reset()

	s.stop()
	one.Put(t.Context(), alice, token)
	one.Delete(t.Context(), alice)
	if n := strings.Count(log.String(), "is down"); n != 1 {
		t.Errorf("said %d times that it is down, want once:\n%s", n, log.String())
	}
	s.start(t)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		one.Put(t.Context(), alice, token)
		if _, ok := one.Get(t.Context(), alice); ok {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not come back:\n%s", log.String())
		}
	}
}
