// Package sealed makes state that travels through a client and comes back: nobody can read it, change it, or use it for
// another person, another client, another tool, other arguments, or after ten minutes.
package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/onbehalf/onbehalf/identity"
)

const (
	life    = 10 * time.Minute
	maxData = 8 << 10
)

// ErrInvalid says that the text is not one of ours for this use: made up, altered, for something else, or too old. Which
// of these is nobody's business.
var ErrInvalid = errors.New("the state is not valid for this call, or too old")

// Use is what a state is for. All of it must be the same when it comes back.
type Use struct {
	Caller    *identity.Caller // the person, and the client that acts for her
	Tool      string
	Arguments []byte // as they came, or in a canonical form
}

// Box seals and opens.
type Box struct{ aeads []cipher.AEAD }

// New makes a box from the deployment's secrets, the first for sealing, all for opening. Without any the key is random:
// then only this process can open what it sealed.
func New(secrets ...identity.Secret) (*Box, error) {
	var materials [][]byte
	for _, secret := range secrets {
		if secret.IsZero() {
			return nil, errors.New("sealed: an empty secret")
		}
		materials = append(materials, []byte(secret.Reveal()))
	}
	if len(materials) == 0 {
		random := make([]byte, sha256.Size)
		_, _ = rand.Read(random) // never fails since Go 1.24
		materials = append(materials, random)
	}
	box := &Box{}
	for _, material := range materials {
		key, err := hkdf.Key(sha256.New, material, nil, "onbehalf sealed state 1", sha256.Size)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		box.aeads = append(box.aeads, aead)
	}
	return box, nil
}

// Seal returns text, safe in a URL, that [Box.Open] opens for the same use within ten minutes of now. Data has at most
// 8 KiB.
func (b *Box) Seal(use Use, data []byte, now time.Time) (string, error) {
	if len(data) > maxData {
		return "", errors.New("sealed: too much data")
	}
	bound, err := use.bound()
	if err != nil {
		return "", err
	}
	plain := binary.BigEndian.AppendUint64(nil, uint64(max(now.Unix(), 0)))
	plain = append(plain, data...)
	return base64.RawURLEncoding.EncodeToString(b.aeads[0].Seal(nil, nil, plain, bound)), nil //nolint:gosec // the nonce is random: NewGCMWithRandomNonce
}

// Open returns what was sealed for this use, or [ErrInvalid].
func (b *Box) Open(use Use, text string, now time.Time) ([]byte, error) {
	bound, err := use.bound()
	if err != nil || len(text) > 2*maxData {
		return nil, ErrInvalid
	}
	box, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, ErrInvalid
	}
	for _, aead := range b.aeads {
		plain, err := aead.Open(nil, nil, box, bound)
		if err != nil || len(plain) < 8 {
			continue
		}
		made := time.Unix(int64(min(binary.BigEndian.Uint64(plain), 1<<40)), 0)
		if age := now.Sub(made); age > life || age < -time.Minute {
			return nil, ErrInvalid
		}
		return plain[8:], nil
	}
	return nil, ErrInvalid
}

// bound is the use as one text, each part after its length.
func (u *Use) bound() ([]byte, error) {
	if u.Caller == nil || u.Caller.Tenant.IsZero() || u.Caller.Object.IsZero() {
		return nil, errors.New("sealed: no person to bind to")
	}
	arguments := sha256.Sum256(u.Arguments)
	bound := []byte("onbehalf sealed")
	for _, part := range []string{u.Caller.Tenant.String(), u.Caller.Object.String(), u.Caller.Client.String(), u.Tool, string(arguments[:])} {
		bound = binary.AppendUvarint(bound, uint64(len(part)))
		bound = append(bound, part...)
	}
	return bound, nil
}
