// Package column keeps the values of fields by row, to filter, sort, count and trim by. Rows are append-only: a set of
// rows that was computed once stays right for ever and only has to be extended.
//
// The rows of the root [Table] are documents. Each element of a collection of complex values, numbers, dates or Booleans
// is a row of a table of its own, with the row that it belongs to as its parent.
package column

import (
	"math/bits"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/odata"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/schema"
)

// Table is a set of rows with their columns, keyed by the path of the field from the root of the document.
type Table struct {
	Rows    int
	Parents []uint32 // row of the table around; nil for the root
	Strings map[string]*Strings
	Ints    map[string]*Ints // integers, and dates as ticks
	Floats  map[string]*Floats
	Bools   map[string]*Bools
	Tables  map[string]*Table // by the path of the collection
}

// NewTable returns an empty table.
func NewTable() *Table {
	return &Table{
		Strings: map[string]*Strings{}, Ints: map[string]*Ints{}, Floats: map[string]*Floats{}, Bools: map[string]*Bools{},
		Tables: map[string]*Table{},
	}
}

// Value is the value of a field in one row. The zero Value is null.
type Value struct {
	Set     bool // not null
	Bool    bool
	Int     int64
	Float   float64
	String  string  // normalized
	List    []Value // elements of a collection; a null collection has none
	Members []Value // of a complex value: one for each sub-field
}

// Define makes the columns and tables that fields need; those that exist stay. Rows that are there already have null.
func (t *Table) Define(fields []*schema.Field) {
	for _, f := range fields {
		switch {
		case f.HasTable():
			inner := t.Tables[f.Path]
			if inner == nil {
				inner = NewTable()
				inner.Parents = []uint32{}
				t.Tables[f.Path] = inner
			}
			if f.Type == odata.ComplexType {
				inner.Define(f.Fields)
			} else {
				inner.defineColumn(f)
			}
		case f.Type == odata.ComplexType:
			t.Define(f.Fields)
		case f.Columnar():
			t.defineColumn(f)
		}
	}
}

func (t *Table) defineColumn(f *schema.Field) {
	switch f.Type {
	case odata.StringType:
		if t.Strings[f.Path] == nil {
			t.Strings[f.Path] = newStrings(f.Collection, t.Rows)
		}
	case odata.Int32Type, odata.Int64Type, odata.DateType:
		if t.Ints[f.Path] == nil {
			t.Ints[f.Path] = newInts(t.Rows)
		}
	case odata.DoubleType:
		if t.Floats[f.Path] == nil {
			t.Floats[f.Path] = newFloats(t.Rows)
		}
	case odata.BooleanType:
		if t.Bools[f.Path] == nil {
			t.Bools[f.Path] = newBools(t.Rows)
		}
	case odata.ComplexType, odata.GeographyType: // have no column
	}
}

// Append adds one row with the values of the fields, in their order, and returns its number.
func (t *Table) Append(fields []*schema.Field, values []Value) uint32 {
	row := uint32(t.Rows) //nolint:gosec // fewer rows than that fit into memory
	t.Rows++
	t.append(row, fields, values)
	return row
}

func (t *Table) append(row uint32, fields []*schema.Field, values []Value) {
	for i, f := range fields {
		v := &values[i]
		switch {
		case f.HasTable():
			t.Tables[f.Path].appendElements(row, f, v.List)
		case f.Type == odata.ComplexType:
			members := v.Members
			if members == nil {
				members = make([]Value, len(f.Fields)) // a null complex value has null members
			}
			t.append(row, f.Fields, members)
		case f.Columnar():
			t.appendValue(row, f, v)
		}
	}
}

func (t *Table) appendElements(parent uint32, f *schema.Field, elements []Value) {
	for i := range elements {
		t.Parents = append(t.Parents, parent)
		if f.Type == odata.ComplexType {
			t.Append(f.Fields, elements[i].Members)
			continue
		}
		row := uint32(t.Rows) //nolint:gosec // fewer rows than that fit into memory
		t.Rows++
		t.appendValue(row, f, &elements[i])
	}
}

func (t *Table) appendValue(row uint32, f *schema.Field, v *Value) {
	switch f.Type {
	case odata.StringType:
		if f.Collection {
			t.Strings[f.Path].appendList(row, v.List)
		} else {
			t.Strings[f.Path].append(row, v)
		}
	case odata.Int32Type, odata.Int64Type, odata.DateType:
		t.Ints[f.Path].append(row, v)
	case odata.DoubleType:
		t.Floats[f.Path].append(row, v)
	case odata.BooleanType:
		t.Bools[f.Path].append(row, v)
	case odata.ComplexType, odata.GeographyType: // have no column
	}
}

// ParentsOf returns the rows, of n in the table around, that have an element in the set.
func (t *Table) ParentsOf(elements bitset.Set, n int) bitset.Set {
	parents := bitset.New(n)
	for i, w := range elements {
		for w != 0 {
			parents.Add(t.Parents[i<<6+bits.TrailingZeros64(w)])
			w &= w - 1
		}
	}
	return parents
}

// ElementsOf returns the elements of the rows in the set.
func (t *Table) ElementsOf(parents bitset.Set) bitset.Set {
	elements := bitset.New(t.Rows)
	for row, parent := range t.Parents {
		if parents.Has(parent) {
			elements.Add(uint32(row))
		}
	}
	return elements
}
