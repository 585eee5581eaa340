package sample

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Bounds of a file of documents.
const (
	maxLine      = 4 << 20 // bytes; a document of the service has 16 MB at most, a page of text is far below
	maxDocuments = 5_000_000
	maxReaders   = 1000 // values in one permission field, by the service's limit
	maxKey       = 1024
)

// keyPattern is what the service accepts as a document key.
var keyPattern = regexp.MustCompile(`^[A-Za-z0-9_=-]+$`)

// LineError is what is wrong with one line of a file.
type LineError struct {
	File  string
	Line  int
	Field string // "" when the line is no JSON object at all
	Err   error
}

// Error names file, line and field.
func (e *LineError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
	}
	return fmt.Sprintf("%s:%d: field %q: %v", e.File, e.Line, e.Field, e.Err)
}

// Unwrap returns the reason.
func (e *LineError) Unwrap() error { return e.Err }

// Read reads documents of the sample schema, one JSON object a line; empty lines are passed over. A bad line is given to
// bad, which ends the reading by returning an error; nil for bad ends it at the first.
func Read(r io.Reader, file string, bad func(*LineError) error) ([]Document, error) {
	if bad == nil {
		bad = func(e *LineError) error { return e }
	}
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 64<<10), maxLine)
	var documents []Document
	seen := map[string]int{}
	line := 0
	for scanner.Scan() {
		line++
		text := bytes.TrimSpace(scanner.Bytes())
		if line == 1 {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
		}
		if len(text) == 0 {
			continue
		}
		document, problem := parse(text)
		if problem == nil && seen[document.ID] > 0 {
			problem = &LineError{Field: "id", Err: fmt.Errorf("%q stands in line %d already", document.ID, seen[document.ID])}
		}
		if problem != nil {
			problem.File, problem.Line = file, line
			if err := bad(problem); err != nil {
				return nil, err
			}
			continue
		}
		if len(documents) == maxDocuments {
			return nil, fmt.Errorf("%s: more than %d documents", file, maxDocuments)
		}
		seen[document.ID] = line
		documents = append(documents, document)
	}
	if err := scanner.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("longer than %d bytes", maxLine)
		}
		return nil, &LineError{File: file, Line: line + 1, Err: err}
	}
	return documents, nil
}

func parse(text []byte) (Document, *LineError) {
	var document Document
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&document); err != nil {
		return document, wrong(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return document, &LineError{Err: errors.New("more than one JSON value")}
	}
	switch {
	case document.ID == "":
		return document, &LineError{Field: "id", Err: errors.New("missing")}
	case len(document.ID) > maxKey:
		return document, &LineError{Field: "id", Err: fmt.Errorf("%d characters; a key has %d at most", len(document.ID), maxKey)}
	case !keyPattern.MatchString(document.ID) || strings.HasPrefix(document.ID, "_"):
		return document, &LineError{Field: "id", Err: fmt.Errorf("%q: a key holds letters, digits, _, - and = only, and does not begin with _", document.ID)}
	case len(document.Oid) > maxReaders:
		return document, &LineError{Field: "oid", Err: tooMany(len(document.Oid))}
	case len(document.Group) > maxReaders:
		return document, &LineError{Field: "group", Err: tooMany(len(document.Group))}
	}
	if document.Size == 0 {
		document.Size = int64(len(document.Content))
	}
	return document, nil
}

func tooMany(n int) error {
	return fmt.Errorf("%d values; the service takes %d at most (search-index-access-control-lists-and-rbac-push-api)", n, maxReaders)
}

// wrong names the field that a JSON error is about.
func wrong(err error) *LineError {
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return &LineError{Field: mismatch.Field, Err: fmt.Errorf("is a JSON %s", mismatch.Value)}
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return &LineError{Field: strings.Trim(field, `"`), Err: errors.New("no field of the sample schema")}
	}
	return &LineError{Err: err}
}
