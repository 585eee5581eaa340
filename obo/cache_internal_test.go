package obo

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/identity"
)

// 1,000 people, a new sign-in each hour of 30 days: 720,000 assertions. The cache alone, at its full bound.
func TestTheCacheOverAMonth(t *testing.T) {
	tenant, err := identity.ParseTenantID("7f1d3f0e-6d8e-5d6f-9c41-0d9f4f6f2b10")
	if err != nil {
		t.Fatal(err)
	}
	callers := make([]identity.Caller, 1000)
	for n := range callers {
		object, err := identity.ParseObjectID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n))
		if err != nil {
			t.Fatal(err)
		}
		callers[n] = identity.Caller{Tenant: tenant, Object: object}
	}
	ca := newCache(5000, 32, 10, 5*time.Minute)
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var after [2]uint64 // heap after a day and after the month
	for hour := range 30 * 24 {
		for n := range callers {
			c := &callers[n]
			c.Expires = now.Add(time.Hour)
			if refusal := ca.admit(c, now); refusal != nil {
				t.Fatal(refusal)
			}
			token := identity.Token{Value: identity.NewSecret(fmt.Sprintf("token of %d in hour %d", n, hour)), Expires: now.Add(time.Hour)}
			ca.put(sha256.Sum256([]byte(token.Value.Reveal())), c, token, now)
		}
		now = now.Add(time.Hour)
		if hour == 24 || hour == 30*24-1 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			after[min(hour/100, 1)] = m.HeapAlloc
		}
	}
	if len(ca.entries) > 5000 || len(ca.people) > 2000 {
		t.Errorf("%d entries and %d people are kept", len(ca.entries), len(ca.people))
	}
	for name, p := range ca.people {
		if len(p.entries) > 32 || len(p.misses) > 10 {
			t.Errorf("%v: %d entries, %d misses", name, len(p.entries), len(p.misses))
		}
	}
	if grown := int64(after[1]) - int64(after[0]); grown > 1<<20 {
		t.Errorf("the heap grew by %d bytes from the first day to the last", grown)
	}
}

// However many people come within a minute, and whatever they get: what is known of them is bounded.
func TestAFloodOfPeople(t *testing.T) {
	tenant, err := identity.ParseTenantID("7f1d3f0e-6d8e-5d6f-9c41-0d9f4f6f2b10")
	if err != nil {
		t.Fatal(err)
	}
	ca := newCache(2000, 32, 10, 5*time.Minute)
	now := time.Now()
	for n := range 50_000 {
		object, err := identity.ParseObjectID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n))
		if err != nil {
			t.Fatal(err)
		}
		c := &identity.Caller{Tenant: tenant, Object: object, Expires: now.Add(time.Hour)}
		if refusal := ca.admit(c, now); refusal != nil {
			t.Fatal(refusal)
		}
		if n%2 == 0 {
			ca.put(sha256.Sum256([]byte(object.String())), c, identity.Token{Value: identity.NewSecret("x"), Expires: c.Expires}, now)
		}
		if len(ca.people) > 2*2000+1 || len(ca.entries) > 2000 {
			t.Fatalf("after %d people %d are known, with %d entries", n+1, len(ca.people), len(ca.entries))
		}
	}
}
