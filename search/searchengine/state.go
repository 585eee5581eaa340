package searchengine

import (
	"slices"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/column"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/doclog"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/inverted"
)

// state is what an index holds. Documents are numbered in the order of their writing, and numbers are never used again:
// a new version of a document clears the live bit of the old one and gets a new number. Whatever was computed for numbers
// below n therefore stays right, and only has to be extended. Compaction makes a new state.
type state struct {
	*layout
	log *doclog.Log

	table     *column.Table     // the columns, by number
	fields    []*inverted.Field // the full-text index, by searchable field
	live      bitset.Set        // numbers whose document is neither deleted nor replaced
	liveCount int
	offsets   []int64 // where in the log the stored document lies, by number
	sizes     []uint32

	orders    orders    // what is sorted, for queries
	scratches scratches // memory for queries
}

func newState(l *layout, log *doclog.Log) *state {
	s := &state{layout: l, log: log, table: column.NewTable()}
	s.adopt(l)
	return s
}

// adopt takes a layout with more fields; documents that are there have null in them.
func (s *state) adopt(l *layout) {
	before := map[string]*inverted.Field{}
	for i, f := range s.fields {
		before[s.searchable[i].path] = f
	}
	s.adoptFields(l, before)
}

// adoptFields takes a layout, with the full-text indexes that there are by path.
func (s *state) adoptFields(l *layout, before map[string]*inverted.Field) {
	s.layout = l
	s.table.Define(l.schema.Fields)
	s.fields = make([]*inverted.Field, len(l.searchable))
	for i, f := range l.searchable {
		if s.fields[i] = before[f.path]; s.fields[i] == nil {
			s.fields[i] = inverted.New(s.rows())
		}
	}
}

// rows returns how many numbers are given out.
func (s *state) rows() int { return s.table.Rows }

// liveOrNil returns the documents that are live, or nil when all are.
func (s *state) liveOrNil() bitset.Set {
	if s.liveCount == s.rows() {
		return nil
	}
	return s.live
}

func (s *state) keys() *column.Strings { return s.table.Strings[s.schema.Key.Path] }

// find returns the live document with the key.
func (s *state) find(key string) (doc uint32, ok bool) {
	keys := s.keys()
	n, ok := keys.Number(key)
	if !ok {
		return 0, false
	}
	versions := keys.Rows[n]
	last := versions[len(versions)-1]
	return last, s.live.Has(last)
}

// put makes a document visible, in place of the one with the same key. Its stored form lies in the log.
func (s *state) put(d *document, offset int64) {
	s.remove(d.key)
	doc := s.table.Append(s.schema.Fields, d.values)
	for i, f := range s.fields {
		f.Append(d.texts[i])
	}
	s.offsets = append(s.offsets, offset)
	s.sizes = append(s.sizes, uint32(d.storedSize)) //nolint:gosec // bounded by the size of a batch
	s.live = s.live.Grow(s.rows())
	s.live.Add(doc)
	s.liveCount++
}

// remove deletes the document with the key, if there is one.
func (s *state) remove(key string) {
	doc, ok := s.find(key)
	if !ok {
		return
	}
	for _, f := range s.fields {
		f.Remove(doc)
	}
	s.live.Remove(doc)
	s.liveCount--
}

// record is a stored document: the JSON of its fields by slot. It may be used again for another document, which changes
// what parts hold.
type record struct {
	buf   []byte
	parts [][]byte
}

// stored reads a document from the log.
func (s *state) stored(doc uint32, to *record) (err error) {
	size := int(s.sizes[doc])
	to.buf = slices.Grow(to.buf[:0], size)[:size]
	if err = s.log.ReadAt(to.buf, s.offsets[doc]); err != nil {
		return err
	}
	to.parts, err = decodeStored(to.buf, to.parts)
	return err
}
