package vault_test

import (
	"errors"
	"testing"

	"github.com/onbehalf/onbehalf/signin/vault"
)

// TestKernel needs a kernel that has keyrings and lets us use them; where a container forbids them, it checks that the
// vault says so and that the next keeper serves.
func TestKernel(t *testing.T) {
	key := keyFor(t, "https://server.example/mcp")
	dir := t.TempDir()
	v, _ := open(t, dir, vault.Kernel{}, &held{name: vault.DesktopName})
	store(t, v, key, secret)
	if got := load(t, v, key); got != secret {
		t.Errorf("got %q", got)
	}
	if _, err := (vault.Kernel{}).Key(t.Context(), nil, false); err != nil {
		if errors.Is(err, vault.ErrNoKey) {
			t.Error("the kernel took the key and has it no longer")
		}
		t.Logf("this kernel keeps no key: %v", err)
	}
}
