package signin

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

// Account is somebody who is signed in.
type Account struct {
	Name   string // preferred_username: for display and choice
	Object string // oid in the tenant that was signed in to
	Tenant string // as it was named at sign-in: an id, or "organizations"
}

// accountsOf lists accounts by name: MSAL has them in no order.
func accountsOf(accounts []public.Account) []Account {
	list := make([]Account, len(accounts))
	for i, a := range accounts {
		list[i] = Account{Name: a.PreferredUsername, Object: a.LocalAccountID, Tenant: a.Realm}
	}
	slices.SortFunc(list, func(a, b Account) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Object, b.Object))
	})
	return list
}

// matches reports whether an account is the one that was asked for.
func matches(wanted string, a public.Account) bool {
	return Account{Name: a.PreferredUsername, Object: a.LocalAccountID}.Is(wanted)
}

// Is reports whether this is the wanted account: by name, by the part of the name before the @, or by object id; ""
// means any.
func (a Account) Is(wanted string) bool {
	local, _, _ := strings.Cut(a.Name, "@")
	return wanted == "" || slices.ContainsFunc([]string{a.Name, a.Object, local}, func(s string) bool { return strings.EqualFold(wanted, s) })
}

// SignedIn is an account with what it is signed in for.
type SignedIn struct {
	Account
	For         Key
	Expires     time.Time // of the access token that lives longest; zero when there is none
	Refreshable bool      // a refresh token is there
}

// Accounts lists who is signed in for what, by what a cache holds.
func Accounts(ctx context.Context, cache Cache) ([]SignedIn, error) {
	keys, err := cache.Keys(ctx)
	if err != nil {
		return nil, err
	}
	var all []SignedIn
	for _, key := range keys {
		entry, err := cache.Load(ctx, key)
		if err != nil {
			return nil, err
		}
		c, err := parseContract(entry)
		if err != nil {
			return nil, err
		}
		all = append(all, c.signedIn(key)...)
	}
	slices.SortFunc(all, func(a, b SignedIn) int {
		return cmp.Or(strings.Compare(a.For.Server, b.For.Server), strings.Compare(a.Name, b.Name))
	})
	return all, nil
}

// SignOut removes the tokens of those accounts that match, and returns them. It revokes nothing at Entra, which has no
// way to revoke one refresh token: access tokens that were issued stay valid until they expire.
func SignOut(ctx context.Context, cache Cache, match func(SignedIn) bool) ([]SignedIn, error) {
	keys, err := cache.Keys(ctx)
	if err != nil {
		return nil, err
	}
	var gone []SignedIn
	for _, key := range keys {
		err := cache.Update(ctx, key, func(old []byte) ([]byte, error) {
			c, err := parseContract(old)
			if err != nil {
				return nil, err
			}
			kept := 0
			for _, account := range c.signedIn(key) {
				if !match(account) {
					kept++
					continue
				}
				c.removeAccount(account.Object)
				gone = append(gone, account)
			}
			if kept == 0 && len(c["Account"]) == 0 {
				return nil, nil
			}
			return json.Marshal(c)
		})
		if err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// item is what the items of all sections have in common, as far as it matters here.
type item struct {
	Home    string `json:"home_account_id"`
	Local   string `json:"local_account_id"`
	Name    string `json:"username"`
	Realm   string `json:"realm"`
	Expires string `json:"expires_on"` // seconds since 1970, in quotes
}

func (c contract) items(section string) map[string]item {
	items := map[string]item{}
	for name, raw := range c[section] {
		var i item
		if json.Unmarshal(raw, &i) == nil {
			items[name] = i
		}
	}
	return items
}

func (c contract) signedIn(key Key) []SignedIn {
	var list []SignedIn
	for _, account := range c.items("Account") {
		s := SignedIn{Account: Account{Name: account.Name, Object: account.Local, Tenant: account.Realm}, For: key}
		for _, token := range c.items("AccessToken") {
			seconds, err := strconv.ParseInt(token.Expires, 10, 64)
			if expires := time.Unix(seconds, 0); err == nil && token.Home == account.Home && expires.After(s.Expires) {
				s.Expires = expires
			}
		}
		for _, token := range c.items("RefreshToken") {
			s.Refreshable = s.Refreshable || token.Home == account.Home
		}
		list = append(list, s)
	}
	return list
}

func (c contract) removeAccount(object string) {
	homes := map[string]bool{}
	for _, account := range c.items("Account") {
		if account.Local == object {
			homes[account.Home] = true
		}
	}
	for section := range c {
		for name, i := range c.items(section) {
			if i.Home != "" && homes[i.Home] {
				delete(c[section], name)
			}
		}
	}
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
