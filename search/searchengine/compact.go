package searchengine

import (
	"errors"
	"os"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/doclog"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/inverted"
)

// When to do what is not done at each write.
const (
	snapshotEvery = 64 << 20 // bytes of log since the last snapshot; of an engine, so that tests need not write as much
	compactFrom   = 2048     // numbers of documents, below which it does not pay; likewise
	compactDead   = 0.3      // part of them that is dead
	carryBytes    = 4 << 20  // of documents in a record of the compacted log
	catchUpFrom   = 500      // documents that compaction may still lack when it stops writers
)

// maintain starts, where it is time for it, a compaction or a snapshot in the background. committing must be held.
func (x *index) maintain() {
	rows, live := x.state.rows(), x.state.liveCount
	compacting := rows >= x.engine.compactFrom && float64(rows-live) > compactDead*float64(rows)
	snapshotting := !x.files.inMemory() && x.state.log.Size()-x.snapshotAt > x.engine.snapshotEvery
	if !compacting && !snapshotting || !x.maintaining.CompareAndSwap(false, true) {
		return
	}
	x.background.Go(func() {
		defer x.maintaining.Store(false)
		var err error
		if compacting {
			err = x.compact()
		} else {
			err = x.snapshot()
		}
		if err != nil && !errors.Is(err, errClosed) {
			x.logger().Warn("maintenance failed; the index goes on as it is", slogError(err))
		}
	})
}

// compact makes a new state, and a new log, of the live documents alone, while queries and writes go on with the old
// ones; then takes over what was written in the meantime, and puts the new in place of the old.
func (x *index) compact() error {
	x.committing.Lock()
	x.mu.RLock()
	old, z, next := x.state, x.state.freeze(), x.files.next()
	if x.files.inMemory() {
		next = files{}
	}
	x.mu.RUnlock()
	x.committing.Unlock()

	log, err := next.openLog()
	if err != nil {
		return err
	}
	c := &compaction{index: x, old: old, log: log, done: len(z.offsets), carried: z.live}
	if err := c.run(z, next); err != nil {
		err = errors.Join(err, log.Close())
		if !next.inMemory() {
			err = errors.Join(err, os.Remove(next.log()))
		}
		return err
	}
	return nil
}

// compaction is one under way.
type compaction struct {
	index   *index
	old     *state
	log     *doclog.Log
	new     *state
	done    int        // numbers of the old state below this were looked at
	carried bitset.Set // those of them that the new state has
}

func (c *compaction) run(z *frozen, next files) error {
	if err := c.carry(z); err != nil {
		return err
	}
	x := c.index
	for {
		x.committing.Lock()
		if x.ended {
			x.committing.Unlock()
			return errClosed
		}
		if c.new.layout != c.old.layout {
			c.new.adopt(c.old.layout)
		}
		if c.old.rows()-c.done <= catchUpFrom {
			break // committing stays locked
		}
		// A commit only writes to the state with committing held, so that this much can be taken over in turns.
		err := c.catchUp(catchUpFrom)
		x.committing.Unlock()
		if err != nil {
			return err
		}
	}
	defer x.committing.Unlock()
	if err := c.catchUp(catchUpFrom); err != nil {
		return err
	}
	return x.replaceState(c.new, next)
}

// carry makes the new state of the frozen one, and the new log.
func (c *compaction) carry(z *frozen) error {
	keep := z.live
	s := &state{layout: z.layout, log: c.log, table: z.table.Compact(keep)}
	fields := map[string]*inverted.Field{}
	for i, f := range z.fields {
		fields[z.layout.searchable[i].path] = f.Compact(keep)
	}
	s.liveCount = z.liveCount
	s.live = bitset.New(s.table.Rows)
	s.live.Fill(s.table.Rows)
	s.adoptFields(z.layout, fields)
	c.new = s

	var record []byte
	var within []int64
	flush := func() error {
		at, err := c.log.Append(record)
		if err != nil {
			return err
		}
		for _, w := range within {
			s.offsets = append(s.offsets, at[0]+w)
		}
		record, within = nil, within[:0]
		return nil
	}
	keys := s.keys()
	for doc := range keep.All() {
		stored := make([]byte, z.sizes[doc])
		if err := c.old.log.ReadAt(stored, z.offsets[doc]); err != nil {
			return err
		}
		key := keys.Values[keys.Numbers[len(s.sizes)]]
		var w int64
		record, w = appendPut(record, key, stored)
		within = append(within, w)
		s.sizes = append(s.sizes, z.sizes[doc])
		if len(record) >= carryBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(within) == 0 {
		return nil
	}
	return flush()
}

// catchUp takes over at most so many documents of those that were written since, and every deletion. committing must be
// held.
func (c *compaction) catchUp(most int) error {
	var record []byte
	keys := c.old.keys()
	for doc := range c.carried.All() {
		if !c.old.live.Has(doc) {
			key := keys.Values[keys.Numbers[doc]]
			record = appendDelete(record, key)
			c.carried.Remove(doc)
		}
	}
	to := min(c.old.rows(), c.done+most)
	c.carried = c.carried.Grow(to)
	for doc := uint32(c.done); doc < uint32(to); doc++ { //nolint:gosec // numbers of documents
		if !c.old.live.Has(doc) {
			continue
		}
		stored := make([]byte, c.old.sizes[doc])
		if err := c.old.log.ReadAt(stored, c.old.offsets[doc]); err != nil {
			return err
		}
		record, _ = appendPut(record, keys.Values[keys.Numbers[doc]], stored)
		c.carried.Add(doc)
	}
	c.done = to
	if record == nil {
		return nil
	}
	at, err := c.log.Append(record)
	if err != nil {
		return err
	}
	return c.new.replay(record, at[0])
}

// replaceState puts a compacted state in place of the one that is there. committing must be held.
func (x *index) replaceState(s *state, next files) error {
	x.mu.RLock()
	old, before := x.state, x.files
	m := &manifest{x.definition, s.slots, next.generation}
	old.orders.prepare(s)
	x.mu.RUnlock()
	if err := next.save(m); err != nil {
		return err
	}
	x.mu.Lock()
	x.state, x.files = s, next
	x.snapshotAt = 0
	x.mu.Unlock()
	// No query is left that reads from the old log.
	x.engine.visible.drop(old)
	err := old.log.Close()
	if !before.inMemory() {
		err = errors.Join(err, os.Remove(before.log()))
		if removed := os.Remove(before.snapshot()); removed != nil && !errors.Is(removed, os.ErrNotExist) {
			err = errors.Join(err, removed)
		}
	}
	if err != nil {
		x.logger().Warn("files of before a compaction are left", slogError(err))
	}
	return nil
}
