package entraserver

import (
	"crypto/x509"
	"net/url"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
)

// Bounds of an application.
const (
	maxDisplayName = 256
	maxCollection  = 1200
)

// checkApplication refuses what Graph refuses, as far as set-up programs meet it.
func checkApplication(a *Application) error {
	if len(a.DisplayName) > maxDisplayName {
		return errGraphBad("Property displayName is too long.")
	}
	if len(a.API.Scopes) > maxCollection || len(a.AppRoles) > maxCollection || len(a.IdentifierURIs) > maxCollection || len(a.KeyCredentials) > maxCollection {
		return errGraphBad("A collection has too many elements.")
	}
	for _, uri := range a.IdentifierURIs {
		if len(uri) > 255 || !strings.Contains(uri, "://") {
			return errGraphBad("Values of identifierUris property must be a valid URI: '" + clipText(uri, 60) + "'.")
		}
	}
	known := map[string]bool{}
	values := map[string]bool{}
	for _, scope := range a.API.Scopes {
		if _, err := identity.ParseObjectID(scope.ID); err != nil || known[scope.ID] || scope.Value == "" || values[scope.Value] || strings.ContainsAny(scope.Value, " /") {
			return errGraphBad("Property api.oauth2PermissionScopes: each needs an id (GUID) and a value of its own.")
		}
		known[scope.ID], values[scope.Value] = true, true
	}
	for _, pre := range a.API.PreAuthorized {
		for _, id := range pre.DelegatedPermissionIDs {
			if !known[id] {
				return &graphError{400, "InvalidValue", "Property PreAuthorizedApplication references an invalid permission: '" + clipText(id, 40) + "' is none of the application's oauth2PermissionScopes."}
			}
		}
	}
	return checkRedirects(a)
}

func checkRedirects(a *Application) error {
	for _, uri := range slices.Concat(a.Web.RedirectURIs, a.PublicClient.RedirectURIs, a.SPA.RedirectURIs) {
		if len(uri) > 256 || !strings.Contains(uri, ":") || strings.ContainsAny(uri, " #") {
			return errGraphBad("Invalid redirect URI '" + clipText(uri, 60) + "'.")
		}
	}
	return nil
}

// checkNewURIs holds App ID URIs that were not there before to what tenants demand. Tokens of version 1 name the URI as
// their audience: for them it must say whose it is. With version 2 it need not, but many tenants take an https URI of a
// verified domain alone.
//
// https://learn.microsoft.com/entra/identity-platform/identifier-uri-restrictions
func (c *graphCall) checkNewURIs(a *Application, before []string) error {
	for _, uri := range a.IdentifierURIs {
		if slices.Contains(before, uri) {
			continue
		}
		if strings.HasSuffix(uri, "/") {
			return errGraphBad("Values of identifierUris property must not end with a slash: '" + clipText(uri, 60) + "'.")
		}
		u, err := url.Parse(uri)
		if err != nil {
			return errGraphBad("Values of identifierUris property must be a valid URI: '" + clipText(uri, 60) + "'.")
		}
		verified := strings.EqualFold(u.Hostname(), c.dir.Domain()) || strings.HasSuffix(strings.ToLower(u.Hostname()), "."+c.dir.Domain())
		isWeb := u.Scheme == "https" || u.Scheme == "http"
		if isWeb && !verified && c.verifiedURIs() {
			return &graphError{400, codeUnverified, "Values of identifierUris property must use a verified domain of the organization or its subdomain: '" + clipText(uri, 100) + "'"}
		}
		unique := verified || strings.Contains(uri, a.AppID.String()) || strings.Contains(uri, c.dir.Tenant().String())
		if a.TokenVersion() == 1 && !unique {
			return &graphError{400, codeUnverified, "Failed to add identifier URI " + clipText(uri, 100) + ". All newly added URIs must contain a tenant verified domain, tenant ID, or app ID, as per the default tenant policy of your organization. If the requestedAccessTokenVersion is set to 2, this restriction may not apply."}
		}
	}
	return nil
}

const codeUnverified = "HostNameNotOnVerifiedDomain"

// checkPreAuthorized refuses an application that was just made and is not seen yet. Those of others may be registered in
// another tenant: they are taken as they are.
func (c *graphCall) checkPreAuthorized(own identity.ClientID, body []byte) error {
	var change Application
	if err := strictJSON(body, &change); err != nil {
		return err
	}
	for _, pre := range change.API.PreAuthorized {
		if client := c.dir.Application(pre.AppID); client != nil && client.AppID != own && !c.seen(client.ID.String()) {
			return &graphError{400, "InvalidValue", "Property PreAuthorizedApplication references applications " + pre.AppID.String() + " that cannot be found."}
		}
	}
	return nil
}

// completeKeys gives certificates their ids and dates, and refuses what is none. A list of certificates is replaced
// whole: who leaves out the content of one that was there would lose it.
func completeKeys(a *Application) error {
	for i := range a.KeyCredentials {
		key := &a.KeyCredentials[i]
		cert, err := x509.ParseCertificate(key.Key)
		if err != nil || key.Type != "AsymmetricX509Cert" || key.Usage != "Verify" {
			return errGraphBad("New key credentials must have valid value: each needs type 'AsymmetricX509Cert', usage 'Verify' and as key a certificate in base64.")
		}
		if key.KeyID == "" {
			key.KeyID = newGUID()
		}
		if key.Start.IsZero() {
			key.Start = cert.NotBefore
		}
		if key.End.IsZero() {
			key.End = cert.NotAfter
		}
		if key.DisplayName == "" {
			key.DisplayName = clipText(cert.Subject.String(), maxDisplayName)
		}
	}
	return nil
}
