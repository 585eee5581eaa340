//go:build interop

// Package search_test holds the local Search against Microsoft's own clients: they are the referees of its wire.
package search_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/interop/toolchain"
	"github.com/onbehalf/onbehalf/search/searchserver"
	"github.com/onbehalf/onbehalf/search/searchtest"
)

// settings is what a script gets, in the file that CONFIG names.
type settings struct {
	Endpoint    string            `json:"endpoint"`
	AdminKey    string            `json:"adminKey"`
	QueryKey    string            `json:"queryKey"`
	Tokens      map[string]string `json:"tokens"` // by person; for https://search.azure.com
	GraphToken  string            `json:"wrongToken"`
	Alice       string            `json:"alice"`
	Bob         string            `json:"bob"`
	Engineering string            `json:"engineering"`
	BobsGroup   string            `json:"bobsGroup"`
	Version     string            `json:"version"` // of the client
}

// serve starts a service, and writes the settings and its CA into a folder.
func serve(t *testing.T, version string) (folder string) {
	t.Helper()
	service := searchtest.Start(t, &searchtest.Options{Configure: func(c *searchserver.Config) {
		c.Roles = map[string][]searchserver.Role{
			entraserver.Alice: {searchserver.IndexDataReader},
			entraserver.Bob:   {searchserver.IndexDataContributor, searchserver.ServiceContributor},
		}
	}})
	config := settings{
		Endpoint: service.URL, AdminKey: service.Server.AdminKey().Reveal(), QueryKey: service.Server.QueryKey().Reveal(),
		Tokens: map[string]string{}, Alice: entraserver.Alice, Bob: entraserver.Bob, Engineering: entraserver.Engineering, BobsGroup: entraserver.Finance, Version: version,
		GraphToken: service.Entra.SignIn("alice", service.Entra.WebClient, "api://"+service.Entra.API+"/execute").Reveal(),
	}
	for _, person := range []string{"alice", "bob", "carol"} {
		config.Tokens[person] = service.Token(person).Value.Reveal()
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	folder = t.TempDir()
	write(t, filepath.Join(folder, "config.json"), text)
	write(t, filepath.Join(folder, "ca.pem"), service.CAPEM())
	return folder
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// script runs a program with the settings; each check that fails is a line that begins with "FAIL".
func script(t *testing.T, folder, program string, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, args...)
	ca := filepath.Join(folder, "ca.pem")
	command.Env = append(os.Environ(), "CONFIG="+filepath.Join(folder, "config.json"),
		"NODE_EXTRA_CA_CERTS="+ca, "REQUESTS_CA_BUNDLE="+ca, "SSL_CERT_FILE="+ca, "NODE_NO_WARNINGS=1")
	command.WaitDelay = 10 * time.Second
	out, err := command.CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	lines := strings.Split(text, "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "checks: ") {
		t.Fatalf("the script did not reach its end:\n%s", text)
	} else {
		t.Log(last)
	}
}

// readScript returns a script of testdata.
func readScript(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestJavaScript(t *testing.T) {
	node := toolchain.Node(t)
	for _, version := range []string{"13.0.0", "12.3.0-beta.1"} {
		t.Run(version, func(t *testing.T) {
			installed := toolchain.NPM(t, "@azure/search-documents@"+version, "@azure/identity@4")
			path := filepath.Join(installed, "suite.mjs") // modules are looked for beside the script
			write(t, path, readScript(t, "suite.mjs"))
			script(t, serve(t, version), node, path)
		})
	}
}

func TestPython(t *testing.T) {
	for _, version := range []string{"11.6.0b12", "12.0.0", "12.1.0b2"} {
		t.Run(version, func(t *testing.T) {
			python := toolchain.Python(t, "azure-search-documents=="+version, "azure-identity", "aiohttp")
			script(t, serve(t, version), python, filepath.Join("testdata", "suite.py"))
		})
	}
}

// TestNotebook walks through what Microsoft's notebook on document permissions shows, with the client that it names.
func TestNotebook(t *testing.T) {
	python := toolchain.Python(t, "azure-search-documents==11.6.0b12", "azure-identity", "aiohttp")
	script(t, serve(t, "11.6.0b12"), python, filepath.Join("testdata", "notebook.py"))
}
