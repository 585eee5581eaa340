//go:build unix

package searchengine_test

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

const childLimit = "ONBEHALF_TEST_LIMIT"

// A full disk refuses the write; reads go on, and what was there stays.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	cmd, out := child(t, "TestFullChild", dir, childLimit+"=100000")
	last := ""
	for out.Scan() {
		if strings.HasPrefix(out.Text(), "refused") {
			last = out.Text()
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the writer failed: %v", err)
	}
	var written int
	if _, err := fmt.Sscanf(last, "refused after %d", &written); err != nil || written < 2 {
		t.Fatalf("the writer said %q", last)
	}
	e := open(t, searchengine.Config{Dir: dir})
	if n, err := e.Count(t.Context(), "batches"); err != nil || n != int64(written) {
		t.Errorf("%d documents, %v; want %d", n, err, written)
	}
}

// TestFullChild is the process that TestDiskFull starts: it may write no file beyond a size.
func TestFullChild(t *testing.T) {
	limit, err := strconv.ParseUint(os.Getenv(childLimit), 10, 64)
	if err != nil {
		return
	}
	e, err := searchengine.Open(searchengine.Config{Dir: os.Getenv(childDir)})
	if err != nil {
		t.Fatal(err)
	}
	define(t, e, batchIndex)
	signal.Ignore(syscall.SIGXFSZ)
	if err = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		t.Fatal(err)
	}
	written := 0
	for {
		doc := fmt.Sprintf(`{"id":"%d","text":%q}`, written, strings.Repeat("fox ", 1000))
		_, err = e.Write(t.Context(), "batches", []search.Action{action("", doc)})
		if errors.Is(err, search.ErrUnavailable) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		written++
	}
	r, err := e.Index("batches").Search(t.Context(), searchengine.Elevated(), &search.Query{Search: "fox", Count: true})
	if err != nil || *r.Count != int64(written) {
		t.Fatalf("a search after the refusal: %+v, %v; want %d hits", r, err, written)
	}
	// There is still room for a small document.
	if _, err := e.Write(t.Context(), "batches", []search.Action{action("", `{"id":"small"}`)}); err != nil {
		t.Fatalf("a small write after the refusal: %v", err)
	}
	fmt.Println("refused after", written+1)
}
