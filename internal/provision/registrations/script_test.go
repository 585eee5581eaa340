package registrations_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/joho/godotenv"

	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/internal/provision/graphcalls"
	"github.com/onbehalf/onbehalf/internal/provision/registrations"
)

// fakeAz makes "az rest" of curl: enough to run the same calls.
const fakeAz = `#!/usr/bin/env bash
[ "$1" = rest ] || exit 2
while [ $# -gt 0 ]; do case $1 in --method) m=$2;; --uri) u=$2;; --body) b=$2;; esac; shift; done
out=$(curl -s --globoff -X "$m" -H "Authorization: Bearer $TEST_TOKEN" -H 'Content-Type: application/json' ${b:+--data-binary "$b"} -w '\n%{http_code}' "$u")
status=${out##*$'\n'} out=${out%$'\n'*}
case $status in 2??) printf '%s' "$out" | sed 's/":/": /g'; exit 0;; 404) echo "ERROR: Not Found($out)" >&2;; 400) echo "ERROR: Bad Request($out)" >&2;; 409) echo "ERROR: Conflict($out)" >&2;; *) echo "ERROR: HTTP $status($out)" >&2;; esac
exit 1
`

// run runs a script with real bash and curl against the local Graph.
func (w *world) run(script string) (string, error) {
	w.Helper()
	return w.runAs(os.Geteuid(), script)
}

// runAs is run as another user, where root runs the tests: root may read and write everything.
func (w *world) runAs(uid int, script string) (string, error) {
	w.Helper()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			w.Fatal(tool + " is not here")
		}
	}
	dir := filepath.Dir(w.path)
	must(w.T, os.WriteFile(filepath.Join(dir, "setup.sh"), []byte(script), 0o600))
	must(w.T, os.WriteFile(filepath.Join(dir, "ca.pem"), w.entra.CAPEM(), 0o600))
	must(w.T, os.WriteFile(filepath.Join(dir, "az"), []byte(fakeAz), 0o700))
	if out, err := exec.CommandContext(w.Context(), "bash", "-n", filepath.Join(dir, "setup.sh")).CombinedOutput(); err != nil {
		w.Fatalf("not bash: %s", out)
	}
	cmd := exec.CommandContext(w.Context(), "bash", "setup.sh")
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + dir + ":" + os.Getenv("PATH"), "CURL_CA_BUNDLE=" + filepath.Join(dir, "ca.pem"), "STATE_FILE=" + w.path,
		"GRAPH_TOKEN=" + w.token.Reveal(), "TEST_TOKEN=" + w.token.Reveal(),
	}
	if os.Geteuid() == 0 && uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
		must(w.T, os.Chmod(filepath.Dir(dir), 0o755))
		must(w.T, exec.CommandContext(w.Context(), "chown", "-R", strconv.Itoa(uid), dir).Run())
	}
	out, err := cmd.CombinedOutput()
	settings, readErr := godotenv.Read(filepath.Join(dir, ".env"))
	if readErr == nil {
		w.env = settings
	}
	return string(out), err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) script(tool graphcalls.Tool) string {
	w.Helper()
	plan, state := w.plan()
	text, err := registrations.Script(plan, state, &w.desired, tool, registrations.ScriptFiles{Env: ".env", State: "state.json"})
	if err != nil {
		w.Fatal(err)
	}
	return text
}

// The script makes what apply makes: a plan made afterwards is empty, and what it wrote is where apply writes it.
func TestScript(t *testing.T) {
	for _, tool := range []graphcalls.Tool{graphcalls.Curl, graphcalls.Az} {
		t.Run(string(tool), func(t *testing.T) {
			w := newWorld(t)
			dir := filepath.Dir(w.path)
			must(t, os.WriteFile(filepath.Join(dir, ".env"), []byte("# mine\nFOO='b a r'\nexport CLIENT_SECRET=old"), 0o644))
			script := w.script(tool)
			out, err := w.run(script)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			w.done()
			if got := w.count(); got != 3 {
				t.Errorf("got %d applications, want 3", got)
			}
			kept, err := os.ReadFile(filepath.Join(dir, ".env"))
			must(t, err)
			if !bytes.HasPrefix(kept, []byte("# mine\nFOO='b a r'\n")) || bytes.Contains(kept, []byte("old")) {
				t.Errorf("the lines of others: %.40q", kept)
			}
			for _, file := range []string{".env", "state.json"} {
				if info, statErr := os.Stat(filepath.Join(dir, file)); statErr != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s: %v %v", file, info.Mode(), statErr)
				}
			}
			state, err := os.ReadFile(w.path)
			must(t, err)
			if secret := w.env["CLIENT_SECRET"]; len(secret) < 20 || strings.Contains(out+string(state), secret) {
				t.Error("the secret is missing, or written where it must not be")
			}
			if out, err = w.run(script); err == nil || !strings.Contains(out, "make a new plan") || w.count() != 3 {
				t.Errorf("a second run: %v %d\n%s", err, w.count(), out)
			}
			w.done()
			if out, err = w.run(w.script(tool)); err != nil {
				t.Errorf("an empty plan: %v\n%s", err, out)
			}
			w.done()
		})
	}
}

// Without a sign-in, a script can be handed over all the same; and a policy that refuses the URL stops nothing.
func TestScriptOffline(t *testing.T) {
	w := newWorld(t)
	w.entra.Policy(entraserver.Policies{AppIDURIs: "verified-domain"})
	w.desired.MCPURL, w.desired.ReadGroups = "https://mcp.azurewebsites.net/mcp", true
	state, err := registrations.LoadState(w.path, w.desired.Name)
	must(t, err)
	plan, err := registrations.Make(&w.desired, registrations.Offline(w.entra.Tenant), state)
	must(t, err)
	script, err := registrations.Script(plan, state, &w.desired, graphcalls.Curl, registrations.ScriptFiles{Env: ".env", State: "state.json"})
	must(t, err)
	out, err := w.run(script)
	if err != nil || !strings.Contains(out, "AADSTS9010010") {
		t.Fatalf("%v\n%s", err, out)
	}
	again, err := registrations.Script(plan, &registrations.State{Name: "onbehalf", Deployment: "11111111-2222-4333-8444-555555555555"}, &w.desired, graphcalls.Curl, registrations.ScriptFiles{Env: ".env", State: "state.json"})
	must(t, err)
	if out, err = w.run(again); err == nil || !strings.Contains(out, "is of another plan") {
		t.Errorf("another plan's script: %v\n%s", err, out)
	}
	plan, _ = w.plan()
	if len(plan.Steps) != 0 || w.env["API_APP_ID_URI"] != "api://"+w.env["API_CLIENT_ID"] {
		t.Error(text(t, plan))
	}
}

// What stands in the settings file stays, whatever becomes of the script; and where it could not be kept, nothing is registered.
func TestScriptKeepsSettings(t *testing.T) {
	const mine = "MINE=1\n"
	for _, test := range []struct {
		desc, before string // before is bash that runs first; $ENV_FILE is there
		want         string
	}{
		{"unreadable", "chmod 0 \"$ENV_FILE\"", "cannot be read: nothing was done"},
		{"a link", "mv \"$ENV_FILE\" real && ln -s real \"$ENV_FILE\"", "is not a regular file"},
		{"a folder that takes no file", "chmod u-w folder", "cannot be written: nothing was done"},
		{"unreadable in the middle", "grep() { if [ \"$1\" = -vE ]; then return 2; fi; command grep \"$@\"; }", "TENANT_ID was not written, and the file stays as it is"},
	} {
		t.Run(test.desc, func(t *testing.T) {
			w := newWorld(t)
			dir := filepath.Dir(w.path)
			must(t, os.Mkdir(filepath.Join(dir, "folder"), 0o777))
			plan, state := w.plan()
			script, err := registrations.Script(plan, state, &w.desired, graphcalls.Curl, registrations.ScriptFiles{Env: "folder/it's $(touch pwned) \"env\"\n}", State: "state.json"})
			must(t, err)
			head, rest, _ := strings.Cut(script, "\ncan_keep ")
			if test.desc == "unreadable in the middle" { // after the first call
				head, rest, _ = strings.Cut(script, "\nsay 'write the settings'")
				rest = "say 'write the settings'" + rest
			} else {
				rest = "can_keep " + rest
			}
			before := "printf 'MINE=1\\n' >\"$ENV_FILE\"\n"
			out, err := w.runAs(65534, head+"\n"+before+test.before+"\n"+rest)
			if err == nil || !strings.Contains(out, test.want) {
				t.Errorf("%v, want %q in\n%s", err, test.want, out)
			}
			kept := filepath.Join(dir, "folder", "it's $(touch pwned) \"env\"\n}")
			if test.desc == "a link" {
				kept = filepath.Join(dir, "real")
			}
			if text, err := os.ReadFile(kept); err != nil || !strings.HasPrefix(string(text), mine) {
				t.Errorf("the settings file holds %.60q, %v", text, err)
			}
			if registered := strings.Contains(test.desc, "middle"); w.count() != 0 && !registered {
				t.Errorf("%d applications were registered", w.count())
			}
			if _, err := os.Stat(filepath.Join(dir, "pwned")); err == nil {
				t.Error("a name was run")
			}
		})
	}
}

// Other shells would stop in the middle: they do nothing.
func TestScriptIsBash(t *testing.T) {
	w := newWorld(t)
	script := w.script(graphcalls.Curl)
	for _, shell := range []string{"dash", "zsh", "ksh", "busybox"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue // the interoperability tests install them
		}
		args := []string{"-c", script}
		if shell == "busybox" {
			args = append([]string{"sh"}, args...)
		}
		out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "nothing was done; run it with") {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
	if out, err := w.run("set -o posix\n" + script); err != nil || w.count() != 3 { // as "sh", where that is bash
		t.Errorf("%v\n%s", err, out)
	}
}

// Names that others chose are data in a script, wherever they stand.
func TestScriptQuotes(t *testing.T) {
	w := newWorld(t)
	w.apply()
	dir := filepath.Dir(w.path)
	const evil = "x\ntouch pwned\n'; touch pwned; $(touch pwned) `touch pwned` \\\" \"\nJSON\n)\ntouch pwned\n${GRAPH_TOKEN}"
	w.patch("API_CLIENT_ID", map[string]any{
		"displayName": evil,
		"api": map[string]any{"requestedAccessTokenVersion": nil, "oauth2PermissionScopes": []any{map[string]any{
			"id": "11111111-2222-4333-8444-555555555555", "value": "x$(touch_pwned)`id`\\", "type": "User", "isEnabled": true, "adminConsentDescription": evil,
		}}, "preAuthorizedApplications": []any{}},
	})
	w.patch("WEB_CLIENT_ID", map[string]any{"displayName": evil, "publicClient": map[string]any{"redirectUris": []string{"http://localhost", "x:$(touch${IFS}pwned)`touch${IFS}pwned`"}}})
	before := w.app("API_CLIENT_ID")
	var env strings.Builder
	for name, value := range w.env {
		env.WriteString(name + "=" + value + "\n")
	}
	must(t, os.WriteFile(filepath.Join(dir, ".env"), []byte(env.String()), 0o600))
	out, err := w.run(w.script(graphcalls.Curl))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "pwned")); err == nil || strings.Contains(out, w.token.Reveal()) {
		t.Error("a name was run")
	}
	w.done()
	after := w.app("API_CLIENT_ID")
	if got, want := after.API.OAuth2PermissionScopes[0], before.API.OAuth2PermissionScopes[0]; got != want {
		t.Errorf("a scope of others was changed: got %+v, want %+v", got, want)
	}
}

// Destroy takes away what the state file names and what bears its tag, and nothing else.
func TestRemove(t *testing.T) {
	w := newWorld(t)
	w.apply()
	w.desired.Name, w.path = "other", w.path+".other"
	others := w.env
	w.env = map[string]string{}
	w.apply()
	w.patch("AGENT_CLIENT_ID", map[string]any{"tags": []string{"onbehalf:name:other"}})
	plan, state := w.removal()
	shown := text(t, &plan.Plan)
	if !strings.Contains(shown, "- API other-server: "+w.env["API_CLIENT_ID"]) || !strings.Contains(shown, "does not bear this deployment's tag: left alone") || len(plan.Left) != 1 {
		t.Error(shown)
	}
	w.env["CLIENT_SECRET"] = "kept until the application is gone"
	must(t, registrations.Remove(t.Context(), w.doer(), plan, state, func(name string) string { return w.env[name] }))
	if w.count() != 4 || w.env["CLIENT_SECRET"] != "" || w.env["AGENT_CLIENT_ID"] == "" || state.Done() {
		t.Errorf("%d applications are left, settings %v", w.count(), w.env["AGENT_CLIENT_ID"])
	}
	w.patch("AGENT_CLIENT_ID", map[string]any{"tags": []string{"onbehalf:deployment:" + state.Deployment}})
	plan, state = w.removal()
	w.env["AGENT_CLIENT_ID"] = others["AGENT_CLIENT_ID"] // the settings are of another deployment by now
	must(t, registrations.Remove(t.Context(), w.doer(), plan, state, func(name string) string { return w.env[name] }))
	if w.count() != 3 || w.env["AGENT_CLIENT_ID"] == "" || !state.Done() {
		t.Errorf("%d applications are left, want the 3 of the other deployment", w.count())
	}
	if plan, _ = w.removal(); len(plan.Steps) != 0 {
		t.Error("there is something to take away still")
	}
}

func (w *world) removal() (*registrations.Removal, *registrations.State) {
	w.Helper()
	state, err := registrations.LoadState(w.path, w.desired.Name)
	must(w.T, err)
	plan, err := registrations.PlanRemoval(w.Context(), w.graph, state)
	must(w.T, err)
	return plan, state
}
