// Package acl holds what an index returns to people against what its permissions allow: who may read which document, by the
// permission fields and the groups of Microsoft Graph alone, and document by document whether the service agrees.
//
// What is allowed is worked out here, from the words of the documentation, and never by the service's permission filter.
//
// https://learn.microsoft.com/azure/search/search-index-access-control-lists-and-rbac-push-api
package acl

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient/elevated"
)

// The values of permission fields that are no ids.
const (
	everyone = "all"
	nobody   = "none"
)

// Fields are the fields of an index that matter here.
type Fields struct {
	Index         string
	Key           string
	Users, Groups string // "" when there is none
	Scope         string
	Enforced      bool
	Readable      bool // the permission fields can be read; good set-ups do not let them
	sorted        bool // the key can be ordered and compared by
}

// FieldsOf finds them in a definition.
func FieldsOf(d *search.Definition) (Fields, error) {
	f := Fields{Index: d.Name, Enforced: d.PermissionFilterOption == search.PermissionsEnabled, Readable: true}
	on := func(attribute *bool) bool { return attribute == nil || *attribute }
	for i := range d.Fields {
		field := &d.Fields[i]
		switch {
		case field.Key:
			f.Key, f.sorted = field.Name, on(field.Filterable) && on(field.Sortable)
		case field.PermissionFilter == search.UserIDs:
			f.Users = field.Name
		case field.PermissionFilter == search.GroupIDs:
			f.Groups = field.Name
		case field.PermissionFilter == search.RBACScope:
			f.Scope = field.Name
		default:
			continue
		}
		f.Readable = f.Readable && (field.Key || on(field.Retrievable))
	}
	switch {
	case f.Key == "":
		return f, fmt.Errorf("index %s: its definition has no key field", d.Name)
	case f.Users == "" && f.Groups == "" && f.Scope == "":
		return f, fmt.Errorf("index %s has no permission fields: everybody who may query sees every document", d.Name)
	}
	return f, nil
}

// Person is somebody, with all groups that count. The zero Person is a caller without a user's token.
type Person struct {
	Object identity.ObjectID
	Groups []string // object ids, transitive
}

// Readers are who may read a document, by its permission fields.
type Readers struct {
	Key    string
	Users  []string
	Groups []string
	Scope  string
}

// Allow reports whether the person may read the document.
func (r *Readers) Allow(p *Person) bool {
	if slices.Contains(r.Users, everyone) || slices.Contains(r.Groups, everyone) {
		return true
	}
	if p.Object.IsZero() {
		return false
	}
	if slices.ContainsFunc(r.Users, func(id string) bool { return strings.EqualFold(id, p.Object.String()) }) {
		return true
	}
	return slices.ContainsFunc(r.Groups, func(id string) bool {
		return id != nobody && slices.ContainsFunc(p.Groups, func(mine string) bool { return strings.EqualFold(id, mine) })
	})
}

// Reference says what a person may read.
type Reference interface {
	// Allowed yields the keys of all documents that the person may read, ascending.
	Allowed(ctx context.Context, p *Person) iter.Seq2[string, error]
	// Scoped yields the keys of all documents that name a scope, ascending: roles on storage may allow them, too.
	Scoped(ctx context.Context) iter.Seq2[string, error]
	// Describe says in a few words where the permissions come from.
	Describe() string
}

// FromIndex takes the permissions from the index itself, by elevated read. Where its permission fields cannot be read, the
// service is asked to filter by them, as by any other field.
func FromIndex(index search.Index, fields Fields) Reference { return &fromIndex{index, fields} }

type fromIndex struct {
	index  search.Index
	fields Fields
}

// Describe implements [Reference].
func (f *fromIndex) Describe() string {
	if f.fields.Readable {
		return "the permission fields of the index"
	}
	return "the permission fields of the index, which can be filtered by and not read"
}

// Allowed implements [Reference].
func (f *fromIndex) Allowed(ctx context.Context, p *Person) iter.Seq2[string, error] {
	if f.fields.Users == "" && f.fields.Groups == "" {
		return Nothing()
	}
	if !f.fields.Readable {
		return keys(pages(ctx, f.index, &f.fields, elevated.DangerouslyReadEverything(), f.fields.filter(p), f.fields.Key))
	}
	return func(yield func(string, error) bool) {
		for readers, err := range Documents(ctx, f.index, f.fields) {
			if err != nil || readers.Allow(p) {
				if !yield(readers.Key, err) || err != nil {
					return
				}
			}
		}
	}
}

// Scoped implements [Reference].
func (f *fromIndex) Scoped(ctx context.Context) iter.Seq2[string, error] {
	if f.fields.Scope == "" {
		return Nothing()
	}
	filter := fmt.Sprintf("%s ne null and %s ne ''", f.fields.Scope, f.fields.Scope)
	return keys(pages(ctx, f.index, &f.fields, elevated.DangerouslyReadEverything(), filter, f.fields.Key))
}

// filter says, in OData, what the permission fields of a document must hold for the person. GUIDs need no escaping.
//
// https://learn.microsoft.com/azure/search/search-query-odata-search-in-function
func (f *Fields) filter(p *Person) string {
	users, groups := []string{everyone}, []string{everyone}
	if !p.Object.IsZero() {
		users = append(users, p.Object.String())
		for _, id := range p.Groups {
			if object, err := identity.ParseObjectID(id); err == nil {
				groups = append(groups, object.String())
			}
		}
	}
	var terms []string
	for _, t := range []struct {
		field string
		ids   []string
	}{{f.Users, users}, {f.Groups, groups}} {
		if t.field != "" {
			terms = append(terms, fmt.Sprintf("%s/any(x: search.in(x, '%s', ','))", t.field, strings.Join(t.ids, ",")))
		}
	}
	return strings.Join(terms, " or ")
}

// Documents yields the readers of all documents in the order of their keys, by elevated read. The permission fields have to
// be readable.
func Documents(ctx context.Context, index search.Index, fields Fields) iter.Seq2[Readers, error] {
	selected := []string{fields.Key}
	for _, name := range []string{fields.Users, fields.Groups, fields.Scope} {
		if name != "" {
			selected = append(selected, name)
		}
	}
	return func(yield func(Readers, error) bool) {
		for document, err := range pages(ctx, index, &fields, elevated.DangerouslyReadEverything(), "", selected...) {
			if err != nil {
				yield(Readers{}, err)
				return
			}
			readers := Readers{Key: document.key}
			err = errors.Join(document.read(fields.Users, &readers.Users), document.read(fields.Groups, &readers.Groups), document.read(fields.Scope, &readers.Scope))
			if !yield(readers, err) || err != nil {
				return
			}
		}
	}
}

// Visible yields the keys of all documents that the service returns to a user, ascending.
func Visible(ctx context.Context, index search.Index, fields Fields, user search.User) iter.Seq2[string, error] {
	return keys(pages(ctx, index, &fields, user, "", fields.Key))
}

// Keys yields the keys of all documents, ascending, by elevated read.
func Keys(ctx context.Context, index search.Index, fields Fields) iter.Seq2[string, error] {
	return Visible(ctx, index, fields, elevated.DangerouslyReadEverything())
}

// Naming yields the keys of all documents whose permission fields hold the id, ascending, by elevated read.
func Naming(ctx context.Context, index search.Index, fields Fields, field, id string) iter.Seq2[string, error] {
	filter := fmt.Sprintf("%s/any(x: x eq '%s')", field, strings.ReplaceAll(id, "'", "''"))
	return keys(pages(ctx, index, &fields, elevated.DangerouslyReadEverything(), filter, fields.Key))
}

func keys(documents iter.Seq2[document, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for d, err := range documents {
			if !yield(d.key, err) || err != nil {
				return
			}
		}
	}
}

// Everything is the caller who sees all documents, whatever their permissions: for counting them.
func Everything() search.User { return elevated.DangerouslyReadEverything() }
