package provision

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sort"
	"sync"
)

// Bounds of a journal.
const (
	maxJournal     = 256 << 20
	maxJournalLine = 64 << 10
)

// JournalFor says what a journal belongs to. Two uploads with the same values continue one another.
type JournalFor struct {
	Endpoint  string `json:"endpoint"`
	Index     string `json:"index"`
	ETag      string `json:"etag"`      // of the index: one that was made anew is another
	File      string `json:"file"`      // the input's name, without its folder
	Input     string `json:"input"`     // digest of the documents
	Documents int    `json:"documents"` // how many they are
	Last      int    `json:"last"`      // the highest position of one
}

// Journal notes on disk what was uploaded, so that an upload that was interrupted goes on where it was. Its first line says
// what it belongs to, each further one which positions of the input are done. It holds nothing of the documents.
type Journal struct {
	path string
	file *os.File
	done spans

	mu     sync.Mutex
	dirty  chan struct{} // holds one element when there is something to bring to the disk
	synced chan struct{} // closed when nobody does so any more
	broken error
}

// JournalState is what was found when a journal was opened.
type JournalState int

// The states: there was none; it is of the same upload; the same input or index was another one then, and it was begun anew.
const (
	JournalNew JournalState = iota
	JournalContinued
	JournalOutdated
)

// What stands in a journal's place and is left as it is.
var (
	ErrNoJournal      = errors.New("the file is no journal of an upload")
	ErrNewerJournal   = errors.New("it was written by a newer version of this program")
	ErrOtherJournal   = errors.New("it is of another upload")
	ErrDamagedJournal = errors.New("it is damaged: it holds what this input does not have")
)

// How the first line of a journal begins: of any version, and of this one.
const (
	magicName    = "upload journal "
	magicVersion = "1"
	magicAny     = `{"onbehalf":"` + magicName
	magic        = magicAny + magicVersion + `",`
)

type journalHead struct {
	Magic string `json:"onbehalf"`
	JournalFor
}

// OpenJournal opens the journal, or begins one. The file is its owner's alone.
func OpenJournal(path string, belongs JournalFor) (*Journal, JournalState, error) {
	j := &Journal{path: path, dirty: make(chan struct{}, 1), synced: make(chan struct{})}
	state, err := j.read(belongs)
	if err != nil {
		return nil, state, fmt.Errorf("journal %s: %w", path, err)
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if state != JournalContinued {
		flags |= os.O_TRUNC
	}
	if j.file, err = os.OpenFile(path, flags, 0o600); err != nil { //nolint:gosec // the person names the file
		return nil, state, fmt.Errorf("journal: %w", err)
	}
	var head []byte // ends a line that was cut off
	if state != JournalContinued {
		head, err = json.Marshal(journalHead{magicName + magicVersion, belongs})
	}
	if err == nil {
		err = j.line(head)
	}
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		return nil, state, errors.Join(err, j.file.Close())
	}
	go j.sync()
	return j, state, nil
}

// sync brings to the disk what was noted, beside the upload: what a power cut takes away is uploaded again.
func (j *Journal) sync() {
	defer close(j.synced)
	for range j.dirty {
		if err := j.file.Sync(); err != nil {
			j.mu.Lock()
			j.broken = fmt.Errorf("journal: %w", err)
			j.mu.Unlock()
		}
	}
}

// read takes in what an earlier run has noted. A last line that is cut off, as by a power cut, counts as not there.
func (j *Journal) read(belongs JournalFor) (JournalState, error) {
	info, err := os.Lstat(j.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return JournalNew, nil
	case err != nil:
		return JournalNew, err
	case !info.Mode().IsRegular():
		return JournalNew, ErrNoJournal
	case info.Size() > maxJournal:
		return JournalNew, fmt.Errorf("larger than %d bytes", maxJournal)
	case info.Size() == 0:
		return JournalNew, nil
	}
	text, err := os.ReadFile(j.path)
	if err == nil {
		err = isJournal(text)
	}
	first, rest, complete := bytes.Cut(text, []byte("\n"))
	if err != nil || !complete { // cut off before anything was noted
		return JournalNew, err
	}
	state, err := stateOf(first, belongs)
	if state != JournalContinued {
		return state, err
	}
	if j.done, err = readSpans(rest, belongs.Last); err == nil && j.done.count() > belongs.Documents {
		err = ErrDamagedJournal
	}
	return state, err
}

// isJournal looks at how a file begins, of which there may be little.
func isJournal(text []byte) error {
	begins := func(form string) bool { return bytes.HasPrefix(text, []byte(form)[:min(len(form), len(text))]) }
	switch {
	case begins(magic):
		return nil
	case begins(magicAny):
		return ErrNewerJournal
	}
	return ErrNoJournal
}

// stateOf tells from the first line whose journal it is. That of another upload, which may have to go on from it, is an error.
func stateOf(first []byte, belongs JournalFor) (JournalState, error) {
	var head journalHead
	if json.Unmarshal(first, &head) != nil {
		return JournalNew, ErrNoJournal
	}
	was := head.JournalFor
	switch {
	case was == belongs:
		return JournalContinued, nil
	case was.Endpoint != belongs.Endpoint || was.Index != belongs.Index || was.File != belongs.File:
		return JournalNew, fmt.Errorf("%w: of %q to the index %q at %q", ErrOtherJournal, was.File, was.Index, was.Endpoint)
	}
	return JournalOutdated, nil
}

// readSpans reads the lines after the first. What was cut off, as by a power cut, counts as not there: it is uploaded
// again. Positions that the input does not have are refused: documents would count as uploaded that never were.
func readSpans(text []byte, last int) (spans, error) {
	var all spans
	scanner := bufio.NewScanner(bytes.NewReader(text))
	scanner.Buffer(nil, maxJournalLine)
	for scanner.Scan() {
		var entry []span
		if json.Unmarshal(scanner.Bytes(), &entry) != nil {
			continue
		}
		for _, s := range entry {
			if s[0] < 1 || s[1] < s[0] || s[1] > last {
				return nil, ErrDamagedJournal
			}
		}
		all = append(all, entry...)
	}
	if scanner.Err() != nil {
		return nil, ErrDamagedJournal // a line longer than any that is written
	}
	return all.merged(), nil
}

// Done reports whether the document at the position was uploaded by an earlier run.
func (j *Journal) Done(position int) bool { return j.done.has(position) }

// Count returns how many documents earlier runs uploaded.
func (j *Journal) Count() int { return j.done.count() }

// Note writes down that the documents at these positions were uploaded. It reaches the disk a moment later.
func (j *Journal) Note(positions []int) error {
	entry := make(spans, 0, 1)
	for _, p := range positions {
		entry = append(entry, span{p, p})
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil {
		return j.broken
	}
	for part := range slices.Chunk(entry.merged(), 1000) { // a line stays short
		text, err := json.Marshal(part)
		if err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		if err = j.line(text); err != nil {
			return err
		}
	}
	select {
	case j.dirty <- struct{}{}:
	default: // somebody is about to
	}
	return nil
}

func (j *Journal) line(text []byte) error {
	if _, err := j.file.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// Close brings what was noted to the disk and leaves the file for the next run.
func (j *Journal) Close() error {
	close(j.dirty)
	<-j.synced
	return errors.Join(j.broken, j.file.Sync(), j.file.Close())
}

// Remove closes the journal of an upload that is complete and removes it.
func (j *Journal) Remove() error {
	err := os.Remove(j.path)
	if errors.Is(err, fs.ErrNotExist) { // another run of the same upload was faster
		err = nil
	}
	close(j.dirty)
	<-j.synced
	return errors.Join(err, j.file.Close())
}

// span is a range of positions, both ends included.
type span [2]int

type spans []span

// merged returns the spans in order, those that touch as one.
func (s spans) merged() spans {
	sort.Slice(s, func(i, k int) bool { return s[i][0] < s[k][0] })
	var out spans
	for _, next := range s {
		if len(out) > 0 && next[0] <= out[len(out)-1][1]+1 {
			out[len(out)-1][1] = max(out[len(out)-1][1], next[1])
			continue
		}
		out = append(out, next)
	}
	return out
}

func (s spans) count() int {
	n := 0
	for _, one := range s {
		n += one[1] - one[0] + 1
	}
	return n
}

func (s spans) has(position int) bool {
	i := sort.Search(len(s), func(i int) bool { return s[i][1] >= position })
	return i < len(s) && s[i][0] <= position
}
