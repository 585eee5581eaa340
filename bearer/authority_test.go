package bearer_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/bearer"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

const (
	tenant      = "7f1d3f0e-6d8e-5d6f-9c41-0d9f4f6f2b10"
	otherTenant = "11111111-2222-4333-8444-555555555555"
	api         = "22222222-2222-4333-8444-555555555555"
	client      = "33333333-2222-4333-8444-555555555555"
	alice       = "44444444-2222-4333-8444-555555555555"
	agent       = "55555555-2222-4333-8444-555555555555"
	blueprint   = "66666666-2222-4333-8444-555555555555"
	resource    = "http://localhost:8000/mcp"
	metadataAt  = "http://localhost:8000/.well-known/oauth-protected-resource/mcp"
)

// The keys are the same in every process, so that the workers of a fuzz test understand the tokens of one another.
var (
	signingKey  = sync.OnceValue(func() *rsa.PrivateKey { return keyFrom("signing") })
	rotatedKey  = sync.OnceValue(func() *rsa.PrivateKey { return keyFrom("rotated") })
	strangerKey = sync.OnceValue(func() *rsa.PrivateKey { return keyFrom("stranger") })
)

// keyFrom makes a key of 2048 bits out of a name.
func keyFrom(name string) *rsa.PrivateKey {
	p, q, e := primeFrom(name+" p"), primeFrom(name+" q"), big.NewInt(65537)
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: new(big.Int).ModInverse(e, phi), Primes: []*big.Int{p, q}}
	if err := key.Validate(); err != nil {
		panic(err)
	}
	key.Precompute()
	return key
}

func primeFrom(name string) *big.Int {
	bytes := make([]byte, 0, 128)
	for i := range 4 {
		block := sha256.Sum256([]byte(name + strconv.Itoa(i)))
		bytes = append(bytes, block[:]...)
	}
	bytes[0] |= 0xc0
	bytes[127] |= 1
	candidate, two := new(big.Int).SetBytes(bytes), big.NewInt(2)
	for !candidate.ProbablyPrime(0) {
		candidate.Add(candidate, two)
	}
	return candidate
}

// authority answers for the signing keys, with a clock that tests move.
type authority struct {
	URL     string
	fetches atomic.Int64

	mu   sync.Mutex
	jwks string
	down bool
	now  time.Time
}

func newAuthority(tb testing.TB) *authority {
	tb.Helper()
	a := &authority{URL: "https://entra.example:8443", now: time.Unix(1_800_000_000, 0)}
	a.publish(jwk("k1", &signingKey().PublicKey, a.URL+"/{tenantid}/v2.0"))
	return a
}

// RoundTrip implements [http.RoundTripper].
func (a *authority) RoundTrip(r *http.Request) (*http.Response, error) {
	a.fetches.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	w := httptest.NewRecorder()
	switch path := r.URL.Path; {
	case "https://"+r.URL.Host != a.URL || path != "/"+tenant+"/discovery/v2.0/keys" && path != "/common/discovery/v2.0/keys":
		http.NotFound(w, r)
	case a.down:
		http.Error(w, "away", http.StatusBadGateway)
	default:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.WriteString(a.jwks)
	}
	return w.Result(), nil
}

func jwk(kid string, key *rsa.PublicKey, issuer string) string {
	doc, _ := json.Marshal(map[string]string{
		"kty": "RSA", "use": "sig", "kid": kid, "x5t": kid, "issuer": issuer,
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
	})
	return string(doc)
}

func (a *authority) publish(keys ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.jwks = `{"keys":[` + strings.Join(keys, ",") + `]}`
}

func (a *authority) setDown(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
}

func (a *authority) clock() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

func (a *authority) advance(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = a.now.Add(d)
}

func (a *authority) config(tb testing.TB) bearer.Config {
	tb.Helper()
	cloud, err := entra.CloudOf(a.URL)
	if err != nil && !errors.Is(err, entra.ErrUnknownCloud) {
		tb.Fatal(err)
	}
	return bearer.Config{
		Cloud: cloud, Tenants: []identity.TenantID{must(identity.ParseTenantID(tenant))},
		Audiences: []string{api}, Scopes: []entra.Scope{must(entra.ParseScope("api://" + api + "/execute"))},
		Resource: must(url.Parse(resource)), HTTPClient: &http.Client{Transport: a}, Now: a.clock,
	}
}

func (a *authority) verifier(tb testing.TB, change func(*bearer.Config)) *bearer.Verifier {
	tb.Helper()
	cfg := a.config(tb)
	if change != nil {
		change(&cfg)
	}
	v, err := bearer.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

type object = map[string]any

// claims are those of a good v2 token of alice's, changed: a nil value takes a claim away.
func (a *authority) claims(changes object) object {
	now := a.clock().Unix()
	c := object{
		"aud": api, "iss": a.URL + "/" + tenant + "/v2.0", "iat": now - 300, "nbf": now - 300, "exp": now + 4000,
		"azp": client, "azpacr": "0", "name": "Alice", "oid": alice, "preferred_username": "alice@contoso.example",
		"scp": "execute", "sub": "PAIRWISE_pairwise_PAIRWISE_pairwise_1234567", "tid": tenant, "uti": "AbCdEfGhIjKlMnOpQrStUv", "ver": "2.0",
	}
	return patched(c, changes)
}

func patched(base, changes object) object {
	out := maps.Clone(base)
	for name, value := range changes {
		if value == nil {
			delete(out, name)
		} else {
			out[name] = value
		}
	}
	return out
}

func header(changes object) object {
	return patched(object{"typ": "JWT", "alg": "RS256", "kid": "k1"}, changes)
}

// token signs alice's token with the good key.
func (a *authority) token(changes object) string {
	return sign(signingKey(), toJSON(header(nil)), toJSON(a.claims(changes)))
}

func toJSON(v any) string {
	doc, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(doc)
}

// sign signs whatever it is given with RS256.
func sign(key *rsa.PrivateKey, header, payload string) string {
	signed := encode(header) + "." + encode(payload)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	return signed + "." + encode(string(signature))
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func secret(s string) identity.Secret { return identity.NewSecret(s) }
