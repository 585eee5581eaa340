package entraserver

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // kid is the SHA-1 of the certificate, as Entra's: a name, not a proof
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"sync"
	"time"
)

// signingKey is one RSA key with the certificate that names it.
type signingKey struct {
	private *rsa.PrivateKey
	kid     string // base64url of the certificate's SHA-1; also x5t
	der     []byte // the certificate
}

// keyring holds the key that signs, the one that will sign after it, the one that signed before it, and one of the
// tenant of personal accounts, whose tokens nobody here should accept. Who ignores a key's issuer is caught by it.
// Making a key takes long: those that only show are made when somebody looks.
type keyring struct {
	mu        sync.RWMutex
	current   *signingKey
	retired   *signingKey // nil before the first rotation
	next      *lazyKey
	consumers *lazyKey
	now       time.Time

	replaceAfter time.Duration // once, so long after the first token that the current key signs; 0: never
	replaceAt    time.Time
}

// keyBits is the size of Entra's keys.
const keyBits = 2048

func newKeyring(now time.Time) (*keyring, error) {
	current, err := newSigningKey(now)
	return &keyring{current: current, next: &lazyKey{now: now}, consumers: &lazyKey{now: now}, now: now}, err
}

// lazyKey is made at its first use.
type lazyKey struct {
	now time.Time
	mu  sync.Mutex
	key *signingKey
}

func (l *lazyKey) get() (*signingKey, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.key != nil {
		return l.key, nil
	}
	key, err := newSigningKey(l.now)
	l.key = key
	return key, err
}

// peek returns nil for a key that was not made yet: nothing can be signed with it.
func (l *lazyKey) peek() *signingKey {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.key
}

func newSigningKey(now time.Time) (*signingKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	const life = 5 * 365 * 24 * time.Hour
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "onbehalf local Entra (signs nothing of worth)"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(life),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	thumbprint := sha1.Sum(der) //nolint:gosec // see the import
	return &signingKey{private, base64.RawURLEncoding.EncodeToString(thumbprint[:]), der}, nil
}

// rotate puts the next key in use, which clients may have seen already, and keeps the old one published for a while.
// With revoke, a key that nobody has seen takes over and all others vanish at once: what an emergency looks like.
func (k *keyring) rotate(revoke bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if revoke {
		k.next = &lazyKey{now: k.now}
	}
	key, err := k.next.get()
	if err != nil {
		return err
	}
	k.retired, k.current, k.next = k.current, key, &lazyKey{now: k.now}
	if revoke {
		k.retired = nil
	}
	return nil
}

// armReplacement has all keys replaced once, so long after the next token is signed.
func (k *keyring) armReplacement(after time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.replaceAfter, k.replaceAt = after, time.Time{}
}

// signed notes that a token is signed now.
func (k *keyring) signed(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.replaceAfter > 0 && k.replaceAt.IsZero() {
		k.replaceAt = now.Add(k.replaceAfter)
	}
}

// replaceWhenDue does what armReplacement announced.
func (k *keyring) replaceWhenDue(now time.Time) error {
	k.mu.Lock()
	due := k.replaceAfter > 0 && !k.replaceAt.IsZero() && !now.Before(k.replaceAt)
	if due {
		k.replaceAfter = 0
	}
	k.mu.Unlock()
	if !due {
		return nil
	}
	return k.rotate(true)
}

// signer returns the key that signs now.
func (k *keyring) signer() *signingKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.current
}

// nextKey returns the key that will sign after the next rotation.
func (k *keyring) nextKey() (*signingKey, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.next.get()
}

// published returns the tenant's keys: the one in use, the next, and the one before if there was one.
func (k *keyring) published() ([]*signingKey, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	next, err := k.next.get()
	if err != nil {
		return nil, err
	}
	keys := []*signingKey{k.current, next}
	if k.retired != nil {
		keys = append(keys, k.retired)
	}
	return keys, nil
}

// find returns the tenant's published key of that id, or nil.
func (k *keyring) find(kid string) *signingKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, key := range []*signingKey{k.current, k.next.peek(), k.retired} {
		if key != nil && key.kid == kid {
			return key
		}
	}
	return nil
}

// sign returns the RS256 signature of the text.
func (s *signingKey) sign(text []byte) ([]byte, error) {
	digest := sha256.Sum256(text)
	signature, err := rsa.SignPKCS1v15(nil, s.private, crypto.SHA256, digest[:])
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return signature, nil
}

// verifies reports whether the RS256 signature of the text is this key's.
func (s *signingKey) verifies(text, signature []byte) bool {
	digest := sha256.Sum256(text)
	return rsa.VerifyPKCS1v15(&s.private.PublicKey, crypto.SHA256, digest[:], signature) == nil
}

// jwk is a key as the keys endpoint shows it.
type jwk struct {
	Type   string   `json:"kty"`
	Use    string   `json:"use"`
	ID     string   `json:"kid"`
	X5T    string   `json:"x5t"`
	N      string   `json:"n"`
	E      string   `json:"e"`
	X5C    []string `json:"x5c"`
	Issuer string   `json:"issuer,omitempty"` // v2 only
}

func (s *signingKey) public(issuer string) jwk {
	exponent := binary.BigEndian.AppendUint32(nil, uint32(s.private.E)) //nolint:gosec // 65537
	return jwk{
		"RSA", "sig", s.kid, s.kid, base64.RawURLEncoding.EncodeToString(s.private.N.Bytes()),
		base64.RawURLEncoding.EncodeToString(exponent[1:]),
		[]string{base64.StdEncoding.EncodeToString(s.der)},
		issuer,
	}
}
