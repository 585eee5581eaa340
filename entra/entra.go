// Package entra holds the words of Microsoft Entra ID that the other packages share: clouds, scopes, Entra's error
// answers and the catalogue of what each AADSTS code means, who can mend it, and how.
//
// It talks to nobody: package signin signs in, package obo exchanges, package bearer verifies, and package
// entra/entraserver is a local Entra for tests and laptops.
package entra

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Scope is a fully qualified permission: the App ID URI of an API and the short name of one of its permissions, as in
// "api://9f…/execute" or "https://search.azure.com/.default".
//
// https://learn.microsoft.com/entra/identity-platform/scopes-oidc
type Scope struct{ resource, name string }

// maxScopeLength bounds a scope; App ID URIs have at most 255 characters.
const maxScopeLength = 512

// ParseScope splits a fully qualified scope at its last slash. A bare name is refused: Entra would read it as a
// permission of Microsoft Graph.
func ParseScope(s string) (Scope, error) {
	if len(s) > maxScopeLength {
		return Scope{}, fmt.Errorf("scope: longer than %d characters", maxScopeLength)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' }) {
		return Scope{}, fmt.Errorf("scope %q: only printable ASCII without space, quote and backslash (RFC 6749 §3.3)", s)
	}
	cut := strings.LastIndexByte(s, '/')
	if cut <= 0 || cut == len(s)-1 || strings.HasSuffix(s[:cut], ":/") {
		return Scope{}, fmt.Errorf("scope %q: want an App ID URI and a name, like api://CLIENT-ID/execute", s)
	}
	return Scope{s[:cut], s[cut+1:]}, nil
}

// NewScope joins the App ID URI of an API and the short name of a permission.
func NewScope(resource, name string) (Scope, error) {
	if strings.ContainsRune(name, '/') {
		return Scope{}, fmt.Errorf("scope name %q: must not hold a slash", name)
	}
	return ParseScope(resource + "/" + name)
}

// Resource returns the App ID URI.
func (s Scope) Resource() string { return s.resource }

// Name returns the short name, as it appears in the claim scp.
func (s Scope) Name() string { return s.name }

// IsZero reports whether the scope was never set.
func (s Scope) IsZero() bool { return s.resource == "" }

// String returns the fully qualified scope, "" for the zero Scope.
func (s Scope) String() string {
	if s.IsZero() {
		return ""
	}
	return s.resource + "/" + s.name
}

// MarshalText implements [encoding.TextMarshaler].
func (s Scope) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Scope) UnmarshalText(text []byte) error {
	parsed, err := ParseScope(string(text))
	if err == nil {
		*s = parsed
	}
	return err
}

// Well-known application ids of Microsoft's own APIs.
const (
	SearchAppID = "880da380-985e-4198-81b9-e05b1cc53158" // Azure AI Search
	GraphAppID  = "00000003-0000-0000-c000-000000000000" // Microsoft Graph
)

// Cloud is one of Microsoft's clouds, or a local Entra in its place.
type Cloud struct {
	Name           string
	Authority      string // with a trailing slash: "https://login.microsoftonline.com/"
	V1Issuer       string // of v1 tokens, before "TENANT/": "https://sts.windows.net/"
	Graph          string // where it answers, without a trailing slash: "https://graph.microsoft.com"
	SearchResource string // audience of Azure AI Search: "https://search.azure.com"
	FICAudience    string // audience of federated credentials: "api://AzureADTokenExchange"
	GraphResource  string // audience of Microsoft Graph: the same as Graph in Microsoft's clouds
}

// Clouds returns Microsoft's clouds.
//
// https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud
func Clouds() []Cloud {
	return []Cloud{
		{"public", "https://login.microsoftonline.com/", "https://sts.windows.net/", "https://graph.microsoft.com", "https://search.azure.com", "api://AzureADTokenExchange", "https://graph.microsoft.com"},
		{"usgovernment", "https://login.microsoftonline.us/", "https://sts.windows.net/", "https://graph.microsoft.us", "https://search.azure.us", "api://AzureADTokenExchangeUSGov", "https://graph.microsoft.us"},
		{"china", "https://login.partner.microsoftonline.cn/", "https://sts.chinacloudapi.cn/", "https://microsoftgraph.chinacloudapi.cn", "https://search.azure.cn", "api://AzureADTokenExchangeChina", "https://microsoftgraph.chinacloudapi.cn"},
	}
}

// ErrUnknownCloud says that an authority is none of Microsoft's.
var ErrUnknownCloud = errors.New("no known cloud has this authority")

// CloudOf returns the cloud with this authority, "" meaning the public one. An authority that is none of Microsoft's
// gives a Cloud of its own together with [ErrUnknownCloud]: the caller decides whether to trust it (the local Entra is
// one). Anything but an https URL without path, query and user is another error.
func CloudOf(authority string) (Cloud, error) {
	clouds := Clouds()
	if authority == "" {
		return clouds[0], nil
	}
	u, err := url.Parse(authority)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return Cloud{}, fmt.Errorf("authority %q: want https://HOST/", authority)
	}
	normal := "https://" + strings.ToLower(u.Host) + "/"
	if i := slices.IndexFunc(clouds, func(c Cloud) bool { return c.Authority == normal }); i >= 0 {
		return clouds[i], nil
	}
	own := clouds[0]
	own.Name, own.Authority, own.V1Issuer, own.Graph = "other", normal, normal, strings.TrimSuffix(normal, "/")
	return own, ErrUnknownCloud
}

// IssuerV2 returns the issuer of a tenant's v2 tokens.
func (c Cloud) IssuerV2(tenant string) string { return c.Authority + tenant + "/v2.0" }

// IssuerV1 returns the issuer of a tenant's v1 tokens.
func (c Cloud) IssuerV1(tenant string) string { return c.V1Issuer + tenant + "/" }

// GraphScope returns the scope of a permission of Microsoft Graph, such as "User.Read".
func (c Cloud) GraphScope(permission string) Scope { return Scope{c.GraphResource, permission} }

// SearchScope returns the scope to exchange for when Azure AI Search is the downstream API.
func (c Cloud) SearchScope() Scope { return Scope{c.SearchResource, ".default"} }
