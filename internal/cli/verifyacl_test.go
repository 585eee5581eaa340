package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchserver"
	"github.com/onbehalf/onbehalf/search/searchtest"
	"github.com/onbehalf/onbehalf/signin"
	"github.com/onbehalf/onbehalf/signin/vault"
)

const testMCP = "http://localhost:8000/mcp"

// world is a tenant and a search service, with commands that run in this process.
type world struct {
	t      *testing.T
	entra  *entratest.Entra
	search *searchtest.Service
	env    map[string]string
}

func newWorld(t *testing.T, options *searchtest.Options) *world {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "config"))
	w := &world{t: t, entra: entratest.Start(t, nil)}
	options.Entra = w.entra
	w.search = searchtest.Start(t, options)
	ca := filepath.Join(home, "ca.pem")
	if err := os.WriteFile(ca, append(w.entra.CAPEM(), w.search.CAPEM()...), 0o600); err != nil {
		t.Fatal(err)
	}
	w.env = map[string]string{
		"TENANT_ID": w.entra.Tenant, "TENANT_DOMAIN": w.entra.Domain, "API_CLIENT_ID": w.entra.API, "WEB_CLIENT_ID": w.entra.WebClient,
		"CLIENT_SECRET": w.entra.Secret(w.entra.API).Reveal(), "AZURE_AUTHORITY_HOST": w.entra.URL + "/", "GRAPH_ENDPOINT": w.entra.URL,
		"AZURE_SEARCH_ENDPOINT": w.search.URL, "AZURE_SEARCH_INDEX": "docs", "MCP_URL": testMCP, "ONBEHALF_LOCAL": "1", "ONBEHALF_CA_FILE": ca,
		"AZURE_SEARCH_KEY": w.search.Server.QueryKey().Reveal(), "SEARCH_ADMIN_KEY": w.search.Server.AdminKey().Reveal(),
	}
	return w
}

// run runs a command and returns its exit code and both outputs.
func (w *world) run(args ...string) (code int, out, errs string) {
	w.t.Helper()
	var stdout, stderr bytes.Buffer
	sh := &shell.Shell{In: strings.NewReader(""), Out: &stdout, Err: &stderr, Dir: w.t.TempDir(), Now: time.Now, Environ: func(name string) (string, bool) {
		value, ok := w.env[name]
		return value, ok
	}}
	code = cli.Main(w.t.Context(), sh, args)
	return code, stdout.String(), stderr.String()
}

// must runs a command that has to succeed.
func (w *world) must(args ...string) string {
	w.t.Helper()
	code, out, errs := w.run(args...)
	if code != 0 {
		w.t.Fatalf("%s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// signIn leaves a sign-in on this machine, as "onbehalf login" does.
func (w *world) signIn(person string) {
	w.t.Helper()
	cache, err := vault.Open(vault.Config{Dir: filepath.Join(os.Getenv("XDG_CACHE_HOME"), "onbehalf", "tokens"), Keepers: []vault.Keeper{vault.Plain{}}})
	if err != nil {
		w.t.Fatal(err)
	}
	webClient, err := identity.ParseClientID(w.entra.WebClient)
	if err != nil {
		w.t.Fatal(err)
	}
	client, err := signin.New(signin.Config{
		Authority: w.entra.URL + "/", Tenant: w.entra.Tenant, Client: webClient, HTTPClient: w.entra.Client(), Method: signin.ByDeviceCode, Cache: cache,
		Prompt: func(_ context.Context, code signin.DeviceCode) error {
			w.entra.Approve(code.UserCode, person)
			return nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	scope, err := entra.NewScope("api://"+w.entra.API, "execute")
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err = client.Token(w.t.Context(), signin.Request{Server: testMCP, Scopes: []entra.Scope{scope}, Anew: true}); err != nil {
		w.t.Fatal(err)
	}
}

// fill makes the index and uploads documents for everyone, alice, engineering, finance, and everybody on the staff by a
// group of groups.
func (w *world) fill() {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "docs.jsonl")
	var text strings.Builder
	for i, readers := range []string{
		`"oid":["all"]`, `"oid":["` + entraserver.Alice + `"]`, `"group":["` + entraserver.Engineering + `"]`,
		`"group":["` + entraserver.Finance + `"]`, `"group":["` + entraserver.AllStaff + `"]`,
	} {
		fmt.Fprintf(&text, `{"id":"d%d","name":"n","content":"c",%s}`+"\n", i, readers)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.must("setup", "index", "apply", "--yes")
	w.must("index", "push", path)
}

// A service whose filter is broken is found out, whichever way it is broken.
func TestBrokenServicesAreFoundOut(t *testing.T) {
	for _, tt := range []struct {
		desc  string
		spoil func(*searchtest.Options)
		args  []string
		says  []string
	}{
		{"a service that knows no nested groups", func(o *searchtest.Options) {
			o.Configure = func(c *searchserver.Config) {
				c.Groups = func(_ context.Context, oid string) ([]string, error) {
					return map[string][]string{entraserver.Alice: {entraserver.Engineering}}[oid], nil
				}
			}
		}, []string{"--as", "alice"}, []string{"! alice@contoso.example: 3 documents returned, 4 allowed; 0 returned that are not allowed, 1 allowed that are not returned", "    d4: allowed, not returned"}},
		{"a service that takes everybody for a member of finance", func(o *searchtest.Options) {
			o.Configure = func(c *searchserver.Config) {
				right := c.Groups
				c.Groups = func(ctx context.Context, oid string) ([]string, error) {
					groups, err := right(ctx, oid)
					return append(groups, entraserver.Finance), err
				}
			}
		}, []string{"--as", "alice@contoso.example", "--anonymous"}, []string{"    d3: RETURNED, NOT ALLOWED", "= anonymous: 1 documents, as the permissions say", "for 1 of 2"}},
		{
			"a service as it was before November 2025", func(o *searchtest.Options) { o.Engine.LegacyPermissions = true },
			[]string{"--anonymous"},
			[]string{"! anonymous: 5 documents returned, 1 allowed; 4 returned that are not allowed, 0 allowed"},
		},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			options := &searchtest.Options{}
			tt.spoil(options)
			w := newWorld(t, options)
			w.fill()
			w.signIn("alice")
			code, out, errs := w.run(append([]string{"verify-acl", "--plaintext-cache"}, tt.args...)...)
			if code != 1 {
				t.Errorf("exit code %d", code)
			}
			for _, says := range tt.says {
				if !strings.Contains(out+errs, says) {
					t.Errorf("it does not say %q:\n%s%s", says, out, errs)
				}
			}
		})
	}
}

// With an Entra identity that has the roles, no key is needed; what Graph lets the API read is enough for a prediction.
func TestIndexWithoutKeys(t *testing.T) {
	w := newWorld(t, &searchtest.Options{Configure: func(c *searchserver.Config) {
		c.Roles = map[string][]searchserver.Role{entraserver.ContosoAPI: {searchserver.ServiceContributor, searchserver.IndexDataContributor}}
	}})
	for name, value := range map[string]string{"AZURE_TENANT_ID": w.entra.Tenant, "AZURE_CLIENT_ID": w.entra.API, "AZURE_CLIENT_SECRET": w.env["CLIENT_SECRET"]} {
		t.Setenv(name, value)
	}
	delete(w.env, "SEARCH_ADMIN_KEY")
	delete(w.env, "AZURE_SEARCH_KEY")
	w.fill()
	w.signIn("bob")
	out := w.must("verify-acl", "--as", "bob", "--anonymous", "--plaintext-cache")
	if !strings.Contains(out, "= bob@contoso.example: 3 documents, as the permissions say") {
		t.Error(out)
	}
	directory := w.entra.Server.Directory()
	graphApp, err := identity.ParseClientID(entra.GraphAppID)
	if err != nil {
		t.Fatal(err)
	}
	api, err := identity.ParseClientID(w.entra.API)
	if err != nil {
		t.Fatal(err)
	}
	const directoryReadAll = "7ab1d382-f21e-4acd-a863-ba3e13f7da61"
	if err = directory.Assign(&entraserver.RoleAssignment{AppRoleID: directoryReadAll, PrincipalID: directory.PrincipalOf(api).ID, ResourceID: directory.PrincipalOf(graphApp).ID}); err != nil {
		t.Fatal(err)
	}
	code, out, errs := w.run("verify-acl", "--as", "bob,dana,"+entraserver.Alice, "--json", "--plaintext-cache")
	for _, says := range []string{
		`"name":"dana@contoso.example","object":"` + entraserver.Dana + `","verified":false,"groups":250,"allowed":1`,
		`"name":"alice@contoso.example"`, `"predicted":["d0","d1","d2","d4"]`, "for 2 of 3 it was only predicted",
	} {
		if !strings.Contains(out+errs, says) {
			t.Errorf("it does not say %s:\n%s%s", says, out, errs)
		}
	}
	if code != 3 {
		t.Errorf("exit code %d, want 3", code)
	}
	out = w.must("index", "pull-acl")
	for _, says := range []string{"d0  everyone\n", "d1  user alice@contoso.example\n", "d4  group all staff\n", "5 documents\n"} {
		if !strings.Contains(out, says) {
			t.Errorf("pull-acl does not say %q:\n%s", says, out)
		}
	}
	w.impostors()
	w.must("setup", "index", "destroy", "docs", "--yes")
}

// impostors makes groups whose names pretend, as anyone in a tenant may, and looks at what pull-acl says of them.
func (w *world) impostors() {
	w.t.Helper()
	const twin, liar = "9e000000-0000-4000-8000-00000000eee1", "9e000000-0000-4000-8000-00000000eee2"
	const cyrillic, hidden, turned = "9e000000-0000-4000-8000-00000000eee3", "9e000000-0000-4000-8000-00000000eee4", "9e000000-0000-4000-8000-00000000eee5"
	for id, name := range map[string]string{
		twin: "All  staff", liar: "x\nd1  nobody, user bob@contoso.example\x1b[1A",
		cyrillic: "finаnce", hidden: "press\u200b", turned: "\u202ellats",
	} {
		object, err := identity.ParseObjectID(id)
		if err == nil {
			err = w.entra.Server.Directory().AddGroup(&entraserver.Group{ID: object, Name: name, SecurityEnabled: true})
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	path := filepath.Join(w.t.TempDir(), "more.jsonl")
	if err := os.WriteFile(path, []byte(`{"id":"d5","name":"n","content":"c","group":["`+liar+`"]}`+"\n"+
		`{"id":"d6","name":"n","content":"c","group":["`+cyrillic+`","`+hidden+`","`+turned+`"]}`), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.must("index", "push", path)
	out := w.must("index", "pull-acl")
	for _, says := range []string{
		"d4  group all staff (" + entraserver.AllStaff + ")\n", `d5  group "x\nd1  nobody, user bob@contoso.example\x1b[1A" (` + liar + ")\n", "7 documents\n",
		"group finаnce (" + cyrillic + ")", `group "press\u200b" (` + hidden + ")", `group "\u202ellats" (` + turned + ")",
	} {
		if !strings.Contains(out, says) {
			w.t.Errorf("pull-acl does not say %q:\n%q", says, out)
		}
	}
	out = w.must("index", "pull-acl", "--json")
	if !strings.Contains(out, `{"id":"`+cyrillic+`","name":"finаnce","ambiguous":true}`) || strings.ContainsAny(out, "\u202e\x1b") {
		w.t.Errorf("pull-acl --json:\n%q", out)
	}
	// The names of an ACL file decide who reads: one that looks like another's does not.
	for name, says := range map[string]string{"finance": "look alike: give the object id", "finаnce": "letters of several alphabets: give the object id", "all staff": "look alike"} {
		folder := w.t.TempDir()
		for file, text := range map[string]string{"acl.yaml": "rules:\n- {path: '**', groups: ['" + name + "']}\n", "a.md": "# A\n"} {
			if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o600); err != nil {
				w.t.Fatal(err)
			}
		}
		code, out, errs := w.run("index", "push", folder)
		if code != 1 || !strings.Contains(errs, says) || strings.Contains(out, "uploaded") {
			w.t.Errorf("an ACL file with the group %q: exit code %d\n%s%s", name, code, out, errs)
		}
	}
}

// What roles on storage allow is not guessed: it is undecided, and all else is proven.
func TestVerifyWithRolesOnStorage(t *testing.T) {
	const scope = "/subscriptions/x/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/a/blobServices/default/containers/c"
	w := newWorld(t, &searchtest.Options{Configure: func(c *searchserver.Config) { c.Scopes = map[string][]string{entraserver.Bob: {scope}} }})
	folder := t.TempDir()
	for name, text := range map[string]string{
		"schema.json": `{"permissionFilterOption":"enabled","fields":[{"name":"id","type":"Edm.String","key":true,"filterable":true,"sortable":true},
			{"name":"oid","type":"Collection(Edm.String)","permissionFilter":"userIds","filterable":true,"retrievable":false},
			{"name":"scope","type":"Edm.String","permissionFilter":"rbacScope","filterable":true,"retrievable":false}]}`,
		"docs.jsonl": `{"id":"open","oid":["all"]}
			{"id":"hers","oid":["` + entraserver.Alice + `"],"scope":"` + scope + `"}
			{"id":"stored","oid":["none"],"scope":"` + scope + `"}
			{"id":"nobodys","oid":["none"],"scope":""}`,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.must("setup", "index", "apply", "--yes", "--schema", filepath.Join(folder, "schema.json"))
	w.must("index", "push", filepath.Join(folder, "docs.jsonl"))
	w.signIn("alice")
	w.signIn("bob")
	for _, more := range [][]string{nil, {"--documents", filepath.Join(folder, "docs.jsonl")}} {
		code, out, errs := w.run(append([]string{"verify-acl", "--as", "alice,bob", "--anonymous", "--plaintext-cache"}, more...)...)
		for _, says := range []string{
			"? alice@contoso.example: 2 documents, as far as users and groups say; 1 undecided", "? bob@contoso.example: 3 documents, as far as users and groups say; 2 undecided",
			"= anonymous: 1 documents, as the permissions say", "warning: field scope also lets roles on storage decide (rbacScope)", "which cannot be verified",
		} {
			if !strings.Contains(out+errs, says) {
				t.Errorf("it does not say %q:\n%s%s", says, out, errs)
			}
		}
		if code != 3 {
			t.Errorf("exit code %d, want 3", code)
		}
	}
}

// A folder is the truth of who may read what, too.
func TestFolderAgainstIndex(t *testing.T) {
	w := newWorld(t, &searchtest.Options{})
	folder := filepath.Join(t.TempDir(), "handbook")
	files := map[string]string{
		"acl.yaml":  "rules:\n- {path: 'open/**', everyone: true}\n- {path: '**', users: [" + entraserver.Alice + "]}\n",
		"open/a.md": "# A\n", "open/b.txt": "b", "alice.md": "# Hers\n",
	}
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	w.signIn("alice")
	w.must("setup", "index", "apply", "--yes")
	w.must("index", "push", folder)
	out := w.must("verify-acl", "--as", "alice", "--anonymous", "--documents", folder, "--plaintext-cache")
	for _, says := range []string{"= alice@contoso.example: 3 documents", "= anonymous: 2 documents"} {
		if !strings.Contains(out, says) {
			t.Errorf("it does not say %q:\n%s", says, out)
		}
	}
	// The folder's rules change, the index does not.
	if err := os.WriteFile(filepath.Join(folder, "acl.yaml"), []byte("rules: [{path: '**', nobody: true}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ := w.run("verify-acl", "--anonymous", "--documents", folder)
	if code != 1 || !strings.Contains(out, "! anonymous: 2 documents returned, 0 allowed; 2 returned that are not allowed") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// One who cannot be verified keeps nobody else from it.
func TestOneOfSeveralCannotBeVerified(t *testing.T) {
	w := newWorld(t, &searchtest.Options{})
	w.fill()
	w.signIn("alice")
	w.signIn("bob")
	w.search.QueueError(searchtest.Fault{Endpoint: "docs.search", Count: 1, Status: 0}) // counting
	w.search.QueueError(searchtest.Fault{Endpoint: "docs.search", Count: 1, Status: 403})
	code, out, errs := w.run("verify-acl", "--as", "alice,bob", "--plaintext-cache")
	for _, says := range []string{"x alice@contoso.example: could not be verified", "= bob@contoso.example: 3 documents", "verify-acl: alice@contoso.example:"} {
		if !strings.Contains(out+errs, says) {
			t.Errorf("it does not say %q:\n%s%s", says, out, errs)
		}
	}
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
}

// The sample goes in also where Graph may not be asked; what follows is said.
func TestSampleWithoutGroups(t *testing.T) {
	w := newWorld(t, &searchtest.Options{})
	w.signIn("alice")
	w.must("setup", "index", "apply", "--yes")
	w.entra.QueueError(entratest.Fault{Endpoint: "graph", Count: 10, Status: 403, Error: "Authorization_RequestDenied"})
	code, out, errs := w.run("index", "push", "--sample", "--plaintext-cache")
	if code != 0 || !strings.Contains(out, "5 documents uploaded") || !strings.Contains(errs, "the groups of alice@contoso.example are not known, so nobody may read the document for a group (onbehalf setup entra apply --read-groups") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	w.entra.Reset()
	if out := w.must("verify-acl", "--as", "alice", "--plaintext-cache"); !strings.Contains(out, "= alice@contoso.example: 2 documents") {
		t.Error(out)
	}
}

// The sample goes into an empty index and over itself unasked, and over nothing else.
func TestSampleOverwritesNothing(t *testing.T) {
	w := newWorld(t, &searchtest.Options{})
	w.signIn("alice")
	w.must("setup", "index", "apply", "--yes")
	for range 2 {
		w.must("index", "push", "--sample", "--plaintext-cache")
	}
	client := w.search.SearchClient()
	mine := search.Document(`{"id":"4","name":"Forecast","content":"mine","oid":["all"],"group":["none"]}`)
	if _, err := client.Write(t.Context(), "docs", []search.Action{{Document: mine}}); err != nil {
		t.Fatal(err)
	}
	code, out, errs := w.run("index", "push", "--sample", "--plaintext-cache")
	if code != 2 || !strings.Contains(errs, "holds 1 documents that are not the sample's") || strings.Contains(out, "uploaded") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	w.must("index", "push", "--sample", "--yes", "--plaintext-cache")
}

// What stands between a person and her documents is said, and nothing is called a difference that is none.
func TestVerifyThatCannotBeDone(t *testing.T) {
	w := newWorld(t, &searchtest.Options{})
	w.fill()
	w.signIn("alice")
	verify := func(says string) {
		t.Helper()
		code, out, errs := w.run("verify-acl", "--as", "alice", "--plaintext-cache")
		if code != 1 || !strings.Contains(errs, says) {
			t.Errorf("exit code %d, want 1 and %q:\n%s%s", code, says, out, errs)
		}
	}
	w.search.QueueError(searchtest.Fault{Endpoint: "docs.search", Count: 100, Status: 403})
	verify("HTTP 403")
	w.search.Server.Reset()
	w.entra.QueueError(entratest.Fault{Endpoint: "graph", Count: 100, Status: 500})
	verify("the groups of alice@contoso.example")
	w.entra.Reset()
	secret := w.env["CLIENT_SECRET"]
	w.env["CLIENT_SECRET"] = "wrong"
	verify("Microsoft Graph could not be asked")
	w.env["CLIENT_SECRET"] = secret
	if client := w.search.SearchClient(); client.Delete(t.Context(), "docs", "") != nil {
		t.Fatal("the index is still there")
	}
	verify("there is no index docs")
	w.must("setup", "index", "apply", "--yes")
	w.entra.Scenario("revoked")
	verify("hint: Your sign-ins were revoked, or your password was changed. Sign in again.")
	w.entra.Scenario("rotate-keys")
	verify("--account alice@contoso.example")
}
