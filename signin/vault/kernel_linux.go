package vault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Kernel keeps the key in the Linux kernel's persistent keyring of this user: in memory only, gone at a restart and
// after three days without use.
//
// https://man7.org/linux/man-pages/man7/persistent-keyring.7.html
type Kernel struct{}

// Name implements [Keeper].
func (Kernel) Name() string { return KernelName }

// Asks implements [Keeper].
func (Kernel) Asks() bool { return false }

const kernelKey = "onbehalf:token-cache-key"

// Key implements [Keeper].
func (Kernel) Key(_ context.Context, _ []byte, create bool) ([]byte, error) {
	runtime.LockOSThread() // possession of a keyring is a thread's
	defer runtime.UnlockOSThread()
	ring, err := userRing()
	if err != nil {
		return nil, fmt.Errorf("the kernel's keyring: %w", err)
	}
	id, err := unix.KeyctlSearch(ring, "user", kernelKey, 0)
	if errors.Is(err, unix.ENOKEY) || errors.Is(err, unix.EKEYEXPIRED) || errors.Is(err, unix.EKEYREVOKED) {
		if !create {
			return nil, ErrNoKey
		}
		key := newKey()
		if _, err = unix.AddKey("user", kernelKey, key, ring); err != nil {
			return nil, fmt.Errorf("the kernel's keyring: %w", err)
		}
		return key, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the kernel's keyring: %w", err)
	}
	key := make([]byte, keyLength)
	n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, key, 0)
	if err != nil {
		return nil, fmt.Errorf("the kernel's keyring: %w", err)
	}
	if n != keyLength {
		return nil, errors.New("the kernel's keyring: what it has under our name is not a key")
	}
	return key, nil
}

// userRing links the user's persistent keyring, or where the kernel has none the user keyring, to this thread, which
// possesses it from then on.
func userRing() (int, error) {
	ring, err := unix.KeyctlInt(unix.KEYCTL_GET_PERSISTENT, os.Getuid(), unix.KEY_SPEC_THREAD_KEYRING, 0, 0)
	if err == nil {
		return ring, nil
	}
	if ring, err = unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_KEYRING, true); err != nil {
		return 0, err
	}
	_, err = unix.KeyctlInt(unix.KEYCTL_LINK, ring, unix.KEY_SPEC_THREAD_KEYRING, 0, 0)
	return ring, err
}
