package vault

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/onbehalf/onbehalf/signin"
)

// format names the layout of a file; another one is not ours to read.
const format = "onbehalf token cache 1"

// maxHeader bounds the first line of a file.
const maxHeader = 8 << 10

// header is the first line of a file, in clear. It is the associated data of what follows.
type header struct {
	Format string `json:"format"`
	Keeper string `json:"keeper"` // which keeper has the key
	Salt   []byte `json:"salt,omitempty"`
	Check  []byte `json:"check,omitempty"` // tells a wrong key from a damaged file
	signin.Key
}

var (
	errDamaged = errors.New("token cache: damaged")
	errKeyGone = errors.New("token cache: the key is gone")
)

// parse splits a file into its header and what follows it; line is the header as it stands there.
func parse(text []byte) (h header, line, rest []byte, err error) {
	end := bytes.IndexByte(text[:min(len(text), maxHeader)], '\n')
	if end < 0 {
		return header{}, nil, nil, errDamaged
	}
	line, rest = text[:end], text[end+1:]
	if json.Unmarshal(line, &h) != nil || h.Format != format {
		return header{}, nil, nil, errDamaged
	}
	return h, line, rest, nil
}

// open returns the content of a file that claims to be the entry of this key.
func (v *Vault) open(ctx context.Context, key signin.Key, text []byte) ([]byte, error) {
	h, line, rest, err := parse(text)
	if err != nil || h.Key != key {
		return nil, errDamaged
	}
	keeper := v.keeper(h.Keeper)
	if keeper == nil {
		return nil, &UnavailableError{Keeper: h.Keeper}
	}
	if h.Keeper == PlainName {
		if !json.Valid(rest) {
			return nil, errDamaged
		}
		return rest, nil
	}
	secret, err := keeper.Key(ctx, h.Salt, false)
	if errors.Is(err, ErrNoKey) {
		return nil, errKeyGone
	}
	if err != nil {
		return nil, &UnavailableError{Keeper: h.Keeper, Err: err}
	}
	if !hmac.Equal(h.Check, checkOf(secret)) {
		if keeper.Asks() {
			return nil, ErrPassphrase
		}
		return nil, errKeyGone
	}
	aead, err := aeadOf(secret)
	if err != nil {
		return nil, err
	}
	content, err := aead.Open(nil, nil, rest, line)
	if err != nil {
		return nil, errDamaged
	}
	return content, nil
}

// seal makes the file of an entry with the key of the first keeper that works.
func (v *Vault) seal(ctx context.Context, key signin.Key, content []byte) ([]byte, error) {
	for _, keeper := range v.cfg.Keepers {
		h := header{Format: format, Keeper: keeper.Name(), Key: key}
		if keeper.Name() == PlainName {
			return file(h, func([]byte) []byte { return content })
		}
		if keeper.Asks() {
			h.Salt = make([]byte, 16)
			_, _ = rand.Read(h.Salt) // never fails since Go 1.24
		}
		secret, err := v.keyForSealing(ctx, keeper, h.Salt)
		if err != nil {
			if ctx.Err() != nil || keeper.Asks() {
				return nil, fmt.Errorf("token cache: %w", err)
			}
			continue // no keyring here after all
		}
		h.Check = checkOf(secret)
		aead, err := aeadOf(secret)
		if err != nil {
			return nil, err
		}
		return file(h, func(line []byte) []byte { return aead.Seal(nil, nil, content, line) }) //nolint:gosec // this AEAD draws its nonces itself
	}
	return nil, ErrNoKeeper
}

// keyForSealing makes the key where there is none, under a lock: two processes must not make two.
func (v *Vault) keyForSealing(ctx context.Context, keeper Keeper, salt []byte) ([]byte, error) {
	secret, err := keeper.Key(ctx, salt, false)
	if !errors.Is(err, ErrNoKey) {
		return secret, err
	}
	unlock, err := lock(ctx, v.keyLock())
	if err != nil {
		return nil, err
	}
	defer unlock()
	secret, err = keeper.Key(ctx, salt, false)
	if errors.Is(err, ErrNoKey) {
		secret, err = keeper.Key(ctx, salt, true)
	}
	return secret, err
}

func file(h header, rest func(line []byte) []byte) ([]byte, error) {
	line, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("token cache: %w", err)
	}
	return append(append(bytes.Clone(line), '\n'), rest(line)...), nil
}

func aeadOf(secret []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, fmt.Errorf("token cache: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// checkOf is a digest of the key that does not tell the key.
func checkOf(secret []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(format + " check"))
	return mac.Sum(nil)[:8]
}
