package searchclient

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient/internal/elevation"
)

// ErrNoUser is a query that does not say whose eyes it has, or says it in a way that means nothing to a service.
var ErrNoUser = errors.New("a query needs the token of a person (search.ByToken), or search.DangerouslyPublicOnly")

// TokenError is a token that is not sent, because the service would refuse it with less to go by.
type TokenError struct {
	Reason string // a fixed word: "format", "audience", "subject"
	Found  string // what the token holds, "" if it cannot be read
	Wanted string
}

// Error implements error.
func (e *TokenError) Error() string {
	switch e.Reason {
	case "audience":
		return fmt.Sprintf("search client: the token is for the audience %q, the search service wants %q: exchange the person's token for the scope %s/.default (delegated permission user_impersonation)", e.Found, e.Wanted, e.Wanted)
	case "subject":
		return fmt.Sprintf("search client: the token is that of %q, expected was %q: it is not sent", e.Found, e.Wanted)
	default:
		return "search client: the person's token is no JWT with an audience: it is not sent"
	}
}

// setUser puts the user's rights into the request.
func (c *Client) setUser(call *request, u search.User, hop *chain.Hop) error {
	if call.header == nil {
		call.header = http.Header{}
	}
	switch u := u.(type) {
	case search.ByToken:
		hop.Subject, hop.Tenant = u.Token.Object.String(), u.Token.Tenant.String()
		if err := c.checkToken(u.Token); err != nil {
			return err
		}
		call.header.Set(headerUser, u.Token.Value.Reveal())
	case elevation.User:
		hop.Subject = u.SeesAs()
		call.header.Set(headerElevated, "true")
	default:
		if !search.IsPublicOnly(u) {
			return fmt.Errorf("search client: %w", ErrNoUser)
		}
		hop.Subject = u.SeesAs()
	}
	return nil
}

// maxToken bounds a token; Entra's stay below 16 KiB, and so do servers' header limits.
const maxToken = 16 << 10

// checkToken looks at the audience and the person of the token, without verifying it: that is the service's part.
func (c *Client) checkToken(token identity.Token) error {
	claims, ok := peek(token.Value.Reveal())
	switch {
	case !ok || len(claims.Audience) == 0:
		return &TokenError{Reason: "format"}
	case !c.isOurs(claims.Audience):
		return &TokenError{Reason: "audience", Found: short(strings.Join(claims.Audience, " ")), Wanted: c.audience}
	case !token.Object.IsZero() && !strings.EqualFold(claims.Object, token.Object.String()):
		return &TokenError{Reason: "subject", Found: short(claims.Object), Wanted: token.Object.String()}
	case !token.Tenant.IsZero() && !strings.EqualFold(claims.Tenant, token.Tenant.String()):
		return &TokenError{Reason: "subject", Found: short(claims.Tenant), Wanted: token.Tenant.String()}
	}
	return nil
}

// isOurs accepts the service's audience, with or without a slash at its end, and in the form of its application id
// that v2 tokens have.
func (c *Client) isOurs(audiences []string) bool {
	for _, audience := range audiences {
		if strings.TrimSuffix(audience, "/") != c.audience && !strings.EqualFold(audience, entra.SearchAppID) {
			return false
		}
	}
	return true
}

type tokenClaims struct {
	Audience audiences `json:"aud"`
	Object   string    `json:"oid"`
	Tenant   string    `json:"tid"`
}

// audiences is a claim that is a string or a list of them (RFC 7519 §4.1.3).
type audiences []string

// UnmarshalJSON implements [json.Unmarshaler].
func (a *audiences) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*a = audiences{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// peek reads the claims of a JWT. A token is checked for the characters of a JWT, so that it fits into a header.
func peek(token string) (claims tokenClaims, ok bool) {
	parts := strings.Split(token, ".")
	if len(token) > maxToken || len(parts) != 3 {
		return claims, false
	}
	for _, part := range parts {
		if _, err := base64.RawURLEncoding.DecodeString(part); err != nil || part == "" || strings.ContainsAny(part, "\r\n") {
			return claims, false
		}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return claims, false
	}
	return claims, json.Unmarshal(payload, &claims) == nil
}

// short bounds a text of a token for an error message.
func short(s string) string {
	const most = 200
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
