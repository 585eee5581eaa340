// Package inverted is the full-text index of one searchable field: for each term the documents that hold it, how often
// and where. How documents are ranked by it is in bm25.go.
package inverted

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
)

// Field is the index of one field. Documents are numbered as they are appended.
type Field struct {
	Lengths []uint32 // by document: how many tokens; 0 where the field is null or holds no token
	Norms   []uint8  // by document: the length as the service keeps it, in one byte

	// Of the documents that are live and hold a token.
	Documents int
	Tokens    int64

	postings map[string]*Posting
	terms    dictionary
	list     []*Posting // of the terms, in the order of their arrival
}

// Posting lists the documents that hold a term.
type Posting struct {
	Docs      []uint32 // ascending
	Freqs     []uint8  // how often each holds it; many means as often as the positions say
	Positions []byte   // for each document: with many, how many as a varint; then the positions, as varints of their gaps
	Skips     []uint32 // where in Positions every 64th document begins, from the 64th on
}

const (
	many = math.MaxUint8
	skip = 64
)

// New returns an empty index, with documents 0 to n-1 that do not hold the field.
func New(n int) *Field {
	return &Field{Lengths: make([]uint32, n), Norms: make([]uint8, n), postings: map[string]*Posting{}}
}

// Posting returns the documents that hold the term, nil when none does.
func (f *Field) Posting(term string) *Posting { return f.postings[term] }

// Append adds the next document. A nil text is a document without the field.
func (f *Field) Append(t *Text) {
	doc := uint32(len(f.Lengths)) //nolint:gosec // fewer documents than that fit into memory
	if t == nil {
		f.Lengths, f.Norms = append(f.Lengths, 0), append(f.Norms, 0)
		return
	}
	from := uint32(0)
	for i, term := range t.terms {
		p := f.postings[term]
		if p == nil {
			p = &Posting{}
			f.add(strings.Clone(term), p) // not the whole text
		}
		p.append(doc, t.freqs[i], t.positions[from:t.ends[i]])
		from = t.ends[i]
	}
	f.Lengths = append(f.Lengths, t.length)
	f.Norms = append(f.Norms, encodeLength(t.length))
	f.Documents++
	f.Tokens += int64(t.length)
}

func (f *Field) add(term string, p *Posting) {
	f.postings[term] = p
	f.terms.add(term)
	f.list = append(f.list, p)
}

// Remove takes a document out of what ranking counts. Its postings stay until the index is compacted.
func (f *Field) Remove(doc uint32) {
	if n := f.Lengths[doc]; n > 0 {
		f.Documents--
		f.Tokens -= int64(n)
	}
}

func (p *Posting) append(doc uint32, freq uint8, positions []byte) {
	if n := len(p.Docs); n > 0 && n%skip == 0 {
		p.Skips = append(p.Skips, uint32(len(p.Positions))) //nolint:gosec // 4 GB of positions of one term do not occur
	}
	p.Docs = append(p.Docs, doc)
	p.Freqs = append(p.Freqs, freq)
	p.Positions = append(p.Positions, positions...)
}

// LiveDocs returns how many of the documents are live; all are when live is nil.
func (p *Posting) LiveDocs(live bitset.Set) int {
	if live == nil {
		return len(p.Docs)
	}
	n := uint64(0)
	for _, doc := range p.Docs {
		n += live[doc>>6] >> (doc & 63) & 1
	}
	return int(n)
}

// Freq returns how often the i-th document holds the term.
func (p *Posting) Freq(i int) int {
	if n := p.Freqs[i]; n < many {
		return int(n)
	}
	n, _ := binary.Uvarint(p.Positions[p.offset(i):])
	return int(n) //nolint:gosec // written from a length
}

// PositionsOf appends the positions of the term in the i-th document.
func (p *Posting) PositionsOf(i int, to []uint32) []uint32 {
	at := p.offset(i)
	n := uint64(p.Freqs[i])
	if n == many {
		var size int
		n, size = binary.Uvarint(p.Positions[at:])
		at += size
	}
	last := uint64(0)
	for range n {
		gap, size := binary.Uvarint(p.Positions[at:])
		at += size
		last += gap
		to = append(to, uint32(last)) //nolint:gosec // written from a uint32
	}
	return to
}

// offset returns where the positions of the i-th document begin.
func (p *Posting) offset(i int) int {
	at := 0
	if block := i / skip; block > 0 {
		at = int(p.Skips[block-1])
	}
	for k := i &^ (skip - 1); k < i; k++ {
		at = p.skipOne(k, at)
	}
	return at
}

// Match puts the documents of the posting that are among within into matched.
func (p *Posting) Match(within, matched bitset.Set) {
	for _, doc := range p.Docs {
		matched[doc>>6] |= within[doc>>6] & (1 << (doc & 63))
	}
}
