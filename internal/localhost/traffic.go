package localhost

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Traffic counts the requests of a stand-in, and spoils answers on demand: what tests ask a control API for.
type Traffic struct {
	name    func(*http.Request) string
	spoil   func(http.ResponseWriter, *http.Request, Fault)
	mu      sync.Mutex
	counts  map[Count]int
	faults  []Fault
	dropped int // counted under no name of their own, because there were too many names
}

// Fault spoils the next answers of an endpoint. Which fields beside Endpoint, Count, Status, DelayMS and RetryAfter
// matter, the stand-in says.
type Fault struct {
	Endpoint    string `json:"endpoint"`              // the name as in [Count]; "" is any
	Count       int    `json:"count"`                 // how many answers; 0 means 1
	Status      int    `json:"status"`                // 0: only the delay, then the true answer
	DelayMS     int    `json:"delay_ms,omitempty"`    // before the answer
	RetryAfter  int    `json:"retry_after,omitempty"` // seconds, for the header
	Error       string `json:"error,omitempty"`       // the error's code, as the service spells it
	AADSTS      int    `json:"aadsts,omitempty"`
	Sub         string `json:"suberror,omitempty"`
	Claims      string `json:"claims,omitempty"`
	Description string `json:"description,omitempty"`
}

// Count is what requests are counted by.
type Count struct {
	Endpoint string `json:"endpoint"`
	Detail   string `json:"detail,omitempty"` // such as the grant type of a token request
	Outcome  string `json:"outcome"`          // the HTTP status, unless the stand-in says more
}

// Counted is a row of the answer of GET /_local/requests.
type Counted struct {
	Count
	Requests int `json:"requests"`
}

// Record is the count of the request under way: the stand-in completes Detail and Outcome.
type Record struct{ Count }

type recordKey struct{}

// RecordOf returns the record of the request under way; outside [Traffic.Watch], one that nobody reads.
func RecordOf(ctx context.Context) *Record {
	if r, ok := ctx.Value(recordKey{}).(*Record); ok {
		return r
	}
	return new(Record)
}

// Bounds of what the control API may pile up.
const (
	maxFaults   = 1000
	maxNames    = 10_000
	maxDelay    = 10 * time.Minute
	controlBody = 1 << 20
)

// NewTraffic starts counting. name gives the endpoint of a request; spoil writes the answer of a fault that has a
// status.
func NewTraffic(name func(*http.Request) string, spoil func(http.ResponseWriter, *http.Request, Fault)) *Traffic {
	return &Traffic{name: name, spoil: spoil, counts: map[Count]int{}}
}

// Watch counts and spoils the requests of next, all but those of the control API (endpoint name "control").
func (t *Traffic) Watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		record := &Record{Count{Endpoint: t.name(r)}}
		if record.Endpoint == "control" {
			next.ServeHTTP(w, r)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), recordKey{}, record))
		status := &statusWriter{ResponseWriter: w}
		defer func() { t.count(record, status.status) }()
		if t.Spoil(status, r, record.Endpoint, "") {
			return
		}
		next.ServeHTTP(status, r)
	})
}

// Spoil applies the next fault that waits under one of the names, if there is one, and reports whether that was the
// answer. A stand-in calls it for requests that it can only tell apart within its handler.
func (t *Traffic) Spoil(w http.ResponseWriter, r *http.Request, names ...string) bool {
	fault, found := t.take(names)
	if !found {
		return false
	}
	if fault.DelayMS > 0 && !wait(r, time.Duration(fault.DelayMS)*time.Millisecond) {
		return true
	}
	if fault.Status == 0 {
		return false
	}
	RecordOf(r.Context()).Detail = "fault"
	if fault.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(fault.RetryAfter))
	}
	t.spoil(w, r, fault)
	return true
}

func wait(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(min(d, maxDelay))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

func (t *Traffic) count(r *Record, status int) {
	if r.Outcome == "" {
		r.Outcome = strconv.Itoa(status)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.counts[r.Count]; !known && len(t.counts) >= maxNames {
		t.dropped++
		return
	}
	t.counts[r.Count]++
}

func (t *Traffic) take(names []string) (Fault, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.faults, func(f Fault) bool { return slices.Contains(names, f.Endpoint) })
	if i < 0 {
		return Fault{}, false
	}
	fault := t.faults[i]
	if t.faults[i].Count--; t.faults[i].Count <= 0 {
		t.faults = slices.Delete(t.faults, i, i+1)
	}
	return fault, true
}

// Queue adds a fault, after those that wait already.
func (t *Traffic) Queue(f Fault) error {
	f.Count = max(f.Count, 1)
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) || f.DelayMS < 0 || f.RetryAfter < 0 {
		return fmt.Errorf("fault: status %d, delay_ms %d, retry_after %d: want a status of 200 to 599 (or none) and nothing negative", f.Status, f.DelayMS, f.RetryAfter)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.faults) >= maxFaults {
		return fmt.Errorf("fault: %d are waiting already", maxFaults)
	}
	t.faults = append(t.faults, f)
	return nil
}

// Requests returns the counts since the last reset, by endpoint, detail and outcome.
func (t *Traffic) Requests() []Counted {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(t.counts), func(a, b Count) int {
		return cmp.Or(cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Detail, b.Detail), cmp.Compare(a.Outcome, b.Outcome))
	})
	rows := make([]Counted, 0, len(keys)+1)
	for _, key := range keys {
		rows = append(rows, Counted{key, t.counts[key]})
	}
	if t.dropped > 0 {
		rows = append(rows, Counted{Count{Endpoint: "others", Outcome: "not told apart"}, t.dropped})
	}
	return rows
}

// Reset forgets counts and faults.
func (t *Traffic) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.counts)
	t.faults, t.dropped = nil, 0
}

// ServeRequests answers GET /_local/requests.
func (t *Traffic) ServeRequests(w http.ResponseWriter, _ *http.Request) { WriteJSON(w, t.Requests()) }

// ServeFaults answers POST /_local/faults with a [Fault].
func (t *Traffic) ServeFaults(w http.ResponseWriter, r *http.Request) {
	var f Fault
	if !ReadJSON(w, r, &f) {
		return
	}
	if err := t.Queue(f); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// ReadJSON decodes the body of a control request, at most 1 MiB, with no field that v lacks. When it cannot, it answers
// 400 with the reason and returns false.
func ReadJSON(w http.ResponseWriter, r *http.Request, v any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, controlBody))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(v)
	if err == nil && decoder.More() {
		err = errors.New("more than one JSON value")
	}
	if err != nil {
		http.Error(w, "the control API cannot read this: "+err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

// WriteJSON answers 200 with a body.
func WriteJSON(w http.ResponseWriter, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "cannot marshal the answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(append(text, '\n')) // the caller went away
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap serves http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
