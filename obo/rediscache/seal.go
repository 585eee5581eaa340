package rediscache

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/obo"
)

// keys are what one secret of the deployment gives: one for finding, one for sealing. Neither tells of the other.
type keys struct{ lookup, salt []byte }

func deriveKeys(secret identity.Secret) (keys, error) {
	lookup, errLookup := hkdf.Key(sha256.New, []byte(secret.Reveal()), nil, "onbehalf rediscache 1 lookup", sha256.Size)
	salt, errSalt := hkdf.Key(sha256.New, []byte(secret.Reveal()), nil, "onbehalf rediscache 1 salt", sha256.Size)
	return keys{lookup, salt}, errors.Join(errLookup, errSalt)
}

// name is where an entry stands: an HMAC of everything that makes it what it is, so that the database shows neither
// people nor scopes.
func (k *keys) name(key *obo.SharedKey) string {
	mac := hmac.New(sha256.New, k.lookup)
	mac.Write(key.Digest[:])
	return prefix + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// cipher makes the cipher of one person's one sign-in.
func (k *keys) cipher(key *obo.SharedKey) (cipher.AEAD, error) {
	secret, err := hkdf.Key(sha256.New, []byte(key.Caller.Assertion.Reveal()), k.salt, "onbehalf rediscache 1 seal", sha256.Size)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// A value is: version, expiry in seconds (8 bytes), then nonce and ciphertext of a payload.
const (
	version    = 1
	headerSize = 1 + 8
)

type payload struct {
	Token    string `json:"t"`
	Audience string `json:"a"`
	Expires  int64  `json:"e"` // of the token; the header's is that of the entry
}

func (k *keys) seal(key *obo.SharedKey, token identity.Token, until time.Time) ([]byte, error) {
	aead, err := k.cipher(key)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(payload{token.Value.Reveal(), token.Audience, token.Expires.Unix()})
	if err != nil {
		return nil, err
	}
	header := binary.BigEndian.AppendUint64([]byte{version}, uint64(max(until.Unix(), 0)))
	return aead.Seal(header, nil, text, associated(key, header)), nil //nolint:gosec // the nonce is random: NewGCMWithRandomNonce
}

func (k *keys) open(key *obo.SharedKey, value []byte, now time.Time) (identity.Token, error) {
	if len(value) < headerSize || value[0] != version {
		return identity.Token{}, fmt.Errorf("not a value of version %d", version)
	}
	aead, err := k.cipher(key)
	if err != nil {
		return identity.Token{}, err
	}
	header, sealed := value[:headerSize], value[headerSize:]
	text, err := aead.Open(nil, nil, sealed, associated(key, header))
	if err != nil {
		return identity.Token{}, errors.New("it was altered, moved, or made with another secret")
	}
	if until := binary.BigEndian.Uint64(header[1:]); uint64(max(now.Unix(), 0)) >= until {
		return identity.Token{}, errors.New("it has expired")
	}
	var p payload
	if err := json.Unmarshal(text, &p); err != nil || p.Token == "" {
		return identity.Token{}, errors.New("its payload is not ours")
	}
	return identity.Token{
		Value: identity.NewSecret(p.Token), Tenant: key.Caller.Tenant, Object: key.Caller.Object, Audience: p.Audience, Expires: time.Unix(p.Expires, 0),
	}, nil
}

// associated is what a value is bound to besides its key: version and expiry (the header), tenant, person, this
// application, scope, claims and the place where it stands.
func associated(key *obo.SharedKey, header []byte) []byte {
	data := append([]byte("onbehalf rediscache"), header...)
	for _, part := range []string{
		key.Caller.Tenant.String(), key.Caller.Object.String(), key.Client.String(), key.Scope.Resource(), key.Scope.Name(), key.Claims, string(key.Digest[:]),
	} {
		data = binary.AppendUvarint(data, uint64(len(part)))
		data = append(data, part...)
	}
	if key.CAE {
		return append(data, 1)
	}
	return append(data, 0)
}
