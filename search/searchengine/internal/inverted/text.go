package inverted

import (
	"encoding/binary"
	"slices"
)

// Text is what one document says in one field: the distinct terms with their positions, encoded as a [Posting] has them.
type Text struct {
	length    uint32 // tokens in all
	terms     []string
	freqs     []uint8
	positions []byte
	ends      []uint32 // of each term's part of positions
}

// Builder makes a [Text] of tokens. It may be used again after Build.
type Builder struct {
	numbers map[string]uint32 // of terms
	terms   []string
	freqs   []uint32
	tokens  []token
	sorted  []uint32 // positions by term

	length uint32
	next   uint32 // position after the last token
}

type token struct{ term, position uint32 }

// gap is left between the values of a collection, so that no phrase reaches from one to the next.
const gap = 100

// Add notes a token at a position, which is never less than the one before.
func (b *Builder) Add(term string, position uint32) {
	if b.numbers == nil {
		b.numbers = make(map[string]uint32, 128)
	}
	n, ok := b.numbers[term]
	if !ok {
		n = uint32(len(b.terms)) //nolint:gosec // fewer terms than that fit into a document
		b.numbers[term] = n
		b.terms, b.freqs = append(b.terms, term), append(b.freqs, 0)
	}
	b.freqs[n]++
	b.tokens = append(b.tokens, token{n, position})
	if b.length == 0 || position >= b.next { // alternatives in one place count once
		b.length++
	}
	b.next = max(b.next, position+1)
}

// Next returns the position at which the next value of a collection begins.
func (b *Builder) Next() uint32 {
	if b.length == 0 {
		return 0
	}
	return b.next + gap
}

// Build returns the text, nil where there was no token.
func (b *Builder) Build() *Text {
	if b.length == 0 {
		return nil
	}
	t := &Text{length: b.length, terms: slices.Clone(b.terms), freqs: make([]uint8, len(b.terms)), ends: make([]uint32, len(b.terms))}
	t.positions = make([]byte, 0, len(b.tokens)+len(b.tokens)/4)
	for n, positions := range b.byTerm() {
		t.freqs[n] = uint8(min(len(positions), many))
		if len(positions) >= many {
			t.positions = binary.AppendUvarint(t.positions, uint64(len(positions)))
		}
		last := uint32(0)
		for _, position := range positions {
			t.positions = binary.AppendUvarint(t.positions, uint64(position-last))
			last = position
		}
		t.ends[n] = uint32(len(t.positions)) //nolint:gosec // bounded by the size of a document
	}
	clear(b.numbers)
	clear(b.terms) // they hold on to the document
	b.terms, b.freqs, b.tokens, b.length, b.next = b.terms[:0], b.freqs[:0], b.tokens[:0], 0, 0
	return t
}

// byTerm iterates over the terms with their positions.
func (b *Builder) byTerm() func(yield func(int, []uint32) bool) {
	b.sorted = slices.Grow(b.sorted[:0], len(b.tokens))[:len(b.tokens)]
	at := make([]uint32, len(b.freqs)) // where the next position of each term goes
	sum := uint32(0)
	for n, freq := range b.freqs {
		at[n] = sum
		sum += freq
	}
	for _, t := range b.tokens {
		b.sorted[at[t.term]] = t.position
		at[t.term]++
	}
	return func(yield func(int, []uint32) bool) {
		for n, freq := range b.freqs {
			if !yield(n, b.sorted[at[n]-freq:at[n]]) {
				return
			}
		}
	}
}
