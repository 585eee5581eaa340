//go:build !linux

package vault

import (
	"context"
	"errors"
)

// Kernel is a keeper of Linux alone; elsewhere the desktop's keyring is always there.
type Kernel struct{}

// Name implements [Keeper].
func (Kernel) Name() string { return KernelName }

// Asks implements [Keeper].
func (Kernel) Asks() bool { return false }

// Key implements [Keeper].
func (Kernel) Key(context.Context, []byte, bool) ([]byte, error) {
	return nil, errors.New("the kernel's keyring: only Linux has one")
}
