//go:build interop

package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/interop/toolchain"
)

// The names in these scripts are of the kind that breaks shells.
const (
	tenant = "c0de7e4a-0000-4000-8000-000000000001"
	env    = "it's $(id) \"quoted\" `id`\n}.env"
)

// printed returns the scripts, by file.
func printed(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "onbehalf")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/onbehalf/onbehalf/cmd/onbehalf").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	files := map[string]string{}
	for name, args := range map[string][]string{
		"curl.sh":   {"entra", "plan", "--offline", "--emit-script", "curl", "--read-groups", "--write-env", env},
		"az.sh":     {"entra", "plan", "--offline", "--emit-script", "az", "--preauthorize", "vscode", "--write-env", env},
		"search.sh": {"search", "plan", "--emit-script", "az", "--subscription", tenant, "--resource-group", "rg-(1)", "--service", "contoso", "--principal", tenant},
	} {
		cmd := exec.CommandContext(t.Context(), program, append([]string{"setup"}, args...)...)
		cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "TENANT_ID=" + tenant}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		files[name] = filepath.Join(dir, name)
		if err := os.WriteFile(files[name], out, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// shellcheck finds nothing, and no other shell does the half of it.
func TestScripts(t *testing.T) {
	check := toolchain.Debian(t, "shellcheck", "shellcheck")
	shells := []string{toolchain.Debian(t, "dash", "dash"), toolchain.Debian(t, "zsh", "zsh")}
	for name, file := range printed(t) {
		if out, err := exec.CommandContext(t.Context(), check, "--shell=bash", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		for _, shell := range shells {
			out, err := exec.CommandContext(t.Context(), shell, file).CombinedOutput()
			if err == nil || !strings.HasPrefix(string(out), "this script is bash: nothing was done") || strings.Count(string(out), "\n") != 1 {
				t.Errorf("%s by %s: %v\n%s", name, shell, err, out)
			}
		}
	}
}
