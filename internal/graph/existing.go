package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// How many ids one request may ask for.
//
// https://learn.microsoft.com/graph/api/directoryobject-getbyids and
// https://learn.microsoft.com/graph/filter-query-parameter (operator in)
const (
	MaxIDs       = 1000
	maxIDsFilter = 15
)

// identified is an object of which nothing but the id matters.
type identified struct {
	ID string `json:"id"`
}

// GroupsByID returns which of up to [MaxIDs] object ids are those of groups, in lower case. It takes Directory.Read.All.
//
// https://learn.microsoft.com/graph/api/directoryobject-getbyids
func (c *Client) GroupsByID(ctx context.Context, ids []string) ([]string, error) {
	if len(ids) > MaxIDs {
		return nil, fmt.Errorf("%w: %d ids in one request", ErrTooMany, len(ids))
	}
	body := map[string]any{"ids": ids, "types": []string{"group"}}
	first, err := send[page[identified]](ctx, c, http.MethodPost, c.url("/directoryObjects/getByIds", nil), body)
	if err == nil {
		var all []identified
		if all, err = rest(ctx, c, first, MaxIDs); err == nil {
			return idsOf(all), nil
		}
	}
	if half := len(ids) / 2; half > 0 && errors.Is(err, ErrTooMany) { // whole objects come, which may be large
		some, err1 := c.GroupsByID(ctx, ids[:half])
		others, err2 := c.GroupsByID(ctx, ids[half:])
		return append(some, others...), errors.Join(err1, err2)
	}
	return nil, err
}

// GroupsAmong is [Client.GroupsByID] for who may read groups and not the whole directory (GroupMember.Read.All): fifteen ids
// a request.
func (c *Client) GroupsAmong(ctx context.Context, ids []string) ([]string, error) {
	var found []string
	for some := range slices.Chunk(ids, maxIDsFilter) {
		quoted := make([]string, len(some))
		for i, id := range some {
			quoted[i] = Quote(id)
		}
		query := url.Values{"$filter": {"id in (" + strings.Join(quoted, ",") + ")"}, "$select": {"id"}}
		groups, err := List[identified](ctx, c, "/groups", query, len(some))
		if err != nil {
			return nil, err
		}
		found = append(found, idsOf(groups)...)
	}
	return found, nil
}

// CountGroups says about how many groups the directory has.
func (c *Client) CountGroups(ctx context.Context) (int, error) {
	type counted struct {
		Count int `json:"@odata.count"`
	}
	answer, err := Get[counted](ctx, c, "/groups", url.Values{"$count": {"true"}, "$select": {"id"}, "$top": {"1"}})
	return answer.Count, err
}

// AllGroupIDs lists the ids of all groups, in lower case; more than limit are an error.
func (c *Client) AllGroupIDs(ctx context.Context, limit int) ([]string, error) {
	groups, err := List[identified](ctx, c, "/groups", url.Values{"$select": {"id"}, "$top": {"999"}}, limit)
	return idsOf(groups), err
}

func idsOf(objects []identified) []string {
	ids := make([]string, 0, len(objects))
	for _, o := range objects {
		ids = append(ids, strings.ToLower(o.ID))
	}
	return ids
}
