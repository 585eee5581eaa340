package searchserver

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

// The headers that say whose eyes a query has.
//
// https://learn.microsoft.com/azure/search/search-query-access-control-rbac-enforcement
const (
	headerUser     = "x-ms-query-source-authorization"
	headerElevated = "x-ms-enable-elevated-read"
)

// user establishes whose eyes the query has: everything for who may and asks for it, the person of the token, or,
// without either, the documents that are open to all. A token that does not verify is an error, never the public.
func (s *Server) user(c *call) (search.User, error) {
	s.warnOfGA(c)
	elevated, err := s.elevated(c)
	if err != nil || elevated {
		return searchengine.Elevated(), err
	}
	tokens := c.Header.Values(headerUser)
	if len(tokens) == 0 {
		return search.DangerouslyPublicOnly(), nil
	}
	if len(tokens) > 1 {
		return nil, badRequest("", "The header '"+headerUser+"' must be given once.")
	}
	if s.verifier == nil {
		return nil, unauthorized("This local search service was started without a tenant, so it accepts no user's token.")
	}
	token := tokens[0]
	if inner, ok := bearer(token); ok { // one of Microsoft's examples writes it so
		token = inner
	}
	verified, err := s.verifier.verify(c.Context(), token)
	if err != nil {
		return nil, err
	}
	return s.person(c, verified)
}

// person adds what the service knows of the person beside the token.
func (s *Server) person(c *call, verified *claims) (search.User, error) {
	object, err := identity.ParseObjectID(verified.Object)
	if err != nil || verified.appOnly() {
		return nil, unauthorized("The JWT token of '" + headerUser + "' is not that of a person.")
	}
	groups, err := s.groups.of(c.Context(), object.String())
	if err != nil {
		return nil, unavailable("The groups of the user cannot be established.", err)
	}
	return search.ByPrincipals{Object: object, Groups: groups, Scopes: s.config.scopes[object.String()]}, nil
}

// elevated reports whether the caller asks to see everything, and may.
func (s *Server) elevated(c *call) (bool, error) {
	values := c.Header.Values(headerElevated)
	if len(values) == 0 {
		return false, nil
	}
	switch {
	case len(values) > 1 || !strings.EqualFold(values[0], "true") && !strings.EqualFold(values[0], "false"):
		return false, badRequest("", "The header '"+headerElevated+"' must be 'true' or 'false'.")
	case strings.EqualFold(values[0], "false"):
		return false, nil
	case !c.version.atLeast(firstElevatedRead):
		return false, badRequest("", "The header '"+headerElevated+"' needs api-version "+firstElevatedRead+" or newer.")
	case !c.principal.may(readElevated):
		return false, s.forbidden(c, "Elevated read needs an admin key or the role Search Index Data Contributor.")
	}
	return true, nil
}

// warnOfGA says in the log what a version in general availability hides: it knows nothing of permissions, which are
// enforced here all the same.
func (s *Server) warnOfGA(c *call) {
	if c.version.preview() {
		return
	}
	definition, err := s.engine.Definition(c.Context(), c.index)
	if err == nil && definition.PermissionFilterOption == search.PermissionsEnabled {
		s.config.logger.LogAttrs(c.Context(), slog.LevelWarn, "an api-version in general availability queries an index with document permissions",
			slog.String("index", c.index), slog.String("apiVersion", string(c.version)), slog.Bool("hasUser", c.Header.Get(headerUser) != ""))
	}
}

var _ http.Handler = (*Server)(nil)
