package column

import (
	"strings"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
)

// Strings is a dictionary-coded column of strings: each value has a number, 0 stands for null, and each value knows its
// rows.
type Strings struct {
	Values []string   // by number; Values[0] is unused
	Rows   [][]uint32 // by number: the rows that have the value, ascending and distinct. Those with null are not listed

	// Of a single-valued column.
	Numbers []uint32 // by row

	// Of a collection.
	Ends     []uint32 // by row: where its numbers end in Elements; they begin where those of the row before end
	Elements []uint32 // numbers, in the order of the document, repetitions included

	numbers map[string]uint32
	multi   bool
}

func newStrings(collection bool, rows int) *Strings {
	s := &Strings{Values: []string{""}, Rows: [][]uint32{nil}, numbers: map[string]uint32{}, multi: collection}
	if collection {
		s.Ends = make([]uint32, rows)
	} else {
		s.Numbers = make([]uint32, rows)
	}
	return s
}

// Collection reports whether rows have lists of values.
func (s *Strings) Collection() bool { return s.multi }

// Number finds a value; no row has it where ok is false.
func (s *Strings) Number(value string) (n uint32, ok bool) {
	n, ok = s.numbers[value]
	return n, ok
}

// NumbersOf returns the numbers of the values of a row of a collection.
func (s *Strings) NumbersOf(row uint32) []uint32 {
	from := uint32(0)
	if row > 0 {
		from = s.Ends[row-1]
	}
	return s.Elements[from:s.Ends[row]]
}

func (s *Strings) append(row uint32, v *Value) {
	n := uint32(0)
	if v.Set {
		n = s.add(row, v.String)
	}
	s.Numbers = append(s.Numbers, n)
}

func (s *Strings) appendList(row uint32, list []Value) {
	for i := range list {
		n := uint32(0)
		if list[i].Set {
			n = s.add(row, list[i].String)
		}
		s.Elements = append(s.Elements, n)
	}
	s.Ends = append(s.Ends, uint32(len(s.Elements))) //nolint:gosec // fewer elements than that fit into memory
}

// add notes that the row has the value, and returns the value's number.
func (s *Strings) add(row uint32, value string) uint32 {
	n, ok := s.numbers[value]
	if !ok {
		n = uint32(len(s.Values)) //nolint:gosec // fewer values than that fit into memory
		value = strings.Clone(value)
		s.Values = append(s.Values, value)
		s.Rows = append(s.Rows, nil)
		s.numbers[value] = n
	}
	rows := s.Rows[n]
	if len(rows) == 0 || rows[len(rows)-1] != row {
		s.Rows[n] = append(rows, row)
	}
	return n
}

// AddRows puts the rows that have value number n into the set.
func (s *Strings) AddRows(n uint32, to bitset.Set) {
	for _, row := range s.Rows[n] {
		to[row>>6] |= 1 << (row & 63)
	}
}

// Nulls returns the rows among within whose value is null; of a collection, those that have no element.
func (s *Strings) Nulls(within bitset.Set) bitset.Set {
	out := make(bitset.Set, len(within))
	for row := range within.All() {
		if s.multi && len(s.NumbersOf(row)) == 0 || !s.multi && s.Numbers[row] == 0 {
			out.Add(row)
		}
	}
	return out
}

// Any returns the rows among within that have one of the values.
func (s *Strings) Any(values []string, within bitset.Set) bitset.Set {
	out := make(bitset.Set, len(within))
	for _, v := range values {
		if n, ok := s.numbers[v]; ok {
			s.AddRows(n, out)
		}
	}
	out.And(within)
	return out
}

// Where returns the rows among within that have a value for which the test holds.
func (s *Strings) Where(test func(value string) bool, within bitset.Set) bitset.Set {
	out := make(bitset.Set, len(within))
	for n := 1; n < len(s.Values); n++ {
		if test(s.Values[n]) {
			s.AddRows(uint32(n), out)
		}
	}
	out.And(within)
	return out
}
