package column

import (
	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
)

// Ints is a column of integers, or of dates as ticks of 100 ns since the year 1.
type Ints struct {
	Values []int64
	Nulls  bitset.Set
}

func newInts(rows int) *Ints { return &Ints{Values: make([]int64, rows), Nulls: allNull(rows)} }

func (c *Ints) append(row uint32, v *Value) {
	c.Values = append(c.Values, v.Int)
	c.Nulls = appendFlag(c.Nulls, row, !v.Set)
}

// Between returns the rows among within whose value is from low to high, both included.
func (c *Ints) Between(low, high int64, within bitset.Set) bitset.Set {
	out := make(bitset.Set, len(within))
	for i, w := range within {
		w &^= c.Nulls[i]
		if w == 0 {
			continue
		}
		values := c.Values[i<<6 : min(i<<6+64, len(c.Values))]
		var hit uint64
		for b, v := range values {
			var in uint64
			if v >= low && v <= high {
				in = 1
			}
			hit |= in << (b & 63)
		}
		out[i] = hit & w
	}
	return out
}

// Floats is a column of doubles. NaN and the infinities are kept.
type Floats struct {
	Values []float64
	Nulls  bitset.Set
}

func newFloats(rows int) *Floats {
	return &Floats{Values: make([]float64, rows), Nulls: allNull(rows)}
}

func (c *Floats) append(row uint32, v *Value) {
	c.Values = append(c.Values, v.Float)
	c.Nulls = appendFlag(c.Nulls, row, !v.Set)
}

// Between returns the rows among within whose value is from low to high, both included. NaN is nowhere.
func (c *Floats) Between(low, high float64, within bitset.Set) bitset.Set {
	out := make(bitset.Set, len(within))
	for i, w := range within {
		w &^= c.Nulls[i]
		if w == 0 {
			continue
		}
		values := c.Values[i<<6 : min(i<<6+64, len(c.Values))]
		var hit uint64
		for b, v := range values {
			var in uint64
			if v >= low && v <= high {
				in = 1
			}
			hit |= in << (b & 63)
		}
		out[i] = hit & w
	}
	return out
}

// Bools is a column of Booleans.
type Bools struct {
	True  bitset.Set
	Nulls bitset.Set
}

func newBools(rows int) *Bools { return &Bools{True: bitset.New(rows), Nulls: allNull(rows)} }

func (c *Bools) append(row uint32, v *Value) {
	c.True = appendFlag(c.True, row, v.Set && v.Bool)
	c.Nulls = appendFlag(c.Nulls, row, !v.Set)
}

func allNull(rows int) bitset.Set {
	s := bitset.New(rows)
	s.Fill(rows)
	return s
}

func appendFlag(s bitset.Set, row uint32, on bool) bitset.Set {
	if row&63 == 0 {
		s = append(s, 0)
	}
	if on {
		s.Add(row)
	}
	return s
}
