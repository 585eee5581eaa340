package provision_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/internal/provision"
)

func TestJournalContinues(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	belongs := provision.JournalFor{Endpoint: "https://x", Index: "i", Input: "sha256:1", Documents: 10}
	open := func(belongs provision.JournalFor, want provision.JournalState) *provision.Journal {
		t.Helper()
		j, state, err := provision.OpenJournal(path, belongs)
		if err != nil || state != want {
			t.Fatalf("state %v, %v; want %v", state, err, want)
		}
		return j
	}
	j := open(belongs, provision.JournalNew)
	for _, positions := range [][]int{{5, 6, 7}, {1, 3, 2}, {9}} {
		if err := j.Note(positions); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	// The power went while a line was written.
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), "\x00") {
		t.Fatal(err)
	}
	if err = os.WriteFile(path, append(text, "[[10,1"...), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // also what is written after the torn line counts
		j = open(belongs, provision.JournalContinued)
		if j.Count() != 7 || !j.Done(3) || j.Done(4) || j.Done(8) || !j.Done(9) || j.Done(10) {
			t.Errorf("%d done", j.Count())
		}
		if err = errors.Join(j.Note([]int{9}), j.Close()); err != nil {
			t.Fatal(err)
		}
	}
	// A changed input starts anew.
	changed := belongs
	changed.Input = "sha256:2"
	j = open(changed, provision.JournalOfAnother)
	if j.Count() != 0 || j.Done(1) {
		t.Error("a journal of another input counts")
	}
	if err = j.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err = os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the journal is still there")
	}
}

// A file that is no journal is left as it is.
func TestOtherFilesAreNoJournals(t *testing.T) {
	for desc, text := range map[string]string{"a text": "Dear diary\n", "JSON": `{"id":"1"}` + "\n", "a bad span": `{"onbehalf":"upload journal 1","endpoint":"","index":"","etag":"","input":"","documents":0}` + "\n[[3,1]]\n"} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := provision.OpenJournal(path, provision.JournalFor{}); err == nil {
			t.Errorf("%s: opened", desc)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != text {
			t.Errorf("%s: changed to %q, %v", desc, now, err)
		}
	}
	target := filepath.Join(t.TempDir(), "target")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := target + ".link"
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if _, _, err := provision.OpenJournal(link, provision.JournalFor{}); !errors.Is(err, provision.ErrNoJournal) {
		t.Errorf("a link: %v", err)
	}
}

// Whatever lies in the journal's place: it is a journal of this upload, or begun anew, or left as it is.
func FuzzJournal(f *testing.F) {
	head := `{"onbehalf":"upload journal 1","endpoint":"","index":"","etag":"","input":"","documents":3}` + "\n"
	for _, seed := range []string{"", head, head + "[[1,2]]\n", head + "[[3,1]]\n", head + "[[1", "Dear diary", head[:20], head + "[[-1,99999999999]]\n"} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "journal")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		j, _, err := provision.OpenJournal(path, provision.JournalFor{Documents: 3})
		if err != nil {
			if now, failure := os.ReadFile(path); failure != nil || string(now) != string(text) {
				t.Errorf("refused, and changed to %q, %v", now, failure)
			}
			return
		}
		if err = errors.Join(j.Note([]int{3}), j.Close()); err != nil {
			t.Fatal(err)
		}
		if j, state, err := provision.OpenJournal(path, provision.JournalFor{Documents: 3}); err != nil || state != provision.JournalContinued || !j.Done(3) {
			t.Errorf("what was noted is not there: %v, %v", state, err)
		} else if err = j.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
