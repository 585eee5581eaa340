// Package vault keeps the token cache of package signin on disk, encrypted from the first byte on.
//
// Each entry is a file of its own: a header in clear, which names authority, tenant, client and server, and the tokens,
// sealed by AES-256-GCM with that header as associated data. An entry that is copied to another name, or whose header
// is altered, does not open. Files have mode 0600, are replaced by an atomic rename, and are changed under a file lock.
// The key lies elsewhere: see [Keeper].
//
// That protects copies of the files: backups, a stolen disk, a folder that syncs, a support bundle. It does not protect
// from a program that runs as the same person: that one can ask the key's keeper as this one does.
package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/onbehalf/onbehalf/signin"
)

// Config says where the vault is and what holds its key.
type Config struct {
	Dir     string   // made with mode 0700 where it is missing
	Keepers []Keeper // in order of preference: the first that works seals new entries, each opens what it sealed

	Notice func(message string) // told what a person should know, such as that a damaged file was kept aside; nil: nobody
	Now    func() time.Time     // names what is kept aside; nil: the system's clock
}

// Vault is a [signin.Cache] on disk. It is safe for concurrent use, also by several processes.
type Vault struct{ cfg Config }

var _ signin.Cache = (*Vault)(nil)

// Open makes the folder. It asks no keeper yet.
func Open(cfg Config) (*Vault, error) {
	if cfg.Notice == nil {
		cfg.Notice = func(string) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // the one place where the system's clock is the default
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("token cache: %w", err)
	}
	return &Vault{cfg}, nil
}

// ErrNoKeeper says that nothing on this machine can hold the key.
var ErrNoKeeper = errors.New("neither a desktop's nor the kernel's keyring can hold the key of the token cache")

// maxEntry bounds a file.
const maxEntry = 4 << 20

// suffix of the entries' files.
const suffix = ".tokens"

// path names the file of an entry, without saying in the name what it is.
func (v *Vault) path(key signin.Key) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{key.Authority, key.Tenant, key.Client.String(), key.Server}, "\x00")))
	return filepath.Join(v.cfg.Dir, hex.EncodeToString(sum[:16])+suffix)
}

// Load implements [signin.Cache]. An entry whose key is gone for good, as the kernel's is after a restart, counts as
// none; so does a damaged one, which the next update keeps aside.
func (v *Vault) Load(ctx context.Context, key signin.Key) ([]byte, error) {
	content, err := v.read(ctx, key)
	if errors.Is(err, errKeyGone) || errors.Is(err, errDamaged) {
		return nil, nil
	}
	return content, err
}

func (v *Vault) read(ctx context.Context, key signin.Key) ([]byte, error) {
	text, err := readFile(v.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return v.open(ctx, key, text)
}

// Update implements [signin.Cache].
func (v *Vault) Update(ctx context.Context, key signin.Key, change func([]byte) ([]byte, error)) error {
	path := v.path(key)
	unlock, err := lock(ctx, path)
	if err != nil {
		return err
	}
	defer unlock()
	old, err := v.read(ctx, key)
	switch {
	case errors.Is(err, errDamaged):
		if err = v.keepAside(path); err != nil {
			return err
		}
	case errors.Is(err, errKeyGone):
		v.cfg.Notice("the key of an older sign-in is gone (a restart, or days without use): its tokens are replaced")
	case err != nil:
		return err
	}
	content, err := change(old)
	if err != nil {
		return err
	}
	if content == nil {
		return remove(path)
	}
	sealed, err := v.seal(ctx, key, content)
	if err != nil {
		return err
	}
	return writeFile(path, sealed)
}

// Remove deletes an entry without opening it.
func (v *Vault) Remove(ctx context.Context, key signin.Key) error {
	path := v.path(key)
	unlock, err := lock(ctx, path)
	if err != nil {
		return err
	}
	defer unlock()
	return remove(path)
}

// Keys implements [signin.Cache]: the headers tell, no keeper is asked. A damaged file is left out.
func (v *Vault) Keys(context.Context) ([]signin.Key, error) {
	files, err := filepath.Glob(filepath.Join(v.cfg.Dir, "*"+suffix))
	if err != nil {
		return nil, err
	}
	var keys []signin.Key
	for _, file := range files {
		text, err := readFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if h, _, _, err := parse(text); err == nil && v.path(h.Key) == file {
			keys = append(keys, h.Key)
		}
	}
	return keys, nil
}

// keepAside renames a damaged file, so that nothing is lost and nothing stands in the way.
func (v *Vault) keepAside(path string) error { return keepAside(path, v.cfg.Now(), v.cfg.Notice) }

func keepAside(path string, now time.Time, notice func(string)) error {
	aside := path + ".damaged-" + now.UTC().Format("20060102T150405")
	if err := os.Rename(path, aside); err != nil {
		return fmt.Errorf("token cache: %w", err)
	}
	notice("a damaged file was kept aside as " + aside)
	return nil
}

// lockEvery is how often a lock that another process holds is tried.
const lockEvery = 20 * time.Millisecond

// lock waits for the lock of a file; it lies beside the file, since the file itself is replaced.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file := flock.New(path+".lock", flock.SetPermissions(0o600))
	if _, err := file.TryLockContext(ctx, lockEvery); err != nil {
		return nil, fmt.Errorf("token cache: another process holds %s: %w", path, err)
	}
	return func() { _ = file.Unlock() }, nil // closing the process would, too
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // a name made of a digest, in our own folder
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxEntry+1))
	if err != nil {
		return nil, fmt.Errorf("token cache: %w", err)
	}
	if len(text) > maxEntry {
		return nil, fmt.Errorf("token cache: %s: larger than %d bytes", path, maxEntry)
	}
	return text, nil
}

// writeFile replaces a file in one step: whoever reads finds the old content or the new one.
func writeFile(path string, content []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("token cache: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	_, err = io.Copy(file, bytes.NewReader(content))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("token cache: %w", err)
	}
	if err = os.Rename(file.Name(), path); err != nil {
		return fmt.Errorf("token cache: %w", err)
	}
	return nil
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("token cache: %w", err)
	}
	return nil
}
