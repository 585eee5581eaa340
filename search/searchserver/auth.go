package searchserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/search"
)

// Role is a role at the search service, by its name in Azure.
//
// https://learn.microsoft.com/azure/search/search-security-rbac
type Role string

// The roles that the service knows for its data plane.
const (
	ServiceContributor   Role = "Search Service Contributor"    // index definitions, not their documents
	IndexDataContributor Role = "Search Index Data Contributor" // documents: write, query, elevated read
	IndexDataReader      Role = "Search Index Data Reader"      // documents: query
	Reader               Role = "Reader"                        // look at definitions
)

// right is what an operation needs.
type right int

const (
	readDefinitions right = iota
	writeDefinitions
	writeDocuments
	readDocuments
	readElevated
)

// rights returns what a role gives, nil for an unknown role.
func (r Role) rights() []right {
	switch r {
	case ServiceContributor:
		return []right{readDefinitions, writeDefinitions}
	case IndexDataContributor:
		return []right{writeDocuments, readDocuments, readElevated}
	case IndexDataReader:
		return []right{readDocuments}
	case Reader:
		return []right{readDefinitions}
	default:
		return nil
	}
}

// principal is the application (or person) that a request authenticates, not the person whose eyes the query has.
type principal struct{ rights []right }

func (p principal) may(r right) bool { return slices.Contains(p.rights, r) }

// authenticate looks at the key, then at the bearer token: where both are there, the key wins.
//
// https://learn.microsoft.com/azure/search/search-security-rbac#disable-api-key-authentication
func (s *Server) authenticate(ctx context.Context, c *call) (principal, error) {
	if c.query.Has("api-key") {
		return principal{}, &search.Error{Status: http.StatusForbidden, Code: "", Message: "The given API key is not permitted in the URI query string."}
	}
	if keys := c.Header.Values("api-key"); len(keys) > 0 {
		return s.byKey(c, keys)
	}
	authorization := c.Header.Values("Authorization")
	if len(authorization) == 0 {
		return principal{}, s.unauthorized("No api-key and no bearer token was given.")
	}
	token, ok := bearer(authorization[0])
	if !ok || len(authorization) > 1 || s.verifier == nil {
		return principal{}, s.unauthorized("The Authorization header is not accepted: want one bearer token of the configured tenant.")
	}
	verified, err := s.verifier.verify(ctx, token)
	if err != nil {
		return principal{}, s.authError(err)
	}
	var p principal
	for _, id := range []string{verified.Object, verified.AppID, verified.AZP} {
		if id != "" && (id == verified.Object || verified.appOnly()) {
			for _, role := range s.config.roles[strings.ToLower(id)] {
				p.rights = append(p.rights, role.rights()...)
			}
		}
	}
	if len(p.rights) == 0 {
		return p, s.forbidden(c, "The token's person or application has no role at this search service.")
	}
	return p, nil
}

func (s *Server) byKey(c *call, keys []string) (principal, error) {
	switch {
	case len(keys) == 1 && same(keys[0], s.adminKey):
		return principal{[]right{readDefinitions, writeDefinitions, writeDocuments, readDocuments, readElevated}}, nil
	case len(keys) == 1 && same(keys[0], s.queryKey):
		return principal{[]right{readDocuments}}, nil
	default:
		return principal{}, s.forbidden(c, "The api-key is not one of this service's.")
	}
}

// same compares in constant time, also for keys of different length.
func same(given string, key identity.Secret) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(key.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// bare is an error whose answer has no body.
type bare struct{ error }

// Unwrap shows the error to [errors.As].
func (b *bare) Unwrap() error { return b.error }

func (s *Server) forbidden(_ *call, message string) error {
	return s.authError(&search.Error{Status: http.StatusForbidden, Code: "Forbidden", Message: message})
}

func (s *Server) unauthorized(message string) error { return s.authError(unauthorized(message)) }

// authError leaves the reason out where the service does.
func (s *Server) authError(err error) error {
	if s.config.jsonAuth || errors.Is(err, search.ErrUnavailable) {
		return err
	}
	return &bare{err}
}
