package shell_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/localhost"
)

// sh is a shell in an empty world.
func sh(t *testing.T, environ map[string]string) (*shell.Shell, *bytes.Buffer) {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	var stderr bytes.Buffer
	s := &shell.Shell{
		In: strings.NewReader(""), Out: new(bytes.Buffer), Err: &stderr, Dir: t.TempDir(),
		Environ: func(name string) (string, bool) { v, ok := environ[name]; return v, ok },
	}
	return s, &stderr
}

func TestExitCodesAndErrors(t *testing.T) {
	for _, test := range []struct {
		desc string
		args []string
		run  error
		code int
		want string
	}{
		{"success", []string{"go"}, nil, 0, ""},
		{"failure", []string{"go"}, errors.New("no answer"), 1, "go: no answer\n"},
		{"failure with a hint", []string{"go"}, shell.Hint(errors.New("no answer"), "try %d", 2), 1, "go: no answer\nhint: try 2\n"},
		{"wrong use", []string{"go"}, shell.Usage(errors.New("bad")), 2, "go: bad\nhint: root go --help shows what there is\n"},
		{"a code of its own", []string{"go"}, shell.Exit(3, errors.New("predicted only")), 3, "go: predicted only\n"},
		{"unknown flag", []string{"go", "--timeuot", "3"}, nil, 2, "go: unknown flag: --timeuot\nhint: did you mean --timeout?\n"},
		{"too many arguments", []string{"go", "there"}, nil, 2, "go: unknown command \"there\" for \"root go\"\nhint: root go --help shows what there is\n"},
		{"interrupted", []string{"go"}, context.Canceled, 1, "go: interrupted\n"},
	} {
		s, stderr := sh(t, nil)
		root := s.Root("root", "", "")
		child := &cobra.Command{Use: "go", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error { return test.run }}
		child.Flags().Int("timeout", 0, "")
		root.AddCommand(child)
		if code := s.Run(t.Context(), test.args); code != test.code {
			t.Errorf("%s: exit code %d, want %d", test.desc, code, test.code)
		}
		if diff := cmp.Diff(test.want, stderr.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.desc, diff)
		}
	}
}

func TestUnknownCommandNamesTheNearest(t *testing.T) {
	s, stderr := sh(t, nil)
	root := s.Root("root", "", "")
	root.AddCommand(&cobra.Command{Use: "accounts", RunE: func(*cobra.Command, []string) error { return nil }})
	if code := s.Run(t.Context(), []string{"acounts"}); code != 2 || !strings.Contains(stderr.String(), "accounts") {
		t.Errorf("exit code %d, stderr %q; want 2 and the nearest command", code, stderr.String())
	}
}

func TestPrecedenceOfSettings(t *testing.T) {
	s, _ := sh(t, map[string]string{"MCP_URL": "https://environment.example/mcp", "TENANT_ID": ""})
	write(t, s.Dir, ".env", "MCP_URL=https://dotenv.example/mcp\nAZURE_SEARCH_INDEX=dotenv\nTENANT_ID=dotenv\n")
	write(t, s.Dir, "onbehalf.yaml", "azure_search_index: yaml\nWEB_URL: http://localhost:1\n")
	settings, err := s.Settings(true)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, name := range []string{"MCP_URL", "AZURE_SEARCH_INDEX", "WEB_URL", "TENANT_ID", "REDIS_URL"} {
		got[name] = settings.Get(name)
	}
	want := map[string]string{
		"MCP_URL": "https://environment.example/mcp", "AZURE_SEARCH_INDEX": "dotenv", "WEB_URL": "http://localhost:1",
		"TENANT_ID": "dotenv", "REDIS_URL": "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	write(t, s.Dir, ".env", "AZURE_SEARCH_INDEX=changed\n")
	if got, err := settings.Fresh("AZURE_SEARCH_INDEX"); err != nil || got != "changed" || settings.Get("AZURE_SEARCH_INDEX") != "dotenv" {
		t.Errorf("a file that was changed gives %q, %v", got, err)
	}
	settings.Override("MCP_URL", "https://flag.example/mcp")
	if got := settings.Get("MCP_URL"); got != "https://flag.example/mcp" {
		t.Errorf("a flag gave %q", got)
	}
}

// A file that nobody named must not collect a key of the environment.
func TestKeysDoNotGoWhereAFoundFileSays(t *testing.T) {
	for name, c := range map[string]struct {
		environ map[string]string
		dotenv  string
		named   bool
		refused bool
	}{
		"key from the environment, address found": {map[string]string{"OPENAI_API_KEY": "k"}, "OPENAI_BASE_URL=https://evil.example/v1\n", false, true},
		"the same file, named":                    {map[string]string{"OPENAI_API_KEY": "k"}, "OPENAI_BASE_URL=https://evil.example/v1\n", true, false},
		"both found":                              {nil, "OPENAI_API_KEY=k\nOPENAI_BASE_URL=https://model.example/v1\n", false, false},
		"key found, address of the environment":   {map[string]string{"OPENAI_BASE_URL": "https://model.example/v1"}, "OPENAI_API_KEY=k\n", false, false},
		"no key":                                  {nil, "OPENAI_BASE_URL=http://localhost:11434/v1\n", false, false},
		"no address":                              {map[string]string{"OPENAI_API_KEY": "k"}, "TENANT_ID=t\n", false, false},
	} {
		s, _ := sh(t, c.environ)
		write(t, s.Dir, ".env", c.dotenv)
		if c.named {
			if err := s.Root("onbehalf", "", "").PersistentFlags().Set("env", filepath.Join(s.Dir, ".env")); err != nil {
				t.Fatal(err)
			}
		}
		settings, err := s.Settings(true)
		if err != nil {
			t.Fatal(err)
		}
		if err = settings.MayGo("OPENAI_API_KEY", "OPENAI_BASE_URL"); (err != nil) != c.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClientCommandsDoNotReadTheWorkingDirectory(t *testing.T) {
	s, _ := sh(t, nil)
	write(t, s.Dir, ".env", "AZURE_AUTHORITY_HOST=https://evil.example/\n")
	write(t, s.Dir, "onbehalf.yaml", "AZURE_AUTHORITY_HOST: https://evil.example/\n")
	settings, err := s.Settings(false)
	if err != nil {
		t.Fatal(err)
	}
	if got := settings.Get("AZURE_AUTHORITY_HOST"); got != "" {
		t.Errorf("a file in the working directory redirects the sign-in to %s", got)
	}
}

func TestMissingSettingsAreNamedTogether(t *testing.T) {
	s, _ := sh(t, nil)
	settings, err := s.Settings(true)
	if err != nil {
		t.Fatal(err)
	}
	err = settings.Require("TENANT_ID", "API_CLIENT_ID")
	if err == nil || !strings.Contains(err.Error(), "TENANT_ID: Entra admin center") || !strings.Contains(err.Error(), "API_CLIENT_ID: Entra") {
		t.Errorf("got %v, want both settings and where to get them", err)
	}
}

func TestBadSettingsFiles(t *testing.T) {
	const secret = "very-secret-value"
	for desc, files := range map[string]map[string]string{
		"unknown setting": {"onbehalf.yaml": "TENNANT_ID: " + secret},
		"not YAML":        {"onbehalf.yaml": "- " + secret + "\n  :"},
		"not an env file": {".env": "what is " + secret + "\n="},
	} {
		s, _ := sh(t, nil)
		for name, text := range files {
			write(t, s.Dir, name, text)
		}
		_, err := s.Settings(true)
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %v, want an error without the value", desc, err)
		}
	}
}

func TestWhichAuthorityIsTrusted(t *testing.T) {
	for _, test := range []struct {
		desc, authority, local string
		trust                  shell.Trust
		ok                     bool
	}{
		{"default", "", "", shell.Trust{}, true},
		{"another of Microsoft's", "https://login.microsoftonline.us/", "", shell.Trust{}, true},
		{"local, by a client", "https://localhost:8443/", "", shell.Trust{Loopback: true}, true},
		{"local, by a server", "https://localhost:8443/", "", shell.Trust{}, false},
		{"local, by a server that means it", "https://localhost:8443/", "1", shell.Trust{}, true},
		{"unknown", "https://login.evil.example/", "1", shell.Trust{Loopback: true}, false},
		{"unknown, trusted", "https://login.corp.example/", "", shell.Trust{Any: true}, true},
		{"look-alike", "https://login.microsoftonline.com.evil.example/", "", shell.Trust{Loopback: true}, false},
		{"look-alike of loopback", "https://localhost.evil.example/", "1", shell.Trust{Loopback: true}, false},
		{"user in the URL", "https://login.microsoftonline.com@evil.example/", "", shell.Trust{Any: true}, false},
		{"http", "http://localhost:8443/", "1", shell.Trust{Loopback: true, Any: true}, false},
	} {
		settings := shell.SettingsOf(map[string]string{"AZURE_AUTHORITY_HOST": test.authority, "ONBEHALF_LOCAL": test.local})
		if _, err := settings.Cloud(test.trust); (err == nil) != test.ok {
			t.Errorf("%s: got %v, want ok = %v", test.desc, err, test.ok)
		}
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheLocalCAVouchesForNoMicrosoftAuthority(t *testing.T) {
	ca, err := localhost.NewCA(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	config, err := ca.ServerTLS()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.TLS, server.Config.ErrorLog = config, log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	dir := t.TempDir()
	write(t, dir, "ca.pem", string(ca.PEM()))
	settings := shell.SettingsOf(map[string]string{"ONBEHALF_CA_FILE": filepath.Join(dir, "ca.pem"), "AZURE_AUTHORITY_HOST": server.URL + "/", "ONBEHALF_LOCAL": "1"})
	own, err := settings.Cloud(shell.Trust{})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		desc  string
		cloud entra.Cloud
		want  bool
	}{
		{"the local Entra", own, true},
		{"login.microsoftonline.com, as a hosts file would have it", entra.Clouds()[0], false},
	} {
		client, err := settings.EntraClient(test.cloud)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Get(server.URL)
		if err == nil {
			_ = resp.Body.Close()
		}
		if (err == nil) != test.want {
			t.Errorf("%s: got %v, want trusted = %v", test.desc, err, test.want)
		}
	}
}
