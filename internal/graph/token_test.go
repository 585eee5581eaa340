package graph_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/graph"
)

func credentials(t *testing.T, now func() time.Time, transport roundTrip) graph.TokenFunc {
	t.Helper()
	id, err := identity.ParseClientID(person)
	if err != nil {
		t.Fatal(err)
	}
	source, err := graph.ClientCredentials(graph.Credentials{
		TokenURL: "https://login.example/tid/oauth2/v2.0/token", ClientID: id, Secret: identity.NewSecret("s3cret"),
		HTTPClient: &http.Client{Transport: transport}, Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func TestClientCredentialsKeepsATokenForItsLife(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	calls := 0
	source := credentials(t, func() time.Time { return now }, func(r *http.Request) answer {
		calls++
		body, _ := io.ReadAll(r.Body)
		if want := "client_id=" + person + "&client_secret=s3cret&grant_type=client_credentials&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default"; string(body) != want {
			t.Errorf("got %s, want %s", body, want)
		}
		return answer{200, "", `{"token_type":"Bearer","expires_in":3599,"access_token":"t"}`}
	})
	for _, step := range []struct {
		after time.Duration
		calls int
	}{{0, 1}, {54 * time.Minute, 1}, {time.Minute, 2}, {time.Minute, 2}} {
		now = now.Add(step.after)
		if got, err := source(t.Context()); err != nil || got.Reveal() != "t" || calls != step.calls {
			t.Errorf("after %v: got %v, %d calls, want %d", step.after, err, calls, step.calls)
		}
	}
}

func TestClientCredentialsAsksOnceForMany(t *testing.T) {
	var calls atomic.Int32
	source := credentials(t, nil, func(*http.Request) answer {
		calls.Add(1)
		return answer{200, "", `{"token_type":"Bearer","expires_in":"3599","access_token":"t"}`}
	})
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if _, err := source(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if calls.Load() != 1 {
		t.Errorf("%d calls", calls.Load())
	}
}

func TestClientCredentialsRefused(t *testing.T) {
	for _, test := range []struct {
		desc   string
		status int
		body   string
		number int
	}{
		{"wrong secret", 401, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided.","error_codes":[7000215]}`, 7000215},
		{"a proxy's page", 200, `<html>`, 0},
		{"no token", 200, `{"token_type":"Bearer","expires_in":3599}`, 0},
		{"no life", 200, `{"token_type":"Bearer","access_token":"t"}`, 0},
		{"a life without end", 200, `{"token_type":"Bearer","expires_in":99999999999,"access_token":"t"}`, 0},
		{"proof of possession", 200, `{"token_type":"pop","expires_in":3599,"access_token":"t"}`, 0},
	} {
		source := credentials(t, nil, func(*http.Request) answer { return answer{test.status, "", test.body} })
		_, err := source(t.Context())
		var refused *entra.Error
		if errors.As(err, &refused) != (test.number != 0) || refused != nil && refused.Number() != test.number {
			t.Errorf("%s: got %v, want AADSTS%d", test.desc, err, test.number)
		}
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: got %v", test.desc, err)
		}
	}
	if _, err := graph.ClientCredentials(graph.Credentials{TokenURL: "http://login.example/"}); err == nil {
		t.Error("http was accepted")
	}
	if _, err := graph.ClientCredentials(graph.Credentials{TokenURL: "https://login.example/"}); err == nil {
		t.Error("no credential was accepted")
	}
}
