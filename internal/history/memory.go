package history

import (
	"bytes"
	"sync"
	"time"
)

// maxMemory bounds what all people together keep in memory: beyond it the conversation goes that was not changed for the
// longest time, whoever's it is.
const maxMemory = 256 << 20

// Memory is a store that ends with the process. The zero Memory is ready.
type Memory struct {
	mu     sync.Mutex
	people map[Person]map[string]*kept
	bytes  int
}

type kept struct {
	item Item
	body []byte
}

func (k *kept) size() int { return len(k.body) + len(k.item.ID) + len(k.item.Title) + overhead }

// overhead is about what a conversation costs beside its text.
const overhead = 256

// List implements [Store].
func (m *Memory) List(p Person) ([]Item, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	items := make([]Item, 0, len(m.people[p]))
	for _, k := range m.people[p] {
		items = append(items, k.item)
	}
	newestFirst(items)
	return items, nil
}

// Load implements [Store].
func (m *Memory) Load(p Person, id string) (Item, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.people[p][id]
	if k == nil {
		return Item{}, nil, ErrNone
	}
	return k.item, bytes.Clone(k.body), nil
}

// Save implements [Store].
func (m *Memory) Save(p Person, item Item, body []byte) error {
	if err := check(p, item, body); err != nil {
		return err
	}
	item.Updated = item.Updated.Truncate(time.Second)
	next := &kept{item, bytes.Clone(body)}
	m.mu.Lock()
	defer m.mu.Unlock()
	mine := m.people[p]
	total := next.size()
	for id, k := range mine {
		if id != item.ID {
			total += k.size()
		}
	}
	if mine[item.ID] == nil && len(mine) >= MaxItems || total > MaxBytes {
		return ErrFull
	}
	m.drop(p, item.ID)
	if m.people == nil {
		m.people = map[Person]map[string]*kept{}
	}
	if m.people[p] == nil {
		m.people[p] = map[string]*kept{}
	}
	m.people[p][item.ID] = next
	for m.bytes += next.size(); m.bytes > maxMemory; {
		m.dropOldest()
	}
	return nil
}

func (m *Memory) dropOldest() {
	var whose Person
	var oldest *kept
	for p, mine := range m.people {
		for _, k := range mine {
			if oldest == nil || k.item.Updated.Before(oldest.item.Updated) {
				whose, oldest = p, k
			}
		}
	}
	m.drop(whose, oldest.item.ID)
}

// drop is called with the mutex held.
func (m *Memory) drop(p Person, id string) {
	k := m.people[p][id]
	if k == nil {
		return
	}
	m.bytes -= k.size()
	delete(m.people[p], id)
	if len(m.people[p]) == 0 {
		delete(m.people, p)
	}
}

// Delete implements [Store].
func (m *Memory) Delete(p Person, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(p, id)
	return nil
}

// Clear implements [Store].
func (m *Memory) Clear(p Person) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.people[p])
	for id := range m.people[p] {
		m.drop(p, id)
	}
	return n, nil
}

// Sweep implements [Store].
func (m *Memory) Sweep(before time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for p, mine := range m.people {
		for id, k := range mine {
			if k.item.Updated.Before(before) {
				m.drop(p, id)
				n++
			}
		}
	}
	return n, nil
}

// Close implements [Store].
func (m *Memory) Close() error { return nil }
