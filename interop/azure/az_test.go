//go:build azure

package azure

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// azPatience bounds what the Azure CLI takes: each call starts Python.
const azPatience = 5 * time.Minute

// The script for the Azure CLI, run by the Azure CLI itself, which is signed in to the local Entra as to a cloud of its own.
func TestScriptByAzureCLI(t *testing.T) {
	if _, err := exec.LookPath("az"); err != nil || os.Getenv(rehearsalVar) != "1" {
		t.Skipf("runs with az on PATH and %s=1", rehearsalVar)
	}
	s := open(t)
	s.signInToAz()
	script, err := s.command(t.Context(), "setup", "entra", "plan", "--offline", "--emit-script", "az", "--read-groups", "--name", deployment, "--env", ".env").Output()
	if err != nil {
		t.Fatal(err)
	}
	s.write("setup.sh", string(script))
	s.az("bash", "setup.sh")
	s.run(append([]string{"setup", "entra", "plan", "--check", "--read-groups", "--name", deployment}, s.admin()...)...)
}

// az runs a command with the Azure CLI's own configuration, and returns what it prints.
func (s *stage) az(name string, args ...string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), azPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = s.dir, s.azEnv()
	out, err := cmd.CombinedOutput()
	s.Logf("%s %s\n%s", name, strings.Join(args, " "), out)
	if err != nil {
		s.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
}

func (s *stage) azEnv() []string {
	return append(os.Environ(), "AZURE_CONFIG_DIR="+filepath.Join(s.dir, "azure"), "REQUESTS_CA_BUNDLE="+filepath.Join(s.dir, "local.env.bundle.pem"),
		"AZURE_CORE_COLLECT_TELEMETRY=false", "AZURE_CORE_INSTANCE_DISCOVERY=false")
}

// signInToAz makes the local Entra a cloud of the Azure CLI's and signs the administrator in there.
func (s *stage) signInToAz() {
	s.Helper()
	settings, err := os.ReadFile(filepath.Join(s.dir, "local.env"))
	if err != nil {
		s.Fatal(err)
	}
	authority := regexp.MustCompile(`(?m)^AZURE_AUTHORITY_HOST=(.*)/$`).FindSubmatch(settings)
	tenant := regexp.MustCompile(`(?m)^TENANT_ID=(.*)$`).FindSubmatch(settings)
	if authority == nil || tenant == nil {
		s.Fatal("local.env names no authority and tenant")
	}
	if err = os.MkdirAll(filepath.Join(s.dir, "azure"), 0o700); err != nil {
		s.Fatal(err)
	}
	const graph = "https://graph.microsoft.com"
	s.write("azure/clouds.config", "[Local]\nendpoint_active_directory = "+string(authority[1])+"\nendpoint_active_directory_resource_id = "+graph+
		"\nendpoint_active_directory_graph_resource_id = "+graph+"\nendpoint_microsoft_graph_resource_id = "+graph+"/\nendpoint_resource_manager = "+string(authority[1])+"/\nendpoint_management = "+graph+"\n")
	s.az("az", "cloud", "set", "--name", "Local")
	ctx, cancel := context.WithTimeout(s.Context(), azPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "az", "login", "--use-device-code", "--tenant", string(tenant[1]), "--skip-subscription-discovery")
	reader, writer := io.Pipe()
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, s.azEnv(), writer, writer
	approved := false
	go watch(reader, regexp.MustCompile(`\b[A-Z0-9]{9}\b`), func(code string) {
		if !approved {
			approved = true
			_, _ = s.control("devicecodes/"+code+"/approve", `{"user":"adele"}`)
		}
	})
	if err = cmd.Run(); err != nil {
		s.Fatalf("az login: %v", err)
	}
	_ = writer.Close()
}
