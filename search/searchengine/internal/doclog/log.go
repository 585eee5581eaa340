// Package doclog is an append-only log of records that survive a crash once they are acknowledged. It is also the store
// that documents are read from.
//
// A record is its length (4 bytes, little-endian), the CRC-32C of what follows (4 bytes), and its payload. What a crash
// leaves behind an intact record is a torn tail, and is cut off.
package doclog

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"
)

// ErrBroken is the error of a log that could not undo a failed write. It takes no more records until it is opened anew;
// what it acknowledged can still be read.
var ErrBroken = errors.New("the log could not undo a failed write; it can only be read until it is opened again")

const (
	headerSize = 8
	// maxRecord bounds what a damaged length may make us allocate: a batch of the service has at most 16 MB of JSON.
	maxRecord = 256 << 20
)

// File is what a log needs of a file. [os.File] is one; tests put failing ones in its place.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Truncate(size int64) error
}

// Log is an append-only log. Reads may run beside each other and beside one Append.
type Log struct {
	file File

	mu     sync.RWMutex
	size   int64 // of what is acknowledged
	broken bool
}

// Open opens the log in a file, which it creates when there is none. Call [Log.Replay] before the first Append.
func Open(path string) (*Log, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the path is made by package searchengine
	if err != nil {
		return nil, fmt.Errorf("document log: %w", err)
	}
	return New(forReading(f)), nil
}

// New returns a log in a file.
func New(f File) *Log { return &Log{file: f} }

// NewMemory returns a log that keeps its records in memory, and loses them with the process.
func NewMemory() *Log { return New(&memory{}) }

// Size returns the length of the log in bytes.
func (l *Log) Size() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.size
}

// Replay reads the records from an offset on, in order, and cuts a torn tail off. at is where the payload lies in the
// log; the payload is only valid during the call. Records beyond length are not looked at.
func (l *Log) Replay(from, length int64, record func(payload []byte, at int64) error) error {
	r := bufio.NewReaderSize(io.NewSectionReader(l.file, from, length-from), 1<<20)
	var (
		header  [headerSize]byte
		payload []byte
		at      = from
	)
	for {
		if _, err := io.ReadFull(r, header[:]); err != nil {
			if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
			return fmt.Errorf("document log: %w", err)
		}
		n := int64(binary.LittleEndian.Uint32(header[:]))
		if n > maxRecord || n > length-at-headerSize {
			break
		}
		payload = grow(payload, int(n))
		if _, err := io.ReadFull(r, payload); err != nil {
			return fmt.Errorf("document log: %w", err)
		}
		if checksum(payload) != binary.LittleEndian.Uint32(header[4:]) {
			break
		}
		if err := record(payload, at+headerSize); err != nil {
			return err
		}
		at += headerSize + n
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.size = at
	if at == length {
		return nil
	}
	if err := l.file.Truncate(at); err != nil {
		return fmt.Errorf("document log: cutting the torn tail: %w", err)
	}
	return nil
}

// Append writes the records and returns where the payload of each lies once all of them will survive a crash. On an
// error none of them is in the log.
func (l *Log) Append(payloads ...[]byte) ([]int64, error) {
	total := 0
	for _, p := range payloads {
		total += headerSize + len(p)
	}
	l.mu.RLock()
	at, broken := l.size, l.broken
	l.mu.RUnlock()
	if broken {
		return nil, ErrBroken
	}
	buf := make([]byte, 0, total)
	offsets := make([]int64, len(payloads))
	for i, p := range payloads {
		buf = binary.LittleEndian.AppendUint32(buf, uint32(len(p))) //nolint:gosec // bounded by the size of a batch
		buf = binary.LittleEndian.AppendUint32(buf, checksum(p))
		offsets[i] = at + int64(len(buf))
		buf = append(buf, p...)
	}
	_, err := l.file.WriteAt(buf, at)
	if err == nil {
		err = l.file.Sync()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.undo(at)
		return nil, fmt.Errorf("document log: %w", err)
	}
	l.size = at + int64(total)
	return offsets, nil
}

// undo takes a failed write back. Where that fails too, nobody knows what the file holds behind at.
func (l *Log) undo(at int64) {
	if err := l.file.Truncate(at); err != nil {
		l.broken = true
		return
	}
	if err := l.file.Sync(); err != nil {
		l.broken = true
	}
}

// ReadAt fills p with what lies at an offset that Append or Replay named.
func (l *Log) ReadAt(p []byte, at int64) error {
	if _, err := l.file.ReadAt(p, at); err != nil {
		return fmt.Errorf("document log: %w", err)
	}
	return nil
}

// Close closes the file. No read may be under way.
func (l *Log) Close() error { return l.file.Close() }

func checksum(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }

func grow(p []byte, n int) []byte {
	if cap(p) < n {
		return make([]byte, n, n+n/2)
	}
	return p[:n]
}
