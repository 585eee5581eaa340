package vault_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/signin"
	"github.com/onbehalf/onbehalf/signin/vault"
)

func openBook(t *testing.T, dir string, notices *[]string) *vault.Book {
	t.Helper()
	book, err := vault.OpenBook(vault.Config{Dir: dir, Notice: func(m string) { *notices = append(*notices, m) }})
	if err != nil {
		t.Fatal(err)
	}
	return book
}

func grant(t *testing.T, server string, hour int) signin.Grant {
	t.Helper()
	scope, err := entra.ParseScope("api://the-api/execute")
	if err != nil {
		t.Fatal(err)
	}
	return signin.Grant{
		Server: server, Authority: "https://login.microsoftonline.com/", Tenant: "contoso.example", Scopes: []entra.Scope{scope},
		Confirmed: true, Since: time.Date(2026, 11, 23, hour, 0, 0, 0, time.UTC),
	}
}

func TestBook(t *testing.T) {
	dir := t.TempDir()
	var notices []string
	book := openBook(t, dir, &notices)
	first, second := grant(t, "https://one.example/mcp", 1), grant(t, "https://two.example/mcp", 2)
	for _, g := range []signin.Grant{second, first, second} {
		if err := book.Remember(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	again := openBook(t, dir, &notices)
	got, err := again.Grants(t.Context())
	if diff := cmp.Diff([]signin.Grant{first, second}, got, cmp.Comparer(func(a, b entra.Scope) bool { return a == b }),
		cmp.Comparer(func(a, b identity.ClientID) bool { return a == b })); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if err := again.Revoke(t.Context(), first.Server); err != nil {
		t.Fatal(err)
	}
	if _, found, err := book.Grant(t.Context(), first.Server); found || err != nil {
		t.Errorf("revoked, yet found %t, %v", found, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "servers.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestBookDamaged(t *testing.T) {
	dir := t.TempDir()
	var notices []string
	book := openBook(t, dir, &notices)
	path := filepath.Join(dir, "servers.json")
	if err := os.WriteFile(path, []byte(`{"servers":[{"ser`), 0o600); err != nil {
		t.Fatal(err)
	}
	if grants, err := book.Grants(t.Context()); len(grants) != 0 || err != nil {
		t.Errorf("got %v, %v; want nothing trusted", grants, err)
	}
	if err := book.Remember(t.Context(), grant(t, "https://one.example/mcp", 1)); err != nil {
		t.Fatal(err)
	}
	if len(notices) != 1 || !strings.Contains(notices[0], "kept aside") {
		t.Errorf("notices %q", notices)
	}
	if err := os.Chmod(path, 0o622); err != nil {
		t.Fatal(err)
	}
	if _, err := book.Grants(t.Context()); err == nil {
		t.Error("a file that others may write is trusted")
	}
}
