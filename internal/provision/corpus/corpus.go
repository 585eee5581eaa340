// Package corpus reads what is to be uploaded: a file of JSON lines, or a folder of Markdown and text files with a file
// that says who may read which. Every document is checked against the definition of the index before anything is
// uploaded, and every complaint names the line or the file.
package corpus

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/maphash"
	"io"
	"iter"
	"maps"
	"slices"

	"github.com/onbehalf/onbehalf/internal/provision"
	"github.com/onbehalf/onbehalf/search"
)

// Bounds of an input.
const (
	maxDocument  = 15 << 20 // bytes; the service takes 16 MB a request
	maxDocuments = 5_000_000
)

// Entry is one document of an input.
type Entry struct {
	Position int             // a line, or the number of a file in the folder, from 1
	Document search.Document // good until the next one
}

// Source is an input that can be read several times: first to be checked, then to be uploaded.
type Source interface {
	// Entries yields the documents with ascending positions. An *[InputError] is about one of them, and reading goes on if
	// the caller does; any other error is the end.
	Entries() iter.Seq2[Entry, error]
	// Origin names the place of a position, for messages: "FILE:12", "FOLDER/a.md".
	Origin(position int) string
}

// InputError is what is wrong with one document of an input.
type InputError struct {
	Origin string
	Field  string // "" when it is about the whole
	Err    error
}

// Error names place and field.
func (e *InputError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("%s: %v", e.Origin, e.Err)
	}
	return fmt.Sprintf("%s: field %q: %v", e.Origin, e.Field, e.Err)
}

// Unwrap returns the reason.
func (e *InputError) Unwrap() error { return e.Err }

// Survey is what is known of an input once all of it was checked.
type Survey struct {
	Documents int
	Last      int    // the highest position of a document
	Skipped   int    // that were wrong, where that was allowed
	Digest    string // of all that is to be uploaded, with its positions

	Everyone int // documents that are open to all
	Nobody   int // documents that nobody may read
	Strange  []string
	Groups   []string // object ids of groups that documents name, sorted; at most 500,000

	MoreGroups bool // documents name more than these

	skipped map[int]bool
	kept    []Entry // all of them, where they are not too many to keep: what is uploaded is then what was checked
	size    int     // bytes
	seed    maphash.Seed
	sum     uint64 // of the same as Digest, quicker
}

// maxKept is up to which size an input is kept in memory. A larger one is read again to be uploaded.
const maxKept = 64 << 20

// Check reads the whole input and checks every document. What is wrong goes to bad, which ends it by returning an error;
// nil for bad ends it at the first.
func Check(source Source, checker *Checker, bad func(*InputError) error) (*Survey, error) {
	if bad == nil {
		bad = func(e *InputError) error { return e }
	}
	s := surveyor{checker: checker, seen: map[string]int{}, strange: map[string]bool{}, digest: sha256.New()}
	s.survey.seed = maphash.MakeSeed()
	s.quick.SetSeed(s.survey.seed)
	s.survey.skipped = map[int]bool{}
	for entry, err := range checkAll(source, checker) {
		if err != nil {
			return nil, err
		}
		problem := entry.problem
		if problem == nil {
			problem = s.take(entry, source)
		}
		if problem != nil {
			if err := bad(problem); err != nil {
				return nil, err
			}
			s.survey.Skipped++
			s.survey.skipped[entry.Position] = true
			continue
		}
		if s.survey.Documents++; s.survey.Documents > maxDocuments {
			return nil, fmt.Errorf("%s: more than %d documents", source.Origin(entry.Position), maxDocuments)
		}
	}
	return s.finish(), nil
}

type surveyor struct {
	checker *Checker
	survey  Survey
	seen    map[string]int // key → position
	strange map[string]bool
	digest  hash.Hash
	quick   maphash.Hash
}

// Bounds of what a survey keeps.
const (
	maxGroupsKept  = 500_000 // a directory has 300,000 objects, unless Microsoft raised that
	maxStrangeKept = 20
)

func (s *surveyor) take(entry *checked, source Source) *InputError {
	found := &entry.found
	if first, double := s.seen[found.key]; double {
		return &InputError{Origin: source.Origin(entry.Position), Field: s.checker.key.Name, Err: fmt.Errorf("%q stands at %s already", clip(found.key), source.Origin(first))}
	}
	s.seen[found.key] = entry.Position
	switch {
	case found.everyone:
		s.survey.Everyone++
	case found.readers == 0:
		s.survey.Nobody++
	}
	for _, value := range found.strange {
		if len(s.strange) < maxStrangeKept {
			s.strange[value] = true
		}
	}
	s.survey.Last = entry.Position
	addTo(s.digest, &entry.Entry)
	s.keep(&entry.Entry)
	return nil
}

// keep keeps a document, or, of an input that is too large to be kept, what tells whether it changes.
func (s *surveyor) keep(entry *Entry) {
	if s.survey.size += len(entry.Document); s.survey.size <= maxKept {
		s.survey.kept = append(s.survey.kept, *entry)
		return
	}
	for i := range s.survey.kept {
		addTo(&s.quick, &s.survey.kept[i])
	}
	s.survey.kept = nil
	addTo(&s.quick, entry)
}

// addTo adds a document with its position to a digest.
func addTo(digest io.Writer, entry *Entry) {
	var frame [16]byte
	binary.BigEndian.PutUint64(frame[:8], uint64(entry.Position)) //nolint:gosec // positive
	binary.BigEndian.PutUint64(frame[8:], uint64(len(entry.Document)))
	_, _ = digest.Write(frame[:]) // neither hash ever fails
	_, _ = digest.Write(entry.Document)
}

func (s *surveyor) finish() *Survey {
	s.survey.Digest, s.survey.sum = "sha256:"+hex.EncodeToString(s.digest.Sum(nil)), s.quick.Sum64()
	s.survey.Groups, s.survey.MoreGroups = make([]string, 0, len(s.checker.groups)), s.checker.moreGroups
	for id := range s.checker.groups {
		s.survey.Groups = append(s.survey.Groups, id.String())
	}
	slices.Sort(s.survey.Groups)
	s.survey.Strange = slices.Sorted(maps.Keys(s.strange))
	return &s.survey
}

// ErrChanged says that an input is no longer what was checked.
var ErrChanged = errors.New("the input has changed since it was checked: what is in the index may be of both; run the same command again")

// Items yields the documents that the survey let through, but those that are done already. An input that is read again for
// that ends with [ErrChanged] when it is no longer what the survey saw.
func (s *Survey) Items(source Source, done func(position int) bool) iter.Seq2[provision.Item, error] {
	if s.size > maxKept {
		return s.readAgain(source, done)
	}
	return func(yield func(provision.Item, error) bool) {
		for i := range s.kept {
			if entry := &s.kept[i]; !done(entry.Position) && !yield(itemOf(entry.Position, entry.Document), nil) {
				return
			}
		}
	}
}

func itemOf(position int, document search.Document) provision.Item {
	return provision.Item{Position: position, Action: search.Action{Kind: search.Upload, Document: document, Checked: true}}
}

func (s *Survey) readAgain(source Source, done func(position int) bool) iter.Seq2[provision.Item, error] {
	return func(yield func(provision.Item, error) bool) {
		var quick maphash.Hash
		quick.SetSeed(s.seed)
		for entry, err := range source.Entries() {
			if s.skipped[entry.Position] {
				continue
			}
			if err == nil {
				addTo(&quick, &entry)
				if done(entry.Position) {
					continue
				}
			}
			if !yield(itemOf(entry.Position, bytes.Clone(entry.Document)), err) {
				return
			}
		}
		if quick.Sum64() != s.sum {
			yield(provision.Item{}, ErrChanged)
		}
	}
}

// clip bounds a text of the input for a message.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && s[cut]&0xc0 == 0x80 {
		cut--
	}
	return s[:cut] + "…"
}
