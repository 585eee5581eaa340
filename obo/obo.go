// Package obo exchanges the access token that a person presented to this server for a token of another API, on behalf
// of that person (OAuth 2.0 on-behalf-of), or says why not as a [*Refusal].
//
// MSAL Go speaks to Entra; around it stand a bounded cache, one request in flight for the same wish, a budget for every
// person, and the check that the token that came back is that person's. The package verifies no incoming token: an
// [identity.Caller] comes from package bearer. It spends no token either: see [Do], and [Rejected] for APIs of one's own.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow
package obo

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// Exchanger exchanges a verified caller's token for one of another API.
type Exchanger interface {
	// Exchange returns a token with the scope that speaks for c. Claims is "" or the JSON of a claims challenge, passed
	// on verbatim. The error is a *[Refusal]; where the caller's context ended it also matches the context's error.
	Exchange(ctx context.Context, c *identity.Caller, s entra.Scope, claims string) (identity.Token, error)
}

// Rejecter is an error of a downstream API that may say: this token is not good enough. *search.Error is one, what
// [Rejected] returns another.
type Rejecter interface {
	error
	// Rejected reports whether a fresh token may help, and the claims that it must satisfy, "" for none.
	Rejected() (claims string, rejected bool)
}

// Rejected returns the error by which [Do], and a handler of package onbehalf, learn that a downstream API rejected the
// token: nil unless the answer is an HTTP 401. It reads the header alone; the body stays the caller's to close.
//
//	if err := obo.Rejected(resp); err != nil {
//		return err
//	}
func Rejected(resp *http.Response) error {
	if resp.StatusCode != http.StatusUnauthorized {
		return nil
	}
	return &rejectedError{entra.ClaimsChallenge(resp.Header)}
}

type rejectedError struct{ claims string }

func (*rejectedError) Error() string              { return "the API rejects the token: HTTP 401" }
func (e *rejectedError) Rejected() (string, bool) { return e.claims, true }

// dropper is an Exchanger that keeps tokens.
type dropper interface {
	drop(ctx context.Context, c *identity.Caller, s entra.Scope, claims string, rejected identity.Token)
}

// Do gets a token and spends it. When spend's error is a [Rejecter] that rejects the token, Do drops that token,
// exchanges once more, with the claims that the API demands, and spends the new one; after that it gives up. An API that
// demands claims of the new token too is answered with a *[Refusal] that carries them to the person.
func Do(ctx context.Context, x Exchanger, c *identity.Caller, s entra.Scope, spend func(identity.Token) error) error {
	token, err := x.Exchange(ctx, c, s, "")
	if err != nil {
		return err
	}
	err = spend(token)
	claims, rejected := rejection(err)
	if !rejected {
		return err
	}
	drop(ctx, x, c, s, "", token)
	token, refusal := x.Exchange(ctx, c, s, claims)
	if refusal != nil {
		return refusal
	}
	err = spend(token)
	if again, rejected := rejection(err); rejected {
		drop(ctx, x, c, s, claims, token)
		if again != "" {
			return challenged(again, err)
		}
	}
	return err
}

func drop(ctx context.Context, x Exchanger, c *identity.Caller, s entra.Scope, claims string, rejected identity.Token) {
	if d, keeps := x.(dropper); keeps {
		d.drop(ctx, c, s, claims, rejected)
	}
}

func rejection(err error) (claims string, rejected bool) {
	r, ok := errors.AsType[Rejecter](err)
	if !ok {
		return "", false
	}
	if claims, rejected = r.Rejected(); !isClaims(claims) {
		claims = ""
	}
	return claims, rejected
}

// maxClaims bounds a claims challenge: it travels on in a header.
const maxClaims = 8 << 10

// isClaims reports whether the text can be a claims parameter: a JSON object of a size that fits into a header.
//
// https://openid.net/specs/openid-connect-core-1_0.html#ClaimsParameter
func isClaims(text string) bool {
	var object map[string]json.RawMessage
	return len(text) <= maxClaims && json.Unmarshal([]byte(text), &object) == nil && object != nil
}
