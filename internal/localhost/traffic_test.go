package localhost_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/internal/localhost"
)

func newTraffic() (*localhost.Traffic, http.Handler) {
	traffic := localhost.NewTraffic(
		func(r *http.Request) string { return strings.TrimPrefix(r.URL.Path, "/") },
		func(w http.ResponseWriter, _ *http.Request, f localhost.Fault) { http.Error(w, f.Error, f.Status) })
	return traffic, traffic.Watch(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		localhost.RecordOf(r.Context()).Detail = r.URL.Query().Get("detail")
		_, _ = io.WriteString(w, "ok")
	}))
}

func get(h http.Handler, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}

func TestTrafficCountsAndSpoils(t *testing.T) {
	traffic, handler := newTraffic()
	if err := traffic.Queue(localhost.Fault{Endpoint: "docs", Count: 2, Status: 503, RetryAfter: 7, Error: "away"}); err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, target := range []string{"/other", "/docs", "/docs", "/docs?detail=search", "/control"} {
		w := get(handler, target)
		got = append(got, w.Code)
		if w.Code == 503 && w.Header().Get("Retry-After") != "7" {
			t.Error("Retry-After is missing")
		}
	}
	if diff := cmp.Diff([]int{200, 503, 503, 200, 200}, got); diff != "" {
		t.Error(diff)
	}
	want := []localhost.Counted{
		{Count: localhost.Count{Endpoint: "docs", Detail: "fault", Outcome: "503"}, Requests: 2},
		{Count: localhost.Count{Endpoint: "docs", Detail: "search", Outcome: "200"}, Requests: 1},
		{Count: localhost.Count{Endpoint: "other", Outcome: "200"}, Requests: 1},
	}
	if diff := cmp.Diff(want, traffic.Requests()); diff != "" {
		t.Error(diff)
	}
	traffic.Reset()
	if len(traffic.Requests()) != 0 {
		t.Error("reset forgets nothing")
	}
}

func TestFaultsDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		traffic, handler := newTraffic()
		if err := traffic.Queue(localhost.Fault{DelayMS: 3000}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if w := get(handler, "/docs"); w.Body.String() != "ok" || time.Since(start) != 3*time.Second {
			t.Errorf("got %q after %s, want the true answer after 3s", w.Body, time.Since(start))
		}
	})
}

func TestFaultsOverHTTP(t *testing.T) {
	traffic, handler := newTraffic()
	for body, want := range map[string]int{
		`{"endpoint":"docs","status":429}`: 204,
		`{"status":99}`:                    400,
		`{"delay_ms":-1}`:                  400,
		`{"endpont":"docs"}`:               400,
		`{} {}`:                            400,
		`nonsense`:                         400,
	} {
		w := httptest.NewRecorder()
		traffic.ServeFaults(w, httptest.NewRequest(http.MethodPost, "/_local/faults", strings.NewReader(body)))
		if w.Code != want {
			t.Errorf("%s: got %d (%s), want %d", body, w.Code, w.Body, want)
		}
	}
	get(handler, "/docs")
	w := httptest.NewRecorder()
	traffic.ServeRequests(w, httptest.NewRequest(http.MethodGet, "/_local/requests", nil))
	if want := `[{"endpoint":"docs","detail":"fault","outcome":"429","requests":1}]` + "\n"; w.Body.String() != want {
		t.Errorf("got %s, want %s", w.Body, want)
	}
}
