package provision_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onbehalf/onbehalf/internal/provision"
	"github.com/onbehalf/onbehalf/search"
)

// service is a search service that answers as a test says; what is not asked for panics.
type service struct {
	search.Service
	write func(batch []search.Action) ([]search.Status, error)

	mu    sync.Mutex
	sizes []int
}

func (s *service) Write(_ context.Context, _ string, batch []search.Action) ([]search.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sizes = append(s.sizes, len(batch))
	return s.write(batch)
}

// all says that every document of a batch was taken, but those of which reason knows one.
func all(batch []search.Action, reason func(document string) (int, string)) []search.Status {
	statuses := make([]search.Status, len(batch))
	for i, action := range batch {
		statuses[i] = search.Status{OK: true, Code: 201}
		if reason == nil {
			continue
		}
		if code, message := reason(string(action.Document)); code != 0 {
			statuses[i] = search.Status{Code: code, Message: message}
		}
	}
	return statuses
}

func items(n, size int) iter.Seq2[provision.Item, error] {
	return func(yield func(provision.Item, error) bool) {
		for i := range n {
			document := fmt.Sprintf(`{"id":"%d","x":%q}`, i+1, strings.Repeat("x", size))
			if !yield(provision.Item{Position: i + 1, Action: search.Action{Document: search.Document(document)}}, nil) {
				return
			}
		}
	}
}

func TestBatchesHaveBounds(t *testing.T) {
	for _, tt := range []struct {
		desc            string
		documents, size int
		want            []int
	}{
		{"by number", 2500, 1, []int{1000, 1000, 500}},
		{"by bytes", 5, 3 << 20, []int{2, 2, 1}},
		{"one that is larger than a batch", 2, 9 << 20, []int{1, 1}},
		{"none", 0, 0, nil},
	} {
		s := &service{write: func(batch []search.Action) ([]search.Status, error) { return all(batch, nil), nil }}
		report, err := provision.Push(t.Context(), s, "i", items(tt.documents, tt.size), provision.PushOptions{Parallel: 1})
		if err != nil || report.Uploaded != tt.documents || !slices.Equal(s.sizes, tt.want) {
			t.Errorf("%s: %d uploaded in %v, %v; want %v", tt.desc, report.Uploaded, s.sizes, err, tt.want)
		}
	}
}

// What the service is too busy for is tried again alone; what it refuses is in the report with its place.
func TestDocumentsAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := 2
		s := &service{}
		s.write = func(batch []search.Action) ([]search.Status, error) {
			statuses := all(batch, func(d string) (int, string) {
				switch {
				case strings.HasPrefix(d, `{"id":"3"`) && busy > 0:
					busy--
					return 503, "too busy"
				case strings.HasPrefix(d, `{"id":"4"`):
					return 400, "no"
				case strings.HasPrefix(d, `{"id":"5"`):
					return 503, "always too busy"
				}
				return 0, ""
			})
			return statuses, nil
		}
		var failed []provision.Failure
		var uploaded []int
		report, err := provision.Push(t.Context(), s, "i", items(5, 1), provision.PushOptions{
			Failed:   func(f provision.Failure) error { failed = append(failed, f); return nil },
			Uploaded: func(positions []int) error { uploaded = append(uploaded, positions...); return nil },
		})
		slices.Sort(uploaded)
		if err != nil || report.Uploaded != 3 || report.Failed != 2 || !slices.Equal(uploaded, []int{1, 2, 3}) {
			t.Fatalf("report %+v, uploaded %v, %v", report, uploaded, err)
		}
		if !slices.Equal(s.sizes, []int{5, 2, 2, 1, 1, 1}) || failed[0].Position != 4 || failed[1].Position != 5 || failed[1].Message != "always too busy" {
			t.Errorf("batches %v, failures %+v", s.sizes, failed)
		}
	})
}

// Retry-After of the service is waited for.
func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, tries := time.Now(), 0
		s := &service{write: func(batch []search.Action) ([]search.Status, error) {
			if tries++; tries == 1 {
				return nil, &search.Error{Status: http.StatusTooManyRequests, RetryAfter: 17 * time.Second}
			}
			return all(batch, nil), nil
		}}
		report, err := provision.Push(t.Context(), s, "i", items(1, 1), provision.PushOptions{})
		if waited := time.Since(start); err != nil || report.Uploaded != 1 || waited != 17*time.Second {
			t.Errorf("waited %s, %+v, %v", waited, report, err)
		}
	})
}

// A batch that is refused as a whole costs only the document that it is refused for.
func TestRefusedBatchesAreDivided(t *testing.T) {
	s := &service{}
	s.write = func(batch []search.Action) ([]search.Status, error) {
		for _, action := range batch {
			if strings.HasPrefix(string(action.Document), `{"id":"77"`) {
				return nil, &search.Error{Status: 400, Message: "cannot convert"}
			}
		}
		return all(batch, nil), nil
	}
	report, err := provision.Push(t.Context(), s, "i", items(1000, 1), provision.PushOptions{})
	if err != nil || report.Uploaded != 999 || report.Failed != 1 || report.Failures[0].Position != 77 || report.Failures[0].Message != "cannot convert" {
		t.Errorf("report %+v, %v", report, err)
	}
	// An index that fits nothing is not asked a thousand times.
	s = &service{write: func([]search.Action) ([]search.Status, error) {
		return nil, &search.Error{Status: 400, Message: "cannot convert"}
	}}
	if _, err := provision.Push(t.Context(), s, "i", items(5000, 1), provision.PushOptions{Parallel: 1}); err == nil || len(s.sizes) > 250 {
		t.Errorf("%d requests, %v; want an early end", len(s.sizes), err)
	}
}

func TestPushStops(t *testing.T) {
	broken := errors.New("broken")
	forbidden := &service{write: func([]search.Action) ([]search.Status, error) { return nil, &search.Error{Status: 403} }}
	if _, err := provision.Push(t.Context(), forbidden, "i", items(5000, 1), provision.PushOptions{}); !errors.Is(err, search.ErrForbidden) {
		t.Errorf("forbidden: %v", err)
	}
	short := &service{write: func([]search.Action) ([]search.Status, error) { return make([]search.Status, 1), nil }}
	if _, err := provision.Push(t.Context(), short, "i", items(2, 1), provision.PushOptions{}); err == nil {
		t.Error("an answer for one of two documents is taken")
	}
	good := &service{write: func(batch []search.Action) ([]search.Status, error) { return all(batch, nil), nil }}
	ctx, cancel := context.WithCancel(t.Context())
	report, err := provision.Push(ctx, good, "i", items(100_000, 1), provision.PushOptions{Parallel: 1, Progress: func(done int) {
		if done >= 3000 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || report.Uploaded < 3000 || report.Uploaded > 6000 {
		t.Errorf("interrupted after %d: %v", report.Uploaded, err)
	}
	if _, err = provision.Push(t.Context(), good, "i", items(10, 1), provision.PushOptions{Uploaded: func([]int) error { return broken }}); !errors.Is(err, broken) {
		t.Errorf("a journal that cannot be written: %v", err)
	}
}
