package identity

import (
	"fmt"
	"strings"
)

// TenantID is the id of an Entra tenant (claim tid), a GUID in lower case.
type TenantID struct{ guid }

// ObjectID is the id of a person, group or service principal within its tenant (claim oid), a GUID in lower case.
type ObjectID struct{ guid }

// ClientID is the application id of a client (claims azp and appid), a GUID in lower case.
type ClientID struct{ guid }

// ParseTenantID accepts a GUID of 36 characters in either case.
func ParseTenantID(s string) (TenantID, error) {
	g, err := parseGUID("tenant id", s)
	return TenantID{g}, err
}

// ParseObjectID accepts a GUID of 36 characters in either case.
func ParseObjectID(s string) (ObjectID, error) {
	g, err := parseGUID("object id", s)
	return ObjectID{g}, err
}

// ParseClientID accepts a GUID of 36 characters in either case.
func ParseClientID(s string) (ClientID, error) {
	g, err := parseGUID("client id", s)
	return ClientID{g}, err
}

// guid is a GUID in its canonical form, or "" when it is zero: it cannot be malformed.
type guid struct{ s string }

// String returns the 36 characters of the id, or "" for the zero id.
func (g guid) String() string { return g.s }

// IsZero reports whether the id was never set.
func (g guid) IsZero() bool { return g.s == "" }

// MarshalText implements [encoding.TextMarshaler].
func (g guid) MarshalText() ([]byte, error) { return []byte(g.s), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]; an empty text is the zero id.
func (g *guid) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*g = guid{}
		return nil
	}
	parsed, err := parseGUID("id", string(text))
	if err != nil {
		return err
	}
	*g = parsed
	return nil
}

func parseGUID(kind, s string) (guid, error) {
	if len(s) != 36 {
		return guid{}, fmt.Errorf("%s: want a GUID of 36 characters, got %d", kind, len(s))
	}
	for i, r := range []byte(s) {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		if hyphen != (r == '-') || !hyphen && !isHex(r) {
			return guid{}, fmt.Errorf("%s: want a GUID like 00000000-0000-0000-0000-000000000000", kind)
		}
	}
	return guid{strings.ToLower(s)}, nil
}

func isHex(r byte) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'f' || r >= 'A' && r <= 'F'
}
