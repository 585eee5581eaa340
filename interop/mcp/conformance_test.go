//go:build conformance

package mcp_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/interop/toolchain"
)

const suite = "@modelcontextprotocol/conformance@0.2.0-alpha.12"

// TestConformance runs what each revision of the protocol requires of a server. What fails must be exactly what is
// listed: a scenario that begins to pass is to be taken off.
func TestConformance(t *testing.T) {
	node := toolchain.Node(t)
	index := filepath.Join(toolchain.NPM(t, suite), "node_modules", "@modelcontextprotocol", "conformance", "dist", "index.js")
	for _, test := range []struct {
		version   string
		options   func(*mcp.ServerOptions)
		scenarios int // that run at least
		failing   []string
	}{
		// A server that keeps no sessions cannot ask the client in the middle of a call.
		{"2025-11-25", withLogging, 33, []string{"elicitation-sep1034-defaults", "elicitation-sep1330-enums", "tools-call-elicitation", "tools-call-sampling"}},
		// The extension for tasks is not implemented, and not scored.
		{"2026-07-28", withoutLogging, 50, []string{
			"tasks-capability-negotiation", "tasks-dispatch-and-envelope", "tasks-lifecycle", "tasks-mrtr-composition", "tasks-mrtr-input",
			"tasks-request-headers", "tasks-request-state-removal", "tasks-required-task-error", "tasks-wire-fields",
		}},
	} {
		t.Run(test.version, func(t *testing.T) {
			p := startProtected(t, test.options)
			addFixtures(p.server.MCP())
			out := t.TempDir()
			cmd := exec.CommandContext(t.Context(), node, index, "server", "--url", p.signedIn(t), "--requirements", test.version, "-o", out)
			text, err := cmd.CombinedOutput() // the exit code counts what is listed above, too
			scenarios, failing := results(t, out)
			if scenarios < test.scenarios || !slices.Equal(failing, test.failing) {
				t.Errorf("%d scenarios ran (%v); failing: %q\nwant %q\n%s", scenarios, err, failing, test.failing, text)
			}
			t.Log(regexp.MustCompile(`Total: .*`).FindString(string(text)))
		})
	}
}

// folder is what the suite calls a scenario's results.
var folder = regexp.MustCompile(`^server-(.+)-\d{4}-\d{2}-\d{2}T[\d-]+Z$`)

// results reads which scenarios ran, and which of them failed.
func results(t *testing.T, dir string) (scenarios int, failing []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := folder.FindStringSubmatch(entry.Name())
		if name == nil {
			t.Fatalf("the suite has written %s, which is not understood", entry.Name())
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name(), "checks.json"))
		if err != nil {
			t.Fatal(err)
		}
		var checks []struct {
			ID, Status, ErrorMessage string
		}
		if err := json.Unmarshal(text, &checks); err != nil {
			t.Fatalf("%s: %v", entry.Name(), err)
		}
		scenarios++
		for _, check := range checks {
			if strings.EqualFold(check.Status, "FAILURE") {
				t.Logf("%s: %s: %s", name[1], check.ID, check.ErrorMessage)
				failing = append(failing, name[1])
			}
		}
	}
	slices.Sort(failing)
	return scenarios, slices.Compact(failing)
}
