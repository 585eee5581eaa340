package searchengine

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/column"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/schema"
)

// A document is visible to a person when any of its permission fields says so: userIds holds the object id, groupIds the
// id of a group, rbacScope a scope, or userIds or groupIds hold "all". "none" matches nobody, whatever the person is
// called, and so do empty and absent fields.
//
// What is visible is worked out once for each set of principals and kept, by a full hash of them. Since numbers of
// documents are never used again, an entry never becomes wrong: when documents were added it is extended by those, and
// which of them are live is looked up each time.
//
// https://learn.microsoft.com/azure/search/search-index-access-control-lists-and-rbac-push-api

// visibleTo puts the live documents that the principals may see into dst, which must be empty.
func (s *state) visibleTo(p principals, cache *permissionCache, dst bitset.Set) {
	if p.everything || !s.schema.Enforced {
		copy(dst, s.live)
		return
	}
	entry := cache.entry(s, p)
	entry.mu.Lock()
	defer entry.mu.Unlock()
	if entry.extend(s, p) {
		cache.resized(entry)
	}
	for i, w := range s.live {
		dst[i] = w & entry.set[i]
	}
}

// mayView reports whether the principals may see one document, without the cache.
func (s *state) mayView(p principals, doc uint32) bool {
	if p.everything || !s.schema.Enforced {
		return true
	}
	for _, m := range s.permissionFields(p) {
		if m.field == nil {
			continue
		}
		c := s.table.Strings[m.field.Path]
		for _, id := range m.ids {
			if n, ok := c.Number(id); ok && id != nobody && id != "" && holds(c, doc, n) {
				return true
			}
		}
	}
	return false
}

func holds(c *column.Strings, doc, number uint32) bool {
	if !c.Collection() {
		return c.Numbers[doc] == number
	}
	return slices.Contains(c.NumbersOf(doc), number)
}

type permissionField struct {
	field *schema.Field
	ids   []string
}

// permissionFields pairs the fields with the ids that count in them.
func (s *state) permissionFields(p principals) [3]permissionField {
	return [3]permissionField{
		{s.schema.UserIDs, append([]string{everyone}, p.users...)},
		{s.schema.GroupIDs, append([]string{everyone}, p.groups...)},
		{s.schema.Scope, p.scopes},
	}
}

// permissionEntry is what one set of principals may see of one state.
type permissionEntry struct {
	key  permissionKey
	of   principals
	size int64 // bytes, as the cache counts them; guarded by the cache

	mu     sync.Mutex
	rows   int        // documents looked at so far
	set    bitset.Set // those among them that are visible, live or not
	fields []permissionMatch
}

// permissionMatch are the values of one field that make a document visible.
type permissionMatch struct {
	values  *column.Strings
	known   int                 // how many values of the column were looked at
	numbers bitset.Set          // values that are among the ids
	missing map[string]struct{} // ids that no document has named so far
}

// extend looks at the documents that came since the last time, and reports whether there were any.
func (e *permissionEntry) extend(s *state, p principals) bool {
	rows := s.rows()
	if e.fields == nil {
		e.build(s, p)
		e.rows = rows
		return true
	}
	if e.rows == rows {
		return false
	}
	e.set = e.set.Grow(rows)
	for i := range e.fields {
		e.fields[i].extend(e.set, e.rows, rows)
	}
	e.rows = rows
	return true
}

func (e *permissionEntry) build(s *state, p principals) {
	e.set = bitset.New(s.rows())
	e.fields = []permissionMatch{}
	for _, m := range s.permissionFields(p) {
		if m.field == nil {
			continue
		}
		c := s.table.Strings[m.field.Path]
		match := permissionMatch{values: c, known: len(c.Values), numbers: bitset.New(len(c.Values)), missing: map[string]struct{}{}}
		for _, id := range m.ids {
			if id == nobody || id == "" {
				continue
			}
			if n, ok := c.Number(id); ok {
				match.numbers.Add(n)
				c.AddRows(n, e.set)
			} else {
				match.missing[id] = struct{}{}
			}
		}
		e.fields = append(e.fields, match)
	}
}

// extend looks at new values, then at the values of new documents. A new value cannot occur in an old document.
func (m *permissionMatch) extend(set bitset.Set, from, to int) {
	c := m.values
	m.numbers = m.numbers.Grow(len(c.Values))
	for ; m.known < len(c.Values); m.known++ {
		if _, ok := m.missing[c.Values[m.known]]; ok {
			delete(m.missing, c.Values[m.known])
			m.numbers.Add(uint32(m.known)) //nolint:gosec // a number of the column
		}
	}
	for doc := uint32(from); doc < uint32(to); doc++ { //nolint:gosec // numbers of documents
		if !c.Collection() {
			if m.numbers.Has(c.Numbers[doc]) {
				set.Add(doc)
			}
			continue
		}
		if slices.ContainsFunc(c.NumbersOf(doc), m.numbers.Has) {
			set.Add(doc)
		}
	}
}

func (e *permissionEntry) bytes() int64 {
	n := int64(cap(e.set))*8 + 512
	n += int64(len(e.of.groups)+len(e.of.scopes)) * (16 + 36)
	for i := range e.fields {
		n += int64(cap(e.fields[i].numbers))*8 + int64(len(e.fields[i].missing))*96
	}
	return n
}

// permissionKey names a set of principals in one state. A short hash would not do: two people with the same one would
// see each other's documents.
type permissionKey struct {
	of  *state
	sum [sha256.Size]byte
}

func (c *permissionCache) keyOf(s *state, p principals) permissionKey {
	pooled, _ := c.buffers.Get().(*[]byte)
	if pooled == nil {
		pooled = new([]byte)
	}
	defer c.buffers.Put(pooled)
	buf := (*pooled)[:0]
	for _, ids := range [][]string{p.users, p.groups, p.scopes} {
		buf = binary.LittleEndian.AppendUint32(buf, uint32(len(ids))) //nolint:gosec // bounded by memory
		for _, id := range ids {
			buf = binary.LittleEndian.AppendUint32(buf, uint32(len(id))) //nolint:gosec // bounded by memory
			buf = append(buf, id...)
		}
	}
	*pooled = buf
	return permissionKey{s, sha256.Sum256(buf)}
}

// permissionCache keeps the entries that were used last, up to a number of bytes.
type permissionCache struct {
	limit   int64
	buffers sync.Pool // of *[]byte

	mu      sync.Mutex
	used    int64
	order   *list.List // of *permissionEntry, the one used last in front
	entries map[permissionKey]*list.Element
	latest  map[personKey]*permissionEntry
}

// personKey finds the entry that a person was given last. Whether it is for the same groups and scopes is then looked at,
// one by one, which takes a tenth of the time of the hash.
type personKey struct {
	of             *state
	user           string
	groups, scopes int
}

func newPermissionCache(limit int64) *permissionCache {
	return &permissionCache{limit: limit, order: list.New(), entries: map[permissionKey]*list.Element{}, latest: map[personKey]*permissionEntry{}}
}

func (c *permissionCache) entry(s *state, p principals) *permissionEntry {
	person := p.person(s)
	c.mu.Lock()
	latest := c.latest[person]
	c.mu.Unlock()
	if latest != nil && latest.of.equal(p) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if at, ok := c.entries[latest.key]; ok {
			c.order.MoveToFront(at)
		}
		return latest
	}
	key := c.keyOf(s, p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.entries[key]; ok {
		c.order.MoveToFront(at)
		e, _ := at.Value.(*permissionEntry) // the list holds nothing else
		c.latest[person] = e
		return e
	}
	e := &permissionEntry{key: key, of: p.clone()}
	c.entries[key], c.latest[person] = c.order.PushFront(e), e
	return e
}

// resized counts an entry anew, and lets go of those that were not used for longest. e.mu is held.
func (c *permissionCache) resized(e *permissionEntry) {
	size := e.bytes()
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.entries[e.key]
	if !ok || at.Value != e {
		return // let go of in the meantime; its user keeps it to the end of the query
	}
	c.used += size - e.size
	e.size = size
	for c.used > c.limit && c.order.Len() > 1 {
		c.remove(c.order.Back())
	}
}

// drop lets go of all entries of a state that is no more.
func (c *permissionCache) drop(of *state) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at := c.order.Front(); at != nil; {
		next := at.Next()
		if e, _ := at.Value.(*permissionEntry); e.key.of == of {
			c.remove(at)
		}
		at = next
	}
}

func (c *permissionCache) remove(at *list.Element) {
	e, _ := c.order.Remove(at).(*permissionEntry)
	delete(c.entries, e.key)
	if person := e.of.person(e.key.of); c.latest[person] == e {
		delete(c.latest, person)
	}
	c.used -= e.size
}
