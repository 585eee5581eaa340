package rediscache

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/obo"
)

// FuzzOpen opens what somebody may have written into the database.
func FuzzOpen(f *testing.F) {
	tenant, err1 := identity.ParseTenantID("7f1d3f0e-6d8e-5d6f-9c41-0d9f4f6f2b10")
	object, err2 := identity.ParseObjectID("00000000-0000-4000-8000-00000000000a")
	scope, err3 := entra.ParseScope("https://search.azure.com/.default")
	secret, err4 := deriveKeys(identity.NewSecret(rand.Text() + rand.Text())) // of each of the fuzzer's processes: seeds of another one are forged
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		f.Fatal(err)
	}
	now := time.Now()
	key := obo.SharedKey{Caller: &identity.Caller{Tenant: tenant, Object: object, Assertion: identity.NewSecret("assertion")}, Scope: scope}
	value, err := secret.seal(&key, identity.Token{Value: identity.NewSecret("token"), Expires: now.Add(time.Hour)}, now.Add(time.Hour))
	if err != nil {
		f.Fatal(err)
	}
	if _, err := secret.open(&key, value, now); err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add([]byte{version})
	f.Add(value[:headerSize+12])
	f.Fuzz(func(t *testing.T, forged []byte) {
		if _, err := secret.open(&key, forged, now); err == nil && !bytes.Equal(forged, value) {
			t.Errorf("a forged value was opened: %x", forged)
		}
	})
}
