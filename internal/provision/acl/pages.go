package acl

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/search"
)

// Bounds of a listing.
const (
	pageSize = 1000    // the service's limit
	maxSkip  = 100_000 // the service's limit; beyond it only a comparison of keys leads on
)

// document is a document of a listing.
type document struct {
	key    string
	fields map[string]json.RawMessage
}

// read decodes a field; "" names none.
func (d *document) read(field string, into any) error {
	raw, ok := d.fields[field]
	if field == "" || !ok || string(raw) == "null" {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("document %s: field %s: %w", d.key, field, err)
	}
	return nil
}

// pages lists what a user sees in the order of keys, a page at a time: each page begins after the last key of the one before,
// so that nothing is missed or seen twice while documents come and go, and there may be more of them than can be skipped.
func pages(ctx context.Context, index search.Index, fields *Fields, user search.User, filter string, selected ...string) iter.Seq2[document, error] {
	if !fields.sorted {
		return unsorted(ctx, index, fields, user, filter, selected)
	}
	return func(yield func(document, error) bool) {
		l := &listing{fields: fields, filter: filter, selected: selected}
		for {
			result, err := l.next(ctx, index, user)
			if err != nil {
				yield(document{}, err)
				return
			}
			if len(result.Hits) == 0 {
				return
			}
			for i := range result.Hits {
				d, err := decode(result.Hits[i].Document, fields.Key)
				if err == nil && l.seen > 0 && d.key <= l.last {
					err = errors.New("the service did not keep the order of the keys")
				}
				if !yield(d, err) || err != nil {
					return
				}
				l.last = d.key
				l.seen++
			}
		}
	}
}

// listing is how far a listing is.
type listing struct {
	fields   *Fields
	filter   string
	selected []string

	last string
	seen int
	skip bool // the service does not compare keys; its documentation contradicts itself
}

func (l *listing) next(ctx context.Context, index search.Index, user search.User) (*search.Result, error) {
	query := &search.Query{Select: l.selected, OrderBy: []string{l.fields.Key}, Top: new(pageSize), Filter: l.filter}
	if l.seen > 0 && !l.skip {
		query.Filter = and(l.filter, fmt.Sprintf("%s gt '%s'", l.fields.Key, strings.ReplaceAll(l.last, "'", "''")))
		result, err := index.Search(ctx, user, query)
		if !errors.Is(err, search.ErrBadRequest) {
			return result, err
		}
		l.skip = true
	}
	if l.seen > maxSkip {
		return nil, fmt.Errorf("more than %d documents, and the service does not compare keys", maxSkip)
	}
	query.Filter, query.Skip = l.filter, l.seen
	return index.Search(ctx, user, query)
}

func and(filter, more string) string {
	if filter == "" {
		return more
	}
	return "(" + filter + ") and " + more
}

// unsorted lists an index by whose key nothing can be ordered: it goes as far as the service lets one skip.
func unsorted(ctx context.Context, index search.Index, fields *Fields, user search.User, filter string, selected []string) iter.Seq2[document, error] {
	return func(yield func(document, error) bool) {
		var all []document
		for skip := 0; ; {
			result, err := index.Search(ctx, user, &search.Query{Select: selected, Top: new(pageSize), Filter: filter, Skip: skip})
			if err != nil {
				yield(document{}, err)
				return
			}
			if len(result.Hits) == 0 {
				break
			}
			for i := range result.Hits {
				d, err := decode(result.Hits[i].Document, fields.Key)
				if err != nil {
					yield(d, err)
					return
				}
				all = append(all, d)
			}
			if skip += len(result.Hits); skip > maxSkip {
				yield(document{}, fmt.Errorf("more than %d documents, and the key field %s is not both filterable and sortable", maxSkip, fields.Key))
				return
			}
		}
		slices.SortFunc(all, func(a, b document) int { return cmp.Compare(a.key, b.key) })
		all = slices.CompactFunc(all, func(a, b document) bool { return a.key == b.key })
		for _, d := range all {
			if !yield(d, nil) {
				return
			}
		}
	}
}

func decode(raw search.Document, key string) (document, error) {
	d := document{}
	if err := json.Unmarshal(raw, &d.fields); err != nil {
		return d, fmt.Errorf("a document is no JSON object: %w", err)
	}
	if err := json.Unmarshal(d.fields[key], &d.key); err != nil || d.key == "" {
		return d, errors.New("a document came without its key")
	}
	return d, nil
}
