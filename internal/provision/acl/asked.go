package acl

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/onbehalf/onbehalf/search"
)

// maxReadings bounds what is kept of who may read which document.
const maxReadings = 5_000_000

// Asked is Documents for permission fields that cannot be read: the service is asked, for each of the ids, which documents name
// it. Ids that are not among them do not show. Progress is called for each id.
func Asked(ctx context.Context, index search.Index, fields Fields, users, groups []string, progress func(done, all int)) iter.Seq2[Readers, error] {
	return func(yield func(Readers, error) bool) {
		q := &inquiry{index: index, fields: fields, found: map[string]*Readers{}}
		special := []string{everyone, nobody}
		asUsers, asGroups := slices.Concat(special, users), slices.Concat(special, groups)
		for i, id := range slices.Concat(asUsers, asGroups) {
			err := q.ask(ctx, id, i < len(asUsers))
			if err != nil {
				yield(Readers{}, err)
				return
			}
			progress(i+1, len(asUsers)+len(asGroups))
		}
		for key, err := range Keys(ctx, index, fields) {
			readers := Readers{Key: key}
			if known := q.found[key]; known != nil {
				readers = *known
			}
			if !yield(readers, err) || err != nil {
				return
			}
		}
	}
}

// inquiry is what was found out about the readers of documents.
type inquiry struct {
	index    search.Index
	fields   Fields
	found    map[string]*Readers
	readings int
}

// ask finds the documents that name an id, as a user or as a group.
func (q *inquiry) ask(ctx context.Context, id string, user bool) error {
	field := q.fields.Groups
	if user {
		field = q.fields.Users
	}
	if field == "" {
		return nil
	}
	for key, err := range Naming(ctx, q.index, q.fields, field, id) {
		if err != nil {
			return err
		}
		if q.readings++; q.readings > maxReadings {
			return fmt.Errorf("more than %d permissions: ask for fewer people and groups", maxReadings)
		}
		readers := q.found[key]
		if readers == nil {
			readers = &Readers{Key: key}
			q.found[key] = readers
		}
		if user {
			readers.Users = append(readers.Users, id)
		} else {
			readers.Groups = append(readers.Groups, id)
		}
	}
	return nil
}
