package obo_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/obo"
)

// clock is the system's, moved forward by a test.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// get exchanges and fails the test when that fails.
func get(tb testing.TB, x obo.Exchanger, c *identity.Caller, s entra.Scope) identity.Token {
	tb.Helper()
	token, err := x.Exchange(tb.Context(), c, s, "")
	if err != nil {
		tb.Fatalf("exchange for %s: %v", c.Object, err)
	}
	return token
}

func refusalOf(tb testing.TB, err error) *obo.Refusal {
	tb.Helper()
	refusal, ok := errors.AsType[*obo.Refusal](err)
	if !ok {
		tb.Fatalf("got %v, want a refusal", err)
	}
	return refusal
}

func TestWhatMakesATokenAnother(t *testing.T) {
	a := startAuthority(t)
	client := newClient(t, a, nil)
	base := person(t, 1, 1)
	withCP1 := *base
	withCP1.CP1 = true
	graph := scopeOf(t, "https://graph.microsoft.com/User.Read")
	for i, tt := range []struct {
		desc   string
		caller *identity.Caller
		scope  entra.Scope
		claims string
		asked  int64
	}{
		{"the first", base, searchScope(t), "", 1},
		{"the same", base, searchScope(t), "", 1},
		{"the same, in another Caller", person(t, 1, 1), searchScope(t), "", 1},
		{"another scope", base, graph, "", 2},
		{"a scope that reads the same when joined", base, scopeOf(t, "https://graph.microsoft.com/User/Read"), "", 3},
		{"claims", base, searchScope(t), `{"access_token":{}}`, 4},
		{"a client that handles challenges", &withCP1, searchScope(t), "", 5},
		{"a new assertion", person(t, 1, 2), searchScope(t), "", 6},
		{"another person", person(t, 2, 1), searchScope(t), "", 7},
		{"the first again", base, searchScope(t), "", 7},
	} {
		token, err := client.Exchange(t.Context(), tt.caller, tt.scope, tt.claims)
		if err != nil || token.Object != tt.caller.Object {
			t.Fatalf("%d %s: %v", i, tt.desc, err)
		}
		if got := a.exchanges.Load(); got != tt.asked {
			t.Errorf("%s: Entra was asked %d times, want %d", tt.desc, got, tt.asked)
		}
	}
	if n := a.discoveries.Load(); n != 1 {
		t.Errorf("%d discovery requests, want 1", n)
	}
}

func TestCachedIsSaidInTheChain(t *testing.T) {
	client := newClient(t, startAuthority(t), nil)
	get(t, client, person(t, 1, 1), searchScope(t))
	ctx, call := chain.Begin(t.Context())
	if _, err := client.Exchange(ctx, person(t, 1, 1), searchScope(t), ""); err != nil {
		t.Fatal(err)
	}
	if hops, _ := call.Hops(); len(hops) != 1 || hops[0].Decision != chain.Cached || hops[0].Status != 0 || hops[0].Expires.IsZero() {
		t.Errorf("got %+v", hops)
	}
}

func TestEntriesEndWithTheEarlierExpiry(t *testing.T) {
	for _, tt := range []struct {
		desc                 string
		token, assertion     time.Duration
		advance              time.Duration
		asked                int64
		stillServed, refused bool
	}{
		{"both live", time.Hour, time.Hour, 10 * time.Minute, 1, true, false},
		{"the token's", 20 * time.Minute, 2 * time.Hour, 20 * time.Minute, 2, true, false},
		{"the assertion's", time.Hour, 10 * time.Minute, 10 * time.Minute, 1, false, true},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			a, now := startAuthority(t), &clock{}
			a.lifetime = tt.token
			client := newClient(t, a, func(c *obo.Config) { c.Now = now.Now })
			alice := person(t, 1, 1)
			alice.Expires = time.Now().Add(tt.assertion)
			get(t, client, alice, searchScope(t))
			now.advance(tt.advance)
			_, err := client.Exchange(t.Context(), alice, searchScope(t), "")
			if tt.refused {
				if refusalOf(t, err).Kind != entra.AssertionExpired {
					t.Errorf("got %v", err)
				}
			} else if err != nil {
				t.Error(err)
			}
			if n := a.exchanges.Load(); n != tt.asked {
				t.Errorf("asked %d times, want %d", n, tt.asked)
			}
		})
	}
}

func TestLeastRecentlyUsedLeavesFirst(t *testing.T) {
	a := startAuthority(t)
	client := newClient(t, a, func(c *obo.Config) { c.MaxEntries = 3 })
	for n := range 3 {
		get(t, client, person(t, n, 1), searchScope(t))
	}
	get(t, client, person(t, 0, 1), searchScope(t)) // used again: 1 is now the oldest
	get(t, client, person(t, 3, 1), searchScope(t)) // pushes 1 out
	if n := a.exchanges.Load(); n != 4 {
		t.Fatalf("asked %d times, want 4", n)
	}
	for _, n := range []int{0, 2, 3} {
		get(t, client, person(t, n, 1), searchScope(t))
	}
	if n := a.exchanges.Load(); n != 4 {
		t.Errorf("asked %d times, want 4: somebody else than the oldest left", n)
	}
	get(t, client, person(t, 1, 1), searchScope(t))
	if n := a.exchanges.Load(); n != 5 {
		t.Errorf("asked %d times, want 5: the oldest was still there", n)
	}
}

func TestNobodyFloodsOutTheOthers(t *testing.T) {
	a, now := startAuthority(t), &clock{}
	client := newClient(t, a, func(c *obo.Config) { c.Now, c.MaxEntries = now.Now, 40 })
	bob := person(t, 2, 1)
	bob.Expires = time.Now().Add(3 * time.Hour)
	get(t, client, bob, searchScope(t))
	asked := a.exchanges.Load()
	var refused *obo.Refusal
	for round := range 10 { // ten a minute, each with a new assertion
		for i := range 12 {
			alice := person(t, 1, round*100+i)
			alice.Expires = time.Now().Add(3 * time.Hour)
			_, err := client.Exchange(t.Context(), alice, searchScope(t), "")
			if i < 10 && err != nil {
				t.Fatal(err)
			}
			if i >= 10 {
				refused = refusalOf(t, err)
				if refused.Kind != entra.Throttled || refused.RetryAfter <= 0 || refused.RetryAfter > time.Minute {
					t.Fatalf("miss %d of a minute: %+v, want throttled", i+1, refused)
				}
			}
		}
		now.advance(time.Minute)
	}
	if n := a.exchanges.Load() - asked; n != 100 {
		t.Errorf("asked %d times, want 100", n)
	}
	get(t, client, bob, searchScope(t))
	if n := a.exchanges.Load() - asked; n != 100 {
		t.Error("bob's token was flooded out")
	}
}

func TestAPersonKeepsAtMost32(t *testing.T) {
	a, now := startAuthority(t), &clock{}
	client := newClient(t, a, func(c *obo.Config) { c.Now, c.MissesPerMinute = now.Now, 100 })
	alice := person(t, 1, 1)
	for i := range 33 {
		get(t, client, alice, scopeOf(t, fmt.Sprintf("api://api-%d/.default", i)))
	}
	now.advance(time.Minute)
	get(t, client, alice, scopeOf(t, "api://api-1/.default"))
	if n := a.exchanges.Load(); n != 33 {
		t.Errorf("asked %d times, want 33: the second was not the one that left", n)
	}
	get(t, client, alice, scopeOf(t, "api://api-0/.default"))
	if n := a.exchanges.Load(); n != 34 {
		t.Errorf("asked %d times, want 34: the first did not leave", n)
	}
}

func TestRefusalsAreRemembered(t *testing.T) {
	for _, tt := range []struct {
		desc       string
		answer     func(http.ResponseWriter, *http.Request)
		remembered bool
	}{
		{"consent", refuse(400, "invalid_grant", 65001, ""), true},
		{"interaction", refuse(400, "invalid_grant", 50076, ""), true},
		{"blocked", refuse(400, "invalid_grant", 53003, ""), true},
		{"an outage", refuse(500, "server_error", 50033, ""), false},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			a, now := startAuthority(t), &clock{}
			client := newClient(t, a, func(c *obo.Config) { c.Now = now.Now })
			a.answer = tt.answer
			_, first := client.Exchange(t.Context(), person(t, 1, 1), searchScope(t), "")
			a.answer = nil
			_, second := client.Exchange(t.Context(), person(t, 1, 1), searchScope(t), "")
			if first == nil || (second != nil) != tt.remembered {
				t.Fatalf("got %v, then %v", first, second)
			}
			get(t, client, person(t, 1, 2), searchScope(t)) // a new sign-in is heard at once
			now.advance(11 * time.Second)
			get(t, client, person(t, 1, 1), searchScope(t)) // and so is the old one, in a while
		})
	}
}

func TestRetryAfter(t *testing.T) {
	wait := func(status, number int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "30")
			refuse(status, "temporarily_unavailable", number, "")(w, r)
		}
	}
	for _, tt := range []struct {
		desc   string
		status int
		number int
		others bool // whether others have to wait, too
	}{
		{"this person is throttled", 429, 50196, false},
		{"the tenant is throttled", 429, 90055, true},
		{"Entra is away", 503, 90033, true},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			a, now := startAuthority(t), &clock{}
			client := newClient(t, a, func(c *obo.Config) { c.Now = now.Now })
			get(t, client, person(t, 3, 1), searchScope(t))
			a.answer = wait(tt.status, tt.number)
			_, err := client.Exchange(t.Context(), person(t, 1, 1), searchScope(t), "")
			if r := refusalOf(t, err); r.RetryAfter != 30*time.Second {
				t.Errorf("got a wait of %v, want 30 s", r.RetryAfter)
			}
			a.answer = nil
			asked := a.exchanges.Load()
			now.advance(10 * time.Second)
			_, err = client.Exchange(t.Context(), person(t, 1, 2), searchScope(t), "")
			if r := refusalOf(t, err); r.RetryAfter > 20*time.Second || r.RetryAfter < 19*time.Second {
				t.Errorf("got a wait of %v, want what is left of 30 s", r.RetryAfter)
			}
			if n := a.exchanges.Load(); n != asked {
				t.Error("Entra was asked before the wait was over")
			}
			if _, err = client.Exchange(t.Context(), person(t, 2, 1), searchScope(t), ""); (err != nil) != tt.others {
				t.Errorf("another person: %v", err)
			}
			get(t, client, person(t, 3, 1), searchScope(t)) // what is cached is served
			now.advance(21 * time.Second)
			get(t, client, person(t, 1, 1), searchScope(t))
		})
	}
}

func TestRenewedAheadOfExpiryInsideACall(t *testing.T) {
	a, now := startAuthority(t), &clock{}
	a.lifetime = 20 * time.Minute
	client := newClient(t, a, func(c *obo.Config) { c.Now = now.Now })
	alice := person(t, 1, 1)
	alice.Expires = time.Now().Add(2 * time.Hour)
	first := get(t, client, alice, searchScope(t))
	now.advance(16 * time.Minute)
	a.lifetime = 2 * time.Hour // by the authority's own clock: what is renewed is not due again at once
	if n := a.exchanges.Load(); n != 1 {
		t.Errorf("asked %d times without a call", n)
	}
	for range 5 { // served from the cache, one of them starts the renewal
		if get(t, client, alice, searchScope(t)).Expires.Before(first.Expires) {
			t.Error("an older token")
		}
	}
	for a.exchanges.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	for get(t, client, alice, searchScope(t)).Value.Reveal() == first.Value.Reveal() {
		time.Sleep(time.Millisecond)
	}
	if n := a.exchanges.Load(); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

func TestRevokedInTheMiddle(t *testing.T) {
	a, now := startAuthority(t), &clock{}
	client := newClient(t, a, func(c *obo.Config) { c.Now = now.Now })
	alice := person(t, 1, 1)
	get(t, client, alice, searchScope(t))
	get(t, client, person(t, 2, 1), searchScope(t))
	a.answer = refuse(400, "invalid_grant", 50173, "")
	_, err := client.Exchange(t.Context(), alice, scopeOf(t, "api://another/.default"), "")
	if r := refusalOf(t, err); r.Kind != entra.AssertionExpired {
		t.Fatalf("got %v", err)
	}
	if _, err = client.Exchange(t.Context(), alice, searchScope(t), ""); err == nil {
		t.Error("a revoked person was served from the cache")
	}
	get(t, client, person(t, 2, 1), searchScope(t)) // bob is not touched
}
