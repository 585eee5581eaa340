package obo

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/msalerr"
)

// authority speaks to Entra through MSAL Go. MSAL never forgets a token, holds refresh tokens, and answers from its own
// cache where a fresh token is wanted; so a generation of it lasts for one exchange, and nothing of it stays. What
// is worth keeping, the discovery documents, is kept here, for an hour.
type authority struct {
	cloud      entra.Cloud
	host       string
	client     identity.ClientID
	credential source
	http       *http.Client
	documents  *documents
}

func newAuthority(cloud entra.Cloud, client identity.ClientID, credential source, hc *http.Client, now func() time.Time) *authority {
	u, _ := url.Parse(cloud.Authority) // checked by Config.check
	return &authority{cloud: cloud, host: u.Host, client: client, credential: credential, http: hc, documents: newDocuments(now)}
}

// errPerson says that Entra's token speaks for somebody else than the caller. It must never happen; if it does, nothing
// is returned.
var errPerson = errors.New("the token that came back is not the caller's")

// exchange makes one request. Errors: *entra.Error, [errPerson], an error of package msalerr or of the credential.
func (a *authority) exchange(ctx context.Context, w *wish) (answer, error) {
	credential, version, err := a.credential.current(ctx)
	if err != nil {
		return answer{}, &credentialError{err}
	}
	wire := &wire{http: a.http, host: a.host, documents: a.documents}
	options := []confidential.Option{
		confidential.WithHTTPClient(wire),
		confidential.WithInstanceDiscovery(false),              // the authority is configured; MSAL would ask login.microsoftonline.com
		confidential.WithAzureRegion("DisableMsalForceRegion"), // on-behalf-of has no regional endpoint
		confidential.WithX5C(),                                 // sent with certificates only; lets Entra trust subject names
	}
	if w.cae {
		options = append(options, confidential.WithClientCapabilities([]string{"CP1"}))
	}
	client, err := confidential.New(a.cloud.Authority+w.caller.Tenant.String(), a.client.String(), credential, options...)
	if err != nil {
		return answer{}, &credentialError{errors.New("MSAL does not take the credential")}
	}
	var claims []confidential.AcquireOnBehalfOfOption
	if w.claims != "" {
		claims = append(claims, confidential.WithClaims(w.claims))
	}
	result, err := client.AcquireTokenOnBehalfOf(ctx, w.caller.Assertion.Reveal(), []string{w.scope.String()}, claims...)
	got := answer{status: wire.status, correlation: wire.correlation, trace: wire.trace, credential: version}
	if err != nil {
		return got, msalerr.Clean(err)
	}
	got.token, err = tokenFor(w.caller, &result)
	return got, err
}

// credentialError says that we could not prove who we are, before Entra was asked.
type credentialError struct{ err error }

func (e *credentialError) Error() string { return "the application's credential: " + e.err.Error() }
func (e *credentialError) Unwrap() error { return e.err }

// tokenClaims is what we read of the token that came back. It came from Entra over TLS; its signature is for the API
// that it was made for.
type tokenClaims struct {
	Audience any               `json:"aud"`
	Object   identity.ObjectID `json:"oid"`
	Tenant   identity.TenantID `json:"tid"`
	Expires  float64           `json:"exp"`
}

// tokenFor checks that the token speaks for the caller, and returns it. An opaque token is judged by the ID token of the
// same answer; without either there is no token.
func tokenFor(c *identity.Caller, result *confidential.AuthResult) (identity.Token, error) {
	token := identity.Token{Value: identity.NewSecret(result.AccessToken), Tenant: c.Tenant, Object: c.Object, Expires: result.ExpiresOn}
	claims, err := readClaims(result.AccessToken)
	if err != nil || claims.Object.IsZero() {
		object, errObject := identity.ParseObjectID(result.IDToken.Oid)
		tenant, errTenant := identity.ParseTenantID(result.IDToken.TenantID)
		if errors.Join(errObject, errTenant) != nil {
			return identity.Token{}, errPerson
		}
		claims.Object, claims.Tenant = object, tenant
	}
	if claims.Object != c.Object || claims.Tenant != c.Tenant {
		return identity.Token{}, errPerson
	}
	if exp := time.Unix(int64(claims.Expires), 0); claims.Expires > 0 && exp.Before(token.Expires) {
		token.Expires = exp
	}
	if audience, ok := claims.Audience.(string); ok {
		token.Audience = audience
	}
	return token, nil
}

// speaksFor checks a token that comes from elsewhere than Entra: that it says of itself what is said of it.
func speaksFor(token identity.Token, c *identity.Caller) bool {
	if token.Value.IsZero() || token.Object != c.Object || token.Tenant != c.Tenant {
		return false
	}
	claims, err := readClaims(token.Value.Reveal())
	if err != nil || claims.Object.IsZero() {
		return strings.Count(token.Value.Reveal(), ".") != 2 // opaque: Entra's ID token was its witness
	}
	audience, _ := claims.Audience.(string)
	return claims.Object == c.Object && claims.Tenant == c.Tenant && audience == token.Audience &&
		(claims.Expires == 0 || float64(token.Expires.Unix()) <= claims.Expires)
}

// readClaims reads the payload of a JWT without verifying it.
func readClaims(jwt string) (claims tokenClaims, err error) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return claims, errors.New("not a JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return claims, fmt.Errorf("not a JWT: %w", err)
	}
	return claims, json.Unmarshal(payload, &claims)
}
