// Package schema turns an index definition into the typed tree of fields that documents and queries are checked
// against. A [Schema] cannot be wrong once made, and does not change: a changed definition makes a new one.
package schema

import (
	"github.com/onbehalf/onbehalf/search/searchengine/internal/odata"
)

// Schema is the compiled form of an index definition.
type Schema struct {
	Fields []*Field // top level, in the order of the definition
	Key    *Field

	// The permission fields, nil where the index has none. Enforced says that they count.
	Enforced                 bool
	UserIDs, GroupIDs, Scope *Field

	K1, B float64 // of BM25

	byPath map[string]*Field
	all    []*Field // every field, parents before children
}

// Field is one field, with all defaults applied.
type Field struct {
	Name   string
	Path   string // from the root: "Address/City"
	Type   odata.Type
	Parent *Field // the complex field around it, nil at top level

	Collection  bool
	Key         bool
	Retrievable bool
	Searchable  bool
	Filterable  bool
	Sortable    bool
	Facetable   bool

	Analyzer       string // of documents
	SearchAnalyzer string // of queries
	Normalizer     string // "" for none

	Fields []*Field // of a complex type
}

// Lookup finds a field by its path.
func (s *Schema) Lookup(path string) *Field { return s.byPath[path] }

// All returns every field, parents before children.
func (s *Schema) All() []*Field { return s.all }

// Searchable returns the fields that full-text queries look into unless they name others, in the definition's order.
func (s *Schema) Searchable() []*Field {
	var fields []*Field
	for _, f := range s.all {
		if f.Searchable {
			fields = append(fields, f)
		}
	}
	return fields
}

// Field implements [odata.Schema].
func (s *Schema) Field(path string) (odata.Field, bool) {
	f := s.byPath[path]
	if f == nil {
		return odata.Field{}, false
	}
	return odata.Field{
		Type: f.Type, Collection: f.Collection,
		Filterable: f.Filterable, Sortable: f.Sortable, Facetable: f.Facetable,
		Searchable: f.Searchable, Retrievable: f.Retrievable,
	}, true
}

// Columnar reports whether the field's values are kept in a column, to filter, sort, count or trim by.
func (f *Field) Columnar() bool {
	return f.Key || f.Type != odata.ComplexType && (f.Filterable || f.Sortable || f.Facetable)
}

// HasTable reports whether each element of the field is a row of a table of its own: lambdas look at elements.
// Collections of strings need none, because what a lambda may ask of them can be told by their values alone.
func (f *Field) HasTable() bool {
	return f.Collection && (f.Type == odata.ComplexType || f.Type != odata.StringType && f.Columnar())
}
