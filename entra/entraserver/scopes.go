package entraserver

import (
	"slices"
	"strings"
)

// wanted is what the scopes of a request mean: permissions of one resource, and what OpenID Connect adds.
type wanted struct {
	resource *Application // Microsoft Graph when only OpenID scopes are asked for
	prefix   string       // the resource as it was named: the audience of v1 tokens
	names    []string     // short names, without .default
	all      bool         // .default: everything that is consented
	openID   []string     // openid, profile, email, as asked
	offline  bool         // offline_access: a refresh token
	bare     bool         // names without a resource, which are Graph's
}

// openIDScopes are those of https://learn.microsoft.com/entra/identity-platform/scopes-oidc#openid-connect-scopes.
//
//nolint:gochecknoglobals // a table that nothing changes
var openIDScopes = []string{"openid", "profile", "email", "offline_access"}

// parseScopes understands the parameter scope: RESOURCE/NAME, with RESOURCE an App ID URI or an application id; a bare
// name is a permission of Graph. All must be of one resource, which the tenant must know.
func (s *Server) parseScopes(scope string) (wanted, error) {
	var want wanted
	resources := map[string]bool{}
	for one := range strings.FieldsSeq(scope) {
		if i := slices.Index(openIDScopes, lower(one)); i >= 0 {
			if openIDScopes[i] == "offline_access" {
				want.offline = true
			} else {
				want.openID = append(want.openID, openIDScopes[i])
			}
			continue
		}
		prefix, name := splitScope(one)
		if name == "" {
			return wanted{}, refuse(70011, "The scope "+quote(one)+" is not valid.")
		}
		want.prefix, want.bare = prefix, !strings.Contains(one, "/")
		resources[uriKey(prefix)] = true
		if name == ".default" {
			want.all = true
		} else {
			want.names = append(want.names, name)
		}
	}
	if len(resources) > 1 {
		return wanted{}, refuse(700022, quote(scope))
	}
	if want.all && len(want.names) > 0 {
		return wanted{}, refuse(70011, ".default scope can't be combined with resource-specific scopes.")
	}
	if want.prefix == "" {
		want.prefix, want.bare = graphURI, true
	}
	want.resource = s.dir.resource(want.prefix)
	if want.resource == nil || s.dir.PrincipalOf(want.resource.AppID) == nil {
		return wanted{}, refuse(500011, quote(want.prefix), s.dir.Domain())
	}
	return want, nil
}

// graphURI is the resource of scopes that name none.
const graphURI = "https://graph.microsoft.com"

// splitScope cuts at the last slash, so that an App ID URI may end in one.
func splitScope(scope string) (prefix, name string) {
	i := strings.LastIndexByte(scope, '/')
	if i < 0 {
		return graphURI, scope
	}
	return scope[:i], scope[i+1:]
}

// quote makes foreign text fit for an error: short, on one line.
func quote(s string) string {
	const longest = 200
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}

// checkNames says whether the resource has the permissions that are asked for.
func (want wanted) checkNames(client *Application) error {
	for _, name := range want.names {
		if _, ok := want.resource.Scope(name); ok {
			continue
		}
		if want.bare {
			return refuse(650053, client.DisplayName, quote(name), want.resource.AppID)
		}
		return refuse(70011, "The scope "+quote(want.prefix+"/"+name)+" does not exist.")
	}
	return nil
}

// checkResource applies the mode of the parameter "resource" (RFC 8707). Enforced, it has to be an App ID URI of the
// application that the scopes belong to, byte for byte: a slash too many is another resource.
//
// https://github.com/modelcontextprotocol/modelcontextprotocol/issues/1614
func (s *Server) checkResource(resource string, want wanted) error {
	if resource == "" {
		return nil
	}
	switch s.policies.current().resource {
	case ResourceIgnored:
		return nil
	case ResourceRejected:
		return refuse(901002)
	case ResourceEnforced:
	}
	if len(want.names) == 0 && !want.all || !slices.Contains(want.resource.IdentifierURIs, resource) {
		return refuse(9010010)
	}
	return nil
}

// qualified returns permissions as the answer's scope names them: as they were asked for, with the resource or bare.
// MSAL for Go wants .default back.
func (want wanted) qualified(names []string) string {
	if want.bare {
		return strings.Join(append(slices.Clone(names), want.openIDNotIn(names)...), " ")
	}
	prefix := strings.TrimSuffix(want.prefix, "/") + "/"
	out := make([]string, 0, len(names)+1)
	for _, name := range names {
		out = append(out, prefix+name)
	}
	if want.all {
		out = append(out, want.prefix+"/.default")
	}
	return strings.Join(out, " ")
}

func (want wanted) openIDNotIn(names []string) []string {
	var out []string
	for _, name := range want.openID {
		if !slices.Contains(names, name) {
			out = append(out, name)
		}
	}
	return out
}
