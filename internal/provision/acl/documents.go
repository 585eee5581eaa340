package acl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/onbehalf/onbehalf/internal/provision/corpus"
	"github.com/onbehalf/onbehalf/search"
)

// FromInput takes the permissions from the input that was uploaded, and so also finds an index whose permissions are no longer
// those of the input.
func FromInput(source corpus.Source, fields Fields, describe string) (Reference, error) {
	f := &fromInput{describe: describe}
	for entry, err := range source.Entries() {
		if err != nil {
			return nil, err
		}
		readers, err := readersOf(entry.Document, &fields)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source.Origin(entry.Position), err)
		}
		f.documents = append(f.documents, readers)
	}
	slices.SortFunc(f.documents, func(a, b Readers) int { return cmp.Compare(a.Key, b.Key) })
	return f, nil
}

func readersOf(raw search.Document, fields *Fields) (Readers, error) {
	d, err := decode(raw, fields.Key)
	if err != nil {
		return Readers{}, err
	}
	readers := Readers{Key: d.key}
	if err = d.read(fields.Users, &readers.Users); err == nil {
		err = errors.Join(d.read(fields.Groups, &readers.Groups), d.read(fields.Scope, &readers.Scope))
	}
	return readers, err
}

type fromInput struct {
	documents []Readers
	describe  string
}

// Describe implements [Reference].
func (f *fromInput) Describe() string { return f.describe }

// Allowed implements [Reference].
func (f *fromInput) Allowed(_ context.Context, p *Person) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for i := range f.documents {
			if f.documents[i].Allow(p) && !yield(f.documents[i].Key, nil) {
				return
			}
		}
	}
}

// Scoped implements [Reference].
func (f *fromInput) Scoped(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for i := range f.documents {
			if f.documents[i].Scope != "" && !yield(f.documents[i].Key, nil) {
				return
			}
		}
	}
}
