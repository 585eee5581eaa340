//go:build linux || darwin

package doclog

import (
	"errors"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// mapped is a file that is read through memory: a page of documents that lie all over the log costs no system calls.
//
// It is mapped in pieces of one size. The last may reach beyond the end of the file: what is appended appears in it.
type mapped struct {
	*os.File

	mu     sync.Mutex // held to map more
	pieces atomic.Pointer[[][]byte]
}

const pieceSize = 64 << 20

func forReading(f *os.File) File {
	m := &mapped{File: f}
	m.pieces.Store(&[][]byte{})
	return m
}

// ReadAt implements [io.ReaderAt]. What memory does not give, the file does, or says why not.
func (m *mapped) ReadAt(p []byte, at int64) (int, error) {
	number, from := int(at/pieceSize), int(at%pieceSize)
	if from+len(p) > pieceSize {
		return m.File.ReadAt(p, at)
	}
	pieces := *m.pieces.Load()
	if number >= len(pieces) {
		pieces = m.upTo(number)
	}
	if number < len(pieces) && copyMapped(p, pieces[number][from:]) {
		return len(p), nil
	}
	return m.File.ReadAt(p, at)
}

// upTo maps what is missing up to a piece, as far as the system allows.
func (m *mapped) upTo(number int) [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	pieces := *m.pieces.Load()
	for len(pieces) <= number {
		piece, err := unix.Mmap(int(m.Fd()), int64(len(pieces))*pieceSize, pieceSize, unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			return pieces
		}
		more := append(slices.Clip(pieces), piece) // readers go on with what they have
		m.pieces.Store(&more)
		pieces = more
	}
	return pieces
}

// copyMapped reports whether the memory could be read, which it cannot where the disk fails or the file became shorter.
func copyMapped(p, from []byte) (ok bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { ok = recover() == nil }()
	copy(p, from)
	return
}

// Close implements [io.Closer].
func (m *mapped) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, piece := range *m.pieces.Swap(&[][]byte{}) {
		errs = append(errs, unix.Munmap(piece))
	}
	return errors.Join(append(errs, m.File.Close())...)
}
