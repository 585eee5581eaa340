package searchengine

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/column"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/doclog"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/flat"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/inverted"
)

// snapshotFormat changes whenever a snapshot of an older program would be misread, or when an analyzer makes other tokens.
const snapshotFormat = "onbehalf snapshot 1"

// frozen is a state as it was at one moment.
type frozen struct {
	layout    *layout
	table     *column.Table
	fields    []*inverted.Frozen
	live      bitset.Set
	liveCount int
	offsets   []int64
	sizes     []uint32
	logSize   int64 // of the part of the log that the state holds
}

// freeze returns the state as it is now, to be read while the state goes on. The index must be locked for reading, and
// no commit may be between log and state.
func (s *state) freeze() *frozen {
	z := &frozen{
		layout: s.layout, table: s.table.Freeze(), live: slices.Clone(s.live), liveCount: s.liveCount,
		offsets: s.offsets, sizes: s.sizes, logSize: s.log.Size(),
	}
	for _, f := range s.fields {
		z.fields = append(z.fields, f.Freeze())
	}
	return z
}

// write writes a snapshot.
func (z *frozen) write(path string) error {
	return replaceFile(path, func(f *os.File) error {
		w := flat.NewWriter(f)
		w.Strings([]string{snapshotFormat})
		w.Int(int(z.logSize))
		flat.Numbers(w, z.live)
		w.Int(z.liveCount)
		flat.Numbers(w, z.offsets)
		flat.Numbers(w, z.sizes)
		z.table.Write(w)
		paths := make([]string, len(z.fields))
		for i, field := range z.layout.searchable {
			paths[i] = field.path
		}
		w.Strings(paths)
		for _, field := range z.fields {
			field.Write(w)
		}
		return w.Close()
	})
}

// readSnapshot returns the state of a snapshot, and the size of the part of the log that it holds.
func readSnapshot(path string, l *layout, log *doclog.Log, logSize int64) (s *state, upTo int64, err error) {
	f, err := os.Open(path) //nolint:gosec // the path is made of a checked name
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	r := flat.NewReader(f, info.Size())
	if format := r.Strings(); !slices.Equal(format, []string{snapshotFormat}) {
		return nil, 0, fmt.Errorf("%w: its format is another", flat.ErrDamaged)
	}
	upTo = int64(r.Int())
	s = &state{layout: l, log: log, live: flat.ReadNumbers[uint64](r), liveCount: r.Int()}
	s.offsets, s.sizes = flat.ReadNumbers[int64](r), flat.ReadNumbers[uint32](r)
	s.table = column.Read(r)
	fields := map[string]*inverted.Field{}
	for _, path := range r.Strings() {
		fields[path] = inverted.Read(r, s.table.Rows)
	}
	rows := s.table.Rows
	r.Check(len(s.live) == bitset.Words(rows) && len(s.offsets) == rows && len(s.sizes) == rows && upTo <= logSize)
	if err = r.Close(); err != nil {
		return nil, 0, err
	}
	s.adoptFields(l, fields)
	return s, upTo, nil
}

// snapshot writes what the index holds beside its log, so that the next opening need not read all of that.
func (x *index) snapshot() error {
	x.committing.Lock() // so that state and log agree
	x.mu.RLock()
	z, to := x.state.freeze(), x.files
	x.mu.RUnlock()
	x.committing.Unlock()
	if err := z.write(to.snapshot()); err != nil {
		return err
	}
	x.committing.Lock()
	defer x.committing.Unlock()
	x.snapshotAt = z.logSize
	return nil
}
