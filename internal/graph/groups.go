package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/onbehalf/onbehalf/identity"
)

// groupsRequest asks for every group, not only those with security enabled: permission filters may name any.
type groupsRequest struct {
	SecurityEnabledOnly bool `json:"securityEnabledOnly"`
}

// TransitiveGroups returns the object ids of all groups that a person (or service principal) is in, directly or through
// other groups, in Graph's order. It returns all of them or an error, never a part: a short list would silently take
// documents away, or, where groups exclude, give them. A person without groups has an empty list.
//
// https://learn.microsoft.com/graph/api/directoryobject-getmembergroups
func (c *Client) TransitiveGroups(ctx context.Context, person identity.ObjectID) ([]string, error) {
	if person.IsZero() {
		return nil, fmt.Errorf("groups: %w: no person was named", ErrNotFound)
	}
	return c.memberGroups(ctx, "/users/"+person.String()+"/getMemberGroups")
}

// MyGroups is [Client.TransitiveGroups] for the person whose token the client sends.
func (c *Client) MyGroups(ctx context.Context) ([]string, error) {
	return c.memberGroups(ctx, "/me/getMemberGroups")
}

func (c *Client) memberGroups(ctx context.Context, path string) ([]string, error) {
	first, err := send[page[identity.ObjectID]](ctx, c, http.MethodPost, c.url(path, nil), groupsRequest{})
	if err != nil {
		return nil, fmt.Errorf("groups: %w", err)
	}
	if first.Value == nil {
		return nil, errors.New("groups: the answer of Microsoft Graph holds no list")
	}
	ids, err := rest(ctx, c, first, c.groups)
	if err != nil {
		return nil, fmt.Errorf("groups: %w", err)
	}
	groups := make([]string, 0, len(ids))
	for _, id := range ids {
		if id.IsZero() {
			return nil, errors.New("groups: the answer of Microsoft Graph holds an empty id")
		}
		groups = append(groups, id.String())
	}
	return groups, nil
}
