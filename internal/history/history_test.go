package history_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/history"
)

const (
	key   = "a key of at least thirty-two characters"
	other = "quite another key that is as long as the first"
)

func person(tb testing.TB, n int) history.Person {
	tb.Helper()
	tenant, err1 := identity.ParseTenantID("c0de7e4a-0000-4000-8000-000000000001")
	object, err2 := identity.ParseObjectID(fmt.Sprintf("a11ce000-0000-4000-8000-%012x", n))
	if err := errors.Join(err1, err2); err != nil {
		tb.Fatal(err)
	}
	return history.Person{Tenant: tenant, Object: object}
}

func open(tb testing.TB, path string, secrets ...string) *history.File {
	tb.Helper()
	var all []identity.Secret
	for _, secret := range secrets {
		all = append(all, identity.NewSecret(secret))
	}
	f, err := history.Open(path, all...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = f.Close() })
	return f
}

func stores(t *testing.T) map[string]history.Store {
	t.Helper()
	return map[string]history.Store{"memory": &history.Memory{}, "file": open(t, filepath.Join(t.TempDir(), "h.db"), key)}
}

func at(minutes int) time.Time { return time.Unix(1_800_000_000+int64(minutes)*60, 0) }

func TestKeepsEachPersonsOwn(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			alice, bob := person(t, 1), person(t, 2)
			save := func(p history.Person, id, title, body string, minutes int) {
				t.Helper()
				if err := s.Save(p, history.Item{ID: id, Title: title, Created: at(0).UTC(), Updated: at(minutes)}, []byte(body)); err != nil {
					t.Fatal(err)
				}
			}
			save(alice, "one", "First", "1", 1)
			save(alice, "two", "Second", "2", 2)
			save(bob, "one", "Bob's", "b", 3)
			save(alice, "one", "First again", "11", 5)
			items, err := s.List(alice)
			want := []history.Item{{ID: "one", Title: "First again", Created: at(0).UTC(), Updated: at(5)}, {ID: "two", Title: "Second", Created: at(0).UTC(), Updated: at(2)}}
			if err != nil || !cmp.Equal(items, want) {
				t.Errorf("%v: %s", err, cmp.Diff(want, items))
			}
			if _, body, err := s.Load(bob, "one"); err != nil || string(body) != "b" {
				t.Errorf("bob's: %q, %v", body, err)
			}
			if _, _, err := s.Load(bob, "two"); !errors.Is(err, history.ErrNone) {
				t.Errorf("bob reads alice's: %v", err)
			}
			if err := s.Delete(bob, "two"); err != nil {
				t.Error(err)
			}
			if _, body, err := s.Load(alice, "two"); err != nil || string(body) != "2" {
				t.Errorf("bob deleted alice's: %q, %v", body, err)
			}
			if n, err := s.Sweep(at(3)); err != nil || n != 1 {
				t.Errorf("swept %d, %v; want the one of minute 2", n, err)
			}
			if n, err := s.Clear(alice); err != nil || n != 1 {
				t.Errorf("cleared %d, %v", n, err)
			}
			if items, err := s.List(alice); err != nil || len(items) != 0 {
				t.Errorf("after clearing: %v, %v", items, err)
			}
			if items, err := s.List(bob); err != nil || len(items) != 1 {
				t.Errorf("bob's are gone, too: %v, %v", items, err)
			}
			if err := s.Save(history.Person{}, history.Item{ID: "x"}, nil); err == nil {
				t.Error("a conversation of nobody was kept")
			}
		})
	}
}

func TestBounds(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			p := person(t, 1)
			if err := s.Save(p, history.Item{ID: "large"}, make([]byte, history.MaxBody+1)); !errors.Is(err, history.ErrFull) {
				t.Errorf("too large: %v", err)
			}
			for i := range history.MaxBytes / history.MaxBody {
				err := s.Save(p, history.Item{ID: strconv.Itoa(i)}, make([]byte, history.MaxBody-1024))
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Save(p, history.Item{ID: "more"}, make([]byte, history.MaxBody-1024)); !errors.Is(err, history.ErrFull) {
				t.Errorf("too much: %v", err)
			}
			if err := s.Save(p, history.Item{ID: "0"}, []byte("shorter")); err != nil {
				t.Errorf("what is there may be replaced: %v", err)
			}
		})
	}
}

func TestFileShowsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.db")
	f := open(t, path, key)
	alice := person(t, 1)
	words := []string{"conversation-id-1", "A title to look for", "what was said here", alice.Object.String(), alice.Tenant.String(), key}
	if err := f.Save(alice, history.Item{ID: words[0], Title: words[1], Updated: at(1)}, []byte(strings.Repeat(words[2], 100))); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range words {
		if bytes.Contains(text, []byte(word)) {
			t.Errorf("the file shows %q", word)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, body, err := open(t, path, key).Load(alice, words[0]); err != nil || !strings.HasPrefix(string(body), words[2]) {
		t.Errorf("after opening it again: %q, %v", body, err)
	}
}

func TestKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.db")
	f := open(t, path, key)
	alice := person(t, 1)
	if err := f.Save(alice, history.Item{ID: "one", Title: "T", Updated: at(1)}, []byte("text")); err != nil {
		t.Fatal(err)
	}
	if _, err := history.Open(path, identity.NewSecret(key)); !errors.Is(err, history.ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	_ = f.Close()
	if _, err := history.Open(path, identity.NewSecret(other)); !errors.Is(err, history.ErrKey) {
		t.Errorf("another key: %v", err)
	}
	if _, err := history.Open(path, identity.NewSecret("short")); err == nil {
		t.Error("a short key was taken")
	}
	f = open(t, path, other, key)
	if _, body, err := f.Load(alice, "one"); err != nil || string(body) != "text" {
		t.Errorf("while the key is changed: %q, %v", body, err)
	}
	_ = f.Close()
	f = open(t, path, other)
	if items, err := f.List(alice); err != nil || len(items) != 1 || items[0].Title != "T" {
		t.Errorf("with the new key alone: %v, %v", items, err)
	}
	_ = f.Close()
	if _, err := history.Open(path, identity.NewSecret(key)); !errors.Is(err, history.ErrKey) {
		t.Errorf("the old key still opens it: %v", err)
	}
}

func TestFilesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	noise := filepath.Join(dir, "noise.db")
	if err := os.WriteFile(noise, bytes.Repeat([]byte("noise"), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := history.Open(noise, identity.NewSecret(key)); !errors.Is(err, history.ErrDamaged) {
		t.Errorf("noise: %v", err)
	}
	public := filepath.Join(dir, "public.db")
	_ = open(t, public, key).Close()
	if err := os.Chmod(public, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := history.Open(public, identity.NewSecret(key)); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others can read: %v", err)
	}
}
