package column

import "github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"

// Compact returns the table with only the rows in the set, numbered anew in their order. Values that no row has are gone.
func (t *Table) Compact(keep bitset.Set) *Table {
	out := NewTable()
	out.Rows = keep.Count()
	for path, c := range t.Strings {
		out.Strings[path] = c.compact(keep)
	}
	for path, c := range t.Ints {
		to := &Ints{}
		for row := range keep.All() {
			to.append(uint32(len(to.Values)), &Value{Set: !c.Nulls.Has(row), Int: c.Values[row]}) //nolint:gosec // a row number
		}
		out.Ints[path] = to
	}
	for path, c := range t.Floats {
		to := &Floats{}
		for row := range keep.All() {
			to.append(uint32(len(to.Values)), &Value{Set: !c.Nulls.Has(row), Float: c.Values[row]}) //nolint:gosec // a row number
		}
		out.Floats[path] = to
	}
	for path, c := range t.Bools {
		to, n := &Bools{}, uint32(0)
		for row := range keep.All() {
			to.append(n, &Value{Set: !c.Nulls.Has(row), Bool: c.True.Has(row)})
			n++
		}
		out.Bools[path] = to
	}
	for path, inner := range t.Tables {
		out.Tables[path] = inner.compactElements(keep, t.Rows)
	}
	return out
}

// compactElements keeps the elements of the rows in keep, of so many.
func (t *Table) compactElements(keep bitset.Set, rows int) *Table {
	elements := t.ElementsOf(keep)
	out := t.Compact(elements)
	renumbered := make([]uint32, rows)
	n := uint32(0)
	for row := range keep.All() {
		renumbered[row] = n
		n++
	}
	out.Parents = make([]uint32, 0, out.Rows)
	for element := range elements.All() {
		out.Parents = append(out.Parents, renumbered[t.Parents[element]])
	}
	return out
}

func (s *Strings) compact(keep bitset.Set) *Strings {
	out := newStrings(s.multi, 0)
	var list []Value
	row := uint32(0)
	for old := range keep.All() {
		if s.multi {
			list = list[:0]
			for _, n := range s.NumbersOf(old) {
				list = append(list, Value{Set: n != 0, String: s.Values[n]})
			}
			out.appendList(row, list)
		} else {
			n := s.Numbers[old]
			out.append(row, &Value{Set: n != 0, String: s.Values[n]})
		}
		row++
	}
	return out
}
