//go:build interop

// Package entra_test drives the local Entra with Microsoft's own libraries for Node and Python, as they come from their
// registries.
package entra_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/interop/toolchain"
)

// setting is what the programs are told.
type setting struct {
	URL         string `json:"url"`
	Authority   string `json:"authority"`
	Tenant      string `json:"tenant"`
	API         string `json:"api"`
	WebClient   string `json:"webClient"`
	Secret      string `json:"secret"`
	CA          string `json:"ca"`          // file
	Key         string `json:"key"`         // file
	PEM         string `json:"pem"`         // file of key and certificate
	Certificate string `json:"certificate"` // DER in base64
	Thumbprint  string `json:"thumbprint"`  // SHA-1 in hexadecimal
}

// prepare gives the API a certificate and writes the files.
func prepare(t *testing.T, e *entratest.Entra) setting {
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
	directory := e.Server.Directory()
	if err = directory.UpdateApplication(directory.FindApplication(e.API).AppID, func(a *entraserver.Application) error {
		a.KeyCredentials = append(a.KeyCredentials, entraserver.KeyCredential{Type: "AsymmetricX509Cert", Usage: "Verify", Key: der})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, content ...[]byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, bytes.Join(content, nil), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	sum := sha1.Sum(der)
	return setting{
		URL: e.URL, Authority: e.Authority(), Tenant: e.Tenant, API: e.API, WebClient: e.WebClient, Secret: e.Secret(e.API).Reveal(),
		CA: write("ca.pem", e.CAPEM()), Key: write("key.pem", keyPEM), PEM: write("both.pem", keyPEM, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		Certificate: base64.StdEncoding.EncodeToString(der), Thumbprint: hex.EncodeToString(sum[:]),
	}
}

// line is what a program says.
type line struct {
	Open, Approve, As string
	Policy            *string
	Done              string
	Claims            map[string]any
	Error             string
	End               bool
}

// run starts a program, does what it asks of people, and returns what each flow came to: "" or an error.
func run(t *testing.T, e *entratest.Entra, cmd *exec.Cmd) map[string]line {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	results, ended := map[string]line{}, false
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Errorf("the program says %q", lines.Text())
			continue
		}
		switch {
		case l.Open != "":
			if _, err := e.Browser(l.As).Open(l.Open); err != nil {
				t.Error(err)
			}
		case l.Approve != "":
			e.Approve(l.Approve, l.As)
		case l.Policy != nil:
			var policies entraserver.Policies
			if *l.Policy != "" {
				policies.Rules = []entraserver.Rule{{Name: "interop", Require: *l.Policy, People: []string{"alice"}, Resources: []string{entra.SearchAppID}}}
			}
			e.Policy(policies)
			if _, err := in.Write([]byte("\n")); err != nil { // it holds
				t.Error(err)
			}
		case l.Done != "":
			results[l.Done] = l
		}
		ended = ended || l.End
	}
	if err := cmd.Wait(); err != nil || !ended {
		t.Fatalf("the program ended early: %v\n%s", err, stderr.Bytes())
	}
	return results
}

// check wants exactly these flows, each with a token of who it should be for.
func check(t *testing.T, results map[string]line, want map[string]string) {
	t.Helper()
	for name, who := range want {
		got, ok := results[name]
		switch {
		case !ok:
			t.Errorf("%s: did not run", name)
		case got.Error != "":
			t.Errorf("%s: %s", name, got.Error)
		case got.Claims["oid"] != who:
			t.Errorf("%s: a token of %v, want %s", name, got.Claims["oid"], who)
		}
	}
	for name := range results {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: nobody expects it", name)
		}
	}
	challenged := results["claims challenge"].Claims["amr"]
	if methods, _ := challenged.([]any); !slices.Contains(methods, any("mfa")) {
		t.Errorf("after the claims challenge, amr is %v", challenged)
	}
	if diff := cmp.Diff("https://search.azure.com", results["on behalf of, certificate"].Claims["aud"]); diff != "" {
		t.Error(diff)
	}
}

// flows are those that every library goes through, with the object id of the token that it gets in the end.
func flows(e *entratest.Entra, more ...string) map[string]string {
	directory := e.Server.Directory()
	itself := directory.PrincipalOf(directory.FindApplication(e.API).AppID).ID.String()
	want := map[string]string{"client credentials, secret": itself, "client credentials, certificate": itself}
	for _, name := range append(more, "device code", "silent", "silent for another resource", "code by form_post", "on behalf of, secret", "on behalf of, certificate", "claims challenge") {
		want[name] = entraserver.Alice
	}
	return want
}

// limit is for one program with all its flows; device codes are polled every five seconds.
const limit = 5 * time.Minute

func program(t *testing.T, s setting, environment []string, name string, args ...string) *exec.Cmd {
	t.Helper()
	told, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "FLOWS=" + string(told)}, environment...)
	return cmd
}

func TestNode(t *testing.T) {
	node := toolchain.Node(t)
	dir := toolchain.NPM(t, "@azure/msal-node@7.2.3", "@azure/identity@"+azureIdentity)
	e := entratest.Start(t, nil)
	s := prepare(t, e)
	script := filepath.Join(dir, "flows-"+filepath.Base(t.TempDir())+".mjs") // beside node_modules, where imports look
	source, err := os.ReadFile("node/flows.mjs")
	if err == nil {
		err = os.WriteFile(script, source, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(script) })
	results := run(t, e, program(t, s, []string{"NODE_EXTRA_CA_CERTS=" + s.CA}, node, script))
	want := flows(e, "interactive", "identity: device code", "identity: on behalf of")
	want["identity: client secret"], want["identity: certificate"] = want["client credentials, secret"], want["client credentials, secret"]
	check(t, results, want)
}

// azureIdentity is the version of @azure/identity.
const azureIdentity = "4.14.1"

func TestPython(t *testing.T) {
	python := toolchain.Python(t, "msal==1.31.0")
	e := entratest.Start(t, nil)
	s := prepare(t, e)
	check(t, run(t, e, program(t, s, nil, python, "python/flows.py")), flows(e))
}
