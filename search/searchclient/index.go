package searchclient

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/onbehalf/onbehalf/internal/jsonscan"
	"github.com/onbehalf/onbehalf/search"
)

// index is one index of the service.
type index struct {
	client *Client
	name   string
}

// Index implements [search.Service].
func (c *Client) Index(name string) search.Index { return &index{c, name} }

// Search implements [search.Index].
func (i *index) Search(ctx context.Context, u search.User, q *search.Query) (*search.Result, error) {
	body, err := encodeQuery(q)
	if err != nil {
		return nil, err
	}
	call := &request{name: "search", index: i.name, method: http.MethodPost, path: indexPath(i.name) + "/docs/search.post.search", body: body}
	var result *search.Result
	err = i.client.asUser(ctx, u, call, func(got *answer) (int, error) {
		var malformed error
		if result, malformed = decodeResult(got, q); malformed != nil {
			return 0, malformed
		}
		return len(result.Hits), nil
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// Lookup implements [search.Index].
func (i *index) Lookup(ctx context.Context, u search.User, key string, fields ...string) (search.Document, error) {
	call := &request{name: "lookup", index: i.name, method: http.MethodGet, path: indexPath(i.name) + "/docs('" + escapeKey(key) + "')"}
	if len(fields) > 0 {
		call.query = url.Values{"$select": {strings.Join(fields, ",")}}
	}
	var document search.Document
	err := i.client.asUser(ctx, u, call, func(got *answer) (int, error) {
		scan := jsonscan.New(got.body)
		hit, err := decodeHit(scan, got.body) // annotations such as @odata.context are not part of the document
		if err = cmp.Or(err, scan.End()); err != nil {
			return 0, fmt.Errorf("search client: lookup: the answer is not the service's JSON: %w", err)
		}
		document = hit.Document
		return 1, nil
	})
	return document, err
}
