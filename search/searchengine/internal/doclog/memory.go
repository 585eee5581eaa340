package doclog

import (
	"io"
	"sort"
	"sync"
)

// memory is a [File] that keeps each write as one piece, so that growing copies nothing.
type memory struct {
	mu     sync.RWMutex
	pieces []piece
}

type piece struct {
	at   int64
	data []byte
}

func (m *memory) WriteAt(p []byte, at int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// The log hands over a buffer that it does not touch again.
	m.pieces = append(m.pieces, piece{at, p})
	return len(p), nil
}

func (m *memory) ReadAt(p []byte, at int64) (int, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	i := sort.Search(len(m.pieces), func(i int) bool { return m.pieces[i].at > at }) - 1
	if i < 0 {
		return 0, io.EOF
	}
	from := at - m.pieces[i].at
	if from >= int64(len(m.pieces[i].data)) {
		return 0, io.EOF
	}
	n := copy(p, m.pieces[i].data[from:])
	if n < len(p) {
		return n, io.ErrUnexpectedEOF
	}
	return n, nil
}

func (m *memory) Truncate(size int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := len(m.pieces); n > 0 && m.pieces[n-1].at >= size; n-- {
		m.pieces = m.pieces[:n-1]
	}
	return nil
}

func (m *memory) Sync() error  { return nil }
func (m *memory) Close() error { return nil }
