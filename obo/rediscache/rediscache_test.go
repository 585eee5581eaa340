package rediscache_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/obo"
	"github.com/onbehalf/onbehalf/obo/rediscache"
)

const secret = "a-secret-of-the-deployment-0123456789"

// clock is the system's, moved forward by a test.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

func open(tb testing.TB, url string, change func(*rediscache.Config)) *rediscache.Cache {
	tb.Helper()
	config := rediscache.Config{URL: identity.NewSecret(url), Secrets: []identity.Secret{identity.NewSecret(secret)}}
	if change != nil {
		change(&config)
	}
	cache, err := rediscache.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = cache.Close() })
	return cache
}

// keyOf makes the key of a person's token for a scope; round is another sign-in.
func keyOf(tb testing.TB, person, round int, scope string) obo.SharedKey {
	tb.Helper()
	tenant, err1 := identity.ParseTenantID("7f1d3f0e-6d8e-5d6f-9c41-0d9f4f6f2b10")
	object, err2 := identity.ParseObjectID(fmt.Sprintf("00000000-0000-4000-8000-%012d", person))
	client, err3 := identity.ParseClientID("11111111-2222-3333-4444-555555555555")
	s, err4 := entra.ParseScope(scope)
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		tb.Fatal(err1, err2, err3, err4)
	}
	assertion := fmt.Sprintf("assertion.%d.%d", person, round)
	return obo.SharedKey{
		Caller: &identity.Caller{Tenant: tenant, Object: object, Assertion: identity.NewSecret(assertion), Expires: time.Now().Add(time.Hour)},
		Client: client, Scope: s, Digest: sha256.Sum256([]byte(assertion + scope)),
	}
}

func tokenOf(key obo.SharedKey, value string) identity.Token {
	return identity.Token{
		Value: identity.NewSecret(value), Tenant: key.Caller.Tenant, Object: key.Caller.Object,
		Audience: "https://search.azure.com", Expires: time.Now().Add(50 * time.Minute).Truncate(time.Second),
	}
}

const searchScope = "https://search.azure.com/.default"

func TestPutGetDelete(t *testing.T) {
	server := miniredis.RunT(t)
	one, two := open(t, "redis://"+server.Addr(), nil), open(t, "redis://"+server.Addr(), nil)
	key := keyOf(t, 1, 1, searchScope)
	want := tokenOf(key, "opaque-token-0001")
	if _, ok := two.Get(t.Context(), key); ok {
		t.Error("found before it was put")
	}
	one.Put(t.Context(), key, want)
	got, ok := two.Get(t.Context(), key)
	if !ok || got.Value.Reveal() != want.Value.Reveal() || got.Object != want.Object || got.Tenant != want.Tenant || got.Audience != want.Audience || !got.Expires.Equal(want.Expires) {
		t.Errorf("got %+v, %t; want %+v", got, ok, want)
	}
	one.Delete(t.Context(), key)
	if _, ok = two.Get(t.Context(), key); ok {
		t.Error("found after it was deleted")
	}
}

func TestAHitIsOneRoundTrip(t *testing.T) {
	server := miniredis.RunT(t)
	cache := open(t, "redis://"+server.Addr(), nil)
	key := keyOf(t, 1, 1, searchScope)
	cache.Put(t.Context(), key, tokenOf(key, "token"))
	cache.Get(t.Context(), key) // a new connection says hello
	before := server.CommandCount()
	for range 10 {
		if _, ok := cache.Get(t.Context(), key); !ok {
			t.Fatal("not found")
		}
	}
	if n := server.CommandCount() - before; n != 10 {
		t.Errorf("10 hits were %d commands, want 10", n)
	}
}

// The database holds neither tokens nor people nor scopes, and nothing that opens a value.
func TestACopyOfTheDatabaseTellsNothing(t *testing.T) {
	server := miniredis.RunT(t)
	cache := open(t, "redis://"+server.Addr(), nil)
	key := keyOf(t, 1, 1, searchScope)
	cache.Put(t.Context(), key, tokenOf(key, "opaque-token-0001"))
	dump := server.Dump()
	for _, hidden := range []string{"opaque-token", "search.azure.com", key.Caller.Object.String(), key.Caller.Tenant.String(), secret, "assertion"} {
		if strings.Contains(dump, hidden) {
			t.Errorf("the database shows %q:\n%s", hidden, dump)
		}
	}
}

func TestWhatOpensNothing(t *testing.T) {
	server := miniredis.RunT(t)
	url := "redis://" + server.Addr()
	alice, bob := keyOf(t, 1, 1, searchScope), keyOf(t, 2, 1, searchScope)
	later := keyOf(t, 1, 2, searchScope)
	other := keyOf(t, 1, 1, "https://graph.microsoft.com/.default")
	// move puts the value of one key where another is looked for, as somebody who can write to the database would.
	move := func(from, to obo.SharedKey) func(*testing.T, *rediscache.Cache) {
		return func(t *testing.T, cache *rediscache.Cache) {
			t.Helper()
			names := func(key obo.SharedKey) string {
				server.FlushAll()
				cache.Put(t.Context(), key, tokenOf(key, "x"))
				return server.Keys()[0]
			}
			source, target := names(from), names(to)
			server.FlushAll()
			cache.Put(t.Context(), from, tokenOf(from, "moved"))
			value, err := server.Get(source)
			if err != nil {
				t.Fatal(err)
			}
			if err = server.Set(target, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	spoil := func(change func([]byte) []byte) func(*testing.T, *rediscache.Cache) {
		return func(t *testing.T, cache *rediscache.Cache) {
			t.Helper()
			cache.Put(t.Context(), alice, tokenOf(alice, "spoilt"))
			name := server.Keys()[0]
			value, err := server.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			if err = server.Set(name, string(change([]byte(value)))); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		desc    string
		prepare func(*testing.T, *rediscache.Cache)
		key     obo.SharedKey
		change  func(*rediscache.Config)
	}{
		{"bob's value in alice's place", move(bob, alice), alice, nil},
		{"a value of another sign-in of hers", move(later, alice), alice, nil},
		{"a value for another scope", move(other, alice), alice, nil},
		{"one bit changed", spoil(func(v []byte) []byte { v[len(v)-1] ^= 1; return v }), alice, nil},
		{"the expiry put off", spoil(func(v []byte) []byte { v[4]++; return v }), alice, nil},
		{"another version", spoil(func(v []byte) []byte { v[0]++; return v }), alice, nil},
		{"cut short", spoil(func(v []byte) []byte { return v[:5] }), alice, nil},
		{"empty", spoil(func([]byte) []byte { return nil }), alice, nil},
		{"huge", spoil(func(v []byte) []byte { return append(v, make([]byte, 1<<20)...) }), alice, nil},
		{
			"another deployment's secret", func(t *testing.T, c *rediscache.Cache) { t.Helper(); c.Put(t.Context(), alice, tokenOf(alice, "x")) }, alice,
			func(c *rediscache.Config) {
				c.Secrets = []identity.Secret{identity.NewSecret("another-secret-of-another-deployment")}
			},
		},
		{"a token alone, with a made-up digest", func(t *testing.T, c *rediscache.Cache) { t.Helper(); c.Put(t.Context(), bob, tokenOf(bob, "x")) }, func() obo.SharedKey {
			forged := keyOf(t, 1, 1, searchScope)
			forged.Digest = bob.Digest // the place of bob's entry, with alice's assertion
			return forged
		}(), nil},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			server.FlushAll()
			tt.prepare(t, open(t, url, nil))
			if token, ok := open(t, url, tt.change).Get(t.Context(), tt.key); ok {
				t.Errorf("opened: %q", token.Value.Reveal())
			}
		})
	}
}

func TestSecretsRotate(t *testing.T) {
	server := miniredis.RunT(t)
	url := "redis://" + server.Addr()
	with := func(setting string) func(*rediscache.Config) {
		return func(c *rediscache.Config) { c.Secrets = rediscache.ParseSecrets(identity.NewSecret(setting)) }
	}
	const newer = "the-newer-secret-of-the-deployment-01"
	before, during, after := open(t, url, nil), open(t, url, with(newer+", "+secret)), open(t, url, with(newer))
	old, fresh := keyOf(t, 1, 1, searchScope), keyOf(t, 2, 1, searchScope)
	before.Put(t.Context(), old, tokenOf(old, "old"))
	if token, ok := during.Get(t.Context(), old); !ok || token.Value.Reveal() != "old" {
		t.Error("a value of the former secret is lost during the rotation")
	}
	during.Put(t.Context(), fresh, tokenOf(fresh, "fresh"))
	if token, ok := after.Get(t.Context(), fresh); !ok || token.Value.Reveal() != "fresh" {
		t.Error("during the rotation the newer secret does not seal")
	}
	if _, ok := after.Get(t.Context(), old); ok {
		t.Error("the former secret still opens")
	}
	during.Delete(t.Context(), old)
	if _, ok := before.Get(t.Context(), old); ok {
		t.Error("deleting leaves the value of the former secret")
	}
}

func TestLifeIsBounded(t *testing.T) {
	server, now := miniredis.RunT(t), &clock{}
	cache := open(t, "redis://"+server.Addr(), func(c *rediscache.Config) { c.Now, c.MaxLife = now.Now, 20*time.Minute })
	for _, tt := range []struct {
		desc             string
		token, assertion time.Duration
		want             time.Duration
	}{
		{"the longest", 24 * time.Hour, 24 * time.Hour, 20 * time.Minute},
		{"the token's", 5 * time.Minute, time.Hour, 5 * time.Minute},
		{"the assertion's", time.Hour, 7 * time.Minute, 7 * time.Minute},
		{"too short to be worth it", 30 * time.Second, time.Hour, 0},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			server.FlushAll()
			key := keyOf(t, 1, 1, searchScope)
			key.Caller.Expires = time.Now().Add(tt.assertion)
			token := tokenOf(key, "x")
			token.Expires = time.Now().Add(tt.token)
			cache.Put(t.Context(), key, token)
			if tt.want == 0 {
				if len(server.Keys()) != 0 {
					t.Error("kept")
				}
				return
			}
			if ttl := server.TTL(server.Keys()[0]); ttl > tt.want || ttl < tt.want-2*time.Second {
				t.Errorf("the database keeps it for %v, want %v", ttl, tt.want)
			}
			now.advance(tt.want) // a database that does not expire, such as a copy
			if _, ok := cache.Get(t.Context(), key); ok {
				t.Error("served after its end")
			}
			now.advance(-tt.want)
		})
	}
}

func TestDownAndBack(t *testing.T) {
	server, now := miniredis.RunT(t), &clock{}
	var log bytes.Buffer
	cache := open(t, "redis://"+server.Addr(), func(c *rediscache.Config) {
		c.Now, c.Logger = now.Now, slog.New(slog.NewTextHandler(&log, nil))
	})
	key := keyOf(t, 1, 1, searchScope)
	cache.Put(t.Context(), key, tokenOf(key, "x"))
	if err := cache.Ping(t.Context()); err != nil {
		t.Errorf("a sign of life: %v", err)
	}
	server.Close()
	if err := cache.Ping(t.Context()); err == nil {
		t.Error("a sign of life of a server that is down")
	}
	for range 20 {
		cache.Get(t.Context(), key)
		cache.Put(t.Context(), key, tokenOf(key, "x"))
		cache.Delete(t.Context(), key)
	}
	if n := strings.Count(log.String(), "is down"); n != 1 {
		t.Errorf("said %d times that it is down, want once:\n%s", n, log.String())
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) { // go-redis looks for the server once a second
		now.advance(10 * time.Second)
		cache.Put(t.Context(), key, tokenOf(key, "back"))
		if token, ok := cache.Get(t.Context(), key); ok && token.Value.Reveal() == "back" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not come back; log:\n%s", log.String())
		}
	}
	if strings.Count(log.String(), "is back") != 1 {
		t.Errorf("log:\n%s", log.String())
	}
}

func TestASlowServerDoesNotHoldCallers(t *testing.T) {
	server := miniredis.RunT(t)
	cache := open(t, "redis://"+server.Addr(), func(c *rediscache.Config) { c.Timeout = 20 * time.Millisecond })
	key := keyOf(t, 1, 1, searchScope)
	cache.Put(t.Context(), key, tokenOf(key, "x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := cache.Get(ctx, key); ok {
		t.Error("a caller that left was served")
	}
	if _, ok := cache.Get(t.Context(), key); !ok {
		t.Error("a caller that left counts as an outage")
	}
}

func TestUserAndPassword(t *testing.T) {
	server := miniredis.RunT(t)
	server.RequireUserAuth("cache", "the-password")
	var log bytes.Buffer
	logged := func(c *rediscache.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) }
	key := keyOf(t, 1, 1, searchScope)
	right, wrong := open(t, "redis://cache:the-password@"+server.Addr(), logged), open(t, "redis://cache:wrong-password@"+server.Addr(), logged)
	right.Put(t.Context(), key, tokenOf(key, "x"))
	if _, ok := right.Get(t.Context(), key); !ok {
		t.Error("the ACL user gets nothing")
	}
	if _, ok := wrong.Get(t.Context(), key); ok || !strings.Contains(log.String(), "refused") {
		t.Errorf("a wrong password: %t; log: %s", ok, log.String())
	}
	if strings.Contains(log.String(), "password@") || strings.Contains(log.String(), "the-password") || strings.Contains(log.String(), "wrong-password") {
		t.Errorf("the log shows a password: %s", log.String())
	}
}

func TestConfiguration(t *testing.T) {
	good := identity.NewSecret(secret)
	for _, tt := range []struct {
		desc    string
		url     string
		secrets []identity.Secret
		want    string
	}{
		{"no secret", "redis://localhost:6379", nil, "CACHE_SECRET: missing"},
		{"a short secret", "redis://localhost:6379", []identity.Secret{identity.NewSecret("short")}, "at least 32"},
		{"three secrets", "redis://localhost:6379", []identity.Secret{good, good, good}, "the new and the former"},
		{"no URL", "localhost:6379", []identity.Secret{good}, "REDIS_URL"},
		{"a URL with a slip", "redis://user:pass word@localhost:notaport", []identity.Secret{good}, "REDIS_URL"},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			_, err := rediscache.New(rediscache.Config{URL: identity.NewSecret(tt.url), Secrets: tt.secrets})
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "pass word") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
