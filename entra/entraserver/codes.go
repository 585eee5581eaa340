package entraserver

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/identity"
)

// authCode is what a sign-in at /authorize leaves for the token endpoint.
type authCode struct {
	client          identity.ClientID
	redirectURI     string
	scope, resource string
	claims          string
	nonce           string
	challenge       string // PKCE; "" when there was none
	method          string // "S256" or "plain"
	platform        platform
	session         session

	issued time.Time
	serial uint64
	used   bool
}

// platform is where a redirect URI is registered: who has to prove what at the token endpoint depends on it.
type platform string

const (
	platformWeb    platform = "web"
	platformPublic platform = "publicClient"
	platformSPA    platform = "spa"
)

const (
	codeLife = 10 * time.Minute
	maxCodes = 10_000
)

// codeStore holds authorization codes, used ones too until they expire, so that using one again gets its own error.
type codeStore struct {
	mu    sync.Mutex
	codes map[string]*authCode
}

func newCodeStore() *codeStore { return &codeStore{codes: map[string]*authCode{}} }

func (s *codeStore) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.codes)
}

// newCode stores a code and returns its text; false when there are too many.
func (s *Server) newCode(c *call, a authCode) (string, bool) {
	a.issued, a.serial = c.now, s.ages.next()
	text := "1." + randomText(96)
	s.codes.mu.Lock()
	defer s.codes.mu.Unlock()
	if len(s.codes.codes) >= maxCodes {
		for text, old := range s.codes.codes {
			if s.codeExpired(c.now, old) {
				delete(s.codes.codes, text)
			}
		}
	}
	if len(s.codes.codes) >= maxCodes {
		return "", false
	}
	s.codes.codes[text] = &a
	return text, true
}

func (s *Server) codeExpired(now time.Time, a *authCode) bool {
	return now.Sub(a.issued)+s.ages.of(a.serial) > codeLife
}

// redeemCode gives tokens for an authorization code.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#redeem-a-code-for-an-access-token
func (s *Server) redeemCode(w http.ResponseWriter, c *call, form url.Values) error {
	auth, err := s.authenticateClient(c, form)
	if err != nil {
		return err
	}
	text, err := need(form, "code")
	if err != nil {
		return err
	}
	code, err := s.takeCode(c, text, auth.app.AppID)
	if err != nil {
		return err
	}
	if err = checkRedemption(c, form, code, auth); err != nil {
		return err
	}
	form.Set("claims", orElse(form.Get("claims"), code.claims))
	form.Set("resource", orElse(form.Get("resource"), code.resource))
	return s.grantDelegated(w, c, form, delegatedRequest{
		auth: auth, session: code.session, scope: orElse(form.Get("scope"), code.scope), nonce: code.nonce, spa: code.platform == platformSPA,
	})
}

// takeCode returns the code, once: any attempt uses it up.
func (s *Server) takeCode(c *call, text string, client identity.ClientID) (authCode, error) {
	s.codes.mu.Lock()
	defer s.codes.mu.Unlock()
	code := s.codes.codes[text]
	switch {
	case code == nil || code.client != client:
		return authCode{}, refuse(70000)
	case s.codeExpired(c.now, code):
		delete(s.codes.codes, text)
		return authCode{}, refuse(70008)
	case code.used:
		return authCode{}, refuse(54005)
	default:
		code.used = true
		return *code, nil
	}
}

// checkRedemption wants the redirect URI and the verifier of the sign-in, and of a web application a proof of itself.
func checkRedemption(c *call, form url.Values, code authCode, auth clientAuth) error {
	origin := c.Header.Get("Origin")
	switch {
	case code.platform == platformSPA && origin == "":
		return refuse(9002327)
	case code.platform != platformSPA && origin != "":
		return refuse(9002326, quote(origin))
	case code.platform == platformWeb && !auth.confidential():
		return refuse(7000218)
	case form.Get("redirect_uri") == "":
		return refuse(900144, "redirect_uri")
	case form.Get("redirect_uri") != code.redirectURI:
		return refuse(500112)
	case code.challenge == "":
		return nil
	case !verifierFits(code, form.Get("code_verifier")):
		return refuse(501481)
	default:
		return nil
	}
}

// verifierFits is RFC 7636 §4.6.
func verifierFits(code authCode, verifier string) bool {
	const shortest = 43
	if len(verifier) < shortest {
		return false
	}
	if code.method == "S256" {
		digest := sha256.Sum256([]byte(verifier))
		verifier = base64.RawURLEncoding.EncodeToString(digest[:])
	}
	return equalSecret(code.challenge, verifier)
}
