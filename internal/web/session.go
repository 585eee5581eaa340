package web

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/internal/history"
	"github.com/onbehalf/onbehalf/signin"
)

// Sessions bounds sessions. They are kept in memory alone: a restart signs everybody out of here, and back in with one
// click as long as Entra remembers them.
type Sessions struct {
	Most int           // at once, the longest unused going first; 0: 10,000
	Idle time.Duration // without a request; 0: two hours
	Life time.Duration // since the sign-in; 0: twelve hours
}

const (
	defaultSessions = 10_000
	defaultIdle     = 2 * time.Hour
	defaultLife     = 12 * time.Hour
)

// session is one browser in which a person is signed in. Its identifier is with the browser alone: here is its hash.
type session struct {
	key     [sha256.Size]byte // of the identifier
	csrf    string
	lineage string // shared by the sessions of one browser that follow one another as its person signs in again
	person  signin.Person
	since   time.Time
	tokens  *signin.Session
	signIn  chain.Hop
	element *list.Element
	over    chan struct{} // closed when the session is

	mu       sync.Mutex
	seen     time.Time
	replaced bool // by one of the same lineage
	notice   *Notice
	servers  map[string]*connection
}

// name names the sign-in towards the agent. It tells nobody the identifier.
func (s *session) name() string { return hex.EncodeToString(s.key[:]) }

func (s *session) owner() history.Person {
	return history.Person{Tenant: s.person.Tenant, Object: s.person.Object}
}

func (s *session) wasReplaced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replaced
}

// ended reports whether its person has signed out, or the session's time was over: a session that another one of the same
// browser replaced goes on in that.
func (s *session) ended() bool {
	select {
	case <-s.over:
		return !s.wasReplaced()
	default:
		return false
	}
}

// say leaves a notice for the next page.
func (s *session) say(n *Notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notice = n
}

func (s *session) heard() *Notice {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.notice
	s.notice = nil
	return n
}

// sessions are all of them, the last used first.
type sessions struct {
	limits Sessions
	cookie string // name
	now    func() time.Time
	// dropped is told of each session that ends, with the mutex held.
	dropped func(*session)

	mu    sync.Mutex
	all   map[[sha256.Size]byte]*session
	order *list.List // of *session
}

func newSessions(limits Sessions, suffix string, now func() time.Time, dropped func(*session)) *sessions {
	if limits.Most <= 0 {
		limits.Most = defaultSessions
	}
	if limits.Idle <= 0 {
		limits.Idle = defaultIdle
	}
	if limits.Life <= 0 {
		limits.Life = defaultLife
	}
	return &sessions{limits: limits, cookie: "__Host-onbehalf" + suffix, now: now, dropped: dropped, all: map[[sha256.Size]byte]*session{}, order: list.New()}
}

// cookieSuffix tells agents on one host apart: cookies know no ports.
func cookieSuffix(base *url.URL) string {
	if port := base.Port(); port != "" {
		return "-" + port
	}
	return ""
}

// open begins a session with an identifier of its own, whatever the browser had before (session fixation), and sets the
// cookie. Before is the same person's session in this browser, or nil: it ends, and what was begun in it goes on.
func (s *sessions) open(w http.ResponseWriter, tokens *signin.Session, hop chain.Hop, before *session) *session {
	id := randomText()
	now := s.now()
	one := &session{
		key: sha256.Sum256([]byte(id)), csrf: randomText(), lineage: randomText(), person: tokens.Person, since: now, seen: now,
		tokens: tokens, signIn: hop, over: make(chan struct{}),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if before != nil {
		one.csrf, one.lineage = before.csrf, before.lineage // the person's other pages go on
		before.mu.Lock()
		before.replaced = true
		before.mu.Unlock()
		s.drop(before)
	}
	s.all[one.key] = one
	one.element = s.order.PushFront(one)
	for s.order.Len() > s.limits.Most {
		s.drop(s.order.Back().Value.(*session)) //nolint:errcheck,forcetypeassert // nothing else is in the list
	}
	http.SetCookie(w, hostCookie(s.cookie, id, 0))
	return one
}

// of returns the session of a request, or nil.
func (s *sessions) of(r *http.Request) *session {
	cookie, err := r.Cookie(s.cookie)
	if err != nil {
		return nil
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.all[sha256.Sum256([]byte(cookie.Value))]
	if one == nil {
		return nil
	}
	if s.expired(one, now) {
		s.drop(one)
		return nil
	}
	one.mu.Lock()
	one.seen = now
	one.mu.Unlock()
	s.order.MoveToFront(one.element)
	return one
}

func (s *sessions) expired(one *session, now time.Time) bool {
	one.mu.Lock()
	defer one.mu.Unlock()
	return now.Sub(one.seen) > s.limits.Idle || now.Sub(one.since) > s.limits.Life
}

// stale ends a session whose time is over, and reports whether it was. An open stream of events is no use of a session.
func (s *sessions) stale(one *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[one.key] == one && s.expired(one, s.now()) {
		s.drop(one)
	}
	return s.all[one.key] != one
}

// ofEntra returns the sessions that belong to one of Entra's.
func (s *sessions) ofEntra(sid string) []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*session
	for _, one := range s.all {
		if sameText(one.person.Session, sid) {
			found = append(found, one)
		}
	}
	return found
}

// close ends a session; its tokens go with it.
func (s *sessions) close(one *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(one)
}

// forget takes the cookie back.
func (s *sessions) forget(w http.ResponseWriter) { http.SetCookie(w, hostCookie(s.cookie, "", -1)) }

// drop is called with the mutex held.
func (s *sessions) drop(one *session) {
	if s.all[one.key] == nil {
		return
	}
	delete(s.all, one.key)
	s.order.Remove(one.element)
	close(one.over)
	s.dropped(one)
}

// hostCookie is a cookie that only this host over https gets (or this machine, which browsers treat alike), that no
// script reads and no other site's form or frame brings along.
//
// https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-4.1.3.2
func hostCookie(name, value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: maxAge}
}

func randomText() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// sameText compares secrets.
func sameText(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// keyed is a MAC of a text.
func keyed(key []byte, text string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// newID names a conversation or a message: 120 random bits, safe in a path and in an id of HTML.
func newID() string {
	var random [15]byte
	_, _ = rand.Read(random[:]) // never fails since Go 1.24
	return hex.EncodeToString(random[:])
}
