package entraserver

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/identity"
)

// session is how a person signed in. It travels sealed: in the claim aio of access tokens (so that an exchange knows of
// the MFA behind a v2 token, which does not say amr), in refresh tokens and authorization codes. The server keeps none.
type session struct {
	person   identity.ObjectID
	since    time.Time // when the person proved who they are
	mfa      bool
	device   bool   // a compliant device
	contexts []byte // satisfied authentication contexts: 1 is "c1"
	origin   uint64 // when, on the clock of [ages], the person signed in: what a revocation looks at
	serial   uint64 // when, on the same clock, what carries it was issued: what ages
}

// methods returns the claim amr.
func (s session) methods() []string {
	if s.mfa {
		return []string{"pwd", "mfa"}
	}
	return []string{"pwd"}
}

// What a sealed text is for; one kind never passes for another.
const (
	sealedSession byte = iota + 1
	sealedRefresh
	sealedHint
)

var errSealed = errors.New("not sealed by this server")

// seal encrypts and authenticates.
func (s *Server) seal(kind byte, plain []byte) string {
	nonce := make([]byte, s.sealing.NonceSize(), s.sealing.NonceSize()+len(plain)+s.sealing.Overhead())
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(s.sealing.Seal(nonce, nonce, plain, []byte{kind}))
}

// unseal is the reverse of seal.
func (s *Server) unseal(kind byte, text string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) < s.sealing.NonceSize() {
		return nil, errSealed
	}
	nonce, box := raw[:s.sealing.NonceSize()], raw[s.sealing.NonceSize():]
	plain, err := s.sealing.Open(nil, nonce, box, []byte{kind})
	if err != nil {
		return nil, errSealed
	}
	return plain, nil
}

// openSession reads a session that was issued, and ages it.
func (s *Server) openSession(plain []byte) (session, error) {
	sess, err := unmarshalSession(plain)
	if err == nil {
		sess.since = sess.since.Add(-s.ages.of(sess.serial))
	}
	return sess, err
}

const (
	flagMFA byte = 1 << iota
	flagDevice
)

// marshal returns the session in 41 bytes and one for each context.
func (s session) marshal() []byte {
	id := guidBytes(s.person.String())
	out := binary.BigEndian.AppendUint64(id[:], s.origin)
	out = binary.BigEndian.AppendUint64(out, s.serial)
	out = binary.BigEndian.AppendUint64(out, uint64(s.since.Unix())) //nolint:gosec // after 1970
	var flags byte
	if s.mfa {
		flags |= flagMFA
	}
	if s.device {
		flags |= flagDevice
	}
	return append(append(out, flags), s.contexts...)
}

func unmarshalSession(b []byte) (session, error) {
	const fixed = 41
	if len(b) < fixed {
		return session{}, errSealed
	}
	person, err := identity.ParseObjectID(formatGUID([16]byte(b[:16])))
	return session{
		person: person, origin: binary.BigEndian.Uint64(b[16:]), serial: binary.BigEndian.Uint64(b[24:]),
		since: time.Unix(int64(binary.BigEndian.Uint64(b[32:])), 0), //nolint:gosec // ours
		mfa:   b[40]&flagMFA != 0, device: b[40]&flagDevice != 0, contexts: b[fixed:],
	}, err
}

// ages makes what was issued older on demand, and only that: tokens that are issued afterwards carry the real time, so
// that everybody else's clock still fits. Each token carries a serial number; each ageing remembers the one it came at.
type ages struct {
	mu      sync.Mutex
	serial  uint64
	steps   []ageing
	revoked map[identity.ObjectID]uint64 // sign-ins of the person up to this serial are void
}

type ageing struct {
	upTo uint64
	by   time.Duration
}

// next returns the serial number of something that is issued now.
func (a *ages) next() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.serial++
	return a.serial
}

// maxAgeings bounds the memory of it.
const maxAgeings = 10_000

// advance makes everything issued so far older, and reports whether there was room to remember it.
func (a *ages) advance(by time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.steps); n > 0 && a.steps[n-1].upTo == a.serial {
		a.steps[n-1].by += by
		return true
	}
	if len(a.steps) >= maxAgeings {
		return false
	}
	a.steps = append(a.steps, ageing{a.serial, by})
	return true
}

// of returns by how much what carries the serial was made older.
func (a *ages) of(serial uint64) (total time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := len(a.steps) - 1; i >= 0 && a.steps[i].upTo >= serial; i-- {
		total += a.steps[i].by
	}
	return total
}

// revoke voids the sign-ins of a person up to now.
func (a *ages) revoke(person identity.ObjectID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.revoked == nil {
		a.revoked = map[identity.ObjectID]uint64{}
	}
	a.revoked[person] = a.serial
}

// isRevoked reports whether what carries the serial is void.
func (a *ages) isRevoked(person identity.ObjectID, serial uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	upTo, ok := a.revoked[person]
	return ok && serial <= upTo
}

// reset forgets all ageing and revocation. Serial numbers go on.
func (a *ages) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.steps, a.revoked = nil, nil
}
