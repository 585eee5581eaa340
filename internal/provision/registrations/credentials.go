package registrations

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/changes"
	"github.com/onbehalf/onbehalf/internal/provision/graphcalls"
)

// federatedName is the name of the federated credential that is made here.
const federatedName = "onbehalf-managed-identity"

// credentials give the API and the web agent what they prove themselves with. A certificate is a property of the
// registration and is there already.
func (b *builder) credentials() {
	switch {
	case !b.d.Credential.Identity.IsZero():
		b.federate()
	case len(b.d.Credential.Certificate) == 0 && !b.d.Credential.Elsewhere:
		b.secret(API, "CLIENT_SECRET")
	}
	if !b.d.SkipAgent {
		b.secret(Agent, "AGENT_CLIENT_SECRET")
	}
}

// federate trusts the tokens of a managed identity in place of a secret.
//
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
func (b *builder) federate() {
	const object = "federated credential of the API"
	issuer := b.d.Cloud.IssuerV2(strings.ToLower(b.p.Tenant.ID))
	there := slices.ContainsFunc(b.p.Federated, func(f graph.FederatedCredential) bool {
		return f.Issuer == issuer && f.Subject == b.p.Identity.ID && slices.Contains(f.Audiences, b.d.Cloud.FICAudience)
	})
	if there {
		b.row(changes.Change{Mark: changes.Keep, Object: object})
		return
	}
	b.row(changes.Change{Mark: changes.Create, Object: object, Note: "trusts the managed identity " + b.p.Identity.DisplayName + " (" + b.p.Identity.ID + ")"})
	b.step(graphcalls.Call{
		Do: "trust the managed identity", Method: http.MethodPost, Path: "/applications/" + b.ref(idObject(API)) + "/federatedIdentityCredentials", Fresh: true, Right: graphcalls.ManageApps,
		Body: map[string]any{
			"name": federatedName, "issuer": issuer, "subject": b.p.Identity.ID, "audiences": []any{b.d.Cloud.FICAudience},
		},
	})
}

// secret makes a client secret unless somebody has one that lasts.
func (b *builder) secret(r Role, setting string) {
	object := "client secret of the " + r.title()
	why, lasting := b.whySecret(r, setting)
	if why == "" {
		b.row(changes.Change{Mark: changes.Keep, Object: object, Note: lasting})
		return
	}
	end := b.d.Now.Add(b.d.SecretLife).UTC().Truncate(time.Second)
	b.row(changes.Change{Mark: changes.Create, Object: object, Note: why + "; a new one until " + dateOf(end) + " goes to " + setting})
	b.step(graphcalls.Call{
		Do: "make a " + object, Method: http.MethodPost, Path: "/applications/" + b.ref(idObject(r)) + "/addPassword", Fresh: true, Right: graphcalls.ManageApps,
		Body: map[string]any{"passwordCredential": map[string]any{"displayName": "onbehalf", "endDateTime": end.Format(time.RFC3339)}},
		Save: []graphcalls.Save{{As: idSecret(r), Member: "secretText", Secret: true}, {As: idKey(r), Member: "keyId"}},
	})
}

// whySecret says why a new secret is needed, or how long the one in the settings lasts. Entra tells of a secret its first
// three characters: enough to see which one the settings hold.
func (b *builder) whySecret(r Role, setting string) (why, lasting string) {
	app, held := b.p.Apps[r], b.d.Env(setting)
	switch {
	case app == nil:
		return "none yet", ""
	case held == "":
		return setting + " is not set", ""
	}
	i := slices.IndexFunc(app.PasswordCredentials, func(p graph.PasswordCredential) bool {
		if key := b.s.IDs[idKey(r)]; key != "" && p.KeyID != key {
			return false
		}
		return p.Hint == "" || strings.HasPrefix(held, p.Hint)
	})
	if i < 0 {
		return "the one in " + setting + " is not among the application's", ""
	}
	b.s.IDs[idKey(r)] = app.PasswordCredentials[i].KeyID
	end := app.PasswordCredentials[i].EndDateTime
	if end != nil && end.Before(b.d.Now.Add(renewBefore)) {
		return "the one in " + setting + " ends on " + endOf(end), ""
	}
	return "", "until " + endOf(end)
}

func endOf(end *time.Time) string {
	if end == nil {
		return "no known date"
	}
	return dateOf(*end)
}

// settings are what servers and clients need to use what was made.
func (b *builder) settings() {
	all := []Setting{
		{"TENANT_ID", strings.ToLower(b.p.Tenant.ID)},
		{"API_CLIENT_ID", b.ref(idApp(API))},
		{"API_APP_ID_URI", cmp.Or(b.uri, graphcalls.Ref(idURI))},
		{"WEB_CLIENT_ID", b.ref(idApp(Client))},
		{"MCP_URL", b.d.MCPURL},
	}
	if b.d.Cloud.Name != "public" {
		all = append(all, Setting{"AZURE_AUTHORITY_HOST", b.d.Cloud.Authority})
	}
	switch {
	case !b.d.Credential.Identity.IsZero():
		all = append(all, Setting{"MANAGED_IDENTITY_CLIENT_ID", b.d.Credential.Identity.String()}, Setting{"CLIENT_SECRET", ""})
	case len(b.d.Credential.Certificate) > 0:
		all = append(all, Setting{"CLIENT_CERTIFICATE_PATH", b.d.Credential.Path}, Setting{"CLIENT_SECRET", ""})
	case b.makes(idSecret(API)):
		all = append(all, Setting{"CLIENT_SECRET", graphcalls.Ref(idSecret(API))})
	}
	if !b.d.SkipAgent {
		all = append(all, Setting{"AGENT_CLIENT_ID", b.ref(idApp(Agent))}, Setting{"WEB_URL", b.d.WebURL})
		if b.makes(idSecret(Agent)) {
			all = append(all, Setting{"AGENT_CLIENT_SECRET", graphcalls.Ref(idSecret(Agent))})
		}
	}
	if domain := domainOf(b.p.Tenant); domain != "" {
		all = append(all, Setting{tenantDomain, domain})
	}
	b.Settings = all
	var changed []string
	for _, s := range all {
		if b.d.Env(s.Name) != s.Value && s.Name != tenantDomain {
			changed = append(changed, s.Name)
		}
	}
	if len(changed) > 0 {
		b.row(changes.Change{Mark: changes.Modify, Object: objectSettings, New: strings.Join(changed, ", ")})
	}
}

func (b *builder) makes(secret string) bool {
	return slices.ContainsFunc(b.Steps, func(s graphcalls.Call) bool {
		return slices.ContainsFunc(s.Save, func(v graphcalls.Save) bool { return v.As == secret })
	})
}

// tenantDomain is a setting for convenience: that it is missing is no reason to do anything.
const tenantDomain = "TENANT_DOMAIN"

func domainOf(t graph.Organization) string {
	for _, d := range t.VerifiedDomains {
		if d.IsDefault {
			return d.Name
		}
	}
	return ""
}
