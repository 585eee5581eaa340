//go:build unix

package entraserver

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/identity"
)

// BenchmarkOnBehalfOf times exchanges and, side by side in the same run, the RS256 signatures that their answers hold: the
// metric "x-signatures" is the ratio, which is to stay below 1.25.
func BenchmarkOnBehalfOf(b *testing.B) {
	s, err := New(Config{URL: "https://localhost:8443"})
	if err != nil {
		b.Fatal(err)
	}
	token, err := s.SignIn("alice", ContosoWebClient, "", apiExecute)
	if err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		scope      string
		signatures int
	}{
		{searchDefault, 1},
		{searchDefault + " openid profile offline_access", 2}, // what MSAL asks for
	} {
		b.Run(fmt.Sprintf("signatures=%d", bench.signatures), func(b *testing.B) {
			body := with(exchange(s, token.Reveal()), "scope", bench.scope, "client_info", "1").Encode()
			text := make([]byte, 1400)
			var exchanges, signatures time.Duration
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, "/"+ContosoTenant+"/oauth2/v2.0/token", strings.NewReader(body))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				w := httptest.NewRecorder()
				start := processorTime(b)
				s.ServeHTTP(w, r)
				between := processorTime(b)
				for range bench.signatures {
					if _, err := s.keys.signer().sign(text); err != nil {
						b.Fatal(err)
					}
				}
				exchanges, signatures = exchanges+between-start, signatures+processorTime(b)-between
				if w.Code != http.StatusOK {
					b.Fatal(w.Body)
				}
			}
			b.ReportMetric(float64(exchanges)/float64(signatures), "x-signatures")
			b.ReportMetric(float64(exchanges.Microseconds())/float64(b.N), "cpu-µs/exchange")
		})
	}
}

// processorTime is what this process has used, garbage collection included: other work on the machine does not count.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestMemory holds 10,000 people and 100,000 live refresh tokens, the texts of the tokens included, against 200 MiB.
func TestMemory(t *testing.T) {
	const people, perPerson, most = 10_000, 10, 200 << 20
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	d := contoso(t)
	var file strings.Builder
	for i := range people {
		fmt.Fprintf(&file, `{"name":"Person %d","upn":"p%d@contoso.example","oid":"aaaaaaaa-0000-4000-8000-%012x","groups":["bbbbbbbb-0000-4000-8000-%012x","cccccccc-0000-4000-8000-%012x"]}`+"\n", i, i, i, i%100, i%26)
	}
	if n, err := d.LoadPeople(strings.NewReader(file.String())); err != nil || n != people {
		t.Fatal(n, err)
	}
	s := newServer(t, Config{Directory: d})
	tokens := make([]string, 0, people*perPerson)
	for i := range people {
		id, err := identity.ParseObjectID(fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012x", i))
		if err != nil {
			t.Fatal(err)
		}
		sess := s.signIn(d.Person(id), needs{}, false)
		for range perPerson {
			tokens = append(tokens, s.newRefreshToken(refreshToken{client: client(ContosoAPI), issued: s.now(), scope: searchDefault + " offline_access", session: sess}))
		}
	}
	used := heap() - before
	t.Logf("%d people, %d refresh tokens: %.1f MiB, of which the tokens' texts %.1f MiB", people, len(tokens), float64(used)/(1<<20), float64(len(tokens)*len(tokens[0]))/(1<<20))
	if used > most {
		t.Errorf("%d MiB, want at most %d", used>>20, most>>20)
	}
	for _, token := range []string{tokens[0], tokens[len(tokens)-1]} {
		form := url.Values{"grant_type": {grantRefresh}, clientID: {ContosoAPI}, "client_secret": {d.ClientSecret(client(ContosoAPI)).Reveal()}, "refresh_token": {token}}
		if _, body := post(t, s, form, nil); aadsts(body) != 0 {
			t.Errorf("a refresh token is not live: %v", body)
		}
	}
}
