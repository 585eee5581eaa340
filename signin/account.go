package signin

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

// Account is somebody who is signed in.
type Account struct {
	Name   string // preferred_username: for display and choice
	Object string // oid in the tenant that was signed in to
	Tenant string // as it was named at sign-in: an id, or "organizations"
}

func accountsOf(accounts []public.Account) []Account {
	list := make([]Account, len(accounts))
	for i, a := range accounts {
		list[i] = Account{Name: a.PreferredUsername, Object: a.LocalAccountID, Tenant: a.Realm}
	}
	return list
}

// matches reports whether an account is the one that was asked for, by name, by the part before the @, or by object id.
func matches(wanted string, a public.Account) bool {
	if wanted == "" || strings.EqualFold(wanted, a.PreferredUsername) || strings.EqualFold(wanted, a.LocalAccountID) {
		return true
	}
	local, _, _ := strings.Cut(a.PreferredUsername, "@")
	return strings.EqualFold(wanted, local)
}

// audienceOf reads the claim aud without verifying anything: for display only. An access token is opaque to its client;
// "" when it is not a JWT.
func audienceOf(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims struct {
		Audience string `json:"aud"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	return claims.Audience
}
