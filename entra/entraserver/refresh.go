package entraserver

import (
	"encoding/binary"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/identity"
)

// refreshToken is all that the server would have to remember of one, and does not: it travels sealed, so that a hundred
// thousand of them take no memory.
type refreshToken struct {
	client  identity.ClientID
	issued  time.Time
	scope   string // as asked at the sign-in, for a refresh without the parameter
	public  bool   // issued to a client without a proof
	spa     bool
	session session
}

// Lives of refresh tokens that are not used.
//
// https://learn.microsoft.com/entra/identity-platform/refresh-tokens#token-lifetime
const (
	refreshLife    = 90 * 24 * time.Hour
	spaRefreshLife = 24 * time.Hour
)

const refreshPrefix = "1."

const (
	flagPublic byte = 1 << iota
	flagSPA
)

// newRefreshToken seals one.
func (s *Server) newRefreshToken(t refreshToken) string {
	t.session.serial = s.ages.next()
	sess := t.session.marshal()
	id := guidBytes(t.client.String())
	plain := append([]byte{}, id[:]...)
	plain = binary.BigEndian.AppendUint64(plain, uint64(t.issued.Unix())) //nolint:gosec // after 1970
	var flags byte
	if t.public {
		flags |= flagPublic
	}
	if t.spa {
		flags |= flagSPA
	}
	plain = append(plain, flags, byte(len(sess))) //nolint:gosec // at most 41 and 99
	plain = append(append(plain, sess...), t.scope...)
	return refreshPrefix + s.seal(sealedRefresh, plain)
}

// openRefreshToken is the reverse of newRefreshToken, with the ageing of what was issued.
func (s *Server) openRefreshToken(text string) (t refreshToken, err error) {
	const fixed = 26
	plain, err := s.unseal(sealedRefresh, strings.TrimPrefix(text, refreshPrefix))
	if err != nil || len(plain) < fixed || len(plain) < fixed+int(plain[25]) {
		return t, errSealed
	}
	if t.session, err = s.openSession(plain[fixed : fixed+int(plain[25])]); err != nil {
		return t, err
	}
	t.client, err = identity.ParseClientID(formatGUID([16]byte(plain[:16])))
	t.issued = time.Unix(int64(binary.BigEndian.Uint64(plain[16:])), 0).Add(-s.ages.of(t.session.serial)) //nolint:gosec // ours
	t.public, t.spa = plain[24]&flagPublic != 0, plain[24]&flagSPA != 0
	t.scope = string(plain[fixed+int(plain[25]):])
	return t, err
}

// refresh redeems a refresh token: for any resource that the client has consent for, as often as it likes.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#refresh-the-access-token
func (s *Server) refresh(w http.ResponseWriter, c *call, form url.Values) error {
	auth, err := s.authenticateClient(c, form)
	if err != nil {
		return err
	}
	text, err := need(form, "refresh_token")
	if err != nil {
		return err
	}
	token, err := s.openRefreshToken(text)
	if err != nil {
		e := refuse(9002313)
		e.Code = invalidGrant
		return e
	}
	if err := s.checkRefresh(c, token, auth); err != nil {
		return err
	}
	scope := orElse(form.Get("scope"), token.scope)
	return s.grantDelegated(w, c, form, delegatedRequest{auth: auth, session: token.session, scope: scope, spa: token.spa, refreshed: token.issued})
}

func (s *Server) checkRefresh(c *call, token refreshToken, auth clientAuth) error {
	if token.client != auth.app.AppID {
		e := refuse(70000)
		e.Sub = "client_mismatch"
		return e
	}
	if !auth.confidential() && !token.public && !auth.app.IsFallbackPublicClient {
		return refuse(7000218)
	}
	if s.isVoid(c.now, token.session) {
		issued := token.issued.UTC().Format(time.RFC3339)
		return refuse(50173, issued, c.now.UTC().Format(time.RFC3339))
	}
	age := c.now.Sub(token.issued)
	if token.spa && age > spaRefreshLife {
		return refuse(700084, token.issued.UTC().Format(time.RFC3339))
	}
	if age > s.policies.current().refreshLife {
		return refuse(700082, token.issued.UTC().Format(time.RFC3339))
	}
	if s.config.StrictRefresh && !s.spent.first(token.session.serial) {
		return refuse(70000)
	}
	return nil
}

// spentStore remembers which refresh tokens were used, where each is good for one use.
type spentStore struct {
	mu   sync.Mutex
	used map[uint64]bool
}

// maxSpent bounds it: beyond, all are forgotten, for a stand-in must not grow for ever.
const maxSpent = 1_000_000

// first reports whether the token is used for the first time.
func (s *spentStore) first(serial uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used[serial] {
		return false
	}
	if s.used == nil || len(s.used) >= maxSpent {
		s.used = map[uint64]bool{}
	}
	s.used[serial] = true
	return true
}
