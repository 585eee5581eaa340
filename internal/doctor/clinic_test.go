package doctor_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/sample"
	"github.com/onbehalf/onbehalf/internal/serve"
	"github.com/onbehalf/onbehalf/obo"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchserver"
	"github.com/onbehalf/onbehalf/search/searchtest"
)

// clinic is a whole set-up that is well: a local Entra, a local Search, and an MCP server over both. Each case breaks one
// thing of it, and everything is mended afterwards.
type clinic struct {
	t *testing.T

	entra     *entratest.Entra
	search    *searchtest.Service
	settings  map[string]string
	transport *http.Transport
	client    *http.Client
	tokens    map[string]identity.Secret // that tests sign in for, by what they are
}

func open(t *testing.T) *clinic {
	t.Helper()
	c := &clinic{t: t, entra: entratest.Start(t, nil)}
	c.search = searchtest.Start(t, &searchtest.Options{Entra: c.entra, Configure: func(cfg *searchserver.Config) {
		cfg.Roles = map[string][]searchserver.Role{
			c.entra.API: {searchserver.IndexDataReader}, c.entra.WebAgent: {searchserver.IndexDataContributor, searchserver.Reader},
		}
	}})
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.entra.CAPEM())
	pool.AppendCertsFromPEM(c.search.CAPEM())
	c.transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	c.client = &http.Client{Transport: c.transport}
	t.Cleanup(c.client.CloseIdleConnections)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	c.must(os.WriteFile(ca, c.entra.CAPEM(), 0o600))
	c.fill(func(*search.Definition) {})

	web := httptest.NewUnstartedServer(nil)
	mcp := "http://" + web.Listener.Addr().String() + "/mcp"
	c.settings = map[string]string{
		"TENANT_ID": c.entra.Tenant, "API_CLIENT_ID": c.entra.API, "API_APP_ID_URI": "api://" + c.entra.API,
		"CLIENT_SECRET": c.entra.Secret(c.entra.API).Reveal(), "WEB_CLIENT_ID": c.entra.WebClient,
		"AGENT_CLIENT_ID": c.entra.WebAgent, "AGENT_CLIENT_SECRET": c.entra.Secret(c.entra.WebAgent).Reveal(),
		"AZURE_AUTHORITY_HOST": c.entra.URL + "/", "GRAPH_ENDPOINT": c.entra.URL, "ONBEHALF_LOCAL": "1", "ONBEHALF_CA_FILE": ca,
		"AZURE_SEARCH_ENDPOINT": c.search.URL, "AZURE_SEARCH_INDEX": sample.IndexName,
		"AZURE_SEARCH_KEY": c.search.Server.QueryKey().Reveal(), "SEARCH_ADMIN_KEY": c.search.Server.AdminKey().Reveal(),
		"MCP_URL": mcp, "WEB_URL": "http://localhost:8080",
	}
	server, err := serve.New(c.serve())
	c.must(err)
	web.Config.Handler = server.Handler()
	web.Start()
	t.Cleanup(func() { web.Close(); _ = server.Close() })
	c.tokens = map[string]identity.Secret{
		"alice": c.entra.SignIn("alice", c.entra.WebClient, "api://"+c.entra.API+"/execute"),
		"admin": c.signInAdmin(),
		"carol": c.entra.SignIn("carol", c.entra.WebClient, "api://"+c.entra.API+"/execute"),
	}
	return c
}

// signInAdmin signs an administrator in to Microsoft Graph.
func (c *clinic) signInAdmin() identity.Secret {
	return c.entra.SignIn("adele", entraserver.GraphCommandLineID, "https://graph.microsoft.com/Application.Read.All", "https://graph.microsoft.com/Directory.Read.All")
}

func (c *clinic) must(errs ...error) {
	c.t.Helper()
	if err := errors.Join(errs...); err != nil {
		c.t.Fatal(err)
	}
}

// fill makes the sample index anew, changed, with its documents.
func (c *clinic) fill(change func(*search.Definition)) {
	c.t.Helper()
	c.index(change)
	documents, err := sample.Documents(sample.Readers{Alice: entraserver.Alice, Engineering: entraserver.Engineering, Finance: entraserver.Finance, Board: entraserver.Board})
	c.must(err)
	var batch []search.Action
	for action, err := range sample.Stream(documents) {
		c.must(err)
		batch = append(batch, action)
	}
	_, err = c.search.SearchClient().Write(c.t.Context(), sample.IndexName, batch)
	c.must(err)
}

// index makes the sample index anew, changed.
func (c *clinic) index(change func(*search.Definition)) {
	c.t.Helper()
	service := c.search.SearchClient()
	if err := service.Delete(c.t.Context(), sample.IndexName, ""); err != nil && !errors.Is(err, search.ErrNotFound) {
		c.t.Fatal(err)
	}
	definition := sample.Definition(sample.IndexName)
	change(definition)
	_, err := service.Put(c.t.Context(), definition, "")
	c.must(err)
}

// app changes a registration.
func (c *clinic) app(id string, change func(*entraserver.Application)) {
	c.t.Helper()
	client, err := identity.ParseClientID(id)
	c.must(err, c.directory().UpdateApplication(client, func(a *entraserver.Application) error { change(a); return nil }))
}

// principal changes a service principal; change nil removes it.
func (c *clinic) principal(id string, change func(*entraserver.ServicePrincipal)) {
	c.t.Helper()
	client, err := identity.ParseClientID(id)
	c.must(err)
	sp := c.directory().PrincipalOf(client)
	if change == nil {
		c.must(c.directory().DeleteServicePrincipal(sp.ID))
		return
	}
	c.must(c.directory().UpdateServicePrincipal(sp.ID, change))
}

func (c *clinic) directory() *entraserver.Directory { return c.entra.Server.Directory() }

func (c *clinic) cloud(settings map[string]string) (entra.Cloud, error) {
	cloud, err := entra.CloudOf(settings["AZURE_AUTHORITY_HOST"])
	if errors.Is(err, entra.ErrUnknownCloud) && settings["ONBEHALF_LOCAL"] == "1" {
		cloud.Graph, err = settings["GRAPH_ENDPOINT"], nil
	}
	return cloud, err
}

func (c *clinic) serve() serve.Config {
	c.t.Helper()
	s := c.settings
	cloud, err1 := c.cloud(s)
	mcp, err2 := url.Parse(s["MCP_URL"])
	tenant, err3 := identity.ParseTenantID(s["TENANT_ID"])
	api, err4 := identity.ParseClientID(s["API_CLIENT_ID"])
	c.must(err1, err2, err3, err4)
	return serve.Config{
		Server:      onbehalf.Config{Name: "onbehalf", Version: "1", URL: mcp, Cloud: cloud, Tenants: []identity.TenantID{tenant}, Client: api},
		Credential:  obo.Secret(identity.NewSecret(s["CLIENT_SECRET"])),
		Search:      serve.Search{Endpoint: s["AZURE_SEARCH_ENDPOINT"], Index: s["AZURE_SEARCH_INDEX"], Key: identity.NewSecret(s["AZURE_SEARCH_KEY"])},
		EntraClient: c.client, SearchClient: c.client,
	}
}

// config is what the command line gives the doctor, for some settings.
func (c *clinic) config(settings map[string]string) doctor.Config {
	return doctor.Config{
		Setting:    func(name string) string { return settings[name] },
		Authority:  func() (entra.Cloud, error) { return c.cloud(settings) },
		HTTPClient: c.client, EntraClient: c.client, Now: time.Now,
		GraphToken: func(context.Context) (identity.Secret, error) { return c.tokens["admin"], nil }, GraphAs: "adele",
		Person: func(context.Context) (identity.Token, error) { return c.person("alice"), nil },
		Exchange: func(ctx context.Context, caller *identity.Caller, scope entra.Scope) (identity.Token, error) {
			return c.exchange(ctx, settings, obo.Secret(identity.NewSecret(settings["CLIENT_SECRET"])), caller, scope)
		},
		PermissionFields: []string{"oid", "group"},
		SearchAs:         "the API's own registration",
		SearchCredential: func() (azcore.TokenCredential, error) {
			return azidentity.NewClientSecretCredential(settings["TENANT_ID"], settings["API_CLIENT_ID"], settings["CLIENT_SECRET"], &azidentity.ClientSecretCredentialOptions{
				ClientOptions:            azcore.ClientOptions{Transport: c.client, Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: settings["AZURE_AUTHORITY_HOST"]}},
				DisableInstanceDiscovery: true,
			})
		},
	}
}

func (c *clinic) person(name string) identity.Token {
	person := c.directory().FindPerson(name)
	return identity.Token{Value: c.tokens[name], Tenant: c.directory().Tenant(), Object: person.ID, Expires: time.Now().Add(time.Hour)}
}

// mend undoes what a case has broken.
func (c *clinic) mend() {
	c.t.Helper()
	c.entra.Reset()
	c.search.Server.Reset()
	c.fill(func(*search.Definition) {})
}

// examine runs the doctor with changed settings.
func (c *clinic) examine(changed map[string]string, configure func(*doctor.Config)) *exam.Report {
	all := maps.Clone(c.settings)
	maps.Copy(all, changed)
	cfg := c.config(all)
	if configure != nil {
		configure(&cfg)
	}
	report := doctor.Run(c.t.Context(), cfg, nil)
	c.keepsSecrets(report)
	return report
}

// keepsSecrets wants nothing secret in a report: no secret of the settings, wherever it stands, and no token.
func (c *clinic) keepsSecrets(report *exam.Report) {
	c.t.Helper()
	for _, r := range report.Results {
		text := r.Seen + r.Cause + r.Fix + r.Command
		for _, name := range []string{"CLIENT_SECRET", "AGENT_CLIENT_SECRET", "AZURE_SEARCH_KEY", "SEARCH_ADMIN_KEY"} {
			if strings.Contains(text, c.settings[name]) {
				c.t.Errorf("%s shows %s", r.ID, name)
			}
		}
		if strings.Contains(text, "eyJ") || strings.Contains(text, password) {
			c.t.Errorf("%s shows a token or a password: %s", r.ID, text)
		}
	}
}

// password is one that cases put into URLs.
const password = "correct-horse"

// objectID returns the object id of a registration.
func (c *clinic) objectID(id string) string { return c.directory().FindApplication(id).ID.String() }

// revoke takes everybody's consent for a client back.
func (c *clinic) revoke(client, resource string) {
	c.t.Helper()
	from, err1 := identity.ParseClientID(client)
	to, err2 := identity.ParseClientID(resource)
	c.must(err1, err2)
	for _, grant := range c.directory().Grants() {
		if grant.ClientID == c.directory().PrincipalOf(from).ID && grant.ResourceID == c.directory().PrincipalOf(to).ID {
			c.must(c.directory().DeleteGrant(grant.ID))
		}
	}
}

// consent gives one person's consent.
func (c *clinic) consent(client, resource, person, scope string) {
	c.t.Helper()
	from, err1 := identity.ParseClientID(client)
	to, err2 := identity.ParseClientID(resource)
	who, err3 := identity.ParseObjectID(person)
	c.must(err1, err2, err3, c.directory().Consent(from, to, who, scope))
}

// assign gives an application a role of Microsoft Graph.
func (c *clinic) assign(app, role string) {
	c.t.Helper()
	client, err1 := identity.ParseClientID(app)
	graph, err2 := identity.ParseClientID(entra.GraphAppID)
	c.must(err1, err2)
	roles := c.directory().Application(graph).AppRoles
	i := slices.IndexFunc(roles, func(r entraserver.AppRole) bool { return r.Value == role })
	c.must(c.directory().Assign(&entraserver.RoleAssignment{AppRoleID: roles[i].ID, PrincipalID: c.directory().PrincipalOf(client).ID, ResourceID: c.directory().PrincipalOf(graph).ID}))
}

// unauthorize takes the pre-authorization of a client away.
func (c *clinic) unauthorize(client string) {
	c.t.Helper()
	c.app(c.entra.API, func(a *entraserver.Application) {
		a.API.PreAuthorized = slices.DeleteFunc(a.API.PreAuthorized, func(p entraserver.PreAuthorized) bool { return p.AppID.String() == client })
	})
}

// tokenOf signs alice in with a token of other claims.
func (c *clinic) tokenOf(claims map[string]any) func(*doctor.Config) {
	return func(cfg *doctor.Config) {
		cfg.Person = func(context.Context) (identity.Token, error) {
			token := c.person("alice")
			token.Value = c.entra.Sign(nil, claims)
			return token, nil
		}
	}
}

// elsewhere makes the MCP server answer at a public address.
func (c *clinic) elsewhere(origin string) func(*doctor.Config) {
	here := strings.TrimSuffix(c.settings["MCP_URL"], "/mcp")
	return func(cfg *doctor.Config) {
		cfg.HTTPClient = &http.Client{Transport: moving{c.transport, origin, here}}
	}
}

// moving is a transport that reaches one origin at the address of another.
type moving struct {
	http.RoundTripper
	public, here string
}

func (m moving) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := r.URL
	if path, ok := strings.CutPrefix(asked.String(), m.public); ok {
		u, err := url.Parse(m.here + path)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.URL, r.Host = u, u.Host
	}
	return tampering{m.RoundTripper, func(p *passing) {
		if r.URL == asked {
			return
		}
		p.body = bytes.ReplaceAll(p.body, []byte(m.here), []byte(m.public))
		for _, values := range p.header {
			values[0] = strings.ReplaceAll(values[0], m.here, m.public)
		}
	}}.RoundTrip(r)
}

// passing is an answer on its way.
type passing struct {
	method, path, query string
	authorized          bool
	status              int
	header              http.Header
	body                []byte
}

// tampering is a transport behind which answers are changed on their way.
type tampering struct {
	http.RoundTripper
	change func(*passing)
}

func (t tampering) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	p := &passing{r.Method, r.URL.Path, r.URL.Query().Get("$filter"), r.Header.Get("Authorization") != "", resp.StatusCode, resp.Header, body}
	t.change(p)
	p.header.Del("Content-Length")
	resp.StatusCode, resp.Body, resp.ContentLength = p.status, io.NopCloser(bytes.NewReader(p.body)), int64(len(p.body))
	return resp, nil
}
