package entraserver

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// A request of a few kilobytes costs little, whatever is in it.
func TestLongRequestsCostLittle(t *testing.T) {
	s, err := New(Config{URL: "https://localhost:8443"})
	if err != nil {
		t.Fatal(err)
	}
	const most = 16 << 20
	for desc, r := range map[string]*http.Request{
		"a path of many segments": httptest.NewRequest(http.MethodGet, strings.Repeat("/a", 30_000), http.NoBody),
		"below Graph":             httptest.NewRequest(http.MethodGet, "/v1.0"+strings.Repeat("/a", 30_000), http.NoBody),
		"below the control API":   httptest.NewRequest(http.MethodPost, "/_local"+strings.Repeat("/a", 30_000), http.NoBody),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > most || w.Code < 400 {
			t.Errorf("%s: %d, %d bytes", desc, w.Code, used)
		}
	}
}

// Who opens the address in a browser is told what is there.
func TestHome(t *testing.T) {
	s, err := New(Config{URL: "https://localhost:8443"})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "A local Microsoft Entra ID for tests answers here") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
