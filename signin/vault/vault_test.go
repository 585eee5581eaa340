package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/signin"
	"github.com/onbehalf/onbehalf/signin/vault"
)

const secret = `{"RefreshToken":{"r":{"secret":"a-refresh-token"}}}`

// held keeps a key in memory, as a keyring does.
type held struct {
	mu     sync.Mutex
	name   string
	key    []byte
	broken bool
	made   int
}

func (h *held) Name() string { return h.name }
func (h *held) Asks() bool   { return false }
func (h *held) Key(_ context.Context, _ []byte, create bool) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.broken:
		return nil, errors.New("no bus")
	case h.key == nil && !create:
		return nil, vault.ErrNoKey
	case h.key == nil:
		h.made++
		h.key = bytes.Repeat([]byte{byte(h.made)}, 32)
	}
	return h.key, nil
}

func keyFor(t *testing.T, server string) signin.Key {
	t.Helper()
	client, err := identity.ParseClientID("22222222-2222-4222-8222-222222222222")
	if err != nil {
		t.Fatal(err)
	}
	return signin.Key{Authority: "https://login.microsoftonline.com/", Tenant: "contoso.example", Client: client, Server: server}
}

func open(t *testing.T, dir string, keepers ...vault.Keeper) (*vault.Vault, *[]string) {
	t.Helper()
	notices := new([]string)
	v, err := vault.Open(vault.Config{
		Dir: dir, Keepers: keepers, Notice: func(m string) { *notices = append(*notices, m) },
		Now: func() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return v, notices
}

func store(t *testing.T, v *vault.Vault, key signin.Key, content string) {
	t.Helper()
	err := v.Update(t.Context(), key, func([]byte) ([]byte, error) { return []byte(content), nil })
	if err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, v *vault.Vault, key signin.Key) string {
	t.Helper()
	content, err := v.Load(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// entries returns the files that hold tokens.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.tokens"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestWhatLiesOnDiskIsSealed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	keeper := &held{name: vault.KernelName}
	v, _ := open(t, dir, &held{name: vault.DesktopName, broken: true}, keeper)
	key := keyFor(t, "https://server.example/mcp")
	store(t, v, key, secret)
	again, _ := open(t, dir, keeper) // another process
	if got := load(t, again, key); got != secret {
		t.Errorf("got %q back", got)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v; want 0700", info.Mode(), err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		info, err := file.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600", file.Name(), info.Mode(), err)
		}
		text, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil || strings.Contains(string(text), "a-refresh-token") {
			t.Errorf("%s shows the token, or %v", file.Name(), err)
		}
	}
	if keys, err := again.Keys(t.Context()); err != nil || len(keys) != 1 || keys[0] != key {
		t.Errorf("Keys() = %v, %v", keys, err)
	}
}

func TestEntriesAreBoundToWhatTheyAreFor(t *testing.T) {
	for desc, tamper := range map[string]func(t *testing.T, mine, theirs string){
		"copied to another server's name": func(t *testing.T, mine, theirs string) {
			t.Helper()
			rewrite(t, theirs, func([]byte) []byte { return read(t, mine) })
		},
		"copied, the header changed with it": func(t *testing.T, mine, theirs string) {
			t.Helper()
			rewrite(t, theirs, func([]byte) []byte { return bytes.Replace(read(t, mine), []byte("mine."), []byte("evil."), 1) })
		},
		"one bit of the sealed part": func(t *testing.T, _, theirs string) {
			t.Helper()
			rewrite(t, theirs, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
		},
		"cut short": func(t *testing.T, _, theirs string) {
			t.Helper()
			rewrite(t, theirs, func(b []byte) []byte { return b[:len(b)/2] })
		},
		"half of the header": func(t *testing.T, _, theirs string) {
			t.Helper()
			rewrite(t, theirs, func(b []byte) []byte { return b[:20] })
		},
		"empty": func(t *testing.T, _, theirs string) {
			t.Helper()
			rewrite(t, theirs, func([]byte) []byte { return nil })
		},
	} {
		t.Run(desc, func(t *testing.T) {
			dir := t.TempDir()
			v, notices := open(t, dir, &held{name: vault.KernelName})
			mine, theirs := keyFor(t, "https://mine.example/mcp"), keyFor(t, "https://evil.example/mcp")
			store(t, v, mine, secret)
			mineFile := entries(t, dir)[0]
			store(t, v, theirs, `{"x":{}}`)
			files := entries(t, dir)
			theirFile := files[0]
			if theirFile == mineFile {
				theirFile = files[1]
			}
			tamper(t, mineFile, theirFile)
			broken := read(t, theirFile)
			if got := load(t, v, theirs); got != "" {
				t.Errorf("it opens: %q", got)
			}
			store(t, v, theirs, secret)
			if len(*notices) != 1 || !strings.Contains((*notices)[0], "kept aside as ") {
				t.Fatalf("notices %q, want where the damaged file was kept", *notices)
			}
			_, aside, _ := strings.Cut((*notices)[0], "kept aside as ")
			if got := read(t, aside); !bytes.Equal(got, broken) {
				t.Error("what was kept aside is not the damaged file")
			}
			if got := load(t, v, mine); got != secret {
				t.Errorf("the other entry: %q", got)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	key := keyFor(t, "https://server.example/mcp")
	t.Run("the kernel forgot the key", func(t *testing.T) {
		dir, keeper := t.TempDir(), &held{name: vault.KernelName}
		v, notices := open(t, dir, keeper)
		store(t, v, key, secret)
		keeper.key = nil
		if got := load(t, v, key); got != "" {
			t.Errorf("got %q", got)
		}
		store(t, v, key, secret)
		if got := load(t, v, key); got != secret || len(*notices) != 1 {
			t.Errorf("after a new sign-in: %q, notices %q", got, *notices)
		}
	})
	t.Run("the desktop is locked", func(t *testing.T) {
		dir, keeper := t.TempDir(), &held{name: vault.DesktopName}
		v, _ := open(t, dir, keeper, &held{name: vault.KernelName})
		store(t, v, key, secret)
		keeper.broken = true
		_, err := v.Load(t.Context(), key)
		if unavailable := (*vault.UnavailableError)(nil); !errors.As(err, &unavailable) || unavailable.Keeper != vault.DesktopName {
			t.Errorf("got %v", err)
		}
		if err := v.Remove(t.Context(), key); err != nil || len(entries(t, dir)) != 0 {
			t.Errorf("it cannot even be removed: %v", err)
		}
	})
	t.Run("nothing holds a key", func(t *testing.T) {
		v, _ := open(t, t.TempDir(), &held{name: vault.DesktopName, broken: true})
		err := v.Update(t.Context(), key, func([]byte) ([]byte, error) { return []byte(secret), nil })
		if !errors.Is(err, vault.ErrNoKeeper) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("passphrase", func(t *testing.T) {
		dir := t.TempDir()
		said := func(text string) *vault.Passphrase {
			return &vault.Passphrase{Ask: func(context.Context) (string, error) { return text, nil }}
		}
		v, _ := open(t, dir, said("correct horse"))
		store(t, v, key, secret)
		right, _ := open(t, dir, said("correct horse"))
		if got := load(t, right, key); got != secret {
			t.Errorf("got %q", got)
		}
		wrong, notices := open(t, dir, said("battery staple"))
		_, err := wrong.Load(t.Context(), key)
		err2 := wrong.Update(t.Context(), key, func([]byte) ([]byte, error) { return []byte("{}"), nil })
		if !errors.Is(err, vault.ErrPassphrase) || !errors.Is(err2, vault.ErrPassphrase) || len(*notices) != 0 {
			t.Errorf("wrong passphrase: %v, %v, notices %q", err, err2, *notices)
		}
	})
	t.Run("plaintext only when it was asked for", func(t *testing.T) {
		dir := t.TempDir()
		v, _ := open(t, dir, vault.Plain{})
		store(t, v, key, secret)
		if got := load(t, v, key); got != secret {
			t.Errorf("got %q", got)
		}
		other, _ := open(t, dir, &held{name: vault.KernelName})
		if _, err := other.Load(t.Context(), key); err == nil {
			t.Error("a plaintext entry, which anyone can write, was taken without being asked for")
		}
	})
	t.Run("the desktop's keyring", func(t *testing.T) {
		keyring.MockInit()
		dir := t.TempDir()
		v, _ := open(t, dir, vault.Desktop{})
		store(t, v, key, secret)
		again, _ := open(t, dir, vault.Desktop{})
		if got := load(t, again, key); got != secret {
			t.Errorf("got %q", got)
		}
	})
}

func TestManyAtOnceLoseNothing(t *testing.T) {
	dir, keeper := t.TempDir(), &held{name: vault.KernelName}
	key := keyFor(t, "https://server.example/mcp")
	var group sync.WaitGroup
	for i := range 12 {
		group.Go(func() {
			v, _ := open(t, dir, keeper) // a process each
			err := v.Update(t.Context(), key, func(old []byte) ([]byte, error) { return fmt.Appendf(old, "%c", 'a'+i), nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	v, _ := open(t, dir, keeper)
	if got := load(t, v, key); len(got) != 12 {
		t.Errorf("got %q: an update was lost", got)
	}
	if keeper.made != 1 {
		t.Errorf("%d keys were made, want 1", keeper.made)
	}
}

func TestALockThatIsHeldGivesUpWithItsContext(t *testing.T) {
	dir := t.TempDir()
	v, _ := open(t, dir, &held{name: vault.KernelName})
	key := keyFor(t, "https://server.example/mcp")
	ctx, cancel := context.WithCancel(t.Context())
	err := v.Update(ctx, key, func([]byte) ([]byte, error) {
		cancel()
		other, _ := open(t, dir, &held{name: vault.KernelName})
		return nil, other.Update(ctx, key, func([]byte) ([]byte, error) { return nil, nil })
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func rewrite(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	if err := os.WriteFile(path, change(read(t, path)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// FuzzFile gives the vault files that it did not write: it must neither fail hard nor take anything for tokens.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "{}\n{}", `{"format":"onbehalf token cache 1"}` + "\n{}",
		`{"format":"onbehalf token cache 1","keeper":"none","authority":"https://login.microsoftonline.com/","tenant":"contoso.example","client":"22222222-2222-4222-8222-222222222222","server":"https://server.example/mcp"}` + "\n{}",
		`{"format":"onbehalf token cache 1","keeper":"kernel","check":"AAAAAAAAAAA=","authority":"https://login.microsoftonline.com/","tenant":"contoso.example","client":"22222222-2222-4222-8222-222222222222","server":"https://server.example/mcp"}` + "\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		key := keyFor(t, "https://server.example/mcp")
		v, _ := open(t, dir, &held{name: vault.KernelName, key: bytes.Repeat([]byte{7}, 32)})
		store(t, v, key, "{}")
		rewrite(t, entries(t, dir)[0], func([]byte) []byte { return content })
		if got, err := v.Load(t.Context(), key); err == nil && got != nil {
			t.Errorf("it took %q for tokens", got)
		}
		if _, err := v.Keys(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
