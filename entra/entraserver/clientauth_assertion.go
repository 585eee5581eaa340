package entraserver

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // x5t is the SHA-1 of the certificate: a name, not a proof
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"time"
)

// assertionType is the only value of client_assertion_type, RFC 7523 §2.2.
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// checkClientAssertion accepts what an application signs with its certificate, and, when another issuer signed it, what
// a federated credential of the application says it may be.
//
// https://learn.microsoft.com/entra/identity-platform/certificate-credentials
func (s *Server) checkClientAssertion(c *call, app *Application, form url.Values) error {
	kind, err := need(form, "client_assertion_type")
	if err != nil {
		return err
	}
	if kind != assertionType {
		return refuse(90023, "client_assertion_type", "want "+assertionType+".")
	}
	token, err := parseJWT(form.Get("client_assertion"))
	if err != nil {
		return refuse(50027)
	}
	if !equalFold(token.claims.text("iss"), app.AppID.String()) {
		return s.checkFederated(c, app, token)
	}
	return s.checkCertificate(c, app, token)
}

// checkCertificate follows the order of the refusals that people meet: who says so, with which key, truly, in time, to us.
func (s *Server) checkCertificate(c *call, app *Application, token *jwt) error {
	if !equalFold(token.claims.text("sub"), app.AppID.String()) {
		return refuse(50048)
	}
	key, named := findCertificate(app, token)
	switch {
	case key == nil:
		return refuse(700027, "[Reason - The key was not found., Thumbprint of key used by client: '"+quote(named)+"', Please visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id '"+app.AppID.String()+"'.]")
	case !key.End.IsZero() && c.now.After(key.End):
		return refuse(700027, "[Reason - The key used is expired., Thumbprint of key used by client: '"+quote(named)+"', Found key 'Start="+key.Start.UTC().Format(time.RFC3339)+", End="+key.End.UTC().Format(time.RFC3339)+"'.]")
	case !verifyWithCertificate(key.Key, token):
		return refuse(700027, "[Reason - The provided signature value did not match the expected signature value., Thumbprint of key used by client: '"+quote(named)+"']")
	}
	if err := checkAssertionTimes(c.now, token.claims); err != nil {
		return err
	}
	if audiences := token.claims.texts("aud"); len(audiences) != 1 || !s.isTokenAudience(c, audiences[0]) {
		return refuse(700023)
	}
	return nil
}

// findCertificate finds the application's certificate that the header names by x5t (SHA-1) or x5t#S256, in any flavour
// of base64: MSAL for Go pads and uses the standard alphabet, MSAL for Node does neither, MSAL for Python pads. kid may
// be the SHA-1 in hexadecimal or again base64.
func findCertificate(app *Application, token *jwt) (found *KeyCredential, named string) {
	sha1Name := orElse(token.header.text("x5t"), token.header.text("kid"))
	named = orElse(token.header.text("x5t#S256"), sha1Name)
	want1, want256 := anyBase64(sha1Name), anyBase64(token.header.text("x5t#S256"))
	if token.header.text("x5t") == "" && len(sha1Name) == hex.EncodedLen(sha1.Size) {
		want1, _ = hex.DecodeString(sha1Name)
	}
	for i := range app.KeyCredentials {
		der := app.KeyCredentials[i].Key
		sum1, sum256 := sha1.Sum(der), sha256.Sum256(der) //nolint:gosec // see the import
		if bytes.Equal(want256, sum256[:]) || bytes.Equal(want1, sum1[:]) && len(want256) == 0 {
			return &app.KeyCredentials[i], named
		}
	}
	return nil, named
}

// anyBase64 decodes the standard and the URL alphabet, with and without padding; nil when it is neither.
func anyBase64(text string) []byte {
	text = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return raw
}

// verifyWithCertificate checks an RS256 or PS256 signature; other algorithms are none.
func verifyWithCertificate(der []byte, token *jwt) bool {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return false
	}
	public, ok := cert.PublicKey.(*rsa.PublicKey)
	return ok && verifyRSA(public, token)
}

func verifyRSA(public *rsa.PublicKey, token *jwt) bool {
	if token.header["crit"] != nil {
		return false
	}
	digest := sha256.Sum256(token.signed)
	switch token.header.text("alg") {
	case "RS256":
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], token.signature) == nil
	case "PS256":
		return rsa.VerifyPSS(public, crypto.SHA256, digest[:], token.signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
	default:
		return false
	}
}

// checkAssertionTimes wants exp ahead and nbf behind, give or take five minutes. MSAL for Python sends fractions.
func checkAssertionTimes(now time.Time, claims claimSet) error {
	expires, ok := claims.time("exp")
	starts, hasStart := claims.time("nbf")
	if ok && now.Before(expires.Add(skew)) && (!hasStart || now.Add(skew).After(starts)) {
		return nil
	}
	format := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	return refuse(700024, format(now), format(starts), format(expires))
}

// isTokenAudience reports whether an assertion is addressed to us: to the token endpoint as it was called, with the
// tenant's id or domain, of either version, or to the issuer.
func (s *Server) isTokenAudience(c *call, audience string) bool {
	var ours []string
	for _, a := range []authority{c.authority, s.self()} {
		for _, tenant := range []string{c.tenant.segment, s.dir.Tenant().String(), s.dir.Domain()} {
			ours = append(ours, a.base+"/"+tenant+"/oauth2/v2.0/token", a.base+"/"+tenant+"/oauth2/token", a.issuer(1, tenant), a.issuer(2, tenant))
		}
	}
	return slices.ContainsFunc(ours, func(own string) bool { return strings.EqualFold(own, audience) })
}
