package corpus

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

// lines is a file of JSON lines.
type lines struct{ path string }

// Lines is a file that holds a JSON object a line; empty lines are passed over.
func Lines(path string) Source { return lines{path} }

// Origin implements [Source].
func (l lines) Origin(position int) string { return fmt.Sprintf("%s:%d", l.path, position) }

// Entries implements [Source].
func (l lines) Entries() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		file, err := os.Open(l.path)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		defer func() { _ = file.Close() }()
		l.read(file, yield)
	}
}

func (l lines) read(file io.Reader, yield func(Entry, error) bool) {
	scanner := bufio.NewScanner(file)
	scanner.Buffer(make([]byte, 1<<20), maxDocument+bufio.MaxScanTokenSize)
	line := 0
	for scanner.Scan() {
		line++
		text := scanner.Bytes()
		if line == 1 {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
		}
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		if !yield(Entry{Position: line, Document: text}, nil) {
			return
		}
	}
	if err := scanner.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("longer than %d bytes; the service takes 16 MB a request", maxDocument)
		}
		yield(Entry{}, fmt.Errorf("%s: %w", l.Origin(line+1), err))
	}
}
