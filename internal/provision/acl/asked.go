package acl

import (
	"context"
	"fmt"
	"iter"

	"github.com/onbehalf/onbehalf/search"
)

// maxReadings bounds what is kept of who may read which document.
const maxReadings = 5_000_000

// Asked is Documents for permission fields that cannot be read: the service is asked, for each of the ids, which documents name
// it. Ids that are not among them do not show.
func Asked(ctx context.Context, index search.Index, fields Fields, users, groups []string) iter.Seq2[Readers, error] {
	return func(yield func(Readers, error) bool) {
		found := map[string]*Readers{}
		readings := 0
		collect := func(field, id string, into func(*Readers) *[]string) error {
			if field == "" {
				return nil
			}
			for key, err := range Naming(ctx, index, fields, field, id) {
				if err != nil {
					return err
				}
				if readings++; readings > maxReadings {
					return fmt.Errorf("more than %d permissions: let the permission fields be readable for a while, or ask for fewer people and groups", maxReadings)
				}
				if found[key] == nil {
					found[key] = &Readers{Key: key}
				}
				list := into(found[key])
				*list = append(*list, id)
			}
			return nil
		}
		special := []string{everyone, nobody}
		for _, ids := range [][]string{special, users} {
			for _, id := range ids {
				if err := collect(fields.Users, id, func(r *Readers) *[]string { return &r.Users }); err != nil {
					yield(Readers{}, err)
					return
				}
			}
		}
		for _, ids := range [][]string{special, groups} {
			for _, id := range ids {
				if err := collect(fields.Groups, id, func(r *Readers) *[]string { return &r.Groups }); err != nil {
					yield(Readers{}, err)
					return
				}
			}
		}
		for key, err := range Keys(ctx, index, fields) {
			readers := Readers{Key: key}
			if known := found[key]; known != nil {
				readers = *known
			}
			if !yield(readers, err) || err != nil {
				return
			}
		}
	}
}
