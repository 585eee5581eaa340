package onbehalf_test

import (
	"bytes"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/onbehalf/onbehalf"

// mayImport says which packages of this module each package may import (tests aside). A package without an entry fails
// the test: place it here first, in the order of the way of a call, and say so in docs/design.md.
//
// A name that ends in "/" stands for a package's own internal folder. "*" means all.
var mayImport = map[string][]string{
	// The words.
	"identity": {},
	"chain":    {"identity"},
	"entra":    {"identity"},
	"search":   {"identity"},

	// The stations. They meet in the words above and never import one another.
	"bearer":                       {"identity", "entra", "chain"},
	"obo":                          {"identity", "entra", "chain", "internal/msalerr"},
	"obo/rediscache":               {"identity", "entra", "obo"},
	"signin":                       {"identity", "entra", "chain", "internal/msalerr"},
	"signin/vault":                 {"identity", "signin"},
	"search/searchclient":          {"identity", "entra", "chain", "search", "internal/jsonscan"},
	"search/searchclient/elevated": {"identity", "search", "search/searchclient"},

	// The wiring, which Go developers import, and our own tools, written with nothing but it.
	"":               {"identity", "entra", "chain", "bearer", "obo", "obo/rediscache", "internal/arguments", "internal/sealed", "internal/httpguard", "internal/graph"},
	"internal/tools": {"", "identity", "entra", "chain", "search", "search/searchclient"},

	// The stand-ins. They share the words with what they stand in for, never logic.
	"search/searchengine": {"identity", "search", "search/searchengine/"},
	"search/searchserver": {"identity", "search", "search/searchengine", "internal/graph", "internal/localhost", "internal/jsonscan"},
	"search/searchtest":   {"identity", "search", "search/searchengine", "search/searchclient", "search/searchserver", "entra/entratest", "internal/localhost"},
	"entra/entraserver":   {"identity", "entra", "entra/entraserver/", "internal/localhost"},
	"entra/entratest":     {"identity", "entra", "entra/entraserver", "internal/localhost"},

	// What serves both sides.
	"internal/msalerr":    {"entra"},
	"internal/graph":      {"identity", "entra"},
	"internal/localhost":  {},
	"internal/jsonscan":   {},
	"internal/envfile":    {},
	"internal/chainstore": {"identity", "chain"},
	"internal/sealed":     {"identity"},
	"internal/sample":     {"identity", "search"},
	"internal/httprun":    {},
	"internal/httpguard":  {},
	"internal/arguments":  {},
	"internal/serve":      {"", "identity", "entra", "chain", "bearer", "obo", "obo/rediscache", "search", "search/searchclient", "internal/tools", "internal/chainstore", "internal/httpguard"},

	// Set-up, proof, diagnosis.
	"internal/provision":               {"search"},
	"internal/provision/corpus":        {"identity", "search", "internal/jsonscan", "internal/provision"},
	"internal/provision/indexplan":     {"search"},
	"internal/provision/acl":           {"identity", "search", "search/searchclient/elevated", "internal/provision/corpus"},
	"internal/provision/lookalike":     {},
	"internal/provision/directory":     {"identity", "entra", "internal/graph", "internal/provision/lookalike"},
	"internal/provision/changes":       {},
	"internal/provision/graphcalls":    {"identity", "internal/graph"},
	"internal/provision/registrations": {"identity", "entra", "internal/graph", "internal/provision/changes", "internal/provision/graphcalls"},
	"internal/provision/searchservice": {"identity", "entra", "internal/provision/changes", "internal/provision/graphcalls"},
	"internal/doctor":                  {"internal/doctor/check", "internal/doctor/exam", "internal/doctor/tokens", "internal/doctor/settings", "internal/doctor/network", "internal/doctor/registrations", "internal/doctor/call", "internal/doctor/searchservice"},
	"internal/doctor/settings":         {"identity", "entra", "internal/doctor/check", "internal/doctor/exam"},
	"internal/doctor/network":          {"entra", "internal/doctor/check", "internal/doctor/exam", "internal/doctor/tokens"},
	"internal/doctor/registrations":    {"identity", "entra", "internal/graph", "internal/doctor/check", "internal/doctor/exam"},
	"internal/doctor/call":             {"identity", "entra", "signin", "internal/doctor/check", "internal/doctor/exam", "internal/doctor/tokens"},
	"internal/doctor/searchservice":    {"identity", "search", "search/searchclient", "internal/doctor/check", "internal/doctor/exam", "internal/doctor/explain"},
	"internal/doctor/check":            {"identity", "entra", "internal/graph", "internal/doctor/exam", "internal/doctor/explain", "internal/doctor/tokens"},
	"internal/doctor/exam":             {},
	"internal/doctor/explain":          {"entra"},
	"internal/doctor/tokens":           {"entra"},
	"internal/conform":                 {"identity", "entra"},

	// The agent.
	"internal/agent":         {"internal/agent/dialog", "internal/agent/mcpdata", "internal/agent/mcplink"},
	"internal/agent/dialog":  {},
	"internal/agent/mcpdata": {"internal/arguments", "internal/agent/prose"},
	"internal/agent/prose":   {},
	"internal/agent/mcplink": {},
	"internal/agent/builtin": {"internal/agent", "internal/agent/prose"},
	"internal/agent/openai":  {"identity", "internal/agent", "internal/agent/dialog"},
	"internal/history":       {"identity"},
	"internal/web":           {"identity", "entra", "chain", "signin", "internal/agent", "internal/agent/dialog", "internal/history", "internal/httpguard", "internal/web/hops", "internal/web/markdown", "internal/web/refusal"},
	"internal/web/hops":      {"chain", "internal/agent/mcpdata"},
	"internal/web/markdown":  {},
	"internal/web/refusal":   {"entra", "signin", "internal/agent/dialog"},

	// Everything in one process.
	"internal/local": {"identity", "entra", "search", "search/searchengine", "search/searchserver", "entra/entraserver", "internal/graph", "internal/localhost", "internal/sample"},
	"internal/demo":  {"", "identity", "entra", "chain", "search", "search/searchclient", "signin", "internal/agent", "internal/agent/builtin", "internal/web", "internal/tools", "internal/local", "internal/localhost", "internal/sample", "internal/serve", "internal/httprun", "internal/provision", "obo"},
	"internal/cli":   {"*"},

	// The command line, in three parts so that the production server links one of them without the rest.
	"internal/cli/shell":    {"identity", "entra", "internal/httprun"},
	"internal/cli/server":   {"*"},
	"internal/cli/operator": {"*"},
	"internal/cli/client":   {"identity", "entra", "chain", "signin", "signin/vault", "internal/cli/shell"},
	"cmd/onbehalf":          {"internal/cli", "internal/cli/shell"},
}

// production are the programs that go to production.
var production = []string{"cmd/onbehalf-server"}

// neverInProduction can mint tokens or change a tenant.
var neverInProduction = []string{
	"search/searchclient/elevated",
	"entra/entraserver", "entra/entratest", "search/searchserver", "search/searchengine", "search/searchtest",
	"internal/local", "internal/demo", "internal/provision", "internal/sample", "internal/cli/operator",
}

func TestWhoMayImportWhom(t *testing.T) {
	for _, line := range goList(t, "{{.ImportPath}} {{join .Imports \" \"}}", "./...") {
		words := strings.Fields(line)
		pkg, imports := within(words[0]), words[1:]
		if outside(pkg) {
			continue
		}
		allowed, placed := rulesFor(pkg)
		if !placed {
			t.Errorf("%q has no place in the table of who may import whom", pkg)
			continue
		}
		for _, imported := range imports {
			if imported != module && !strings.HasPrefix(imported, module+"/") {
				continue
			}
			if imported = within(imported); !permits(allowed, pkg, imported) {
				t.Errorf("%q may not import %q", pkg, imported)
			}
		}
	}
}

// What reads past permissions is for set-up alone: nobody who serves people can even name it.
func TestOnlySetUpReadsElevated(t *testing.T) {
	const elevated = module + "/search/searchclient/elevated"
	for _, line := range goList(t, "{{.ImportPath}} {{join .Imports \" \"}}", "./...") {
		words := strings.Fields(line)
		if slices.Contains(words[1:], elevated) && within(words[0]) != "internal/provision/acl" {
			t.Errorf("%q imports %s: only internal/provision/acl may", within(words[0]), elevated)
		}
	}
}

func TestProductionHoldsNoStandIn(t *testing.T) {
	for _, command := range production {
		for _, dep := range goList(t, "{{.ImportPath}}", "-deps", "./"+command) {
			for _, never := range neverInProduction {
				if dep == module+"/"+never || strings.HasPrefix(dep, module+"/"+never+"/") {
					t.Errorf("%s links %s: what runs in production must not be able to mint a token or change a tenant", command, never)
				}
			}
		}
	}
}

// outside reports folders that are programs of their own beside the product.
func outside(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return first == "examples" || first == "interop"
}

func within(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
}

// rulesFor returns the row of a package; a package below an internal folder shares the row of that folder's owner.
func rulesFor(pkg string) (allowed []string, placed bool) {
	for p := pkg; ; p = path.Dir(p) {
		if row, ok := mayImport[p]; ok && (p == pkg || strings.HasPrefix(pkg, p+"/internal/")) {
			return row, true
		}
		if p == "." || p == "" || !strings.Contains(p, "/") {
			return nil, slices.Contains(production, pkg)
		}
	}
}

func permits(allowed []string, pkg, imported string) bool {
	if slices.Contains(allowed, imported) || slices.Contains(allowed, "*") {
		return true
	}
	if slices.Contains(production, pkg) {
		return strings.HasPrefix(imported, "internal/cli")
	}
	owner, _, isInternal := strings.Cut(imported, "/internal/")
	return isInternal && (pkg == owner || strings.HasPrefix(pkg, owner+"/"))
}

func goList(t *testing.T, format string, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-f", format}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
