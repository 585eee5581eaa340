package entraserver

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
)

// newGUID returns a random GUID of version 4.
func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return formatGUID(b)
}

func formatGUID(b [16]byte) string {
	s := hex.EncodeToString(b[:])
	return strings.Join([]string{s[:8], s[8:12], s[12:16], s[16:20], s[20:]}, "-")
}

// guidBytes is the reverse of formatGUID, for ids that were parsed before.
func guidBytes(s string) (b [16]byte) {
	_, _ = hex.Decode(b[:], []byte(strings.ReplaceAll(s, "-", "")))
	return b
}

// object, client and mustTenant are for constants of this package and GUIDs that were just made; a wrong one is the zero id, which
// every Add refuses.
func object(s string) identity.ObjectID {
	id, _ := identity.ParseObjectID(s)
	return id
}

func client(s string) identity.ClientID {
	id, _ := identity.ParseClientID(s)
	return id
}

func mustTenant(s string) identity.TenantID {
	id, _ := identity.ParseTenantID(s)
	return id
}

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }

func lower(s string) string { return strings.ToLower(s) }
