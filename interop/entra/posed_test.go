//go:build interop

package entra_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/interop/toolchain"
)

// posedScript runs within a network and a mount namespace of its own: Microsoft's names lead to this machine there, and
// nothing leads anywhere else.
const posedScript = `set -eu
ip link set lo up
mount --bind "$DIR/hosts" /etc/hosts
"$DIR/onbehalf" local --entra-addr 127.0.0.1:443 --search-addr 127.0.0.1:0 --write-env "$DIR/env" \
  --dangerously-pose-as login.microsoftonline.com --dangerously-pose-as graph.microsoft.com >"$DIR/local.log" 2>&1 &
local=$!
trap 'kill $local $server 2>/dev/null || true' EXIT
server=
for _ in $(seq 100); do grep -q '^ready' "$DIR/local.log" && break; sleep 0.2; done
grep -q '^ready' "$DIR/local.log" || { cat "$DIR/local.log"; exit 1; }
set -a; . "$DIR/env"; set +a
"$PYTHON" python/posed.py &
server=$!
for _ in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/9000) 2>/dev/null && break; sleep 0.2; done
SERVER=http://127.0.0.1:9000/ "$NODE" "$SCRIPT"
`

// Programs that have Microsoft's hosts written into them: a hosts file and an authority are all it takes.
func TestPosesForProgramsThatKnowOnlyMicrosoft(t *testing.T) {
	node, modules := toolchain.Node(t), toolchain.NPM(t, "@azure/msal-node@7.2.3", "@azure/identity@"+azureIdentity)
	python := toolchain.Python(t, "msal==1.31.0", "pyjwt[crypto]==2.10.1")
	unshare, _ := toolchain.Debian(t, "unshare", "util-linux"), toolchain.Debian(t, "ip", "iproute2")
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "onbehalf"), "../../cmd/onbehalf").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	script := filepath.Join(modules, "posed-"+filepath.Base(dir)+".mjs")
	source, err := os.ReadFile("node/posed.mjs")
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{
		script:                      string(source),
		filepath.Join(dir, "hosts"): "127.0.0.1 localhost login.microsoftonline.com graph.microsoft.com\n",
	} {
		if err = os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Remove(script) })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	args := []string{"--net", "--mount", "--pid", "--fork", "--kill-child"}
	if os.Geteuid() != 0 {
		args = append(args, "--user", "--map-root-user")
	}
	cmd := exec.CommandContext(ctx, unshare, append(args, "bash", "-c", posedScript)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "DIR=" + dir, "NODE=" + node, "PYTHON=" + python, "SCRIPT=" + script}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, stderr.String())
	}
	var got map[string]string
	if err = json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	want := map[string]string{
		"issuer": "https://login.microsoftonline.com/" + entraserver.ContosoTenant + "/v2.0",
		"v1":     "https://sts.windows.net/" + entraserver.ContosoTenant + "/",
		"me":     "alice@contoso.example",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
