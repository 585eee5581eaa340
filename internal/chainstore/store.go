// Package chainstore is where the chains of finished calls go: a bounded memory from which each person sees her own
// ([Store], [Handler]), the audit log ([Audit]), Prometheus ([Metrics]) and OpenTelemetry ([Spans]). Each is a
// [chain.Recorder]. None of them ever sees a token, a query or an argument: a hop has no place for one.
package chainstore

import (
	"cmp"
	"container/list"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/identity"
)

// Record is a finished call as it is kept and shown.
type Record struct {
	ID       string         `json:"id"` // 32 hexadecimal digits
	Start    time.Time      `json:"start"`
	Took     time.Duration  `json:"took"` // nanoseconds
	Tool     string         `json:"tool,omitempty"`
	Decision chain.Decision `json:"decision,omitempty"` // "refused" or "failed" when the call ended so, else "allowed"
	Reason   string         `json:"reason,omitempty"`
	Dropped  int            `json:"dropped,omitempty"` // hops beyond [chain.MaxHops]
	Hops     []chain.Hop    `json:"hops"`

	owner who
}

// who is a person, by tenant and object id. Empty ids are nobody.
type who struct{ tenant, object string }

// summarize makes a Record of a call. It belongs to the person whose token was verified; a call in which two people were
// verified belongs to nobody.
func summarize(recorded *chain.Call) Record {
	call := Record{ID: recorded.ID(), Decision: chain.Allowed}
	call.Hops, call.Dropped = recorded.Hops()
	var ofTool chain.Decision
	several := false
	for i := range call.Hops {
		hop := &call.Hops[i]
		if call.Start.IsZero() || !hop.Start.IsZero() && hop.Start.Before(call.Start) {
			call.Start = hop.Start
		}
		if hop.Station == chain.Tool {
			call.Tool, ofTool = hop.Name, hop.Decision
		}
		if hop.Decision == chain.Refused || hop.Decision == chain.Failed {
			call.Decision, call.Reason = hop.Decision, cmp.Or(hop.Reason, call.Reason) // the tool's hop has none of its own
		}
		if hop.Station != chain.Verify || hop.Decision != chain.Allowed && hop.Decision != chain.Cached {
			continue
		}
		owner := who{hop.Tenant, hop.Subject}
		several = several || call.owner != who{} && call.owner != owner
		call.owner = owner
	}
	if ofTool == chain.Allowed || ofTool == chain.Cached { // what was refused on the way was mended
		call.Decision, call.Reason = chain.Allowed, ""
	}
	for i := range call.Hops {
		call.Took = max(call.Took, call.Hops[i].Start.Add(call.Hops[i].Took).Sub(call.Start))
	}
	if several || call.owner.tenant == "" || call.owner.object == "" {
		call.owner = who{}
	}
	return call
}

const (
	defaultSize = 10_000 // calls in all: at about 2 KB each, some 20 MB
	fairShare   = 200    // calls that a person may have at least, before hers push out one another
)

// Store is a [chain.Recorder] that remembers the newest calls, of each person at most a twentieth of all (or 200), so
// that nobody pushes the others out.
type Store struct {
	size, perPerson int

	mu       sync.Mutex
	all      *list.List // of *Record, the oldest first
	byID     map[string]*list.Element
	byPerson map[who][]*Record // the oldest first
}

// New returns a store for so many calls; 0 means 10,000.
func New(size int) *Store {
	if size <= 0 {
		size = defaultSize
	}
	return &Store{size: size, perPerson: min(size, max(fairShare, size/20)), all: list.New(), byID: map[string]*list.Element{}, byPerson: map[who][]*Record{}}
}

// Record implements [chain.Recorder]. Calls without a verified person belong to nobody and are not kept: nobody could
// read them.
func (s *Store) Record(_ context.Context, recorded *chain.Call) {
	call := summarize(recorded)
	if call.owner == (who{}) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.byID[call.ID]; known {
		return
	}
	if mine := s.byPerson[call.owner]; len(mine) >= s.perPerson {
		s.forget(mine[0])
	}
	if oldest := s.all.Front(); oldest != nil && s.all.Len() >= s.size {
		if record, isRecord := oldest.Value.(*Record); isRecord {
			s.forget(record)
		}
	}
	s.byPerson[call.owner] = append(s.byPerson[call.owner], &call)
	s.byID[call.ID] = s.all.PushBack(&call)
}

// forget removes a record, which is the oldest of its person.
func (s *Store) forget(record *Record) {
	mine := s.byPerson[record.owner]
	mine[0] = nil
	if mine = mine[1:]; len(mine) == 0 {
		delete(s.byPerson, record.owner)
	} else {
		s.byPerson[record.owner] = mine
	}
	s.all.Remove(s.byID[record.ID])
	delete(s.byID, record.ID)
}

// Find returns a call of the caller's own. It says the same of a call of somebody else as of one that does not exist.
func (s *Store) Find(c *identity.Caller, id string) (*Record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	element, ok := s.byID[id]
	if !ok {
		return nil, false
	}
	record, isRecord := element.Value.(*Record)
	return record, isRecord && record.owner == ownerOf(c)
}

// Recent returns up to most of the caller's own calls, the newest first.
func (s *Store) Recent(c *identity.Caller, most int) []*Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := s.byPerson[ownerOf(c)]
	recent := slices.Clone(mine[max(0, len(mine)-most):])
	slices.Reverse(recent)
	return recent
}

// ownerOf never returns the zero who: a caller without ids owns nothing.
func ownerOf(c *identity.Caller) who {
	if c == nil || c.Tenant.IsZero() || c.Object.IsZero() {
		return who{"nobody", "nobody"}
	}
	return who{c.Tenant.String(), c.Object.String()}
}
