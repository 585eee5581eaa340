package searchengine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/onbehalf/onbehalf/search"
)

// Elevated is the [search.User] who sees every document. Only a server makes one, after it has checked the right to read
// without permissions.
//
// https://learn.microsoft.com/azure/search/search-query-access-control-rbac-enforcement#elevated-permissions-for-investigating-incorrect-results
func Elevated() search.User { return elevated{} }

type elevated struct{}

// SeesAs implements [search.User].
func (elevated) SeesAs() string { return "elevated" }

// principals are what documents are matched against: everything, or ids by kind.
type principals struct {
	everything            bool
	users, groups, scopes []string
}

func (p principals) equal(o principals) bool {
	return p.everything == o.everything && slices.Equal(p.users, o.users) && slices.Equal(p.groups, o.groups) && slices.Equal(p.scopes, o.scopes)
}

// clone is for keeping: the lists are the caller's.
func (p principals) clone() principals {
	return principals{p.everything, slices.Clone(p.users), slices.Clone(p.groups), slices.Clone(p.scopes)}
}

func (p principals) person(s *state) personKey {
	k := personKey{of: s, groups: len(p.groups), scopes: len(p.scopes)}
	if len(p.users) > 0 {
		k.user = p.users[0]
	}
	return k
}

// The two values of a permission field that are no ids.
const (
	everyone = "all"
	nobody   = "none"
)

// principalsOf refuses every kind of user that it does not know, and a person without an id.
func (e *Engine) principalsOf(u search.User) (principals, error) {
	switch u := u.(type) {
	case elevated:
		return principals{everything: true}, nil
	case search.ByPrincipals:
		if u.Object.IsZero() {
			return principals{}, errors.New("search engine: a person without an object id")
		}
		return principals{users: []string{u.Object.String()}, groups: u.Groups, scopes: u.Scopes}, nil
	}
	if search.IsPublicOnly(u) {
		return principals{everything: e.config.LegacyPermissions}, nil
	}
	return principals{}, fmt.Errorf("search engine: does not know users of type %T; whoever verified the person says it by search.ByPrincipals", u)
}
