package searchserver

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/search"
)

// The application id that v2 tokens for the service have as their audience.
const searchAppID = "880da380-985e-4198-81b9-e05b1cc53158"

const (
	maxToken        = 32 << 10
	notBeforeLeeway = 5 * time.Minute
)

// claims is what the service looks at in a token.
type claims struct {
	Issuer    string    `json:"iss"`
	Audience  audiences `json:"aud"`
	Expires   float64   `json:"exp"`
	NotBefore float64   `json:"nbf"`
	Tenant    string    `json:"tid"`
	Object    string    `json:"oid"`
	AppID     string    `json:"appid"` // v1 tokens
	AZP       string    `json:"azp"`   // v2 tokens
	Kind      string    `json:"idtyp"` // "app" for an application without a person
	Scope     string    `json:"scp"`   // delegated permissions: a person's token always has some
}

// appOnly reports an application without a person.
func (c *claims) appOnly() bool { return c.Kind == "app" || c.Scope == "" }

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

// verifier checks tokens for the service with crypto/rsa alone.
type verifier struct {
	issuers   []string
	audiences []string
	tenant    string
	keys      *keySet
	now       func() time.Time
}

// verify checks signature, issuer, tenant, audience and time, in this order: what an unsigned text claims is nobody's
// business. The texts other than that for the audience are ours; the service's are not on record.
func (v *verifier) verify(ctx context.Context, token string) (*claims, error) {
	got, err := v.open(ctx, token)
	if err != nil {
		return nil, err
	}
	now := v.now()
	switch {
	case !slices.Contains(v.issuers, got.Issuer) || !strings.EqualFold(got.Tenant, v.tenant):
		return nil, unauthorized("Issuer claim is invalid in the JWT token.")
	case len(got.Audience) != 1 || !v.isOurs(got.Audience[0]):
		return nil, unauthorized("Audience claim is invalid in the JWT token.")
	case got.Expires <= 0 || !now.Before(instant(got.Expires)):
		return nil, unauthorized("Lifetime validation failed. The JWT token is expired.")
	case now.Add(notBeforeLeeway).Before(instant(got.NotBefore)):
		return nil, unauthorized("Lifetime validation failed. The JWT token is not yet valid.")
	}
	return got, nil
}

func instant(seconds float64) time.Time {
	const farFuture = 1 << 40
	return time.Unix(int64(min(max(seconds, 0), farFuture)), 0)
}

func (v *verifier) isOurs(audience string) bool {
	return slices.Contains(v.audiences, strings.TrimSuffix(audience, "/"))
}

// open checks the signature (RS256 only) and returns the claims.
func (v *verifier) open(ctx context.Context, token string) (*claims, error) {
	malformed := unauthorized("The JWT token is malformed.")
	parts := strings.Split(token, ".")
	if len(token) > maxToken || len(parts) != 3 {
		return nil, malformed
	}
	var header struct {
		Algorithm string          `json:"alg"`
		Key       string          `json:"kid"`
		Critical  json.RawMessage `json:"crit"`
	}
	got := &claims{}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil || decodePart(parts[0], &header) != nil || decodePart(parts[1], got) != nil {
		return nil, malformed
	}
	if header.Algorithm != "RS256" || header.Critical != nil {
		return nil, unauthorized("The algorithm of the JWT token is not accepted.")
	}
	key, err := v.keys.find(ctx, header.Key)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if key == nil || rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) != nil {
		return nil, unauthorized("Signature validation failed for the JWT token.")
	}
	return got, nil
}

func decodePart(part string, into any) error {
	text, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// bearer takes the token out of "Bearer TOKEN".
func bearer(value string) (string, bool) {
	scheme, token, found := strings.Cut(value, " ")
	return strings.TrimSpace(token), found && strings.EqualFold(scheme, "Bearer")
}

func unauthorized(message string) error {
	return &search.Error{Status: http.StatusUnauthorized, Code: "Unauthorized", Message: message}
}

var errNoKeys = errors.New("no usable key in the tenant's key set")
