package doctor_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
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

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchtest"
	"github.com/onbehalf/onbehalf/signin"
)

const otherID = "0badc0de-0000-4000-8000-00000000dead"

// brokenCase breaks one thing, and says what the doctor has to name: that, and nothing else.
type brokenCase struct {
	id   string // the check that has to say it
	want exam.Verdict
	says string // in what was seen, in the cause or in the fix
	desc string // what is broken

	hostile bool // nobody meets it by mistake: docs/doctor.md does without

	set    map[string]string    // settings that are other
	breaks func(c *clinic)      // what is other at the local Entra or Search
	config func(*doctor.Config) // what is other on this machine
	tamper func(*passing)       // what is other in answers on their way
}

type settings = map[string]string

func brokenSettings(c *clinic) []brokenCase {
	none := func(cfg *doctor.Config) { cfg.Setting = func(string) string { return "" } }
	return []brokenCase{
		{id: "settings.file", want: exam.Warn, says: "chmod 600", desc: "a file that others may read", config: func(cfg *doctor.Config) {
			cfg.File = filepath.Join(c.t.TempDir(), "env")
			c.must(os.WriteFile(cfg.File, nil, 0o600), os.Chmod(cfg.File, 0o644))
		}},
		{id: "settings.file", want: exam.Fail, says: "onbehalf local --write-env", desc: "no settings at all", config: none},
		{id: "settings.file", want: exam.Fail, says: "--env .env", desc: "no settings but in a file that was not named", config: func(cfg *doctor.Config) { none(cfg); cfg.Unread = ".env" }},
		{id: "settings.file", want: exam.Fail, says: "empty sets nothing", desc: "a file without settings", config: func(cfg *doctor.Config) { none(cfg); cfg.File = "empty" }},
		{id: "settings.file", want: exam.Warn, says: "--env .env", desc: "a file that was not named, beside other settings", config: func(cfg *doctor.Config) { cfg.Unread = ".env" }},
		{id: "settings.quotes", want: exam.Fail, says: "CLIENT_SECRET", desc: "quotes that Docker keeps", set: settings{"CLIENT_SECRET": `"` + c.settings["CLIENT_SECRET"] + `"`}},
		{id: "settings.quotes", want: exam.Fail, says: "TENANT_ID", desc: "a blank at the end", set: settings{"TENANT_ID": c.settings["TENANT_ID"] + " "}},
		{id: "settings.quotes", want: exam.Fail, says: "AZURE_SEARCH_KEY (U+200B at byte 5)", desc: "a character that cannot be seen", set: settings{"AZURE_SEARCH_KEY": "abcd\u200befgh"}},
		{id: "settings.quotes", want: exam.Fail, says: "WEB_URL (U+001B", desc: "a character that steers a terminal", hostile: true, set: settings{"WEB_URL": "http://localhost:8080/\x1b[2J"}},
		{id: "settings.tenant", want: exam.Fail, says: "not set", desc: "no tenant", set: settings{"TENANT_ID": ""}},
		{id: "settings.tenant", want: exam.Fail, says: "one tenant", desc: "any tenant", set: settings{"TENANT_ID": "common"}},
		{id: "settings.tenant", want: exam.Fail, says: "domain name", desc: "a tenant's name", set: settings{"TENANT_ID": "contoso.onmicrosoft.com"}},
		{id: "settings.tenant", want: exam.Fail, says: "placeholder", desc: "a placeholder", set: settings{"TENANT_ID": "<your tenant id>"}},
		{id: "settings.api", want: exam.Fail, says: "App ID URI", desc: "the API's URI for its id", set: settings{"API_CLIENT_ID": "api://" + c.entra.API}},
		{id: "settings.api", want: exam.Fail, says: "looks like a secret", desc: "a secret in its place", set: settings{"API_CLIENT_ID": c.settings["CLIENT_SECRET"]}},
		{id: "settings.app-id-uri", want: exam.Fail, says: "slash", desc: "a slash at the end", set: settings{"API_APP_ID_URI": c.settings["API_APP_ID_URI"] + "/"}},
		{id: "settings.api", want: exam.Fail, says: "looks like a secret", desc: "a secret in its place", set: settings{"API_CLIENT_ID": c.settings["CLIENT_SECRET"]}},
		{id: "settings.app-id-uri", want: exam.Fail, says: "scope", desc: "the scope", set: settings{"API_APP_ID_URI": c.settings["API_APP_ID_URI"] + "/execute"}},
		{id: "settings.api", want: exam.Fail, says: "looks like a secret", desc: "a secret in its place", set: settings{"API_CLIENT_ID": c.settings["CLIENT_SECRET"]}},
		{id: "settings.app-id-uri", want: exam.Fail, says: "another application", desc: "another API's", set: settings{"API_APP_ID_URI": "api://" + otherID}},
		{id: "settings.web-client", want: exam.Fail, says: "another registration", desc: "one registration for both", set: settings{"WEB_CLIENT_ID": c.entra.API}},
		{id: "settings.credential", want: exam.Fail, says: "none", desc: "no credential", set: settings{"CLIENT_SECRET": ""}},
		{id: "settings.credential", want: exam.Warn, says: "CLIENT_SECRET", desc: "two credentials", set: settings{"MANAGED_IDENTITY_CLIENT_ID": entraserver.ContosoIdentity}},
		{id: "settings.secret", want: exam.Fail, says: "secret's id", desc: "the secret's id", set: settings{"CLIENT_SECRET": otherID}},
		{id: "settings.certificate", want: exam.Fail, says: "no such file", desc: "no certificate", set: settings{"CLIENT_SECRET": "", "CLIENT_CERTIFICATE_PATH": "/nowhere/both.pem"}},
		{id: "settings.certificate", want: exam.Fail, says: "key", desc: "a certificate without its key", set: settings{"CLIENT_SECRET": "", "CLIENT_CERTIFICATE_PATH": c.settings["ONBEHALF_CA_FILE"]}},
		{id: "settings.authority", want: exam.Fail, says: "ONBEHALF_LOCAL", desc: "a local Entra that nobody meant", set: settings{"ONBEHALF_LOCAL": ""}},
		{id: "settings.graph", want: exam.Fail, says: "not the Graph of", desc: "another cloud's Graph", set: settings{"GRAPH_ENDPOINT": "https://graph.microsoft.us"}},
		{id: "settings.ca", want: exam.Fail, says: "no such file", desc: "no CA", set: settings{"ONBEHALF_CA_FILE": "/nowhere/ca.pem"}},
		{id: "settings.mcp-url", want: exam.Fail, says: "in clear", desc: "http over the network", set: settings{"MCP_URL": "http://mcp.contoso.com/mcp"}},
		{id: "settings.search-endpoint", want: exam.Fail, says: "portal", desc: "the portal's URL", set: settings{"AZURE_SEARCH_ENDPOINT": "https://portal.azure.com/search"}},
		{id: "settings.search-endpoint", want: exam.Fail, says: "AZURE_SEARCH_INDEX", desc: "the index's URL", set: settings{"AZURE_SEARCH_ENDPOINT": c.search.URL + "/indexes/x"}},
		{id: "settings.index", want: exam.Fail, says: "lower-case", desc: "a name that no index has", set: settings{"AZURE_SEARCH_INDEX": "My Index"}},
		{id: "settings.index", want: exam.Fail, says: "52 characters", desc: "the key in its place", set: settings{"AZURE_SEARCH_INDEX": "UPPER" + c.settings["AZURE_SEARCH_KEY"][5:]}},
		{id: "settings.cache", want: exam.Fail, says: "openssl", desc: "no secret of the cache", set: settings{"REDIS_URL": "redis://localhost:6379"}},
		{id: "settings.cache", want: exam.Fail, says: "no random text", desc: "a weak secret of the cache", set: settings{"CACHE_SECRET": strings.Repeat("secret", 8)}},
		{id: "settings.agent", want: exam.Fail, says: "AGENT_CLIENT_SECRET", desc: "an agent without a secret", set: settings{"AGENT_CLIENT_SECRET": ""}},
		{id: "settings.agent", want: exam.Fail, says: "of its own", desc: "an agent that is the API", set: settings{"AGENT_CLIENT_ID": c.entra.API}},
		{id: "settings.web-url", want: exam.Fail, says: "in clear", desc: "http over the network", set: settings{"WEB_URL": "http://agent.contoso.com"}},
		{id: "settings.history-key", want: exam.Fail, says: "at least 32", desc: "a short key", set: settings{"HISTORY_KEY": "short"}},
		{id: "settings.model", want: exam.Fail, says: "OPENAI_MODEL", desc: "no model", set: settings{"OPENAI_API_KEY": "sk-x"}},
	}
}

func brokenNetwork(c *clinic) []brokenCase {
	const nobody = "https://localhost:1"
	return []brokenCase{
		{id: "network.authority", want: exam.Fail, says: "AZURE_AUTHORITY_HOST", desc: "nobody there", set: settings{"AZURE_AUTHORITY_HOST": nobody + "/"}},
		{id: "network.authority", want: exam.Fail, says: "proxy", desc: "a proxy that is away", config: func(cfg *doctor.Config) {
			own := c.transport.Clone()
			own.Proxy = func(r *http.Request) (*url.URL, error) {
				if strings.HasPrefix(r.URL.String(), c.entra.URL) {
					return &url.URL{Scheme: "http", Host: "localhost:1"}, nil
				}
				return nil, nil
			}
			cfg.EntraClient = &http.Client{Transport: own}
		}, set: settings{"GRAPH_ENDPOINT": c.search.URL}},
		{id: "network.authority", want: exam.Fail, says: "ONBEHALF_CA_FILE", desc: "a CA that is not trusted", config: func(cfg *doctor.Config) { cfg.EntraClient = c.search.Client() }, set: settings{"GRAPH_ENDPOINT": c.search.URL}},
		{id: "network.clock", want: exam.Fail, says: "ahead of", desc: "a clock an hour ahead", config: func(cfg *doctor.Config) { cfg.Now = func() time.Time { return time.Now().Add(time.Hour) } }},
		{id: "network.clock", want: exam.Warn, says: "behind", desc: "a clock a minute behind", config: func(cfg *doctor.Config) { cfg.Now = func() time.Time { return time.Now().Add(-time.Minute) } }},
		{id: "network.graph", want: exam.Fail, says: "GRAPH_ENDPOINT", desc: "no Graph there", set: settings{"GRAPH_ENDPOINT": nobody}},
		{id: "network.search", want: exam.Fail, says: "AZURE_SEARCH_ENDPOINT", desc: "no service there", set: settings{"AZURE_SEARCH_ENDPOINT": nobody}},
		{id: "network.server", want: exam.Fail, says: "onbehalf serve", desc: "no server there", set: settings{"MCP_URL": "http://localhost:1/mcp"}},
		{id: "authority.tenant", want: exam.Fail, says: "AADSTS90002", desc: "a tenant that is not there", set: settings{"TENANT_ID": otherID}},
		{id: "authority.issuer", want: exam.Fail, says: "https://evil.example", desc: "another issuer", tamper: rewrite("/v2.0/.well-known/openid-configuration", c.entra.URL, "https://evil.example")},
		{id: "authority.keys", want: exam.Fail, says: "HTTP 500", desc: "no keys", breaks: func(c *clinic) { c.entra.QueueError(searchtest.Fault{Endpoint: "keys", Status: 500}) }},
		{id: "graph.rights", want: exam.Skipped, says: "--bootstrap-client", desc: "nobody with rights", config: func(cfg *doctor.Config) { cfg.GraphToken = nil }},
	}
}

// rewrite changes the answers of the paths with an ending.
func rewrite(ending, from, to string) func(*passing) {
	return func(p *passing) {
		if strings.HasSuffix(p.path, ending) {
			p.body = bytes.ReplaceAll(p.body, []byte(from), []byte(to))
		}
	}
}

// answers replaces the status of one path, and a header.
func answers(path string, status int, header, value string) func(*passing) {
	return func(p *passing) {
		if p.path != path {
			return
		}
		if p.status = status; header != "" {
			p.header.Set(header, value)
		}
	}
}

func brokenRegistrations(c *clinic) []brokenCase {
	api, web, agent := c.entra.API, c.entra.WebClient, c.entra.WebAgent
	type application = entraserver.Application
	changed := func(id string, change func(*application)) func(*clinic) { return func(c *clinic) { c.app(id, change) } }
	gone := func(id string) func(*clinic) {
		return func(c *clinic) {
			client, err := identity.ParseClientID(id)
			c.must(err, c.directory().DeleteApplication(client))
		}
	}
	without := func(claim string) func(*clinic) {
		return changed(api, func(a *application) {
			a.OptionalClaims.AccessToken = slices.DeleteFunc(a.OptionalClaims.AccessToken, func(o entraserver.OptionalClaim) bool { return o.Name == claim })
		})
	}
	ends := func(id string, in time.Duration) func(*clinic) {
		return changed(id, func(a *application) { a.PasswordCredentials[0].End = time.Now().Add(in) })
	}
	return []brokenCase{
		{id: "registration.api", want: exam.Fail, says: "another tenant", desc: "the API was deleted", breaks: gone(api)},
		{id: "registration.api", want: exam.Fail, says: "object id of the registration mcp-server", desc: "the object id", set: settings{"API_CLIENT_ID": c.objectID(api), "API_APP_ID_URI": ""}},
		{id: "registration.api-principal", want: exam.Fail, says: "az ad sp create", desc: "no service principal", breaks: func(c *clinic) { c.principal(api, nil) }},
		{id: "registration.api-principal", want: exam.Fail, says: "disabled", desc: "a disabled one", breaks: func(c *clinic) {
			c.principal(api, func(sp *entraserver.ServicePrincipal) { sp.AccountEnabled = false })
		}},
		{id: "registration.version", want: exam.Fail, says: "--requested-access-token-version 2", desc: "v1 tokens", breaks: changed(api, func(a *application) { a.API.RequestedAccessTokenVersion = nil })},
		{id: "registration.uris", want: exam.Fail, says: "AADSTS500011", desc: "another App ID URI", breaks: changed(api, func(a *application) { a.IdentifierURIs = []string{"api://contoso.example/mcp"} })},
		{id: "registration.resource", want: exam.Warn, says: "AADSTS9010010", desc: "a public server whose URL is no App ID URI", set: settings{"MCP_URL": "https://mcp.contoso.example/mcp"}, config: c.elsewhere("https://mcp.contoso.example")},
		{id: "registration.resource", want: exam.Warn, says: "not verified in the tenant", desc: "a public server in a domain that is not verified", set: settings{"MCP_URL": "https://mcp.contoso.com/mcp"}, config: c.elsewhere("https://mcp.contoso.com")},
		{id: "registration.scope", want: exam.Fail, says: "Add a scope", desc: "no scope", breaks: changed(api, func(a *application) { a.API.Scopes[0].Value = "run" })},
		{id: "registration.scope", want: exam.Fail, says: "disabled", desc: "a disabled scope", breaks: changed(api, func(a *application) { a.API.Scopes[0].IsEnabled = false })},
		{id: "registration.audience", want: exam.Warn, says: "AzureADMultipleOrgs", desc: "many tenants", breaks: changed(api, func(a *application) { a.SignInAudience = "AzureADMultipleOrgs" })},
		{id: "registration.idtyp", want: exam.Warn, says: "idtyp", desc: "no idtyp", breaks: without("idtyp")},
		{id: "registration.xms-cc", want: exam.Warn, says: "xms_cc", desc: "no xms_cc", breaks: without("xms_cc")},
		{id: "registration.confidential", want: exam.Warn, says: "AADSTS700025", desc: "a public API", breaks: changed(api, func(a *application) { a.IsFallbackPublicClient = true })},
		{id: "registration.credential", want: exam.Fail, says: "expired", desc: "an expired secret", breaks: ends(api, -time.Hour)},
		{id: "registration.credential", want: exam.Warn, says: "9 days", desc: "a secret that expires soon", breaks: ends(api, 10*24*time.Hour-time.Minute)},
		{id: "registration.credential", want: exam.Fail, says: "begins like it", desc: "another API's secret", set: settings{"CLIENT_SECRET": "zz~" + strings.Repeat("x", 37)}},
		{id: "registration.assignment", want: exam.Warn, says: "AADSTS50105", desc: "assignment is required", breaks: func(c *clinic) {
			c.principal(api, func(sp *entraserver.ServicePrincipal) { sp.AppRoleAssignmentRequired = true })
		}},
		{id: "registration.roles", want: exam.Warn, says: "Application.ReadWrite.All", desc: "an API that may change registrations", breaks: func(c *clinic) { c.assign(api, "Application.ReadWrite.All") }},
		{id: "registration.groups", want: exam.Warn, says: "more than 200 groups", desc: "no right to look groups up", breaks: func(c *clinic) { c.revoke(api, entra.GraphAppID) }},
		{id: "registration.search-principal", want: exam.Fail, says: "az ad sp create --id " + entra.SearchAppID, desc: "a tenant without Azure AI Search", breaks: func(c *clinic) { c.principal(entra.SearchAppID, nil) }},
		{id: "registration.search-permission", want: exam.Fail, says: "az ad app permission add", desc: "the permission is not listed", breaks: changed(api, func(a *application) { a.RequiredResourceAccess = nil })},
		{id: "registration.search-consent", want: exam.Fail, says: "AADSTS65001", desc: "no consent", breaks: func(c *clinic) { c.revoke(api, entra.SearchAppID) }},
		{id: "registration.search-consent", want: exam.Warn, says: "1 person has", desc: "one person's consent", breaks: func(c *clinic) {
			c.revoke(api, entra.SearchAppID)
			c.consent(api, entra.SearchAppID, entraserver.Alice, "user_impersonation")
		}},
		{id: "registration.web-client", want: exam.Fail, says: "AADSTS700016", desc: "the client was deleted", breaks: gone(web)},
		{id: "registration.web-client", want: exam.Fail, says: "no service principal", desc: "no service principal", breaks: func(c *clinic) { c.principal(web, nil) }},
		{id: "registration.public-flow", want: exam.Fail, says: "AADSTS7000218", desc: "no public flows", breaks: changed(web, func(a *application) { a.IsFallbackPublicClient = false })},
		{id: "registration.redirect", want: exam.Fail, says: "AADSTS50011", desc: "no loopback redirect", breaks: changed(web, func(a *application) { a.PublicClient.RedirectURIs = []string{"http://localhost/elsewhere"} })},
		{id: "registration.web-permission", want: exam.Warn, says: "az ad app permission add", desc: "the permission is not listed", breaks: changed(web, func(a *application) { a.RequiredResourceAccess = nil })},
		{id: "registration.pre-authorized", want: exam.Warn, says: "Authorized client applications", desc: "not pre-authorized", breaks: func(c *clinic) { c.unauthorize(web) }},
		{id: "registration.known-client", want: exam.Warn, says: "knownClientApplications", desc: "not known", breaks: changed(api, func(a *application) { a.API.KnownClientApplications = nil })},
		{id: "registration.agent", want: exam.Fail, says: "AGENT_CLIENT_ID", desc: "the agent was deleted", breaks: gone(agent)},
		{id: "registration.agent-redirect", want: exam.Fail, says: "http://localhost:9999/signin/callback", desc: "another URL", set: settings{"WEB_URL": "http://localhost:9999"}},
		{id: "registration.agent-redirect", want: exam.Fail, says: `'https://x/$(reboot)'\''`, desc: "a redirect URI that would be a command", hostile: true, set: settings{"WEB_URL": "http://localhost:9999"}, breaks: changed(agent, func(a *application) {
			a.Web.RedirectURIs = []string{"https://x/$(reboot)'"}
		})},
		{id: "registration.agent-secret", want: exam.Fail, says: "begins like it", desc: "another secret", set: settings{"AGENT_CLIENT_SECRET": "zz~" + strings.Repeat("x", 37)}},
		{id: "registration.agent-pre-authorized", want: exam.Warn, says: "Authorized client applications", desc: "not pre-authorized", breaks: func(c *clinic) { c.unauthorize(agent) }},
		{id: "credential.known", want: exam.Fail, says: "AADSTS7000112", desc: "an application that is disabled", breaks: changed(api, func(a *application) { a.Disabled = true })},
		{id: "credential.api", want: exam.Fail, says: "AADSTS7000215", desc: "a wrong secret that begins right", set: settings{"CLIENT_SECRET": c.settings["CLIENT_SECRET"] + "x"}},
		{id: "credential.agent", want: exam.Fail, says: "AGENT_CLIENT_SECRET", desc: "a wrong secret that begins right", set: settings{"AGENT_CLIENT_SECRET": c.settings["AGENT_CLIENT_SECRET"] + "x"}},
	}
}

func brokenServer(c *clinic) []brokenCase {
	const document = "/.well-known/oauth-protected-resource/mcp"
	return []brokenCase{
		{id: "server.metadata", want: exam.Fail, says: "HTTP 404", desc: "a proxy keeps /.well-known to itself", tamper: answers(document, 404, "", "")},
		{id: "server.resource", want: exam.Fail, says: "RFC 9728", desc: "another name of the same host", set: settings{"MCP_URL": strings.Replace(c.settings["MCP_URL"], "127.0.0.1", "localhost", 1)}},
		{id: "server.authority", want: exam.Fail, says: "other settings", desc: "another tenant", tamper: rewrite(document, c.entra.Tenant, otherID)},
		{id: "server.scopes", want: exam.Fail, says: "other settings", desc: "another scope", tamper: rewrite(document, "/execute", "/run")},
		{id: "server.scopes", want: exam.Fail, says: "AADSTS650053", desc: "a bare scope", tamper: rewrite(document, c.settings["API_APP_ID_URI"]+"/", "")},
		{id: "server.challenge", want: exam.Fail, says: "without a Bearer challenge", desc: "a proxy's own 401", tamper: answers("/mcp", 401, "WWW-Authenticate", `Basic realm="proxy"`)},
		{id: "server.challenge", want: exam.Fail, says: "HTTP 200 without a token", desc: "an open server", tamper: func(p *passing) {
			if p.method == http.MethodPost && p.path == "/mcp" {
				p.status = http.StatusOK
			}
		}},
		{id: "server.accepts", want: exam.Fail, says: "it runs with others", desc: "a server with other settings", tamper: func(p *passing) {
			if p.path == "/mcp" && p.authorized {
				p.status = http.StatusUnauthorized
			}
		}},
		{id: "person.token", want: exam.Skipped, says: "onbehalf login", desc: "nobody is signed in", config: func(cfg *doctor.Config) {
			cfg.Person = func(context.Context) (identity.Token, error) { return identity.Token{}, &signin.Needed{} }
		}},
		{id: "person.token", want: exam.Skipped, says: "--account", desc: "several people are signed in", config: func(cfg *doctor.Config) {
			cfg.Person = func(context.Context) (identity.Token, error) {
				return identity.Token{}, &signin.Ambiguous{Accounts: []signin.Account{{Name: "alice@contoso.example"}, {Name: "bob@contoso.example"}}}
			}
		}},
		{id: "person.accepted", want: exam.Fail, says: "The token has expired", desc: "an expired token", config: c.tokenOf(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})},
		{id: "person.accepted", want: exam.Fail, says: "aud", desc: "a token for another API", config: c.tokenOf(map[string]any{"aud": "api://other"})},
		{id: "exchange.search", want: exam.Fail, says: "AADSTS50076", desc: "a policy demands MFA for Azure AI Search", breaks: func(c *clinic) {
			c.entra.Policy(entraserver.Policies{Rules: []entraserver.Rule{{Resources: []string{entra.SearchAppID}, Require: "mfa"}}})
		}},
		{id: "exchange.search", want: exam.Fail, says: "AADSTS53003", desc: "a policy blocks Azure AI Search", breaks: func(c *clinic) {
			c.entra.Policy(entraserver.Policies{Rules: []entraserver.Rule{{Resources: []string{entra.SearchAppID}, Require: "block"}}})
		}},
		{id: "exchange.search", want: exam.Fail, says: "AADSTS65001", desc: "consent that Graph does not show", breaks: func(c *clinic) {
			c.entra.Policy(entraserver.Policies{ConsentMissing: []entraserver.ConsentGap{{Client: c.entra.API, Resource: entra.SearchAppID}}})
		}},
		{id: "exchange.search", want: exam.Fail, says: "AADSTS500133", desc: "a sign-in that Entra takes for old", breaks: func(c *clinic) { c.entra.Advance(24 * time.Hour) }, config: func(cfg *doctor.Config) {
			cfg.GraphToken = func(context.Context) (identity.Secret, error) { return c.signInAdmin(), nil }
		}},
	}
}

func brokenSearch(c *clinic) []brokenCase {
	filled := func(change func(*search.Definition)) func(*clinic) { return func(c *clinic) { c.fill(change) } }
	acl := func(change func(*search.Field)) func(*clinic) {
		return filled(func(d *search.Definition) {
			for i := range d.Fields {
				if d.Fields[i].PermissionFilter != "" {
					change(&d.Fields[i])
				}
			}
		})
	}
	as := func(app string) func(*doctor.Config) {
		return func(cfg *doctor.Config) {
			cfg.SearchCredential = func() (azcore.TokenCredential, error) { return c.appCredential(app) }
		}
	}
	return []brokenCase{
		{id: "search.access", want: exam.Fail, says: "not one of this service's", desc: "a wrong key", set: settings{"AZURE_SEARCH_KEY": "wrong"}},
		{id: "search.access", want: exam.Fail, says: "Search Index Data Reader", desc: "an identity without a role", set: settings{"AZURE_SEARCH_KEY": ""}, config: as(c.entra.Other)},
		{id: "search.access", want: exam.Fail, says: "AADSTS7000215", desc: "an identity that Entra does not know", set: settings{"AZURE_SEARCH_KEY": ""}, config: func(cfg *doctor.Config) {
			cfg.SearchCredential = func() (azcore.TokenCredential, error) { return c.secretCredential(c.entra.Other, "wrong") }
		}},
		{id: "search.access", want: exam.Fail, says: "nothing to show", desc: "neither key nor identity", set: settings{"AZURE_SEARCH_KEY": ""}, config: func(cfg *doctor.Config) { cfg.SearchCredential = nil }},
		{id: "search.version", want: exam.Fail, says: "preview", desc: "a service that lacks the version", breaks: func(c *clinic) {
			c.search.QueueError(searchtest.Fault{Endpoint: "docs.search", Status: 400, Error: "InvalidApiVersionParameter", Description: "The api-version '2025-11-01-preview' is invalid."})
		}},
		{id: "search.index", want: exam.Fail, says: "AZURE_SEARCH_INDEX", desc: "no such index", set: settings{"AZURE_SEARCH_INDEX": "elsewhere"}},
		{id: "search.public", want: exam.Fail, says: "plain query", desc: "a service that is down", breaks: func(c *clinic) { c.search.QueueError(searchtest.Fault{Endpoint: "docs.search", Status: 503}) }},
		{id: "search.least", want: exam.Warn, says: "admin key", desc: "an admin key", set: settings{"AZURE_SEARCH_KEY": c.settings["SEARCH_ADMIN_KEY"]}},
		{id: "search.least", want: exam.Warn, says: "may write", desc: "Data Contributor", set: settings{"AZURE_SEARCH_KEY": ""}, config: as(c.entra.WebAgent)},
		{id: "search.definition", want: exam.Skipped, says: "SEARCH_ADMIN_KEY", desc: "no right to look", set: settings{"SEARCH_ADMIN_KEY": ""}},
		{id: "search.permissions", want: exam.Fail, says: "disabled", desc: "permissions are off", breaks: filled(func(d *search.Definition) { d.PermissionFilterOption = search.PermissionsDisabled })},
		{id: "search.permissions", want: exam.Fail, says: "not set", desc: "an index without permissions", breaks: filled(func(d *search.Definition) { d.PermissionFilterOption = "" })},
		{id: "search.acl-fields", want: exam.Fail, says: "permissionFilter", desc: "no permission fields", breaks: acl(func(f *search.Field) { f.PermissionFilter = "" })},
		{id: "search.acl-types", want: exam.Fail, says: "oid is Edm.String", desc: "a permission field of another type", tamper: rewrite("/indexes('"+c.settings["AZURE_SEARCH_INDEX"]+"')", `"Collection(Edm.String)"`, `"Edm.String"`)},
		{id: "search.acl-searchable", want: exam.Warn, says: "oid", desc: "searchable permissions", breaks: acl(func(f *search.Field) { f.Searchable = new(true) })},
		{id: "search.acl-retrievable", want: exam.Warn, says: "oid, group", desc: "retrievable permissions", breaks: acl(func(f *search.Field) { f.Retrievable = new(true) })},
		{id: "search.acl-names", want: exam.Warn, says: "oid", desc: "a permission field of another name", config: func(cfg *doctor.Config) { cfg.PermissionFields = []string{"UserIds", "group"} }},
		{id: "search.person", want: exam.Warn, says: entraserver.Carol, desc: "a person whom no document names", config: func(cfg *doctor.Config) {
			cfg.Person = func(context.Context) (identity.Token, error) { return c.person("carol"), nil }
		}},
		{id: "cache.redis", want: exam.Warn, says: "rediss://", desc: "no Redis", set: settings{"REDIS_URL": "redis://localhost:1", "CACHE_SECRET": "correct horse battery staple and more of it"}, config: func(cfg *doctor.Config) {
			cfg.Redis = func(context.Context) error { return errors.New("connection refused") }
		}},
	}
}

// TestEachCauseIsNamed breaks one thing at a time, and wants the doctor to name that and nothing else.
func TestEachCauseIsNamed(t *testing.T) {
	c := open(t)
	healthy := c.examine(nil, nil)
	for _, r := range healthy.Results {
		if r.Verdict != exam.OK {
			t.Errorf("a healthy set-up: %s: %s: %s; cause: %s", r.ID, r.Verdict, r.Seen, r.Cause)
		}
	}
	covered, list := map[string]bool{}, newCatalogue(c.settings)
	for _, b := range slices.Concat(brokenSettings(c), brokenNetwork(c), brokenRegistrations(c), brokenServer(c), brokenSearch(c)) {
		covered[b.id] = true
		t.Run(b.id+"/"+b.desc, func(t *testing.T) {
			c.t = t
			if b.breaks != nil {
				defer c.mend()
				b.breaks(c)
			}
			report := c.examine(b.set, func(cfg *doctor.Config) {
				if b.config != nil {
					b.config(cfg)
				}
				if b.tamper != nil {
					client := &http.Client{Transport: tampering{c.transport, b.tamper}}
					cfg.HTTPClient, cfg.EntraClient = client, client
				}
			})
			judge(t, b, report)
			if !b.hostile {
				list.add(b, *result(report, b.id))
			}
		})
	}
	for _, listed := range doctor.List() {
		if !covered[listed.ID] {
			t.Errorf("no case breaks what %s checks", listed.ID)
		} else if len(list.by[listed.ID]) == 0 {
			t.Skip("some of the cases alone: docs/doctor.md is not looked at")
		}
	}
	list.check(t)
}

func result(report *exam.Report, id string) *exam.Result {
	i := slices.IndexFunc(report.Results, func(r exam.Result) bool { return r.ID == id })
	return &report.Results[i]
}

// judge wants one check to have named the cause, and all that failed or was skipped to be that check or because of it.
func judge(t *testing.T, b brokenCase, report *exam.Report) {
	t.Helper()
	for _, r := range report.Results {
		switch {
		case r.ID == b.id:
			if told := r.Seen + " " + r.Cause + " " + r.Fix + " " + r.Command; r.Verdict != b.want || !strings.Contains(told, b.says) {
				t.Errorf("%s: got %s, want %s with %q: %s; because %q", r.ID, r.Verdict, b.want, b.says, told, r.Because)
			}
			if (r.Verdict == exam.Fail || r.Verdict == exam.Warn) && (r.Cause == "" || r.Fix == "") {
				t.Errorf("%s names no cause or no fix", r.ID)
			}
		case r.Verdict == exam.Skipped && r.Because == b.id:
		case r.Verdict != exam.OK:
			t.Errorf("%s, too: %s: %s; cause: %s; because %q", r.ID, r.Verdict, r.Seen, r.Cause, r.Because)
		}
	}
}

func (c *clinic) appCredential(app string) (azcore.TokenCredential, error) {
	return c.secretCredential(app, c.entra.Secret(app).Reveal())
}

func (c *clinic) secretCredential(app, secret string) (azcore.TokenCredential, error) {
	return azidentity.NewClientSecretCredential(c.entra.Tenant, app, secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions:            azcore.ClientOptions{Transport: c.client, Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: c.entra.URL + "/"}},
		DisableInstanceDiscovery: true,
	})
}
