//go:build azure

package azure

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/interop/toolchain"
)

// byAzureCLI runs within a network and a mount namespace of its own, where Microsoft's names lead to the local Entra and
// nothing leads anywhere else: the Azure CLI signs in to the public cloud as it knows it.
const byAzureCLI = `set -eu
ip link set lo up
mount --bind "$PWD/hosts" /etc/hosts
./onbehalf local --scenario empty --entra-addr 127.0.0.1:443 --search-addr 127.0.0.1:0 --write-env local.env \
  --dangerously-pose-as login.microsoftonline.com --dangerously-pose-as graph.microsoft.com >local.log 2>&1 &
trap 'kill $! 2>/dev/null || true' EXIT
for _ in $(seq 100); do grep -q '^ready' local.log && break; sleep 0.2; done
tenant=$(sed -n 's/^TENANT_ID=//p' local.env)
export AZURE_CONFIG_DIR=$PWD/azure REQUESTS_CA_BUNDLE=$PWD/local.env.bundle.pem SSL_CERT_FILE=$PWD/local.env.bundle.pem AZURE_CORE_COLLECT_TELEMETRY=false

az login --use-device-code --tenant "$tenant" --skip-subscription-discovery --scope https://graph.microsoft.com/.default >login.log 2>&1 &
login=$!
code=
for _ in $(seq 200); do
  code=$(grep -oE '\b[A-Z0-9]{9}\b' login.log || true)
  test -n "$code" && break
  sleep 0.2
done
test -n "$code" || { cat login.log; exit 1; }
curl --silent --show-error --fail --cacert local.env.ca.pem --header 'Content-Type: application/json' --data '{"user":"adele"}' "https://localhost/_local/devicecodes/$code/approve"
wait $login || { cat login.log; exit 1; }

export MCP_URL=https://mcp.contoso.example/mcp WEB_URL=https://chat.contoso.example
./onbehalf setup entra apply --yes --read-groups
./onbehalf setup entra plan --check --read-groups
./onbehalf setup entra plan --emit-script az --name second --state second.json --write-env second.env --mcp-url https://second.contoso.example/mcp >second.sh
bash second.sh
./onbehalf setup entra plan --check --name second --state second.json --env second.env --mcp-url https://second.contoso.example/mcp
./onbehalf setup entra destroy --yes
./onbehalf setup entra destroy --yes --name second --state second.json --env second.env
test ! -e onbehalf-setup.json -a ! -e second.json
`

// azureCLI is installed where there is no az: 730 MB, kept in the user's cache.
const azureCLI = "azure-cli==2.91.0"

// The Azure CLI itself: its sign-in is the administrator's, and it runs the script that is made for it.
func TestByAzureCLI(t *testing.T) {
	if os.Getenv(rehearsalVar) != "1" {
		t.Skipf("a rehearsal: runs with %s=1", rehearsalVar)
	}
	for _, tool := range []string{"unshare", "ip", "curl", "bash"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the rehearsal needs %s: %v", tool, err)
		}
	}
	path := os.Getenv("PATH")
	if _, err := exec.LookPath("az"); err != nil {
		path = filepath.Dir(toolchain.Python(t, azureCLI)) + ":" + path
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "onbehalf"), "github.com/onbehalf/onbehalf/cmd/onbehalf").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "hosts"), []byte("127.0.0.1 localhost login.microsoftonline.com graph.microsoft.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"}
	if os.Geteuid() != 0 {
		args = append(args, "--user", "--map-root-user")
	}
	const patience = 10 * time.Minute // each az starts Python
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", append(args, "bash", "-c", byAzureCLI)...)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + path, "HOME=" + dir}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(out), "nothing to do\n") < 2 {
		t.Error("a plan afterwards is not empty")
	}
}
