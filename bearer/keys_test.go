package bearer_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/bearer"
)

func TestRotationWithoutAFailedRequest(t *testing.T) {
	a := newAuthority(t)
	v := a.verifier(t, nil)
	old := a.token(nil)
	if _, err := v.Verify(t.Context(), secret(old)); err != nil {
		t.Fatal(err)
	}
	a.publish(jwk("k1", &signingKey().PublicKey, ""), jwk("k2", &rotatedKey().PublicKey, ""))
	a.advance(time.Hour)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			token := sign(rotatedKey(), toJSON(header(object{"kid": "k2"})), toJSON(a.claims(object{"uti": strconv.Itoa(i)})))
			if _, err := v.Verify(t.Context(), secret(token)); err != nil {
				t.Errorf("a token of the new key: %v", err)
			}
		})
	}
	wg.Wait()
	if got := a.fetches.Load(); got != 2 {
		t.Errorf("%d fetches, want one at first and one for the new key", got)
	}
}

// junk sends tokens with keys that do not exist, one a second.
func (a *authority) junk(t *testing.T, v *bearer.Verifier, seconds int) {
	t.Helper()
	for second := range seconds {
		kid := fmt.Sprint("junk", a.fetches.Load(), " ", second)
		token := strings.Join([]string{encode(toJSON(header(object{"kid": kid}))), encode(toJSON(a.claims(nil))), strings.Repeat("A", 342)}, ".")
		if got := refusal(t.Context(), t, v, token); got.Status != http.StatusUnauthorized || got.Reason != "key" {
			t.Fatalf("junk: %+v", got)
		}
		a.advance(time.Second)
	}
}

// Whoever sends tokens with made-up keys, all the time or again and again after a pause, makes the server ask Entra no more
// often than once in five minutes, but for the first few.
func TestJunkTokensCauseFewFetches(t *testing.T) {
	a := newAuthority(t)
	v := a.verifier(t, nil)
	a.junk(t, v, 3600)
	if got, most := a.fetches.Load(), int64(4+3600/300); got > most {
		t.Errorf("%d fetches in an hour of junk, want at most %d", got, most)
	}
	a = newAuthority(t)
	v = a.verifier(t, nil)
	for range 12 {
		a.junk(t, v, 120)
		a.advance(16 * time.Minute)
	}
	if got, most := a.fetches.Load(), int64(12*4+1); got > most {
		t.Errorf("%d fetches in 12 bursts of junk, want at most %d", got, most)
	}
}

// A key that the authority begins to use right after the server has fetched the keys, and another soon after, are found: at
// the next token, or, when a cache still hands the old document out, some seconds later.
func TestKeysThatRollRightAfterAStart(t *testing.T) {
	a := newAuthority(t)
	v := a.verifier(t, nil)
	if _, err := v.Verify(t.Context(), secret(a.token(nil))); err != nil {
		t.Fatal(err)
	}
	a.advance(2 * time.Second)
	next := sign(rotatedKey(), toJSON(header(object{"kid": "k2"})), toJSON(a.claims(nil)))
	if got := refusal(t.Context(), t, v, next); got.Reason != "key" {
		t.Fatalf("a key that is not published yet: %+v", got)
	}
	a.publish(jwk("k1", &signingKey().PublicKey, ""), jwk("k2", &rotatedKey().PublicKey, ""))
	a.advance(10 * time.Second)
	if _, err := v.Verify(t.Context(), secret(next)); err != nil {
		t.Errorf("a key that is published now: %v", err)
	}
	a.publish(jwk("k3", &strangerKey().PublicKey, ""))
	a.advance(time.Second)
	last := sign(strangerKey(), toJSON(header(object{"kid": "k3"})), toJSON(a.claims(nil)))
	if _, err := v.Verify(t.Context(), secret(last)); err != nil {
		t.Errorf("the key after that: %v", err)
	}
	if got := a.fetches.Load(); got != 4 {
		t.Errorf("%d fetches, want 4", got)
	}
}

// Also in the middle of junk, a new key is found within five minutes.
func TestANewKeyIsFoundAmongJunk(t *testing.T) {
	a := newAuthority(t)
	v := a.verifier(t, nil)
	a.junk(t, v, 600)
	a.publish(jwk("k2", &rotatedKey().PublicKey, ""))
	a.junk(t, v, 300)
	if _, err := v.Verify(t.Context(), secret(sign(rotatedKey(), toJSON(header(object{"kid": "k2"})), toJSON(a.claims(nil))))); err != nil {
		t.Error(err)
	}
}

func TestKeysAreKeptWhileTheAuthorityIsAway(t *testing.T) {
	a := newAuthority(t)
	v := a.verifier(t, nil)
	if _, err := v.Verify(t.Context(), secret(a.token(nil))); err != nil {
		t.Fatal(err)
	}
	a.setDown(true)
	for range 3 {
		a.advance(25 * time.Hour)
		if _, err := v.Verify(t.Context(), secret(a.token(nil))); err != nil {
			t.Errorf("the key is known, the authority is away: %v", err)
		}
	}
	a.advance(time.Hour)
	unknown := sign(rotatedKey(), toJSON(header(object{"kid": "k2"})), toJSON(a.claims(nil)))
	if got := refusal(t.Context(), t, v, unknown); got.Status != http.StatusServiceUnavailable || got.RetryAfter == 0 {
		t.Errorf("nobody can tell whether the key is good: %+v, want 503", got)
	}
}

func TestNoKeysAtAll(t *testing.T) {
	a := newAuthority(t)
	a.setDown(true)
	v := a.verifier(t, nil)
	for range 50 {
		if got := refusal(t.Context(), t, v, a.token(nil)); got.Status != http.StatusServiceUnavailable {
			t.Fatalf("%+v, want 503", got)
		}
	}
	if got := a.fetches.Load(); got != 1 {
		t.Errorf("%d fetches at once, want 1", got)
	}
	a.setDown(false)
	a.advance(2 * time.Second)
	if _, err := v.Verify(t.Context(), secret(a.token(nil))); err != nil {
		t.Errorf("the authority is back: %v", err)
	}
}

func TestAWaitingClientThatLeavesDoesNotSpoilTheFetch(t *testing.T) {
	a := newAuthority(t)
	v := a.verifier(t, nil)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if got := refusal(gone, t, v, a.token(nil)); got.Status != http.StatusServiceUnavailable {
		t.Errorf("%+v, want 503", got)
	}
	if _, err := v.Verify(t.Context(), secret(a.token(nil))); err != nil {
		t.Errorf("the next client: %v", err)
	}
}

// TestUnusableKeys publishes keys that must not be used, each under the kid of the token, beside a good one.
func TestUnusableKeys(t *testing.T) {
	good := &signingKey().PublicKey
	for desc, key := range map[string]string{
		"for encryption":              `{"kty":"RSA","use":"enc","kid":"k1","n":%q,"e":"AQAB"}`,
		"for another algorithm":       `{"kty":"RSA","alg":"PS256","kid":"k1","n":%q,"e":"AQAB"}`,
		"symmetric":                   `{"kty":"oct","kid":"k1","k":%q}`,
		"exponent one":                `{"kty":"RSA","kid":"k1","n":%q,"e":"AQ"}`,
		"even exponent":               `{"kty":"RSA","kid":"k1","n":%q,"e":"AQAC"}`,
		"huge exponent":               `{"kty":"RSA","kid":"k1","n":%q,"e":"AQAAAAAB"}`,
		"modulus not base64":          `{"kty":"RSA","kid":"k1","n":"*","e":"AQAB","x":%q}`,
		"modulus too short":           `{"kty":"RSA","kid":"k1","n":"sXch","e":"AQAB","x":%q}`,
		"issuer of consumer accounts": `{"kty":"RSA","kid":"k1","issuer":"https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0","n":%q,"e":"AQAB"}`,
	} {
		a := newAuthority(t)
		a.publish(fmt.Sprintf(key, encode(string(good.N.Bytes()))), jwk("other", &rotatedKey().PublicKey, ""))
		if got := refusal(t.Context(), t, a.verifier(t, nil), a.token(nil)); got.Status != http.StatusUnauthorized {
			t.Errorf("%s: %+v, want 401", desc, got)
		}
	}
}
