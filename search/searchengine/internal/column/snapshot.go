package column

import (
	"maps"
	"math"
	"slices"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/flat"
)

// Freeze returns the table as it is now. It shares what only grows, so that it is made quickly and can be read while the
// table goes on.
func (t *Table) Freeze() *Table {
	out := NewTable()
	out.Rows, out.Parents = t.Rows, t.Parents
	for path, c := range t.Strings {
		frozen := *c
		frozen.numbers, frozen.Rows = nil, slices.Clone(c.Rows)
		out.Strings[path] = &frozen
	}
	for path, c := range t.Ints {
		out.Ints[path] = &Ints{c.Values, slices.Clone(c.Nulls)}
	}
	for path, c := range t.Floats {
		out.Floats[path] = &Floats{c.Values, slices.Clone(c.Nulls)}
	}
	for path, c := range t.Bools {
		out.Bools[path] = &Bools{slices.Clone(c.True), slices.Clone(c.Nulls)}
	}
	for path, inner := range t.Tables {
		out.Tables[path] = inner.Freeze()
	}
	return out
}

// Write writes a frozen table.
func (t *Table) Write(w *flat.Writer) {
	w.Int(t.Rows)
	flat.Numbers(w, t.Parents)
	writeAll(w, t.Strings, (*Strings).write)
	writeAll(w, t.Ints, (*Ints).write)
	writeAll(w, t.Floats, (*Floats).write)
	writeAll(w, t.Bools, (*Bools).write)
	writeAll(w, t.Tables, (*Table).Write)
}

func writeAll[C any](w *flat.Writer, columns map[string]C, write func(C, *flat.Writer)) {
	paths := slices.Sorted(maps.Keys(columns))
	w.Strings(paths)
	for _, path := range paths {
		write(columns[path], w)
	}
}

// Read reads a table. What is wrong shows in the reader's error.
func Read(r *flat.Reader) *Table {
	t := NewTable()
	t.Rows = r.Int()
	r.Check(t.Rows >= 0 && t.Rows <= math.MaxUint32)
	t.Parents = flat.ReadNumbers[uint32](r)
	readAll(r, t.Strings, func() *Strings { return readStrings(r, t.Rows) })
	readAll(r, t.Ints, func() *Ints {
		c := &Ints{flat.ReadNumbers[int64](r), readSet(r, t.Rows)}
		r.Check(len(c.Values) == t.Rows)
		return c
	})
	readAll(r, t.Floats, func() *Floats { return readFloats(r, t.Rows) })
	readAll(r, t.Bools, func() *Bools { return &Bools{readSet(r, t.Rows), readSet(r, t.Rows)} })
	readAll(r, t.Tables, func() *Table {
		inner := Read(r)
		r.Check(len(inner.Parents) == inner.Rows)
		return inner
	})
	return t
}

func readAll[C any](r *flat.Reader, to map[string]C, read func() C) {
	for _, path := range r.Strings() {
		if r.Err() != nil {
			return
		}
		to[path] = read()
	}
}

func readSet(r *flat.Reader, rows int) bitset.Set {
	s := bitset.Set(flat.ReadNumbers[uint64](r))
	r.Check(len(s) == bitset.Words(rows))
	return s
}

func (s *Strings) write(w *flat.Writer) {
	w.Int(truth(s.multi))
	w.Strings(s.Values)
	flat.Lists(w, s.Rows)
	flat.Numbers(w, s.Numbers)
	flat.Numbers(w, s.Ends)
	flat.Numbers(w, s.Elements)
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

func readStrings(r *flat.Reader, rows int) *Strings {
	s := &Strings{multi: r.Int() == 1}
	s.Values, s.Rows = r.Strings(), flat.ReadLists[uint32](r)
	s.Numbers, s.Ends, s.Elements = flat.ReadNumbers[uint32](r), flat.ReadNumbers[uint32](r), flat.ReadNumbers[uint32](r)
	r.Check(len(s.Values) == len(s.Rows) && len(s.Values) > 0)
	r.Check(s.multi && len(s.Ends) == rows || !s.multi && len(s.Numbers) == rows)
	s.numbers = make(map[string]uint32, len(s.Values))
	for n, value := range s.Values {
		if n > 0 {
			s.numbers[value] = uint32(n)
		}
	}
	return s
}

func (c *Ints) write(w *flat.Writer) {
	flat.Numbers(w, c.Values)
	flat.Numbers(w, c.Nulls)
}

func (c *Floats) write(w *flat.Writer) {
	raw := make([]uint64, len(c.Values))
	for i, v := range c.Values {
		raw[i] = math.Float64bits(v)
	}
	flat.Numbers(w, raw)
	flat.Numbers(w, c.Nulls)
}

func readFloats(r *flat.Reader, rows int) *Floats {
	raw := flat.ReadNumbers[uint64](r)
	r.Check(len(raw) == rows)
	c := &Floats{Values: make([]float64, len(raw))}
	for i, v := range raw {
		c.Values[i] = math.Float64frombits(v)
	}
	c.Nulls = readSet(r, rows)
	return c
}

func (c *Bools) write(w *flat.Writer) {
	flat.Numbers(w, c.True)
	flat.Numbers(w, c.Nulls)
}
