package entra_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/entra"
)

var update = flag.Bool("update", false, "rewrite docs/errors.md from the catalogue")

// errorsPage renders docs/errors.md.
func errorsPage() string {
	var page strings.Builder
	page.WriteString(`# What Entra's errors mean

Written from the catalogue in package entra; change it there, then run ` + "`go generate ./entra`" + `.

` + "`onbehalf doctor --error-file FILE`" + ` (` + "`-`" + ` for standard input) explains an error that you have before you: Entra's answer, a page's text, an HTTP
answer, a line of a log. It needs no network. What people see is how Entra's message begins (… stands for what varies), or the
name under which the tenant's sign-in logs list it. The kind decides what the server does, and so what the person at the tool sees:

| kind | what happens |
|---|---|
| consent-required | the tool answers with the consent link |
| interaction-required | a client that handles claims challenges gets HTTP 401 with the claims and signs in again; every other gets the reason in words |
| blocked | the tool answers with the reason; nothing is tried again |
| app-only | the caller is no person; the tool says so |
| assertion-expired | the person signs in again |
| assertion-audience | the client sent a token for something else |
| misconfigured | the operator finds setting and fix in the log |
| throttled | nothing is sent to Entra before the wait is over |
| unavailable | Entra gave no answer to go by; one retry was made |

| AADSTS | what people see | kind | what is the matter | who can mend it | how |
|---|---|---|---|---|---|
`)
	for _, a := range entra.Catalogue() {
		fmt.Fprintf(&page, "| %d | %s | %s | %s | %s | %s |\n", a.Code, entra.SeenAs(a.Code), a.Kind, a.Cause, a.Who, a.Fix)
	}
	return page.String()
}

func TestErrorsPageIsCurrent(t *testing.T) {
	const path = "../docs/errors.md"
	want := errorsPage()
	if *update {
		if err := os.MkdirAll("../docs", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the catalogue says (%v): run go generate ./entra", path, err)
	}
}

func TestCatalogueIsSound(t *testing.T) {
	all := entra.Catalogue()
	if len(all) < 150 {
		t.Errorf("got %d codes, want at least 150", len(all))
	}
	for i, a := range all {
		if i > 0 && all[i-1].Code == a.Code {
			t.Errorf("AADSTS%d stands there twice", a.Code)
		}
		if a.Kind.String() == "unknown" || a.Cause == "" || a.Who == "" || a.Fix == "" {
			t.Errorf("AADSTS%d is not complete: %+v", a.Code, a)
		}
		if !strings.HasSuffix(a.Cause, ".") || !strings.HasSuffix(a.Fix, ".") || strings.Contains(a.Cause+a.Fix, "|") {
			t.Errorf("AADSTS%d: want sentences without a bar: %q, %q", a.Code, a.Cause, a.Fix)
		}
		if seen := entra.SeenAs(a.Code); seen == "" || strings.ContainsAny(seen, "|\n") || strings.HasSuffix(seen, ".") {
			t.Errorf("AADSTS%d: what people see is %q, want one line without a bar and a full stop", a.Code, seen)
		}
		if got, ok := entra.AdviceFor(a.Code); !ok || got != a {
			t.Errorf("AdviceFor(%d) = %+v, %t", a.Code, got, ok)
		}
	}
	if _, ok := entra.AdviceFor(1); ok {
		t.Error("AADSTS1 is in the catalogue")
	}
	for _, unknown := range []int{0, 1, 50012345, 1 << 40} {
		if seen := entra.SeenAs(unknown); seen != "" {
			t.Errorf("SeenAs(%d) = %q, want nothing", unknown, seen)
		}
	}
}

func TestAdviceOfAnError(t *testing.T) {
	for _, tt := range []struct {
		desc string
		err  entra.Error
		want entra.Kind
	}{
		{"by code", entra.Error{Code: "invalid_grant", AADSTS: []int{50076}}, entra.InteractionRequired},
		{"the first known code counts", entra.Error{Code: "invalid_grant", AADSTS: []int{123456, 65001}}, entra.ConsentRequired},
		{"code before name", entra.Error{Code: "interaction_required", AADSTS: []int{53003}, Claims: "{}"}, entra.Blocked},
		{"consent by suberror", entra.Error{Code: "invalid_grant", Sub: "consent_required", AADSTS: []int{999999}}, entra.ConsentRequired},
		{"unknown code with claims", entra.Error{Code: "invalid_grant", Claims: `{"access_token":{}}`}, entra.InteractionRequired},
		{"unknown interaction", entra.Error{Code: "interaction_required"}, entra.InteractionRequired},
		{"unknown invalid_grant", entra.Error{Code: "invalid_grant", Status: 400}, entra.AssertionExpired},
		{"invalid client", entra.Error{Code: "invalid_client", Status: 401}, entra.Misconfigured},
		{"too many requests", entra.Error{Code: "temporarily_unavailable", Status: http.StatusTooManyRequests}, entra.Throttled},
		{"server error", entra.Error{Code: "server_error", Status: 500}, entra.Unavailable},
		{"declined at the device page", entra.Error{Code: "authorization_declined", Status: 400}, entra.Blocked},
		{"anything else", entra.Error{Code: "something_new", Status: 400}, entra.Misconfigured},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			got := tt.err.Advice()
			if got.Kind != tt.want || got.Cause == "" || got.Who == "" || got.Fix == "" {
				t.Errorf("got %+v, want kind %v and all of it", got, tt.want)
			}
		})
	}
}
