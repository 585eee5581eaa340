package searchengine_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

const batchIndex = `{"name":"batches","fields":[{"name":"id","type":"Edm.String","key":true},
	{"name":"batch","type":"Edm.Int64"},{"name":"text","type":"Edm.String"}]}`

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	e := open(t, searchengine.Config{Dir: dir})
	first := define(t, e, aclIndex)
	define(t, e, textIndex)
	upload(t, e, "acl", `{"id":"1","name":"red fox","userIds":["`+u1+`"]}`, `{"id":"2","name":"fox","userIds":["all"]}`, `{"id":"3","userIds":["`+u2+`"]}`)
	if _, err := e.Write(t.Context(), "acl", []search.Action{action(search.Delete, `{"id":"2"}`)}); err != nil {
		t.Fatal(err)
	}
	if err := e.Delete(t.Context(), "docs", ""); err != nil {
		t.Fatal(err)
	}
	check := func(desc string) {
		t.Helper()
		if got := keys(t, e.Index("acl"), person(t, u1), &search.Query{Search: "fox"}); got != "1" {
			t.Errorf("%s: got %q; want 1", desc, got)
		}
		d, err := e.Definition(t.Context(), "acl")
		if err != nil || d.ETag != first.ETag {
			t.Errorf("%s: definition %+v, %v; want the ETag %s", desc, d, err, first.ETag)
		}
		if _, err := e.Definition(t.Context(), "docs"); !errors.Is(err, search.ErrNotFound) {
			t.Errorf("%s: a deleted index: %v; want not found", desc, err)
		}
	}
	check("at first")
	for _, withSnapshot := range []bool{true, false} {
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if !withSnapshot {
			remove(t, dir, "snapshot-")
		}
		e = open(t, searchengine.Config{Dir: dir})
		check(fmt.Sprintf("with snapshot: %v", withSnapshot))
	}
	if _, err := e.Index("acl").Search(t.Context(), person(t, u1), nil); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Index("acl").Search(t.Context(), person(t, u1), nil); err == nil {
		t.Error("a closed engine answers")
	}
}

// files finds the files of all indexes whose names begin so.
func files(t *testing.T, dir, prefix string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), prefix) {
			found = append(found, path)
		}
		return err
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("files %s*: %v, %v", prefix, found, err)
	}
	return found
}

func remove(t *testing.T, dir, prefix string) {
	t.Helper()
	for _, path := range files(t, dir, prefix) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSecondProcessIsKeptOut(t *testing.T) {
	dir := t.TempDir()
	open(t, searchengine.Config{Dir: dir})
	if e, err := searchengine.Open(searchengine.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v, %v; want an error that says it is in use", e, err)
	}
}

// Wherever the log ends, what is whole before that is there, and nothing else.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	e := open(t, searchengine.Config{Dir: dir})
	define(t, e, batchIndex)
	upload(t, e, "batches", `{"id":"a","batch":1}`, `{"id":"b","batch":1}`)
	upload(t, e, "batches", `{"id":"a","batch":2}`, `{"id":"c","batch":2}`)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	remove(t, dir, "snapshot-")
	path := files(t, dir, "documents-")[0]
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := 8 + int(whole[0]) // of the first record
	cuts := []int{first - 1, first, first + 1, len(whole) - 1, len(whole)}
	for cut := 0; cut < len(whole); cut += 11 {
		cuts = append(cuts, cut)
	}
	for _, cut := range cuts {
		for desc, content := range map[string][]byte{
			"cut":    whole[:cut],
			"zeroed": append(bytes.Clone(whole[:cut]), make([]byte, len(whole)-cut)...),
		} {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			e := open(t, searchengine.Config{Dir: dir})
			want := ""
			if cut >= first {
				want = "a b"
			}
			if bytes.Equal(content, whole) {
				want = "a b c"
			}
			if got := keys(t, e.Index("batches"), searchengine.Elevated(), nil); got != want {
				t.Fatalf("%s at %d of %d: got %q; want %q", desc, cut, len(whole), got, want)
			}
			upload(t, e, "batches", `{"id":"z"}`) // goes on behind the cut
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			remove(t, dir, "snapshot-")
			e = open(t, searchengine.Config{Dir: dir})
			if got := keys(t, e.Index("batches"), searchengine.Elevated(), nil); got != strings.TrimSpace(want+" z") {
				t.Fatalf("%s at %d, after one more write: got %q", desc, cut, got)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			remove(t, dir, "snapshot-")
		}
	}
}

// A snapshot that was damaged anywhere is noticed, and the log is read instead.
func TestDamagedSnapshot(t *testing.T) {
	dir := t.TempDir()
	e := open(t, searchengine.Config{Dir: dir})
	define(t, e, batchIndex)
	upload(t, e, "batches", `{"id":"a","batch":1,"text":"one fox"}`, `{"id":"b","batch":1,"text":"two foxes"}`)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	path := files(t, dir, "snapshot-")[0]
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(whole); at += 23 {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x55
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		e := open(t, searchengine.Config{Dir: dir})
		if got := keys(t, e.Index("batches"), searchengine.Elevated(), &search.Query{Search: "fox*"}); got != "a b" {
			t.Fatalf("damaged at %d: got %q; want a b", at, got)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

const childDir = "ONBEHALF_TEST_DIR"

// TestChild is the process that the tests below start: it writes batch after batch, and says each number when it is
// acknowledged. On its own it does nothing.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	e, err := searchengine.Open(searchengine.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	e.MaintainOften()
	define(t, e, batchIndex)
	n := 0
	if r, err := e.Index("batches").Lookup(t.Context(), searchengine.Elevated(), "last"); err == nil {
		_, _ = fmt.Sscanf(string(r), `{"id":"last","batch":%d`, &n)
	}
	for {
		n++
		if _, err := e.Write(t.Context(), "batches", childBatch(n)); err != nil {
			t.Fatal(err)
		}
		fmt.Println("acknowledged", n)
	}
}

// childBatch replaces, adds, merges and deletes: after batch n, the documents a to e carry n, and of the ten last
// batches each has one document of its own.
func childBatch(n int) []search.Action {
	var batch []search.Action
	for _, key := range []string{"a", "b", "c", "d", "e", "last"} {
		batch = append(batch, action(search.MergeOrUpload, fmt.Sprintf(`{"id":"%s","batch":%d}`, key, n)))
	}
	batch = append(batch, action(search.Upload, fmt.Sprintf(`{"id":"n%d","batch":%d,"text":"fox %d"}`, n, n, n)))
	return append(batch, action(search.Delete, fmt.Sprintf(`{"id":"n%d"}`, n-10)))
}

func child(t *testing.T, test, dir string, env ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.v")
	cmd.Env = append(append(os.Environ(), childDir+"="+dir), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// Killed at any moment, also in the middle of a snapshot or a compaction, nothing acknowledged is lost and no batch is
// there by half.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := 0
	for range 10 {
		cmd, out := child(t, "TestChild", dir)
		timer := time.AfterFunc(time.Duration(100+rand.IntN(200))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		for out.Scan() {
			if n, ok := strings.CutPrefix(out.Text(), "acknowledged "); ok {
				acknowledged, _ = strconv.Atoi(n)
			}
		}
		_ = cmd.Wait() // it was killed
		timer.Stop()

		e, err := searchengine.Open(searchengine.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if acknowledged > 0 {
			checkBatches(t, e, acknowledged)
		}
		if rand.IntN(2) == 0 { // sometimes the next starts from the log of the killed one
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if acknowledged > 0 {
			remove(t, dir, "snapshot-")
		}
	}
	t.Logf("%d batches were acknowledged", acknowledged)
}

// checkBatches accepts the last acknowledged batch, or the one after it that nobody was told of.
func checkBatches(t *testing.T, e *searchengine.Engine, acknowledged int) {
	t.Helper()
	for _, n := range []int{acknowledged, acknowledged + 1} {
		r, err := e.Index("batches").Search(t.Context(), searchengine.Elevated(), &search.Query{Filter: fmt.Sprintf("batch eq %d", n)})
		if err != nil {
			t.Fatal(err)
		}
		got := keysOf(t, r)
		if got != fmt.Sprintf("a b c d e last n%d", n) {
			if n == acknowledged && (got == fmt.Sprintf("n%d", n)) {
				continue // the next batch is there
			}
			t.Fatalf("batch %d of %d: found %q", n, acknowledged, got)
		}
		count, err := e.Count(t.Context(), "batches")
		if err != nil || count != int64(6+min(n, 10)) {
			t.Fatalf("after batch %d there are %d documents, %v", n, count, err)
		}
		return
	}
}
