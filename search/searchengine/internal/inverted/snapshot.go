package inverted

import (
	"encoding/binary"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/flat"
)

// Frozen is a field as it was at one moment. It shares what only grows.
type Frozen struct {
	field    Field // without postings
	terms    []string
	postings []Posting
}

// Freeze returns the field as it is now, to be read while the field goes on.
func (f *Field) Freeze() *Frozen {
	z := &Frozen{
		field:    Field{Lengths: f.Lengths, Norms: f.Norms, Documents: f.Documents, Tokens: f.Tokens},
		terms:    f.terms.all,
		postings: make([]Posting, len(f.list)),
	}
	for i, p := range f.list {
		z.postings[i] = *p
	}
	return z
}

// Write writes a frozen field.
func (z *Frozen) Write(w *flat.Writer) {
	flat.Numbers(w, z.field.Lengths)
	flat.Numbers(w, z.field.Norms)
	w.Int(z.field.Documents)
	w.Int(int(z.field.Tokens))
	w.Strings(z.terms)
	docs, freqs := make([][]uint32, len(z.postings)), make([][]uint8, len(z.postings))
	positions, skips := make([][]byte, len(z.postings)), make([][]uint32, len(z.postings))
	for i := range z.postings {
		p := &z.postings[i]
		docs[i], freqs[i], positions[i], skips[i] = p.Docs, p.Freqs, p.Positions, p.Skips
	}
	flat.Lists(w, docs)
	flat.Lists(w, freqs)
	flat.Lists(w, positions)
	flat.Lists(w, skips)
}

// Read reads a field of so many documents. What is wrong shows in the reader's error.
func Read(r *flat.Reader, documents int) *Field {
	f := &Field{Lengths: flat.ReadNumbers[uint32](r), Norms: flat.ReadNumbers[uint8](r)}
	f.Documents, f.Tokens = r.Int(), int64(r.Int())
	f.terms.all = r.Strings()
	docs, freqs := flat.ReadLists[uint32](r), flat.ReadLists[uint8](r)
	positions, skips := flat.ReadLists[uint8](r), flat.ReadLists[uint32](r)
	n := len(f.terms.all)
	r.Check(len(f.Lengths) == documents && len(f.Norms) == documents)
	r.Check(len(docs) == n && len(freqs) == n && len(positions) == n && len(skips) == n)
	if r.Err() != nil {
		return f
	}
	postings := make([]Posting, n)
	f.list = make([]*Posting, n)
	f.postings = make(map[string]*Posting, n)
	for i, term := range f.terms.all {
		postings[i] = Posting{docs[i], freqs[i], positions[i], skips[i]}
		f.list[i] = &postings[i]
		f.postings[term] = &postings[i]
	}
	return f
}

// Compact returns the field with only the documents in the set, numbered anew in their order. Terms that no document
// holds are gone.
func (z *Frozen) Compact(keep bitset.Set) *Field {
	out := New(0)
	renumbered := make([]uint32, len(z.field.Lengths))
	for doc := range keep.All() {
		renumbered[doc] = uint32(len(out.Lengths)) //nolint:gosec // a number of a document
		length := z.field.Lengths[doc]
		out.Lengths, out.Norms = append(out.Lengths, length), append(out.Norms, z.field.Norms[doc])
		if length > 0 {
			out.Documents++
			out.Tokens += int64(length)
		}
	}
	for i, term := range z.terms {
		if p := z.postings[i].compact(keep, renumbered); p != nil {
			out.add(term, p)
		}
	}
	return out
}

func (p *Posting) compact(keep bitset.Set, renumbered []uint32) *Posting {
	n := p.LiveDocs(keep)
	if n == 0 {
		return nil
	}
	out := &Posting{Docs: make([]uint32, 0, n), Freqs: make([]uint8, 0, n)}
	at := 0 // in p.Positions
	for i, doc := range p.Docs {
		from := at
		at = p.skipOne(i, at)
		if !keep.Has(doc) {
			continue
		}
		if k := len(out.Docs); k > 0 && k%skip == 0 {
			out.Skips = append(out.Skips, uint32(len(out.Positions))) //nolint:gosec // no longer than it was
		}
		out.Docs = append(out.Docs, renumbered[doc])
		out.Freqs = append(out.Freqs, p.Freqs[i])
		out.Positions = append(out.Positions, p.Positions[from:at]...)
	}
	return out
}

// skipOne returns where the positions of the i-th document end, which begin at at.
func (p *Posting) skipOne(i, at int) int {
	n := uint64(p.Freqs[i])
	if n == many {
		var size int
		n, size = binary.Uvarint(p.Positions[at:])
		at += size
	}
	for ; n > 0; at++ {
		if p.Positions[at] < 0x80 {
			n--
		}
	}
	return at
}
