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
	belongs := provision.JournalFor{Endpoint: "https://x", Index: "i", File: "docs.jsonl", Input: "sha256:1", Documents: 10, Last: 10}
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
	j = open(changed, provision.JournalOutdated)
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

// What is no journal of this upload, or says what cannot be, is refused by name and left as it is.
func TestRefusedJournals(t *testing.T) {
	const head = `{"onbehalf":"upload journal 1","endpoint":"https://x","index":"i","etag":"e","file":"docs.jsonl","input":"sha256:1","documents":5,"last":9}` + "\n"
	belongs := provision.JournalFor{Endpoint: "https://x", Index: "i", ETag: "e", File: "docs.jsonl", Input: "sha256:1", Documents: 5, Last: 9}
	other := func(old, fresh string) string { return strings.Replace(head, old, fresh, 1) + "[[1,3]]\n" }
	for _, test := range []struct {
		desc, text string
		want       error
	}{
		{"a text", "Dear diary\n", provision.ErrNoJournal},
		{"JSON", `{"id":"1"}` + "\n", provision.ErrNoJournal},
		{"a head that is no JSON", `{"onbehalf":"upload journal 1",` + "\n[[1,3]]\n", provision.ErrNoJournal},
		{"of a newer version", other("journal 1", "journal 2"), provision.ErrNewerJournal},
		{"of another file", other("docs", "others"), provision.ErrOtherJournal},
		{"of another index", other(`"i"`, `"k"`), provision.ErrOtherJournal},
		{"of another service", other("https://x", "https://y"), provision.ErrOtherJournal},
		{"backwards", head + "[[3,1]]\n", provision.ErrDamagedJournal},
		{"backwards within others", head + "[[1,4],[3,2]]\n", provision.ErrDamagedJournal},
		{"before the first", head + "[[0,1]]\n", provision.ErrDamagedJournal},
		{"beyond the last", head + "[[1,2]]\n[[9,10]]\n", provision.ErrDamagedJournal},
		{"far beyond the last", head + "[[1,9223372036854775807]]\n", provision.ErrDamagedJournal},
		{"more than there are", head + "[[1,6]]\n", provision.ErrDamagedJournal},
		{"a line of a megabyte", head + strings.Repeat(" ", 1<<20) + "\n", provision.ErrDamagedJournal},
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := provision.OpenJournal(path, belongs); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.desc, err, test.want)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != test.text {
			t.Errorf("%s: changed to %.200q, %v", test.desc, now, err)
		}
	}
}

// What was cut off is uploaded again, and nothing that was not noted counts as done.
func TestTruncatedJournal(t *testing.T) {
	const whole = `{"onbehalf":"upload journal 1","endpoint":"https://x","index":"i","etag":"","file":"f","input":"d","documents":30,"last":30}` + "\n[[1,2]]\n[[11,12],[20,29]]\n"
	belongs := provision.JournalFor{Endpoint: "https://x", Index: "i", File: "f", Input: "d", Documents: 30, Last: 30}
	path := filepath.Join(t.TempDir(), "journal")
	for length := range len(whole) {
		if err := os.WriteFile(path, []byte(whole[:length]), 0o600); err != nil {
			t.Fatal(err)
		}
		j, _, err := provision.OpenJournal(path, belongs)
		if err != nil {
			t.Fatalf("%d bytes: %v", length, err)
		}
		for p := range 31 {
			if done := p >= 1 && p <= 2 || p >= 11 && p <= 12 || p >= 20 && p <= 29; j.Done(p) && !done {
				t.Errorf("%d bytes: %d counts as done", length, p)
			}
		}
		if err = j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A link could lead anywhere.
func TestJournalFollowsNoLink(t *testing.T) {
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
	head := `{"onbehalf":"upload journal 1","endpoint":"","index":"","etag":"","file":"","input":"","documents":3,"last":3}` + "\n"
	for _, seed := range []string{"", head, head + "[[1,2]]\n", head + "[[3,1]]\n", head + "[[1", "Dear diary", head[:20], head + "[[-1,99999999999]]\n"} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "journal")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		j, _, err := provision.OpenJournal(path, provision.JournalFor{Documents: 3, Last: 3})
		if err != nil {
			if now, failure := os.ReadFile(path); failure != nil || string(now) != string(text) {
				t.Errorf("refused, and changed to %q, %v", now, failure)
			}
			return
		}
		if err = errors.Join(j.Note([]int{3}), j.Close()); err != nil {
			t.Fatal(err)
		}
		if j, state, err := provision.OpenJournal(path, provision.JournalFor{Documents: 3, Last: 3}); err != nil || state != provision.JournalContinued || !j.Done(3) {
			t.Errorf("what was noted is not there: %v, %v", state, err)
		} else if err = j.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
