package searchengine

import (
	"sync"
	"sync/atomic"
)

// shown keeps documents that pages showed more than once, so that they need not be read from the log again. A number of a
// document stands for the same document for ever, so that nothing in here becomes wrong.
//
// Each document has one place, which it shares with others. It is kept there when it is asked for twice in a row: what is
// shown once pushes nothing out. All together take some 32 MB at most.
type shown struct {
	once   sync.Once // most indexes of a test are never asked
	places []shownPlace
}

const (
	shownPlaces = 1 << 13
	maxShown    = 4 << 10 // bytes of a document that is kept
)

type shownPlace struct {
	asked atomic.Uint32 // the document that was asked for last, plus one
	kept  atomic.Pointer[shownDocument]
}

type shownDocument struct {
	doc uint32
	record
}

// parts returns the fields of a document by slot, which are not to be changed. They are valid until to is used again.
func (s *state) parts(doc uint32, to *record) ([][]byte, error) {
	s.shown.once.Do(func() { s.shown.places = make([]shownPlace, shownPlaces) })
	place := &s.shown.places[doc%shownPlaces]
	if kept := place.kept.Load(); kept != nil && kept.doc == doc {
		return kept.parts, nil
	}
	if s.sizes[doc] > maxShown || place.asked.Swap(doc+1) != doc+1 {
		err := s.stored(doc, to)
		return to.parts, err
	}
	kept := &shownDocument{doc: doc}
	if err := s.stored(doc, &kept.record); err != nil {
		return nil, err
	}
	place.kept.Store(kept)
	return kept.parts, nil
}
