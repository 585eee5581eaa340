// Package bitset holds sets of row numbers as bits. A set has as many words as the table it belongs to needs; sets that
// meet in one operation have the same number of words.
package bitset

import (
	"iter"
	"math/bits"
)

// Set is a set of row numbers: row n is bit n%64 of word n/64.
type Set []uint64

// Words returns how many words a set of rows 0 to n-1 takes.
func Words(n int) int { return (n + 63) >> 6 }

// New returns an empty set for n rows.
func New(n int) Set { return make(Set, Words(n)) }

// Has reports whether row n is in the set. A row beyond the set is not.
func (s Set) Has(n uint32) bool {
	return int(n>>6) < len(s) && s[n>>6]>>(n&63)&1 != 0
}

// Add puts row n in. The set must be large enough.
func (s Set) Add(n uint32) { s[n>>6] |= 1 << (n & 63) }

// Remove takes row n out.
func (s Set) Remove(n uint32) { s[n>>6] &^= 1 << (n & 63) }

// Grow returns the set with room for n rows.
func (s Set) Grow(n int) Set {
	for len(s) < Words(n) {
		s = append(s, 0)
	}
	return s
}

// Fill puts rows 0 to n-1 in.
func (s Set) Fill(n int) {
	full := n >> 6
	for i := range s[:full] {
		s[i] = ^uint64(0)
	}
	if rest := n & 63; rest != 0 {
		s[full] |= 1<<rest - 1
	}
}

// And keeps what is also in other.
func (s Set) And(other Set) {
	for i, w := range other[:len(s)] {
		s[i] &= w
	}
}

// AndNot takes out what is in other.
func (s Set) AndNot(other Set) {
	for i, w := range other[:len(s)] {
		s[i] &^= w
	}
}

// Or puts in what is in other.
func (s Set) Or(other Set) {
	for i, w := range other[:len(s)] {
		s[i] |= w
	}
}

// Count returns how many rows are in the set.
func (s Set) Count() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// Empty reports whether no row is in the set.
func (s Set) Empty() bool {
	for _, w := range s {
		if w != 0 {
			return false
		}
	}
	return true
}

// All iterates over the rows in ascending order.
func (s Set) All() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for i, w := range s {
			for w != 0 {
				if !yield(uint32(i<<6 + bits.TrailingZeros64(w))) { //nolint:gosec // a row number fits
					return
				}
				w &= w - 1
			}
		}
	}
}
