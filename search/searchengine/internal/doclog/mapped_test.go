package doclog

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Whatever way a file is read, it holds what was written last, and ends where it ends.
func TestForReading(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	m := forReading(f)
	defer m.Close()
	read := func(want string, at int64) {
		t.Helper()
		p := make([]byte, len(want))
		if _, err := m.ReadAt(p, at); err != nil || string(p) != want {
			t.Errorf("at %d is %q, %v; want %q", at, p, err, want)
		}
	}
	write := func(text string, at int64) {
		t.Helper()
		if _, err := m.WriteAt([]byte(text), at); err != nil {
			t.Fatal(err)
		}
		read(text, at)
	}
	write("one", 0)
	write("two", 3)
	read("onetwo", 0)
	for _, at := range []int64{4095, 1<<20 - 1, 64<<20 - 4, 64<<20 - 2, 64 << 20, 3*64<<20 + 7} { // in and between pages and pieces
		write("boundary", at)
	}
	read("onetwo", 0)
	if err := m.Truncate(5); err != nil {
		t.Fatal(err)
	}
	read("onetw", 0)
	var p [8]byte
	for _, at := range []int64{1 << 20, 64 << 20} {
		if _, err := m.ReadAt(p[:], at); !errors.Is(err, io.EOF) {
			t.Errorf("reading at %d, behind the end, gives %v", at, err)
		}
	}
	write("again", 1<<20)
	read(string(bytes.Repeat([]byte{0}, 100)), 1<<20-100)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if _, err := m.ReadAt(p[:], 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("reading from a closed file gives %v", err)
	}
}
