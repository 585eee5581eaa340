// Package flat writes and reads slices of numbers and strings one after the other, with a checksum at the end. It is the
// form of a snapshot: whoever reads must know what was written.
package flat

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"unsafe"
)

// ErrDamaged is a file that is not what was written.
var ErrDamaged = errors.New("the snapshot is damaged")

// Number is what slices may hold.
type Number interface {
	~uint8 | ~uint32 | ~uint64 | ~int64
}

// Writer writes. The first error stays, and [Writer.Close] returns it.
type Writer struct {
	w   *bufio.Writer
	sum hash.Hash32
	err error
	buf []byte
}

const chunk = 64 << 10

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: bufio.NewWriterSize(w, 1<<20), sum: crc32.New(castagnoli()), buf: make([]byte, 0, chunk+8)}
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func (w *Writer) bytes(p []byte) {
	if w.err != nil {
		return
	}
	_, _ = w.sum.Write(p) // never fails
	_, w.err = w.w.Write(p)
}

// Int writes a count.
func (w *Writer) Int(n int) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n)) //nolint:gosec // read back as it was
	w.bytes(b[:])
}

// Numbers writes a slice.
func Numbers[S ~[]T, T Number](w *Writer, s S) {
	w.Int(len(s))
	size := int(unsafe.Sizeof(T(0)))
	for len(s) > 0 {
		n := min(len(s), chunk/size)
		buf := w.buf[:0]
		for _, v := range s[:n] {
			buf = appendNumber(buf, v)
		}
		w.bytes(buf)
		s = s[n:]
	}
}

func appendNumber[T Number](buf []byte, v T) []byte {
	switch unsafe.Sizeof(v) {
	case 1:
		return append(buf, byte(v))
	case 4:
		return binary.LittleEndian.AppendUint32(buf, uint32(v))
	default:
		return binary.LittleEndian.AppendUint64(buf, uint64(v))
	}
}

// Strings writes a slice of strings.
func (w *Writer) Strings(s []string) {
	lengths := make([]uint32, len(s))
	for i, v := range s {
		lengths[i] = uint32(len(v)) //nolint:gosec // no string has 4 GB
	}
	Numbers(w, lengths)
	for _, v := range s {
		w.bytes([]byte(v))
	}
}

// Lists writes a slice of slices.
func Lists[T Number](w *Writer, s [][]T) {
	lengths := make([]uint32, len(s))
	for i, v := range s {
		lengths[i] = uint32(len(v)) //nolint:gosec // fewer elements than that fit into memory
	}
	Numbers(w, lengths)
	buf := w.buf[:0]
	for _, list := range s {
		for _, v := range list {
			buf = appendNumber(buf, v)
			if len(buf) >= chunk {
				w.bytes(buf)
				buf = buf[:0]
			}
		}
	}
	w.bytes(buf)
}

// Close writes the checksum. It does not close what is below.
func (w *Writer) Close() error {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], w.sum.Sum32())
	w.bytes(b[:])
	if w.err == nil {
		w.err = w.w.Flush()
	}
	return w.err
}

// Reader reads what a Writer wrote. The first error stays, and everything after it is empty; nothing that was read may be
// used before [Reader.Close] returned nil.
type Reader struct {
	r    *bufio.Reader
	sum  hash.Hash32
	left int64 // bytes that there can still be
	err  error
	buf  []byte
}

// NewReader returns a Reader of size bytes.
func NewReader(r io.Reader, size int64) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 1<<20), sum: crc32.New(castagnoli()), left: size, buf: make([]byte, chunk)}
}

func (r *Reader) bytes(p []byte) {
	if r.err != nil {
		clear(p)
		return
	}
	if _, r.err = io.ReadFull(r.r, p); r.err != nil {
		r.err = errors.Join(ErrDamaged, r.err)
		clear(p)
		return
	}
	r.left -= int64(len(p))
	_, _ = r.sum.Write(p) // never fails
}

// Int reads a count.
func (r *Reader) Int() int {
	var b [8]byte
	r.bytes(b[:])
	return int(binary.LittleEndian.Uint64(b[:])) //nolint:gosec // as it was written
}

// length reads a length of elements that take at least size bytes each: no damage makes us allocate more than the file
// could fill.
func (r *Reader) length(size int) int {
	n := r.Int()
	if n < 0 || int64(n) > r.left/int64(size) {
		r.fail()
		return 0
	}
	return n
}

func (r *Reader) fail() {
	if r.err == nil {
		r.err = ErrDamaged
	}
}

// ReadNumbers reads a slice.
func ReadNumbers[T Number](r *Reader) []T {
	return readSome[T](r, r.length(int(unsafe.Sizeof(T(0)))))
}

func readSome[T Number](r *Reader, n int) []T {
	size := int(unsafe.Sizeof(T(0)))
	out := make([]T, n)
	for at := 0; at < n && r.err == nil; {
		k := min(n-at, chunk/size)
		buf := r.buf[:k*size]
		r.bytes(buf)
		for i := range out[at : at+k] {
			switch size {
			case 1:
				out[at+i] = T(buf[i])
			case 4:
				out[at+i] = T(binary.LittleEndian.Uint32(buf[i*4:]))
			default:
				out[at+i] = T(binary.LittleEndian.Uint64(buf[i*8:]))
			}
		}
		at += k
	}
	return out
}

// Strings reads a slice of strings, which share their memory.
func (r *Reader) Strings() []string {
	lengths := ReadNumbers[uint32](r)
	all := r.total(lengths, 1)
	text := make([]byte, all)
	r.bytes(text)
	whole := string(text)
	out := make([]string, len(lengths))
	if r.err != nil {
		return out
	}
	for i, n := range lengths {
		out[i], whole = whole[:n], whole[n:]
	}
	return out
}

// ReadLists reads a slice of slices, which share their memory but not their room to grow.
func ReadLists[T Number](r *Reader) [][]T {
	lengths := ReadNumbers[uint32](r)
	all := readSome[T](r, r.total(lengths, int(unsafe.Sizeof(T(0)))))
	out := make([][]T, len(lengths))
	if r.err != nil {
		return out
	}
	for i, n := range lengths {
		if n > 0 {
			out[i], all = all[:n:n], all[n:]
		}
	}
	return out
}

func (r *Reader) total(lengths []uint32, size int) int {
	n := int64(0)
	for _, l := range lengths {
		n += int64(l)
	}
	if n > r.left/int64(size) {
		r.fail()
		return 0
	}
	return int(n)
}

// Check notes damage when what was read cannot be: ok is false.
func (r *Reader) Check(ok bool) {
	if !ok {
		r.fail()
	}
}

// Err returns the first error so far.
func (r *Reader) Err() error { return r.err }

// Close reads the checksum, and compares.
func (r *Reader) Close() error {
	want := r.sum.Sum32()
	var b [4]byte
	r.bytes(b[:])
	if r.err == nil && (binary.LittleEndian.Uint32(b[:]) != want || r.left != 0) {
		r.err = ErrDamaged
	}
	return r.err
}
