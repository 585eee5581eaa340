package bearer

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"mime"
	"net/http"
	"sync"
	"time"
)

// Rules of the signing keys. https://learn.microsoft.com/entra/identity-platform/signing-key-rollover
const (
	unknownKeyPause = 5 * time.Minute  // between two fetches that tokens with an unknown key cause, after some that brought none
	unknownKeyQuiet = 15 * time.Minute // without a fetch, after which these are forgotten
	keysFreshFor    = 12 * time.Hour   // then they are fetched again, beside the request that notices
	firstPause      = time.Second      // while there are no keys at all; doubles …
	longestPause    = time.Minute      // … up to this
	fetchTimeout    = 10 * time.Second // of one fetch
	maxKeyDocument  = 1 << 20
	maxKeys         = 100
	maxKeyID        = 256
	minKeyBits      = 2048
	maxKeyBits      = 8192 // the cost of a verification grows with the square
)

// signingKey is one of the authority's keys.
type signingKey struct {
	public *rsa.PublicKey
	issuer string // the issuer whose tokens it signs, perhaps with {tenantid}; "" when the authority does not say
}

// keySet holds the keys behind one URL. Several keys may share an id: the issuer tells them apart.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time
	log    *slog.Logger

	mu        sync.Mutex
	keys      map[string][]signingKey // replaced whole, never changed
	fetched   time.Time               // of keys
	attempted time.Time               // last fetch, whatever came of it
	fruitless int                     // fetches in a row that brought no new key
	pause     time.Duration           // until the next attempt while there are no keys
	running   chan struct{}           // closed when the fetch under way has ended; nil without one
}

var (
	errUnknownKey = errors.New("no such key")
	errNoKeys     = errors.New("the authority's keys cannot be had")
)

// unknownPause is how long after the last fetch a token with an unknown key may cause another. A key that Entra has just
// begun to use is found at once, also right after a start, and once more where a cache still hands the old document out. Each
// fetch that brings nothing new makes the next wait longer, up to the five minutes that Microsoft asks for: only Entra can
// bring a new key, so whoever sends tokens with made-up ones gets there within four fetches. s.mu is held.
func (s *keySet) unknownPause(now time.Time) time.Duration {
	if now.Sub(s.attempted) > unknownKeyQuiet {
		s.fruitless = 0
	}
	switch s.fruitless {
	case 0:
		return time.Second
	case 1:
		return 10 * time.Second
	case 2:
		return time.Minute
	}
	return unknownKeyPause
}

// lookup returns the keys with this id. An unknown id makes it fetch, not before unknownPause is over; concurrent
// callers wait for the same fetch. errNoKeys says that nobody can tell whether the key is a good one.
func (s *keySet) lookup(ctx context.Context, kid string) ([]signingKey, error) {
	s.mu.Lock()
	now := s.now()
	if found := s.keys[kid]; found != nil {
		if now.Sub(s.fetched) > keysFreshFor && now.Sub(s.attempted) > unknownKeyPause {
			s.start(ctx, now)
		}
		s.mu.Unlock()
		return found, nil
	}
	running := s.running
	if running == nil {
		pause := s.pause
		if s.keys != nil {
			pause = s.unknownPause(now)
		}
		if !s.attempted.IsZero() && now.Sub(s.attempted) < pause {
			defer s.mu.Unlock()
			return nil, s.verdict()
		}
		running = s.start(ctx, now)
	}
	s.mu.Unlock()
	select {
	case <-running:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errNoKeys, ctx.Err())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.keys[kid]; found != nil {
		return found, nil
	}
	return nil, s.verdict()
}

// verdict says what an unknown key id means: no such key when the newest attempt brought the keys, otherwise nobody
// can tell. s.mu is held.
func (s *keySet) verdict() error {
	if s.fetched.IsZero() || s.fetched.Before(s.attempted) {
		return errNoKeys
	}
	return errUnknownKey
}

// start begins a fetch that outlives the request which caused it: others may wait for it. s.mu is held.
func (s *keySet) start(ctx context.Context, now time.Time) chan struct{} {
	if s.running != nil {
		return s.running
	}
	s.attempted = now
	done := make(chan struct{})
	s.running = done
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	go func() {
		defer close(done)
		defer cancel()
		keys, err := s.fetch(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running = nil
		if brings(keys, s.keys) {
			s.fruitless = 0
		} else {
			s.fruitless++
		}
		if err != nil {
			s.pause = min(max(2*s.pause, firstPause), longestPause)
			s.log.WarnContext(ctx, "the authority's signing keys could not be fetched", slog.String("url", s.url), slog.Any("error", err))
			return
		}
		s.keys, s.fetched, s.pause = keys, now, 0
	}()
	return done
}

// brings reports whether there is a key that was not there before.
func brings(keys, before map[string][]signingKey) bool {
	for kid := range keys {
		if before[kid] == nil {
			return true
		}
	}
	return false
}

func (s *keySet) fetch(ctx context.Context) (map[string][]signingKey, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	mediaType, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if response.StatusCode != http.StatusOK || err != nil || mediaType != "application/json" && mediaType != "application/jwk-set+json" {
		return nil, fmt.Errorf("HTTP %d with Content-Type %q", response.StatusCode, response.Header.Get("Content-Type"))
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxKeyDocument+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxKeyDocument {
		return nil, errors.New("the key document is too large")
	}
	return parseKeys(body)
}

// parseKeys reads a JWK set (RFC 7517 §5). Keys that cannot have signed an access token with RS256 are left out.
func parseKeys(document []byte) (map[string][]signingKey, error) {
	var set struct {
		Keys []struct {
			Type      string `json:"kty"`
			Use       string `json:"use"`
			Algorithm string `json:"alg"`
			ID        string `json:"kid"`
			Modulus   string `json:"n"`
			Exponent  string `json:"e"`
			Issuer    string `json:"issuer"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil {
		return nil, errors.New("the key document is not a JWK set")
	}
	keys := map[string][]signingKey{}
	for i, k := range set.Keys {
		if i == maxKeys {
			break
		}
		if k.Type != "RSA" || k.Use != "" && k.Use != "sig" || k.Algorithm != "" && k.Algorithm != "RS256" || k.ID == "" || len(k.ID) > maxKeyID {
			continue
		}
		if public, ok := parseRSA(k.Modulus, k.Exponent); ok {
			keys[k.ID] = append(keys[k.ID], signingKey{public, k.Issuer})
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the key document holds no usable RSA key")
	}
	return keys, nil
}

func parseRSA(modulus, exponent string) (*rsa.PublicKey, bool) {
	n, err := base64.RawURLEncoding.DecodeString(modulus)
	if err != nil || len(n) > maxKeyBits/8 {
		return nil, false
	}
	e, err := base64.RawURLEncoding.DecodeString(exponent)
	if err != nil || len(e) == 0 || len(e) > 4 {
		return nil, false
	}
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(n)}
	for _, b := range e {
		public.E = public.E<<8 | int(b)
	}
	ok := public.N.BitLen() >= minKeyBits && public.N.Bit(0) == 1 && public.E >= 3 && public.E <= 1<<31-1 && public.E%2 == 1
	return public, ok
}
