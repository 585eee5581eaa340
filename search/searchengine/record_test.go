package searchengine

import (
	"bytes"
	"testing"
)

// Whatever a record holds, reading it ends; and what was written is read.
func FuzzRecord(f *testing.F) {
	record, _ := appendPut(nil, "key", encodeStored([][]byte{[]byte(`"key"`), []byte("null")}))
	f.Add(appendDelete(record, "other"))
	f.Add([]byte{})
	f.Add([]byte("P\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, record []byte) {
		var again []byte
		err := readRecord(record, func(key string, stored []byte, at int64) error {
			if !bytes.Equal(record[at:at+int64(len(stored))], stored) {
				t.Errorf("the document of %q does not lie at %d", key, at)
			}
			if parts, err := decodeStored(stored, nil); err == nil {
				if got, err := decodeStored(encodeStored(parts), nil); err != nil || len(got) != len(parts) {
					t.Errorf("%q: %v", stored, err)
				}
			}
			again, _ = appendPut(again, key, stored)
			return nil
		}, func(key string) { again = appendDelete(again, key) })
		if err == nil {
			if err := readRecord(again, func(string, []byte, int64) error { return nil }, func(string) {}); err != nil {
				t.Errorf("what was read cannot be written: %v", err)
			}
		}
	})
}
