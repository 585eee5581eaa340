package searchserver

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// No text that was not signed is ever taken for a token.
func FuzzToken(f *testing.F) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	v := &verifier{
		issuers: []string{"https://x/"}, audiences: []string{"https://search.azure.com"}, tenant: "t", now: time.Now,
		keys: &keySet{keys: map[string]*rsa.PublicKey{"k": &key.PublicKey, "": &key.PublicKey}, fetched: time.Now(), now: time.Now, refetch: rate.NewLimiter(0, 0)},
	}
	encode := base64.RawURLEncoding.EncodeToString
	for _, header := range []string{`{"alg":"RS256","kid":"k"}`, `{"alg":"none"}`, `{"alg":"HS256","kid":"k"}`, `{`, ``} {
		claims := `{"iss":"https://x/","aud":"https://search.azure.com","tid":"t","exp":9e9,"oid":"o","scp":"s"}`
		f.Add(encode([]byte(header)) + "." + encode([]byte(claims)) + "." + encode([]byte(strings.Repeat("s", 256))))
	}
	f.Add("..")
	f.Add(strings.Repeat(".", 100))
	f.Fuzz(func(t *testing.T, token string) {
		if got, err := v.verify(t.Context(), token); err == nil || got != nil {
			t.Errorf("%q is taken for a token: %+v", token, got)
		}
	})
}

func FuzzKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"RSA","kid":"k","use":"sig","n":"` + base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("n", 256))) + `","e":"AQAB"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","kid":"k","n":"AA","e":""}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := parseKeySet(text)
		for id, key := range keys {
			if err != nil || id == "" || key.N.BitLen() < minKeyBits || key.E < 3 {
				t.Errorf("key %q: %v, %v", id, key, err)
			}
		}
	})
}
