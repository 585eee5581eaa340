// Package chainstore keeps the chains of finished calls in memory and shows each to the person who made the call, and to
// nobody else.
package chainstore

import (
	"context"
	"sync"

	"github.com/onbehalf/onbehalf/chain"
)

// defaultSize is how many calls are kept: at about 2 KB each, some 20 MB.
const defaultSize = 10_000

// Record is a finished call.
type Record struct {
	ID      string      `json:"id"`
	Hops    []chain.Hop `json:"hops"`
	Dropped int         `json:"dropped,omitempty"` // hops beyond [chain.MaxHops]

	owner string // "tid/oid" of the person; "" when the call never got so far
}

// Store is a [chain.Recorder] that remembers the newest calls and forgets the oldest.
type Store struct {
	mu   sync.RWMutex
	ring []*Record // oldest first from next on
	next int
	byID map[string]*Record
}

// New returns a store for so many calls; 0 means 10,000.
func New(size int) *Store {
	if size <= 0 {
		size = defaultSize
	}
	return &Store{ring: make([]*Record, size), byID: make(map[string]*Record)}
}

// Record implements [chain.Recorder]. Calls without a verified person belong to nobody and are not kept: nobody could
// read them.
func (s *Store) Record(_ context.Context, call *chain.Call) {
	hops, dropped := call.Hops()
	owner := ownerOf(hops)
	if owner == "" {
		return
	}
	record := &Record{ID: call.ID(), Hops: hops, Dropped: dropped, owner: owner}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.ring[s.next]; old != nil {
		delete(s.byID, old.ID)
	}
	s.ring[s.next] = record
	s.byID[record.ID] = record
	s.next = (s.next + 1) % len(s.ring)
}

// ownerOf returns whose call it was, by the token that was verified.
func ownerOf(hops []chain.Hop) string {
	for i := range hops {
		hop := &hops[i]
		verified := hop.Station == chain.Verify && (hop.Decision == chain.Allowed || hop.Decision == chain.Cached)
		if verified && hop.Tenant != "" && hop.Subject != "" {
			return hop.Tenant + "/" + hop.Subject
		}
	}
	return ""
}

// Find returns a call by its id, if it was this person's.
func (s *Store) Find(owner, id string) (*Record, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	record, ok := s.byID[id]
	if !ok || owner == "" || record.owner != owner {
		return nil, false
	}
	return record, true
}

// Recent returns up to most of a person's calls, newest first.
func (s *Store) Recent(owner string, most int) []*Record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var records []*Record
	for i := range s.ring {
		record := s.ring[(s.next-1-i+2*len(s.ring))%len(s.ring)]
		if record == nil || len(records) == most {
			break
		}
		if owner != "" && record.owner == owner {
			records = append(records, record)
		}
	}
	return records
}
