package entraserver

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// malformed are texts that are no JWT.
func malformed() map[string]string {
	return map[string]string{
		"empty":            "",
		"one part":         "abc",
		"two parts":        b64("{}") + "." + b64("{}"),
		"four parts":       b64("{}") + "." + b64("{}") + ".sig.x",
		"padded":           base64.URLEncoding.EncodeToString([]byte(`{"a":1}`)) + "." + b64("{}") + ".",
		"array":            b64("[]") + "." + b64("{}") + ".",
		"null":             b64("null") + "." + b64("{}") + ".",
		"two values":       b64("{}{}") + "." + b64("{}") + ".",
		"not JSON":         b64("{") + "." + b64("{}") + ".",
		"signature":        b64("{}") + "." + b64("{}") + ".*",
		"five parts (JWE)": "a.b.c.d.e",
		"too long":         b64("{}") + "." + b64("{}") + "." + strings.Repeat("A", maxJWT),
		"a bit too many":   b64("{}") + "." + b64("{}") + ".AB", // RFC 4648 §3.5: the last bits must be zero
	}
}

func TestParseJWTRefuses(t *testing.T) {
	for desc, text := range malformed() {
		if got, err := parseJWT(text); err == nil {
			t.Errorf("%s: got %v, want an error", desc, got)
		}
	}
}

func TestSignAndParse(t *testing.T) {
	ring, err := newKeyring(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	key := ring.signer()
	text, err := signJWT(key, map[string]any{"alg": "RS256", "kid": key.kid}, map[string]any{"sub": "x", "aud": []string{"a", "b"}, "exp": 1.5, "n": 1})
	if err != nil {
		t.Fatal(err)
	}
	token, err := parseJWT(text)
	if err != nil {
		t.Fatal(err)
	}
	if !ring.find(token.header.text("kid")).verifies(token.signed, token.signature) {
		t.Error("the signature does not verify")
	}
	if token.claims.text("n") != "" || len(token.claims.texts("aud")) != 2 {
		t.Errorf("claims were misread: %v", token.claims)
	}
	if exp, ok := token.claims.time("exp"); !ok || !exp.Equal(time.Unix(1, 5e8)) {
		t.Errorf("exp = %v, %v", exp, ok)
	}
	token.signed[3] ^= 1
	if key.verifies(token.signed, token.signature) {
		t.Error("a changed token verifies")
	}
}

func TestRotation(t *testing.T) {
	ring, err := newKeyring(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	first := ring.signer()
	next, err := ring.nextKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.rotate(false); err != nil {
		t.Fatal(err)
	}
	if ring.signer() != next || ring.find(first.kid) == nil {
		t.Error("after a rotation the next key signs, and the old one is still published")
	}
	if err := ring.rotate(true); err != nil {
		t.Fatal(err)
	}
	if ring.find(first.kid) != nil || ring.find(next.kid) != nil || ring.find(ring.signer().kid) == nil {
		t.Error("after a revocation none of the old keys is published")
	}
}

func FuzzParseJWT(f *testing.F) {
	for _, text := range malformed() {
		f.Add(text)
	}
	f.Add(b64(`{"alg":"RS256"}`) + "." + b64(`{"exp":1e300,"aud":[1,"x"]}`) + "." + b64("sig"))
	f.Fuzz(func(_ *testing.T, text string) {
		token, err := parseJWT(text)
		if err != nil {
			return
		}
		token.claims.time("exp")
		token.claims.texts("aud")
		token.header.text("kid")
	})
}
