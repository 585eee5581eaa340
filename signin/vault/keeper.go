package vault

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/zalando/go-keyring"
	"golang.org/x/crypto/argon2"
)

// Keeper holds the key of a vault: 32 bytes.
type Keeper interface {
	// Name is what files say who has their key.
	Name() string
	// Key returns the key; [ErrNoKey] when there is none and none is to be made.
	Key(ctx context.Context, salt []byte, create bool) ([]byte, error)
	// Asks reports whether the key comes from a person's passphrase, each entry's with a salt of its own.
	Asks() bool
}

// The names of the keepers.
const (
	DesktopName    = "desktop"
	KernelName     = "kernel"
	PassphraseName = "passphrase"
	PlainName      = "none"
)

// ErrNoKey says that a keeper works and has no key for us.
var ErrNoKey = errors.New("no key")

// ErrPassphrase says that a passphrase is not the one that the cache was sealed with.
var ErrPassphrase = errors.New("token cache: the passphrase is not the one that it was encrypted with")

// UnavailableError says that an entry is there but the keeper of its key is not.
type UnavailableError struct {
	Keeper string
	Err    error // nil: the keeper was not configured
}

// Error names the keeper.
func (e *UnavailableError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("token cache: its key is with the keeper %q, which is not in use here", e.Keeper)
	}
	return fmt.Sprintf("token cache: its key is with the keeper %q: %v", e.Keeper, e.Err)
}

// Unwrap returns the keeper's error.
func (e *UnavailableError) Unwrap() error { return e.Err }

func (v *Vault) keeper(name string) Keeper {
	for _, k := range v.cfg.Keepers {
		if k.Name() == name {
			return k
		}
	}
	return nil
}

func (v *Vault) keyLock() string { return filepath.Join(v.cfg.Dir, "key") }

// keyLength is that of AES-256.
const keyLength = 32

func newKey() []byte {
	key := make([]byte, keyLength)
	_, _ = rand.Read(key) // never fails since Go 1.24
	return key
}

// The name of the key in keyrings.
const (
	keyService = "onbehalf"
	keyName    = "token cache key"
)

// Desktop keeps the key in the desktop's keyring: Secret Service, macOS Keychain, Windows Credential Manager.
type Desktop struct{}

// Name implements [Keeper].
func (Desktop) Name() string { return DesktopName }

// Asks implements [Keeper].
func (Desktop) Asks() bool { return false }

// Key implements [Keeper].
func (Desktop) Key(_ context.Context, _ []byte, create bool) ([]byte, error) {
	text, err := keyring.Get(keyService, keyName)
	if errors.Is(err, keyring.ErrNotFound) {
		if !create {
			return nil, ErrNoKey
		}
		key := newKey()
		if err = keyring.Set(keyService, keyName, base64.StdEncoding.EncodeToString(key)); err != nil {
			return nil, fmt.Errorf("the desktop's keyring: %w", err)
		}
		return key, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the desktop's keyring: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != keyLength {
		return nil, errors.New("the desktop's keyring: what it has under our name is not a key")
	}
	return key, nil
}

// Passphrase derives the key from what a person knows, by Argon2id.
//
// https://www.rfc-editor.org/rfc/rfc9106#section-4
type Passphrase struct {
	// Ask returns the passphrase. Once it has, it is not called again.
	Ask func(ctx context.Context) (string, error)

	mu     sync.Mutex
	text   string
	bySalt map[string][]byte
}

// Argon2id's parameters: RFC 9106's second choice.
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4
)

// Name implements [Keeper].
func (*Passphrase) Name() string { return PassphraseName }

// Asks implements [Keeper].
func (*Passphrase) Asks() bool { return true }

// Key implements [Keeper].
func (p *Passphrase) Key(ctx context.Context, salt []byte, _ bool) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if key, ok := p.bySalt[string(salt)]; ok {
		return key, nil
	}
	if p.text == "" {
		text, err := p.Ask(ctx)
		if err != nil {
			return nil, err
		}
		if text == "" {
			return nil, errors.New("the passphrase is empty")
		}
		p.text = text
	}
	key := argon2.IDKey([]byte(p.text), salt, argonTime, argonMemory, argonThreads, keyLength)
	if p.bySalt == nil {
		p.bySalt = map[string][]byte{}
	}
	p.bySalt[string(salt)] = key
	return key, nil
}

// Plain is the keeper that keeps nothing: the tokens lie in the file as they are, readable to whoever gets a copy.
type Plain struct{}

// Name implements [Keeper].
func (Plain) Name() string { return PlainName }

// Asks implements [Keeper].
func (Plain) Asks() bool { return false }

// Key implements [Keeper].
func (Plain) Key(context.Context, []byte, bool) ([]byte, error) { return nil, ErrNoKey }
