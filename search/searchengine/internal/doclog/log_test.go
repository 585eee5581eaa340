package doclog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"testing"
)

// faulty is a file in memory some of whose calls fail.
type faulty struct {
	content               []byte
	write, sync, truncate error
	short                 int // bytes that a failing write still writes
}

func (f *faulty) WriteAt(p []byte, at int64) (int, error) {
	n := len(p)
	if f.write != nil {
		n = min(n, f.short)
	}
	f.content = append(f.content[:at], p[:n]...)
	return n, f.write
}

func (f *faulty) ReadAt(p []byte, at int64) (int, error) {
	return bytes.NewReader(f.content).ReadAt(p, at)
}

func (f *faulty) Truncate(size int64) error {
	if f.truncate == nil {
		f.content = f.content[:size]
	}
	return f.truncate
}

func (f *faulty) Sync() error  { return f.sync }
func (f *faulty) Close() error { return nil }

// replayed returns the records of a log, each followed by a blank.
func replayed(t *testing.T, content []byte) string {
	t.Helper()
	all := ""
	err := New(&faulty{content: content}).Replay(0, int64(len(content)), func(p []byte, at int64) error {
		if got := content[at : at+int64(len(p))]; !bytes.Equal(got, p) {
			t.Errorf("at %d lies %q; want %q", at, got, p)
		}
		all += string(p) + " "
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestFailedWrites(t *testing.T) {
	full := errors.New("no space left on device")
	for _, tt := range []struct {
		desc   string
		spoil  func(*faulty)
		broken bool // it takes no more
	}{
		{"nothing written", func(f *faulty) { f.write = full }, false},
		{"half a record written", func(f *faulty) { f.write, f.short = full, 5 }, false},
		{"one of two written", func(f *faulty) { f.write, f.short = full, 13 }, false},
		{"not flushed", func(f *faulty) { f.sync = full }, true}, // nor can be that it was taken back
		{"not taken back", func(f *faulty) { f.write, f.truncate, f.short = full, full, 5 }, true},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			f := &faulty{}
			l := New(f)
			if _, err := l.Append([]byte("one")); err != nil {
				t.Fatal(err)
			}
			tt.spoil(f)
			if _, err := l.Append([]byte("two"), []byte("three")); !errors.Is(err, full) {
				t.Fatalf("got %v; want %v", err, full)
			}
			var one [3]byte
			if err := l.ReadAt(one[:], headerSize); err != nil || string(one[:]) != "one" {
				t.Errorf("reading after the failure: %q, %v", one, err)
			}
			*f = faulty{content: f.content} // there is room again
			_, err := l.Append([]byte("four"))
			if broken := errors.Is(err, ErrBroken); broken != tt.broken {
				t.Errorf("the next write: %v; want broken: %v", err, tt.broken)
			}
			want := "one four "
			if tt.broken {
				want = "one "
			}
			if got := replayed(t, f.content); got != want {
				t.Errorf("the log holds %q; want %q", got, want)
			}
		})
	}
}

func TestMemory(t *testing.T) {
	l := NewMemory()
	for n := range 100 {
		at, err := l.Append([]byte(strconv.Itoa(n)), []byte("second"))
		if err != nil {
			t.Fatal(err)
		}
		var p [6]byte
		if err := l.ReadAt(p[:], at[1]); err != nil || string(p[:]) != "second" {
			t.Fatalf("got %q, %v", p, err)
		}
	}
}

// Whatever a file holds, reading it ends, and what is read was written whole.
func FuzzReplay(f *testing.F) {
	file := &faulty{}
	if _, err := New(file).Append([]byte("one"), []byte("two"), []byte("")); err != nil {
		f.Fatal(err)
	}
	f.Add(file.content)
	f.Add(file.content[:15])
	f.Add(binary.LittleEndian.AppendUint32(nil, 1<<31))
	f.Fuzz(func(t *testing.T, content []byte) {
		f := &faulty{content: bytes.Clone(content)}
		l := New(f)
		whole := int64(0)
		err := l.Replay(0, int64(len(content)), func(p []byte, at int64) error {
			whole = at + int64(len(p))
			return nil
		})
		if err != nil || l.Size() != whole || int64(len(f.content)) != whole {
			t.Errorf("%v; %d bytes of %d kept, %d were whole", err, l.Size(), len(content), whole)
		}
	})
}
