package searchservice

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/provision/changes"
	"github.com/onbehalf/onbehalf/internal/provision/graphcalls"
)

// Built-in roles.
//
// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
const (
	IndexDataReader      = "1407120a-92aa-4202-b7e9-c0e197c71c8f"
	indexDataContributor = "8ebe5a00-799e-43f5-93ac-243d3dce84a7"
	serviceContributor   = "7ca78c08-252a-4471-8644-bb5ff32d4ba0"
	owner                = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
	contributor          = "b24988ac-6180-42a0-ab88-20f7382dd24c"
)

// tooMuch are roles that read past document permissions, or make it possible: a reader would do for a server.
func tooMuch() map[string]string {
	return map[string]string{
		indexDataContributor: "Search Index Data Contributor", serviceContributor: "Search Service Contributor", owner: "Owner", contributor: "Contributor",
	}
}

// challenge is the answer that tells clients where tokens come from.
const challenge = "http401WithBearerChallenge"

// assignment is a role that somebody has.
//
// https://learn.microsoft.com/rest/api/authorization/role-assignments/list-for-scope
type assignment struct {
	Properties struct {
		RoleDefinitionID string `json:"roleDefinitionId"`
		PrincipalID      string `json:"principalId"`
		Scope            string `json:"scope"`
	} `json:"properties"`
}

// Desired is what a service is to be.
type Desired struct {
	Principal identity.ObjectID // of the server's identity: a service principal
	App       identity.ClientID // whose it has to be; zero where the person named the principal itself
	Who       string            // the same, for people
	HasKey    bool              // the settings hold a key: then the server uses that
	Settings  []Setting         // what the settings are to hold
	Held      func(name string) string
}

// Setting is a NAME=value line.
type Setting struct{ Name, Value string }

// Plan is what has to be done at a service.
type Plan struct {
	Service  *Service
	Changes  []changes.Change
	Settings []Setting

	desired Desired
	tokens  bool // the service is to take tokens
	role    bool // the identity is to get the role
}

// objectSettings is the row of the settings file.
const objectSettings = "settings"

// Make reads which roles the identity has, and compares.
func Make(ctx context.Context, c *Client, s *Service, d Desired) (*Plan, error) {
	if d.Principal.IsZero() {
		return nil, errors.New("the server's identity is not known")
	}
	p := &Plan{Service: s, desired: d, Settings: d.Settings}
	p.authentication()
	held, err := list[assignment](ctx, c, s.ID+"/providers/Microsoft.Authorization/roleAssignments",
		url.Values{"api-version": {rolesVersion}, "$filter": {"principalId eq '" + d.Principal.String() + "'"}})
	if err != nil {
		return nil, fmt.Errorf("read the roles of %s: %w", d.Who, err)
	}
	p.roles(held)
	if d.HasKey {
		p.row(changes.Change{Mark: changes.Warn, Object: objectSettings, Note: "AZURE_SEARCH_KEY is set: the server uses the key and not its identity; take it out when the role is there"})
	}
	p.settings()
	return p, nil
}

func (p *Plan) row(c changes.Change) { p.Changes = append(p.Changes, c) }

func (p *Plan) authentication() {
	const property = "authOptions"
	object, properties := "search service "+p.Service.Name, p.Service.Properties
	switch {
	case properties.DisableLocalAuth:
		p.row(changes.Change{Mark: changes.Keep, Object: object, Note: "it takes tokens alone, and no keys"})
	case p.Service.TakesTokens():
		p.row(changes.Change{Mark: changes.Keep, Object: object, Note: "it takes tokens and keys"})
	default:
		p.tokens = true
		p.row(changes.Change{Mark: changes.Modify, Object: object, Property: property, Old: "apiKeyOnly", New: "aadOrApiKey (" + challenge + ")"})
	}
	if strings.EqualFold(properties.PublicNetworkAccess, "disabled") {
		p.row(changes.Change{Mark: changes.Warn, Object: object, Note: "public network access is off: the server needs a private endpoint"})
	}
}

func (p *Plan) roles(held []assignment) {
	object := "role of " + p.desired.Who + " (" + p.desired.Principal.String() + ")"
	found := ""
	for _, a := range held {
		if !strings.EqualFold(a.Properties.PrincipalID, p.desired.Principal.String()) || !within(p.Service.ID, a.Properties.Scope) {
			continue
		}
		role := strings.ToLower(a.Properties.RoleDefinitionID[strings.LastIndexByte(a.Properties.RoleDefinitionID, '/')+1:])
		if role == IndexDataReader {
			found = a.Properties.Scope
		}
		if name := tooMuch()[role]; name != "" {
			p.row(changes.Change{Mark: changes.Warn, Object: object, Note: name + " at " + a.Properties.Scope + ": it can read past document permissions or change them, and a reader would do: left alone"})
		}
	}
	if found != "" {
		p.row(changes.Change{Mark: changes.Keep, Object: object, Note: "Search Index Data Reader at " + found})
		return
	}
	p.role = true
	p.row(changes.Change{Mark: changes.Create, Object: object, Note: "Search Index Data Reader at " + p.Service.ID})
}

// within reports whether a role at a scope counts at a resource: the scope is the resource or stands above it.
func within(resource, scope string) bool {
	scope = strings.TrimSuffix(strings.ToLower(scope), "/")
	resource = strings.ToLower(resource)
	return resource == scope || strings.HasPrefix(resource, scope+"/") || strings.HasPrefix(scope, "/providers/microsoft.management/managementgroups/")
}

func (p *Plan) settings() {
	var changed []string
	for _, s := range p.Settings {
		if p.desired.Held(s.Name) != s.Value {
			changed = append(changed, s.Name)
		}
	}
	if len(changed) > 0 {
		p.row(changes.Change{Mark: changes.Modify, Object: objectSettings, New: strings.Join(changed, ", ")})
	}
}

// Empty reports whether there is nothing to do.
func (p *Plan) Empty() bool {
	for _, c := range p.Changes {
		if c.Mark != changes.Keep && c.Mark != changes.Warn {
			return false
		}
	}
	return true
}

// Output is a plan as JSON.
type Output struct {
	Service string           `json:"service"`
	Empty   bool             `json:"empty"`
	Changes []changes.Change `json:"changes"`
}

// Output shows a plan as JSON.
func (p *Plan) Output() Output {
	return Output{p.Service.ID, p.Empty(), append([]changes.Change{}, p.Changes...)}
}

// Write prints a plan for people: printable makes foreign names harmless.
func (p *Plan) Write(w io.Writer, printable func(string) string) error {
	var out strings.Builder
	changes.Write(&out, p.Changes)
	if p.Empty() {
		fmt.Fprintf(&out, "\n%s\n", changes.Nothing(p.Changes))
	} else {
		fmt.Fprintf(&out, "\n%s\n", changes.Summary(p.Changes))
	}
	_, err := io.WriteString(w, printable(out.String()))
	return err
}

// Apply does what a plan says. Done again, it finds nothing to do.
func Apply(ctx context.Context, c *Client, p *Plan, say func(string)) error {
	if p.tokens {
		say("let the service take tokens")
		body := map[string]any{"properties": map[string]any{"authOptions": AuthOptions{AadOrAPIKey: &AadOrAPIKey{challenge}}}}
		if err := c.call(ctx, http.MethodPatch, p.Service.ID, url.Values{"api-version": {searchVersion}}, body, nil); err != nil {
			return fmt.Errorf("let the service take tokens: %w", err)
		}
	}
	if !p.role {
		return nil
	}
	say("give " + p.desired.Who + " the role Search Index Data Reader")
	body := map[string]any{"properties": map[string]any{
		"roleDefinitionId": p.roleDefinition(), "principalId": p.desired.Principal.String(), "principalType": "ServicePrincipal",
	}}
	path := p.Service.ID + "/providers/Microsoft.Authorization/roleAssignments/" + assignmentName(p.Service.ID, p.desired.Principal)
	err := c.call(ctx, http.MethodPut, path, url.Values{"api-version": {rolesVersion}}, body, nil)
	if refused, ok := errors.AsType[*Error](err); ok && refused.Code == "RoleAssignmentExists" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("give %s the role Search Index Data Reader: %w", p.desired.Who, err)
	}
	return nil
}

func (p *Plan) roleDefinition() string {
	subscription := strings.Join(strings.Split(p.Service.ID, "/")[:3], "/")
	return subscription + "/providers/Microsoft.Authorization/roleDefinitions/" + IndexDataReader
}

// assignmentName is a GUID made of what is assigned, so that doing it twice is doing it once.
func assignmentName(scope string, principal identity.ObjectID) string {
	b := sha256.Sum256([]byte(strings.ToLower(scope) + "\n" + principal.String() + "\n" + IndexDataReader))
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80 // RFC 9562, version 8
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// Rights says which roles each of the two takes, and who has them.
//
// https://learn.microsoft.com/azure/search/search-security-enable-roles and
// https://learn.microsoft.com/azure/role-based-access-control/role-assignments-rest
const Rights = "it takes the role Owner at the service (or Search Service Contributor and Role Based Access Control Administrator: Microsoft.Search/searchServices/write and Microsoft.Authorization/roleAssignments/write)"

// Script prints the commands of the Azure CLI that do the same, done again without harm.
func Script(id string, d *Desired) (string, error) {
	if err := checkID(id); err != nil {
		return "", err
	}
	if d.Principal.IsZero() {
		return "", errors.New("the server's identity is not known")
	}
	parts := strings.Split(id, "/") // "", "subscriptions", ID, "resourceGroups", GROUP, "providers", "Microsoft.Search", "searchServices", NAME
	var out strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	line("#!/usr/bin/env bash\n# Let the search service take tokens of Entra ID beside its keys, and the server's identity read its indexes:\n# %s.", Rights)
	line("%sset -euo pipefail\n", graphcalls.BashAlone)
	line("service='%s'\nprincipal=%s", id, d.Principal)
	if !d.App.IsZero() {
		line("\n# The role is for the server and for nobody else.\napp=$(az ad sp show --id \"$principal\" --query appId --output tsv)")
		line("if [ \"$app\" != %s ]; then echo \"$principal belongs to the application $app, not to %s: nothing was done\" >&2; exit 1; fi", d.App, d.App)
	}
	line("\nkeyless=$(az resource show --ids \"$service\" --api-version %s --query properties.disableLocalAuth --output tsv)", searchVersion)
	line("if [ \"$keyless\" != true ]; then")
	line("  az search service update --subscription '%s' --resource-group '%s' --name '%s' --auth-options aadOrApiKey --aad-auth-failure-mode %s --output none", parts[2], parts[4], parts[8], challenge)
	line("fi\n# Search Index Data Reader, for reading and nothing else")
	line("az role assignment create --role %s --assignee-object-id \"$principal\" --assignee-principal-type ServicePrincipal --scope \"$service\" --output none", IndexDataReader)
	return out.String(), nil
}
