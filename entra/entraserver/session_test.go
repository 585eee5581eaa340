package entraserver

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/identity"
)

func TestSessionsAreSealed(t *testing.T) {
	s, err := New(Config{URL: "https://localhost:8443"})
	if err != nil {
		t.Fatal(err)
	}
	want := session{person: object(Alice), since: time.Unix(1_800_000_000, 0), mfa: true, contexts: []byte{1, 25}, serial: s.ages.next()}
	text := s.seal(sealedSession, want.marshal())
	plain, err := s.unseal(sealedSession, text)
	if err != nil {
		t.Fatal(err)
	}
	got, err := unmarshalSession(plain)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(session{}), cmp.Comparer(func(a, b identity.ObjectID) bool { return a == b })); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := s.unseal(sealedRefresh, text); err == nil {
		t.Error("a session passes for a refresh token")
	}
	if _, err := s.unseal(sealedSession, text[:20]+"AAAA"+text[24:]); err == nil {
		t.Error("a changed text unseals")
	}
	if _, err := unmarshalSession(plain[:10]); err == nil {
		t.Error("a short session is read")
	}
	if diff := cmp.Diff([]string{"pwd", "mfa"}, got.methods()); diff != "" {
		t.Error(diff)
	}
}

func TestAgesTouchOnlyWhatWasIssued(t *testing.T) {
	var a ages
	before := a.next()
	if !a.advance(time.Hour) {
		t.Fatal("no room")
	}
	between := a.next()
	a.advance(time.Minute)
	a.advance(time.Minute)
	after := a.next()
	for serial, want := range map[uint64]time.Duration{before: time.Hour + 2*time.Minute, between: 2 * time.Minute, after: 0} {
		if got := a.of(serial); got != want {
			t.Errorf("serial %d: got %s, want %s", serial, got, want)
		}
	}
	a.revoke(object(Alice))
	if !a.isRevoked(object(Alice), after) || a.isRevoked(object(Alice), a.next()) || a.isRevoked(object(Bob), after) {
		t.Error("a revocation voids what this person was given before, and nothing else")
	}
	a.reset()
	if a.of(before) != 0 || a.isRevoked(object(Alice), before) {
		t.Error("reset forgets")
	}
}
