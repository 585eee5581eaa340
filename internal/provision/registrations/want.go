package registrations

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/changes"
)

// want is an application as it is to be: as it is, with what a deployment needs. What others added stays.
func (b *builder) want(r Role, have graph.Application) graph.Application {
	want := have
	if have.ID == "" {
		want.DisplayName = b.d.displayName(r)
	}
	want.SignInAudience = "AzureADMyOrg"
	want.Tags = union(have.Tags, b.s.tags(r)...)
	switch r {
	case API:
		b.wantAPI(&want)
	case Client:
		want.IsFallbackPublicClient = new(true) // else the device code ends in AADSTS7000218
		want.PublicClient = redirects(have.PublicClient, loopback, nativePage)
		want.RequiredResourceAccess = require(have.RequiredResourceAccess, b.ref(idApp(API)), b.s.IDs[idExecute])
	case Agent:
		web := strings.TrimRight(b.d.WebURL, "/")
		want.Web = redirects(have.Web, web+b.d.Paths.Callback, web+b.d.Paths.SignedOut)
		if strings.HasPrefix(web, "https:") { // Entra's page loads it in a frame, and takes no other
			want.Web.LogoutURL = web + b.d.Paths.FrontChannel
		}
		want.OptionalClaims = optional(have.OptionalClaims, nil, []string{"sid", "login_hint"})
		want.RequiredResourceAccess = require(have.RequiredResourceAccess, b.ref(idApp(API)), b.s.IDs[idExecute])
	}
	if r != Client && have.IsFallbackPublicClient != nil && *have.IsFallbackPublicClient {
		want.IsFallbackPublicClient = new(false)
	}
	return want
}

// wantAPI holds what the MCP server's registration needs; its App ID URIs and pre-authorizations come later.
//
// https://learn.microsoft.com/entra/identity-platform/optional-claims-reference: idtyp tells tokens of people from those
// of applications; xms_cc says that a client understands claims challenges.
func (b *builder) wantAPI(want *graph.Application) {
	api := new(graph.APISettings)
	if want.API != nil {
		*api = *want.API
	}
	api.RequestedAccessTokenVersion = new(2)
	api.OAuth2PermissionScopes = b.wantScope(api.OAuth2PermissionScopes)
	want.API = api
	want.OptionalClaims = optional(want.OptionalClaims, []graph.OptionalClaim{
		{Name: "idtyp", AdditionalProperties: []string{"include_user_token"}}, {Name: "xms_cc"},
	}, nil)
	want.RequiredResourceAccess = require(want.RequiredResourceAccess, entra.SearchAppID, b.ref(idSearchScope))
	if b.d.ReadGroups {
		for _, p := range groupPermissions() {
			want.RequiredResourceAccess = require(want.RequiredResourceAccess, entra.GraphAppID, p.id)
		}
	}
	if der := b.d.Credential.Certificate; len(der) > 0 && !hasKey(want.KeyCredentials, der) {
		want.KeyCredentials = append(slices.Clone(want.KeyCredentials), graph.KeyCredential{Type: "AsymmetricX509Cert", Usage: "Verify", Key: der, DisplayName: "onbehalf"})
	}
}

func hasKey(keys []graph.KeyCredential, der []byte) bool {
	return slices.ContainsFunc(keys, func(k graph.KeyCredential) bool { return bytes.Equal(k.Key, der) })
}

func (b *builder) wantScope(have []graph.PermissionScope) []graph.PermissionScope {
	all := slices.Clone(have)
	i := slices.IndexFunc(all, func(s graph.PermissionScope) bool { return s.Value == execute })
	if i >= 0 {
		all[i].IsEnabled = true
		b.s.IDs[idExecute] = all[i].ID
		return all
	}
	if b.s.IDs[idExecute] == "" {
		b.s.IDs[idExecute] = newGUID()
	}
	return append(all, graph.PermissionScope{
		ID: b.s.IDs[idExecute], Value: execute, Type: "User", IsEnabled: true,
		AdminConsentDisplayName: "Execute MCP tools", AdminConsentDescription: "Allows the app to call MCP tools as the signed-in user.",
		UserConsentDisplayName: "Execute MCP tools", UserConsentDescription: "Allow the app to call MCP tools on your behalf.",
	})
}

// union adds what is missing.
func union(have []string, more ...string) []string {
	all := slices.Clone(have)
	for _, s := range more {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

func redirects(have *graph.RedirectSettings, more ...string) *graph.RedirectSettings {
	out := new(graph.RedirectSettings)
	if have != nil {
		*out = *have
	}
	out.RedirectURIs = union(out.RedirectURIs, more...)
	return out
}

// require adds a delegated permission to those that an application asks for.
func require(have []graph.RequiredResourceAccess, resource, scope string) []graph.RequiredResourceAccess {
	all := slices.Clone(have)
	i := slices.IndexFunc(all, func(r graph.RequiredResourceAccess) bool { return strings.EqualFold(r.ResourceAppID, resource) })
	if i < 0 {
		return append(all, graph.RequiredResourceAccess{ResourceAppID: resource, ResourceAccess: []graph.ResourceAccess{{ID: scope, Type: "Scope"}}})
	}
	if !slices.ContainsFunc(all[i].ResourceAccess, func(a graph.ResourceAccess) bool { return a.ID == scope && a.Type == "Scope" }) {
		all[i].ResourceAccess = append(slices.Clone(all[i].ResourceAccess), graph.ResourceAccess{ID: scope, Type: "Scope"})
	}
	return all
}

// optional adds optional claims of access tokens and id tokens.
func optional(have *graph.OptionalClaims, access []graph.OptionalClaim, id []string) *graph.OptionalClaims {
	out := new(graph.OptionalClaims)
	if have != nil {
		*out = *have
	}
	out.AccessToken, out.IDToken = slices.Clone(out.AccessToken), slices.Clone(out.IDToken)
	for _, claim := range access {
		i := slices.IndexFunc(out.AccessToken, func(c graph.OptionalClaim) bool { return c.Name == claim.Name })
		if i < 0 {
			claim.AdditionalProperties = append([]string{}, claim.AdditionalProperties...)
			out.AccessToken = append(out.AccessToken, claim)
			continue
		}
		out.AccessToken[i].AdditionalProperties = union(out.AccessToken[i].AdditionalProperties, claim.AdditionalProperties...)
	}
	for _, name := range id {
		if !slices.ContainsFunc(out.IDToken, func(c graph.OptionalClaim) bool { return c.Name == name }) {
			out.IDToken = append(out.IDToken, graph.OptionalClaim{Name: name, AdditionalProperties: []string{}})
		}
	}
	return out
}

// foreign tells of what others added to an application and what opens it wider than planned: it is left alone.
func (b *builder) foreign(r Role, have graph.Application) {
	warn := func(format string, args ...any) {
		b.row(changes.Change{Mark: changes.Warn, Object: b.object(r), Note: fmt.Sprintf(format, args...) + ": not of this plan, left alone", Drift: b.drift})
	}
	want := b.want(r, graph.Application{})
	for platform, pair := range map[string][2]*graph.RedirectSettings{"web": {have.Web, want.Web}, "publicClient": {have.PublicClient, want.PublicClient}, "spa": {have.SPA, want.SPA}} {
		for _, uri := range beyond(pair[0], pair[1]) {
			warn("redirect URI %s (%s)", uri, platform)
		}
	}
	for _, p := range have.PasswordCredentials {
		if p.KeyID != b.s.IDs[idKey(r)] {
			warn("client secret %s… %q until %s", p.Hint, p.DisplayName, endOf(p.EndDateTime))
		}
	}
	for _, k := range have.KeyCredentials {
		if !bytes.Equal(k.Key, b.d.Credential.Certificate) {
			warn("certificate %q until %s", k.DisplayName, endOf(k.EndDateTime))
		}
	}
	if r != API {
		return
	}
	for _, f := range b.p.Federated {
		if b.p.Identity == nil || f.Subject != b.p.Identity.ID {
			warn("federated credential %q: subject %s of %s", f.Name, f.Subject, f.Issuer)
		}
	}
	b.foreignClients(have, warn)
	b.foreignConsents(warn)
}

func (b *builder) foreignClients(have graph.Application, warn func(string, ...any)) {
	for _, uri := range have.IdentifierURIs {
		if uri != b.d.appIDURI() && uri != "api://"+have.AppID {
			warn("App ID URI %s", uri)
		}
	}
	if have.API == nil {
		return
	}
	own := []string{b.s.IDs[idApp(Client)], b.s.IDs[idApp(Agent)]}
	for _, id := range b.d.PreAuthorize {
		own = append(own, id.String())
	}
	for _, p := range have.API.PreAuthorizedApplications {
		if !slices.Contains(own, strings.ToLower(p.AppID)) {
			warn("pre-authorized client %s", p.AppID)
		}
	}
	for _, s := range have.API.OAuth2PermissionScopes {
		if s.Value != execute {
			warn("scope %s", s.Value)
		}
	}
}

// foreignConsents tells of what the API may do on behalf of people beside what is planned.
func (b *builder) foreignConsents(warn func(string, ...any)) {
	own := map[string][]string{}
	if b.p.Search != nil {
		own[b.p.Search.ID] = []string{userImpersonation}
	}
	if b.p.Graph != nil && b.d.ReadGroups {
		for _, p := range groupPermissions() {
			own[b.p.Graph.ID] = append(own[b.p.Graph.ID], p.name)
		}
	}
	for _, g := range b.p.Grants {
		for scope := range strings.FieldsSeq(g.Scope) {
			if !slices.Contains(own[g.ResourceID], scope) {
				warn("consent to %s of %s", scope, b.apiName(g.ResourceID))
			}
		}
	}
}

// apiName names an API by the object id of its service principal, where it is one of those that plans are about.
func (b *builder) apiName(id string) string {
	switch id {
	case b.s.IDs[idSearchSP]:
		return "Azure AI Search"
	case b.s.IDs[idGraphSP]:
		return "Microsoft Graph"
	}
	return "the service principal " + id
}

func beyond(have, want *graph.RedirectSettings) []string {
	if have == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(have.RedirectURIs), func(uri string) bool { return want != nil && slices.Contains(want.RedirectURIs, uri) })
}

// certificateName says whose certificate it is.
func certificateName(der []byte) string {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return "certificate"
	}
	return "certificate " + cert.Subject.CommonName + " until " + dateOf(cert.NotAfter)
}
