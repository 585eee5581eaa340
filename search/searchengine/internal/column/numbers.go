package column

import (
	"math/bits"

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
	if low > high {
		return out
	}
	// One comparison for both ends: what is below low becomes huge.
	base, span := uint64(low), uint64(high)-uint64(low) //nolint:gosec // wrapping is what is wanted
	for i, w := range within {
		w &^= c.Nulls[i]
		if w == 0 {
			continue
		}
		values := c.Values[i<<6 : min(i<<6+64, len(c.Values))]
		if bits.OnesCount64(w) <= fewBits {
			for rest := w; rest != 0; rest &= rest - 1 {
				b := bits.TrailingZeros64(rest)
				out[i] |= bit(uint64(values[b])-base <= span) << b //nolint:gosec // likewise
			}
			continue
		}
		var hit uint64
		for b, v := range values {
			hit |= bit(uint64(v)-base <= span) << (b & 63) //nolint:gosec // likewise
		}
		out[i] = hit & w
	}
	return out
}

// fewBits is how many rows of 64 are looked at one by one; of more, all are.
const fewBits = 24

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
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
			hit |= bit(v >= low && v <= high) << (b & 63)
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
