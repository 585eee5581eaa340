// Package registrations makes what a tenant of Entra ID needs before the first tool call: the registrations of the API,
// of the public client and of the web agent, their service principals, credentials, pre-authorizations and the consent
// for Azure AI Search.
//
// A [Desired] says what there is to be, [Read] what there is, and [Make] turns the two into a [Plan]: rows for people,
// and calls of Microsoft Graph. [Apply] makes these calls, [Script] prints the very same ones for an administrator who
// will not run a foreign tool, [MakeRemoval] and [Remove] take away what was made and nothing else.
//
// It changes nothing without a plan, deletes nothing that a state file does not name, and keeps no secret: what a
// secret is for gets it at once. The search service itself is package searchservice, the index package index.
package registrations

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// Role is what an application is for.
type Role string

// The applications of a deployment.
const (
	API    Role = "api"    // the MCP server
	Client Role = "client" // the public client: the command line
	Agent  Role = "agent"  // the web agent
)

// title names a role as people read it.
func (r Role) title() string {
	switch r {
	case API:
		return "API"
	case Client:
		return "public client"
	default:
		return "web agent"
	}
}

// Desired is what a tenant is to hold.
type Desired struct {
	Name   string // of the deployment: display names begin with it
	MCPURL string // of the MCP server; also an App ID URI, so that the parameter resource (RFC 8707) agrees with it
	WebURL string // of the web agent, without a path

	SkipAgent    bool
	ReadGroups   bool // the API may ask Microsoft Graph which groups a person is in
	Credential   Credential
	SecretLife   time.Duration         // of new client secrets
	PreAuthorize []identity.ClientID   // clients of others that need no consent for the API, such as VS Code
	Paths        AgentPaths            // where the web agent answers
	Cloud        entra.Cloud           // whose federated credentials and search service
	Retry        bool                  // try again what the tenant's policy refused before
	Adopt        bool                  // take over objects that bear the deployment's tag and that the state file does not know
	Env          func(s string) string // the settings as they are: which secrets somebody still has
	Now          time.Time
}

// Credential is how the API proves itself to Entra.
type Credential struct {
	Certificate []byte            // DER; the key stays where it is
	Path        string            // of the file with certificate and key, for the settings
	Identity    identity.ClientID // of a managed identity that is trusted in place of a secret; zero and no certificate: a secret
	Elsewhere   bool              // it is made elsewhere, as for a workload of Kubernetes
}

// AgentPaths are the paths of the web agent that its registration names.
type AgentPaths struct{ Callback, SignedOut, FrontChannel string }

// loopback is where a public client is answered on the person's machine: Entra ignores the port (RFC 8252 §7.3).
const loopback = "http://localhost"

// nativePage is where browsers embedded in programs end.
const nativePage = "https://login.microsoftonline.com/common/oauth2/nativeclient"

// execute is the API's delegated permission.
const execute = "execute"

// userImpersonation is the delegated permission of Azure AI Search.
const userImpersonation = "user_impersonation"

// permission is a delegated permission of Microsoft Graph; its id is the same in every tenant.
type permission struct{ name, id string }

// groupPermissions are what asking for a person's groups takes.
//
// https://learn.microsoft.com/graph/permissions-reference
func groupPermissions() []permission {
	return []permission{{"User.Read", "e1fe6dd8-ba31-4d61-89e7-88639da4683d"}, {"GroupMember.Read.All", "bc024368-1153-4739-b217-4326f2e966d0"}}
}

// renewBefore is how long before its end a secret is replaced.
const renewBefore = 30 * 24 * time.Hour

// Check reports all mistakes.
func (d *Desired) Check() error {
	var wrong []error
	if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}$`).MatchString(d.Name) {
		wrong = append(wrong, fmt.Errorf("name %q: want up to 60 letters, digits, spaces, dots and hyphens", d.Name))
	}
	if err := checkURL(d.MCPURL); err != nil {
		wrong = append(wrong, fmt.Errorf("MCP_URL: %w", err))
	}
	if err := checkURL(d.WebURL); err != nil && !d.SkipAgent {
		wrong = append(wrong, fmt.Errorf("WEB_URL: %w", err))
	}
	if d.SecretLife < 24*time.Hour || d.SecretLife > 730*24*time.Hour {
		wrong = append(wrong, errors.New("life of secrets: want 1 to 730 days"))
	}
	if len(d.Credential.Certificate) > 0 && !d.Credential.Identity.IsZero() {
		wrong = append(wrong, errors.New("credential: a certificate or a managed identity, not both"))
	}
	return errors.Join(wrong...)
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q: want an https URL without a query", text)
	}
	if u.Scheme == "http" && u.Hostname() != "localhost" {
		return fmt.Errorf("%q: Entra takes http for localhost alone", text)
	}
	return nil
}

// digest tells whether the same is to be as before: else a difference is not drift.
func (d *Desired) digest() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %t %t %v %x %s", d.Name, d.MCPURL, d.WebURL, d.SkipAgent, d.ReadGroups, d.PreAuthorize, d.Credential.Certificate, d.Credential.Identity))
	return hex.EncodeToString(sum[:])
}

// appIDURI is the server's URL as an App ID URI, which must not end with a slash.
func (d *Desired) appIDURI() string { return strings.TrimRight(d.MCPURL, "/") }

func (d *Desired) roles() []Role {
	if d.SkipAgent {
		return []Role{API, Client}
	}
	return []Role{API, Client, Agent}
}

func (d *Desired) displayName(r Role) string {
	return d.Name + map[Role]string{API: "-server", Client: "-client", Agent: "-web-agent"}[r]
}

// WellKnown is a client of others that organisations pre-authorize.
type WellKnown struct {
	Name, Title, AppID string
}

// WellKnownClients are those that go by a name.
//
// https://learn.microsoft.com/azure/app-service/configure-authentication-mcp-server-vscode and
// https://learn.microsoft.com/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in
func WellKnownClients() []WellKnown {
	return []WellKnown{
		{"azurecli", "Azure CLI", "04b07795-8ddb-461a-bbee-02f9e1bf7b46"},
		{"azurepowershell", "Azure PowerShell", "1950a258-227b-4e31-a9cf-717495945fc2"},
		{"visualstudio", "Visual Studio", "04f0c124-f2bc-4f59-8241-bf6df9866bbd"},
		{"vscode", "Visual Studio Code", "aebc6443-996d-45c2-90f0-388ff96faa56"},
	}
}

// ParseClients reads names of [WellKnownClients] and client ids.
func ParseClients(names []string) ([]identity.ClientID, error) {
	known := WellKnownClients()
	var ids []identity.ClientID
	for _, name := range names {
		text := name
		if i := slices.IndexFunc(known, func(k WellKnown) bool { return strings.EqualFold(k.Name, name) }); i >= 0 {
			text = known[i].AppID
		}
		id, err := identity.ParseClientID(text)
		if err != nil {
			all := make([]string, len(known))
			for i, k := range known {
				all[i] = k.Name
			}
			return nil, fmt.Errorf("%q: want a client id, or one of %s", name, strings.Join(all, ", "))
		}
		ids = append(ids, id)
	}
	return ids, nil
}
