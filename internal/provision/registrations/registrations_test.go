package registrations_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/graphcalls"
	"github.com/onbehalf/onbehalf/internal/provision/registrations"
)

// world is a tenant without registrations, and somebody who sets it up.
type world struct {
	*testing.T
	entra   *entratest.Entra
	graph   *graph.Client
	token   identity.Secret // that graph sends
	desired registrations.Desired
	path    string // of the state file
	env     map[string]string
	paused  []time.Duration
	said    []string

	stopAfter int // calls of Save until it fails; 0: never
}

var errInterrupted = errors.New("interrupted")

const rights = "Application.ReadWrite.All DelegatedPermissionGrant.ReadWrite.All Directory.Read.All"

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	w := &world{T: t, entra: entratest.Start(t, nil), env: map[string]string{}, path: filepath.Join(t.TempDir(), "state.json")}
	w.entra.Scenario("empty")
	w.graph = w.as(entraserver.Adele, rights)
	cloud, _ := entra.CloudOf(w.entra.URL + "/")
	w.desired = registrations.Desired{
		Name: "onbehalf", MCPURL: "https://mcp.contoso.example/mcp", WebURL: "https://chat.contoso.example", SecretLife: 180 * 24 * time.Hour,
		Paths: registrations.AgentPaths{Callback: "/signin/callback", SignedOut: "/signed-out", FrontChannel: "/signout/frontchannel"},
		Cloud: cloud, Env: func(name string) string { return w.env[name] }, Now: time.Now(),
	}
	return w
}

// as returns a client of Graph for a person with some permissions.
func (w *world) as(person, scopes string) *graph.Client {
	w.Helper()
	now := time.Now().Unix()
	token := w.entra.Sign(nil, map[string]any{"aud": entra.GraphAppID, "oid": person, "scp": scopes, "exp": now + 3600, "nbf": now - 60, "iat": now})
	w.token = token
	c, err := graph.New(graph.Config{
		Endpoint: w.entra.URL, HTTPClient: w.entra.Client(), Token: func(context.Context) (identity.Secret, error) { return token, nil },
	})
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// plan makes a plan of what the state file and the tenant say.
func (w *world) plan() (*registrations.Plan, *registrations.State) {
	w.Helper()
	state, err := registrations.LoadState(w.path, w.desired.Name)
	if err != nil {
		w.Fatal(err)
	}
	present, err := registrations.Read(w.Context(), w.graph, &w.desired, state, w.pause)
	if err != nil {
		w.Fatal(err)
	}
	plan, err := registrations.Make(&w.desired, present, state)
	if err != nil {
		w.Fatal(err)
	}
	return plan, state
}

func (w *world) pause(_ context.Context, d time.Duration) error {
	w.paused = append(w.paused, d)
	return nil
}

func (w *world) doer() registrations.Doer {
	saves := 0
	return registrations.Doer{
		Maker: graphcalls.Maker{Graph: w.graph, Pause: w.pause},
		Save: func(s *registrations.State) error {
			if saves++; w.stopAfter > 0 && saves > w.stopAfter {
				return errInterrupted
			}
			return s.Save(w.path)
		},
		Set: func(all []registrations.Setting) error {
			for _, s := range all {
				w.env[s.Name] = s.Value
			}
			return nil
		},
		Say: func(format string, args ...any) { w.said = append(w.said, fmt.Sprintf(format, args...)) },
	}
}

func (w *world) try() error {
	w.Helper()
	plan, state := w.plan()
	return registrations.Apply(w.Context(), w.doer(), plan, state)
}

func (w *world) apply() {
	w.Helper()
	if err := w.try(); err != nil {
		w.Fatal(err)
	}
}

func text(t *testing.T, p *registrations.Plan) string {
	t.Helper()
	var out strings.Builder
	if err := p.Write(&out, func(s string) string { return s }); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// done fails unless nothing is left to do.
func (w *world) done() {
	w.Helper()
	if plan, _ := w.plan(); !plan.Empty() || plan.Blocked != nil {
		w.Fatalf("something is left to do: %v\n%s", plan.Blocked, text(w.T, plan))
	}
}

func (w *world) app(setting string) graph.Application {
	w.Helper()
	app, err := graph.Get[graph.Application](w.Context(), w.graph, graph.ByAppID("applications", w.env[setting]), nil)
	if err != nil {
		w.Fatal(err)
	}
	return app
}

func (w *world) patch(setting string, body any) {
	w.Helper()
	if err := w.graph.Patch(w.Context(), graph.ByAppID("applications", w.env[setting]), body); err != nil {
		w.Fatal(err)
	}
}

func (w *world) count() int {
	w.Helper()
	all, err := graph.List[graph.Application](w.Context(), w.graph, "/applications", nil, 100)
	if err != nil {
		w.Fatal(err)
	}
	return len(all)
}

// From an empty tenant: a token of alice for the new API by the new client, exchanged by the API for search.
func TestApplyFromNothing(t *testing.T) {
	w := newWorld(t)
	w.apply()
	w.done()
	api := w.app("API_CLIENT_ID")
	if got, want := api.IdentifierURIs, []string{"https://mcp.contoso.example/mcp", "api://" + api.AppID}; !slices.Equal(got, want) {
		t.Errorf("App ID URIs: got %q, want %q", got, want)
	}
	if w.env["API_APP_ID_URI"] != "https://mcp.contoso.example/mcp" || w.env["TENANT_ID"] != w.entra.Tenant {
		t.Errorf("settings: %q %q", w.env["API_APP_ID_URI"], w.env["TENANT_ID"])
	}
	agent := w.app("AGENT_CLIENT_ID")
	if want := "https://chat.contoso.example/signout/frontchannel"; agent.Web.LogoutURL != want {
		t.Errorf("logout URL: got %q, want %q", agent.Web.LogoutURL, want)
	}
	assertion := w.entra.SignIn("alice", w.env["WEB_CLIENT_ID"], "https://mcp.contoso.example/mcp/execute")
	status, body := w.entra.Token(url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "requested_token_use": {"on_behalf_of"},
		"client_id": {w.env["API_CLIENT_ID"]}, "client_secret": {w.env["CLIENT_SECRET"]},
		"assertion": {assertion.Reveal()}, "scope": {"https://search.azure.com/.default"},
	})
	if status != 200 {
		t.Errorf("exchange: %d %s", status, body)
	}
	state, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"CLIENT_SECRET", "AGENT_CLIENT_SECRET"} {
		if secret := w.env[name]; len(secret) < 20 || strings.Contains(string(state), secret) || strings.Contains(strings.Join(w.said, "\n"), secret) {
			t.Errorf("%s is missing, or written where it must not be", name)
		}
	}
	if info, err := os.Stat(w.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("state file: %v %v", info.Mode(), err)
	}
}

// Whatever moment it is interrupted at, the next run ends where an undisturbed one does, and makes nothing twice.
func TestApplyResumes(t *testing.T) {
	w := newWorld(t)
	for stop := 1; ; stop++ {
		w.stopAfter = stop % 3 // a few calls at a time, then broken off before the state is kept
		if w.stopAfter == 0 {
			w.stopAfter = 3
		}
		err := w.try()
		if err == nil {
			break
		}
		if !errors.Is(err, errInterrupted) || stop > 50 {
			t.Fatal(err)
		}
	}
	w.stopAfter = 0
	w.done()
	if got := w.count(); got != 3 {
		t.Errorf("got %d applications, want 3", got)
	}
}

// Where a secret could not be kept, none is made.
func TestNowhereToKeep(t *testing.T) {
	w := newWorld(t)
	plan, state := w.plan()
	do := w.doer()
	do.Set = func([]registrations.Setting) error { return errInterrupted }
	if err := registrations.Apply(t.Context(), do, plan, state); !errors.Is(err, errInterrupted) || w.count() != 0 {
		t.Errorf("got %v and %d applications", err, w.count())
	}
}

// Graph does not show at once what was just made.
func TestApplySlowReplication(t *testing.T) {
	w := newWorld(t)
	w.entra.Policy(entraserver.Policies{GraphDelay: 3})
	w.apply()
	w.done()
	if len(w.paused) == 0 {
		t.Error("nothing had to be tried again: this tests nothing")
	}
	w.entra.Policy(entraserver.Policies{GraphDelay: 100})
	w.desired.Name, w.path = "never", w.path+"2"
	w.paused = nil
	if err := w.try(); !errors.Is(err, graph.ErrNotFound) || len(w.paused) > 20 {
		t.Errorf("got %v after %d waits, want a bounded wait for what never appears", err, len(w.paused))
	}
}

// A tenant whose policy takes URLs below verified domains alone.
func TestApplyStrictURIs(t *testing.T) {
	w := newWorld(t)
	w.entra.Policy(entraserver.Policies{AppIDURIs: "verified-domain"})
	w.desired.MCPURL = "https://mcp.azurewebsites.net/mcp"
	w.apply()
	if said := strings.Join(w.said, "\n"); !strings.Contains(said, "AADSTS9010010") || !strings.Contains(said, "HostNameNotOnVerifiedDomain") {
		t.Errorf("it does not say what follows: %s", said)
	}
	w.done()
	if got, want := w.env["API_APP_ID_URI"], "api://"+w.env["API_CLIENT_ID"]; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if plan, _ := w.plan(); !strings.Contains(text(t, plan), "! identifierUris: https://mcp.azurewebsites.net/mcp: the tenant refuses it") {
		t.Error(text(t, plan))
	}
	w.desired.MCPURL = "https://mcp.contoso.example/mcp"
	w.apply()
	w.done()
	if w.env["API_APP_ID_URI"] != w.desired.MCPURL {
		t.Errorf("got %q", w.env["API_APP_ID_URI"])
	}
	w.entra.Policy(entraserver.Policies{})
	w.desired.MCPURL, w.desired.Retry = "https://mcp.azurewebsites.net/mcp", true
	w.apply()
	if w.env["API_APP_ID_URI"] != w.desired.MCPURL {
		t.Errorf("tried again: got %q", w.env["API_APP_ID_URI"])
	}
}

// What others change is shown as drift and mended; what they add is shown and left alone.
func TestDrift(t *testing.T) {
	w := newWorld(t)
	w.apply()
	w.patch("API_CLIENT_ID", map[string]any{"api": map[string]any{"requestedAccessTokenVersion": nil, "preAuthorizedApplications": []any{}}})
	w.patch("WEB_CLIENT_ID", map[string]any{
		"isFallbackPublicClient": false,
		"publicClient":           map[string]any{"redirectUris": []string{"http://localhost", "https://evil.example/"}},
	})
	w.patch("AGENT_CLIENT_ID", map[string]any{"isFallbackPublicClient": true})
	if _, err := w.graph.AddPassword(t.Context(), w.app("API_CLIENT_ID").ID, "somebody's", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	plan, _ := w.plan()
	shown := text(t, plan)
	for _, want := range []string{
		"api.requestedAccessTokenVersion: 2 (drift", "isFallbackPublicClient: false → true (drift", "isFallbackPublicClient: true → false",
		"api.preAuthorizedApplications: + " + w.env["WEB_CLIENT_ID"], "! redirect URI https://evil.example/ (publicClient)", `! client secret l0~… "somebody's"`,
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("the plan does not say %q", want)
		}
	}
	if t.Failed() {
		t.Log(shown)
	}
	secret := w.env["CLIENT_SECRET"]
	w.apply()
	w.done()
	if w.env["CLIENT_SECRET"] != secret {
		t.Error("a secret that lasts was replaced")
	}
	if got := w.app("WEB_CLIENT_ID").PublicClient.RedirectURIs; !slices.Contains(got, "https://evil.example/") {
		t.Errorf("%q: what others added was taken away", got)
	}
}

// Optional claims of others survive a change of ours.
func TestClaimsOfOthers(t *testing.T) {
	w := newWorld(t)
	w.apply()
	w.patch("API_CLIENT_ID", map[string]any{"optionalClaims": map[string]any{
		"accessToken": []any{map[string]any{"name": "extension_1", "source": "user", "additionalProperties": []string{}}},
		"idToken":     []any{map[string]any{"name": "upn", "additionalProperties": []string{"include_externally_authenticated_upn"}}},
		"saml2Token":  []any{map[string]any{"name": "email", "additionalProperties": []string{}}},
	}})
	w.apply()
	w.done()
	got := w.app("API_CLIENT_ID").OptionalClaims
	if len(got.AccessToken) != 3 || got.AccessToken[0].Source == nil || len(got.IDToken) != 1 || len(got.SAML2Token) != 1 {
		t.Errorf("got %+v", got)
	}
}

// Objects that somebody deleted are made anew.
func TestDeletedByOthers(t *testing.T) {
	w := newWorld(t)
	w.apply()
	old := w.env["WEB_CLIENT_ID"]
	if err := w.graph.Delete(t.Context(), "/applications/"+w.app("WEB_CLIENT_ID").ID); err != nil {
		t.Fatal(err)
	}
	if plan, _ := w.plan(); !strings.Contains(text(t, plan), "somebody deleted it") {
		t.Error(text(t, plan))
	}
	w.apply()
	w.done()
	if w.env["WEB_CLIENT_ID"] == old {
		t.Error("the old client id is still in the settings")
	}
}

// Without the state file, what bears the deployment's tags is not taken over unasked.
func TestAdopt(t *testing.T) {
	w := newWorld(t)
	w.apply()
	api := w.env["API_CLIENT_ID"]
	if err := os.Remove(w.path); err != nil {
		t.Fatal(err)
	}
	if err := w.try(); err == nil || !strings.Contains(err.Error(), "does not know") || w.count() != 3 {
		t.Errorf("got %v and %d applications", err, w.count())
	}
	w.desired.Adopt = true
	w.apply()
	w.done()
	if w.env["API_CLIENT_ID"] != api || w.count() != 3 {
		t.Errorf("got %s, want %s, of %d applications", w.env["API_CLIENT_ID"], api, w.count())
	}
}

// A state file that names somebody else's application changes nothing there, unless that is asked for.
func TestStateNamesAnother(t *testing.T) {
	w := newWorld(t)
	w.apply()
	w.patch("API_CLIENT_ID", map[string]any{"tags": []string{"theirs"}, "displayName": "x\n= all is well"})
	plan, _ := w.plan()
	if shown := text(t, plan); plan.Blocked == nil || !strings.Contains(shown, "! application x = all is well\n") {
		t.Errorf("%v\n%s", plan.Blocked, shown)
	}
	if err := w.try(); err == nil || slices.Contains(w.app("API_CLIENT_ID").Tags, "onbehalf:name:onbehalf") {
		t.Errorf("got %v", err)
	}
	w.desired.Adopt = true
	w.apply()
	w.done()
}

func TestSecretsEnd(t *testing.T) {
	w := newWorld(t)
	w.apply()
	first := w.env["CLIENT_SECRET"]
	w.desired.Now = w.desired.Now.Add(160 * 24 * time.Hour)
	plan, _ := w.plan()
	if shown := text(t, plan); !strings.Contains(shown, "the one in CLIENT_SECRET ends on") {
		t.Error(shown)
	}
	w.apply()
	if w.env["CLIENT_SECRET"] == first || len(w.app("API_CLIENT_ID").PasswordCredentials) != 2 {
		t.Error("there is no new secret beside the old one")
	}
	w.done()
	delete(w.env, "AGENT_CLIENT_SECRET")
	w.apply()
	w.env["CLIENT_SECRET"] = "another's"
	if plan, _ := w.plan(); !strings.Contains(text(t, plan), "not among the application's") {
		t.Error(text(t, plan))
	}
}

func TestOtherCredentials(t *testing.T) {
	w := newWorld(t)
	w.env["CLIENT_SECRET"] = "an old one"
	w.desired.Credential.Certificate, w.desired.Credential.Path = certificate(t), "/keys/api.pem"
	w.apply()
	w.done()
	if w.env["CLIENT_SECRET"] != "" || w.env["CLIENT_CERTIFICATE_PATH"] != "/keys/api.pem" || len(w.app("API_CLIENT_ID").KeyCredentials) != 1 {
		t.Errorf("certificate: %v", w.env["CLIENT_CERTIFICATE_PATH"])
	}
	identityOf, err := identity.ParseClientID(entraserver.ContosoIdentity)
	if err != nil {
		t.Fatal(err)
	}
	w.desired.Credential = registrations.Credential{Identity: identityOf}
	w.apply()
	w.done()
	if w.env["MANAGED_IDENTITY_CLIENT_ID"] != entraserver.ContosoIdentity {
		t.Error("the managed identity is not in the settings")
	}
	plan, _ := w.plan()
	if shown := text(t, plan); !strings.Contains(shown, "! certificate") {
		t.Errorf("the certificate of before is not shown:\n%s", shown)
	}
}

func certificate(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mcp"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour * 24)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Who lacks a right learns which, and what was done before stays done.
func TestMissingRights(t *testing.T) {
	w := newWorld(t)
	admin := w.graph
	for person, scopes := range map[string]string{entraserver.Alice: rights, entraserver.Adele: "Directory.Read.All"} {
		w.graph = w.as(person, scopes)
		err := w.try()
		step, ok := errors.AsType[*graphcalls.Error](err)
		if !errors.Is(err, graph.ErrForbidden) || !ok || step.Call.Right != graphcalls.ManageApps {
			t.Errorf("%s: got %v", person, err)
		}
	}
	w.graph = w.as(entraserver.Adele, "Application.ReadWrite.All Directory.Read.All")
	err := w.try()
	step, ok := errors.AsType[*graphcalls.Error](err)
	if !errors.Is(err, graph.ErrForbidden) || !ok || step.Call.Right != graphcalls.GrantConsent || !strings.Contains(step.Call.Right.Explain(), "Privileged Role Administrator") {
		t.Errorf("got %v, want that consent takes a right of its own", err)
	}
	w.graph = admin
	if plan, _ := w.plan(); len(plan.Steps) != 1 {
		t.Errorf("more is left than the consent:\n%s", text(t, plan))
	}
	w.apply()
	w.done()
}

// A tenant that never had a search service does not know Azure AI Search.
func TestSearchServiceUnknown(t *testing.T) {
	w := newWorld(t)
	sp, err := graph.Get[graph.ServicePrincipal](t.Context(), w.graph, graph.ByAppID("servicePrincipals", entra.SearchAppID), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err = w.graph.Delete(t.Context(), "/servicePrincipals/"+sp.ID); err != nil {
		t.Fatal(err)
	}
	if plan, _ := w.plan(); !strings.Contains(text(t, plan), "+ Azure AI Search: the tenant does not know the service yet") {
		t.Error(text(t, plan))
	}
	w.apply()
	w.done()
}

// Asking for people's groups takes permissions of Microsoft Graph; what others consented to beside is shown.
func TestReadGroups(t *testing.T) {
	w := newWorld(t)
	w.apply()
	w.desired.ReadGroups = true
	if plan, _ := w.plan(); !strings.Contains(text(t, plan), "+ consent: API to Microsoft Graph: User.Read GroupMember.Read.All, for everyone") {
		t.Error(text(t, plan))
	}
	w.apply()
	w.done()
	w.desired.ReadGroups = false
	if plan, _ := w.plan(); !plan.Empty() || !strings.Contains(text(t, plan), "! consent to GroupMember.Read.All of Microsoft Graph") {
		t.Error(text(t, plan))
	}
}

func TestPreAuthorize(t *testing.T) {
	w := newWorld(t)
	var err error
	if w.desired.PreAuthorize, err = registrations.ParseClients([]string{"vscode", "AzureCLI"}); err != nil {
		t.Fatal(err)
	}
	w.desired.SkipAgent = true
	w.apply()
	w.done()
	if got := w.app("API_CLIENT_ID").API.PreAuthorizedApplications; len(got) != 3 || w.count() != 2 {
		t.Errorf("got %v, %d applications", got, w.count())
	}
	state, err := registrations.LoadState(w.path, w.desired.Name)
	must(t, err)
	present, err := registrations.Read(t.Context(), w.graph, &w.desired, state, w.pause)
	must(t, err)
	w.desired.PreAuthorize, _ = registrations.ParseClients([]string{"vscode", "powershell", "11111111-2222-4333-8444-555555555555"})
	if plan, err := registrations.Make(&w.desired, present, state); err != nil || len(plan.Steps) > 1 {
		t.Errorf("%v: what others' clients take is more than one call", err)
	}
	if _, err := registrations.ParseClients([]string{"emacs"}); err == nil || !strings.Contains(err.Error(), "vscode") {
		t.Errorf("got %v", err)
	}
}

func TestStateIsChecked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.json")
	for _, bad := range []string{
		`{`, `{"version":2}`, `{"version":1,"name":"onbehalf","ids":{"api_object":"../users/x"}}`, `{"version":1,"name":"other"}`,
		`{"version":1,"name":"onbehalf","secret":"x"}`, `{"version":1,"name":"onbehalf","deployment":"x"}`,
		// Names of ids become variables of a script, and the name of the deployment stands in a comment of it.
		`{"version":1,"name":"onbehalf","ids":{"x=$(touch pwned)\ny":"11111111-2222-4333-8444-555555555555"}}`,
		`{"version":1,"name":"onbehalf","ids":{"PATH":"11111111-2222-4333-8444-555555555555"}}`,
		`{"version":1,"name":"onbehalf","ids":{"x":"11111111-2222-4333-8444-555555555555"}}`,
	} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := registrations.LoadState(path, "onbehalf"); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	d := registrations.Desired{Name: "a$(id)", MCPURL: "ftp://x", WebURL: "http://chat.contoso.com"}
	err := d.Check()
	for _, want := range []string{"name", "MCP_URL", "WEB_URL", "secrets"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to mention %s", err, want)
		}
	}
}
