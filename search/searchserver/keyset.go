package searchserver

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/onbehalf/onbehalf/search"
)

const (
	maxKeySet      = 1 << 20
	maxKeys        = 64
	minKeyBits     = 2048
	keySetLife     = time.Hour
	refetchBurst   = 8 // unknown key ids that may each cause a fetch at once; then one a second
	maxRSAExponent = 1<<31 - 1
)

// keySet is the tenant's signing keys, fetched when first needed, when old, and when a token names an unknown one.
type keySet struct {
	url     string
	client  *http.Client
	now     func() time.Time
	refetch *rate.Limiter

	mu      sync.Mutex
	keys    map[string]*rsa.PublicKey
	fetched time.Time
}

func newKeySet(url string, client *http.Client, now func() time.Time) *keySet {
	return &keySet{url: url, client: client, now: now, refetch: rate.NewLimiter(1, refetchBurst)}
}

// find returns the key with this id, nil if the tenant has none such.
func (s *keySet) find(ctx context.Context, id string) (*rsa.PublicKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	key, known := s.keys[id]
	old := s.keys == nil || now.Sub(s.fetched) > keySetLife || now.Before(s.fetched)
	if known && !old {
		return key, nil
	}
	if !old && !s.refetch.AllowN(now, 1) {
		return nil, nil //nolint:nilnil // no key and no error: unknown, and asked about too often
	}
	keys, err := s.fetch(ctx)
	if err != nil {
		return nil, unavailable("The signing keys of the tenant cannot be fetched.", err)
	}
	s.keys, s.fetched = keys, now
	return s.keys[id], nil
}

func (s *keySet) fetch(ctx context.Context) (map[string]*rsa.PublicKey, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP %d", response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxKeySet))
	if err != nil {
		return nil, err
	}
	return parseKeySet(text)
}

// parseKeySet reads the RSA keys of a JSON Web Key Set (RFC 7517); others are passed over.
func parseKeySet(text []byte) (map[string]*rsa.PublicKey, error) {
	var set struct {
		Keys []struct {
			Type     string `json:"kty"`
			ID       string `json:"kid"`
			Use      string `json:"use"`
			Modulus  string `json:"n"`
			Exponent string `json:"e"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, err
	}
	keys := map[string]*rsa.PublicKey{}
	for _, key := range set.Keys {
		if key.Type != "RSA" || key.ID == "" || key.Use != "" && key.Use != "sig" || len(keys) == maxKeys {
			continue
		}
		modulus, err1 := base64.RawURLEncoding.DecodeString(key.Modulus)
		exponent, err2 := base64.RawURLEncoding.DecodeString(key.Exponent)
		n, e := new(big.Int).SetBytes(modulus), new(big.Int).SetBytes(exponent)
		if err1 != nil || err2 != nil || n.BitLen() < minKeyBits || !e.IsInt64() || e.Int64() < 3 || e.Int64() > maxRSAExponent {
			continue
		}
		keys[key.ID] = &rsa.PublicKey{N: n, E: int(e.Int64())}
	}
	if len(keys) == 0 {
		return nil, errNoKeys
	}
	return keys, nil
}

// cause keeps why something is unavailable for the log; the caller of the service does not see it.
type cause struct{ said, err error }

// Error implements error.
func (c *cause) Error() string { return c.said.Error() }

// Unwrap shows what is said to [errors.As]; why stays here.
func (c *cause) Unwrap() error { return c.said }

func unavailable(message string, err error) error {
	return &cause{&search.Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: message}, err}
}
