package searchengine

import (
	"encoding/binary"
	"encoding/json"
	"errors"
)

// A record of the log is a batch: its changes one after the other. Each is its kind, the key with its length, and for a
// put the stored document with its length.
const (
	opPut    = 'P'
	opDelete = 'D'
)

// op is one change: a document to put, or a key to delete.
type op struct {
	key    string
	doc    *document
	record int   // of the commit
	at     int64 // where in the record's payload the stored document lies
}

// appendPut appends a put, and returns where the stored document lies.
func appendPut(record []byte, key string, stored []byte) (out []byte, at int64) {
	record = appendKey(record, opPut, key)
	record = binary.AppendUvarint(record, uint64(len(stored)))
	at = int64(len(record))
	return append(record, stored...), at
}

func appendDelete(record []byte, key string) []byte { return appendKey(record, opDelete, key) }

func appendKey(record []byte, kind byte, key string) []byte {
	record = append(record, kind)
	record = binary.AppendUvarint(record, uint64(len(key)))
	return append(record, key...)
}

// readRecord calls put and remove for the changes of a record. A record came through its checksum, so that damage here is
// a mistake of ours, or of another program.
func readRecord(record []byte, put func(key string, stored []byte, at int64) error, remove func(key string)) error {
	for rest := record; len(rest) > 0; {
		kind := rest[0]
		key, after, ok := cutSized(rest[1:])
		if !ok {
			return errDamaged
		}
		switch kind {
		case opDelete:
			remove(string(key))
			rest = after
		case opPut:
			stored, next, ok := cutSized(after)
			if !ok {
				return errDamaged
			}
			if err := put(string(key), stored, int64(len(record)-len(next)-len(stored))); err != nil {
				return err
			}
			rest = next
		default:
			return errDamaged
		}
	}
	return nil
}

// cutSized cuts off what is preceded by its length.
func cutSized(p []byte) (part, rest []byte, ok bool) {
	n, size := binary.Uvarint(p)
	if size <= 0 || n > uint64(len(p[size:])) {
		return nil, nil, false
	}
	p = p[size:]
	return p[:n], p[n:], true
}

// replay applies a record of the log.
func (s *state) replay(record []byte, at int64) error {
	return readRecord(record, func(key string, stored []byte, within int64) error {
		doc, err := s.reread(key, stored)
		if err != nil {
			return err
		}
		s.put(doc, at+within)
		return nil
	}, s.remove)
}

// reread makes a stored document ready again.
func (l *layout) reread(key string, stored []byte) (*document, error) {
	parts, err := decodeStored(stored, nil)
	if err != nil {
		return nil, err
	}
	if len(parts) > len(l.slots) {
		return nil, errDamaged
	}
	members := make(map[string]json.RawMessage, len(parts))
	for i, part := range parts {
		members[l.slots[i]] = part
	}
	doc, err := l.read(key, members)
	if _, alone := errors.AsType[*refusedError](err); err != nil && !alone { // what was taken once is not refused now
		return nil, err
	}
	doc.storedSize = len(stored)
	return doc, nil
}
