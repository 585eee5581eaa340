package bearer_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/onbehalf/onbehalf/bearer"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// librariesAccept asks two JWT libraries for a second opinion, and compares what they read with the Caller.
func librariesAccept(token string, caller *identity.Caller) error {
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return fmt.Errorf("go-jose parses: %w", err)
	}
	if _, err := signed.Verify(&signingKey().PublicKey); err != nil {
		return fmt.Errorf("go-jose verifies: %w", err)
	}
	var claims jwt.MapClaims
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())
	if _, err := parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return &signingKey().PublicKey, nil }); err != nil {
		return fmt.Errorf("golang-jwt: %w", err)
	}
	got := fmt.Sprintf("%v %v %v %v", claims["aud"], claims["iss"], claims["tid"], claims["azp"])
	want := fmt.Sprintf("%v %v %v %v", caller.Audience, caller.Issuer, caller.Tenant, caller.Client)
	if !strings.EqualFold(got, want) || !strings.EqualFold(fmt.Sprint(claims["oid"]), caller.Object.String()) {
		return fmt.Errorf("golang-jwt reads %s %v, we read %s %s", got, claims["oid"], want, caller.Object)
	}
	scopes, _ := claims["scp"].(string)
	for _, scope := range caller.Scopes {
		if !strings.Contains(" "+scopes+" ", " "+scope+" ") {
			return fmt.Errorf("golang-jwt reads the scopes %q, we read %q", scopes, caller.Scopes)
		}
	}
	return nil
}

// FuzzToken changes the text of tokens: what is accepted, two libraries must accept.
func FuzzToken(f *testing.F) {
	a := newAuthority(f)
	v := a.verifier(f, nil)
	f.Add(a.token(nil))
	for _, test := range hostileTokens {
		if token := test.forge(a); len(token) < 4096 {
			f.Add(token)
		}
	}
	f.Fuzz(func(t *testing.T, token string) {
		caller, err := v.Verify(t.Context(), secret(token))
		if err == nil {
			err = librariesAccept(token, caller)
			if err != nil {
				t.Errorf("accepted, yet %v:\n%s", err, token)
			}
			return
		}
		var challenge *bearer.Challenge
		if caller != nil || !errors.As(err, &challenge) || challenge.Reason == "" {
			t.Errorf("Verify = %v, %#v", caller, err)
		}
	})
}

// FuzzSigned signs hostile headers and claims with the good key: what is accepted, two libraries must read likewise.
func FuzzSigned(f *testing.F) {
	a := newAuthority(f)
	v := a.verifier(f, nil)
	for _, test := range hostileTokens {
		parts := strings.Split(test.forge(a), ".")
		if len(parts) != 3 || len(parts[1]) > 4096 {
			continue
		}
		header, errHeader := base64.RawURLEncoding.DecodeString(parts[0])
		claims, errClaims := base64.RawURLEncoding.DecodeString(parts[1])
		if errHeader == nil && errClaims == nil {
			f.Add(string(header), string(claims))
		}
	}
	f.Add(toJSON(header(nil)), toJSON(a.claims(nil)))
	f.Fuzz(func(t *testing.T, header, claims string) {
		token := sign(signingKey(), header, claims)
		if caller, err := v.Verify(t.Context(), secret(token)); err == nil {
			if err := librariesAccept(token, caller); err != nil {
				t.Errorf("accepted, yet %v:\n%s\n%s", err, header, claims)
			}
		}
	})
}

// FuzzAuthorization sends hostile Authorization headers: only the good token, and only as a bearer token, gets in.
func FuzzAuthorization(f *testing.F) {
	a := newAuthority(f)
	v := a.verifier(f, nil)
	good := a.token(nil)
	h := v.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "in") }))
	for _, seed := range []string{"Bearer T", "bearer  T", "Bearer T, Bearer T", "Bearer", "Basic T", "Bearer\tT", "T", "Bearer T\r\nX: y", "Bearer \"T\"", "BEARER T ", "DPoP T"} {
		f.Add(seed, "")
	}
	f.Add("", "?access_token=T")
	f.Fuzz(func(t *testing.T, authorization, query string) {
		r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
		r.URL.RawQuery = strings.ReplaceAll(strings.TrimPrefix(query, "?"), "T", good)
		r.Header["Authorization"] = []string{strings.ReplaceAll(authorization, "T", good)}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		scheme, token, _ := strings.Cut(r.Header["Authorization"][0], " ")
		allowed := strings.EqualFold(scheme, "Bearer") && strings.TrimLeft(token, " ") == good
		if in := w.Body.String() == "in"; in && !allowed {
			t.Errorf("let in: %q", r.Header)
		}
		if w.Code == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
			t.Error("401 without a challenge")
		}
	})
}

// FuzzChallenge writes hostile texts into a challenge and lets the SDK's parser read it.
func FuzzChallenge(f *testing.F) {
	f.Add("invalid_token", "the token has expired", `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`)
	f.Add(`x", error="none`, "a\r\nSet-Cookie: x=y", `"`)
	f.Add("é", "\\\"\x00", "\xff")
	a := newAuthority(f)
	v := a.verifier(f, nil)
	var challenge *bearer.Challenge
	h := v.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { bearer.Raise(r.Context(), challenge) }))
	good := a.token(nil)
	scope := must(entra.ParseScope("api://x/y"))
	f.Fuzz(func(t *testing.T, code, description, claims string) {
		challenge = &bearer.Challenge{Status: http.StatusUnauthorized, Code: code, Description: description, Claims: claims, Scopes: []entra.Scope{scope}}
		r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
		r.Header.Set("Authorization", "Bearer "+good)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		got, err := oauthex.ParseWWWAuthenticate(w.Header().Values("WWW-Authenticate"))
		if err != nil || len(got) != 1 || got[0].Scheme != "bearer" {
			t.Fatalf("%q: %v, %v", w.Header(), got, err)
		}
		params := got[0].Params
		decoded, err := base64.StdEncoding.DecodeString(params["claims"])
		if err != nil || string(decoded) != claims {
			t.Errorf("claims %q became %q, %v", claims, decoded, err)
		}
		if params["scope"] != scope.String() || params["resource_metadata"] != metadataAt || len(params["error_description"]) > len(description) {
			t.Errorf("params %q", params)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("body %q", w.Body)
		}
	})
}

// FuzzKeys publishes hostile key documents.
func FuzzKeys(f *testing.F) {
	f.Add(`{"keys":[` + jwk("k1", &signingKey().PublicKey, "") + `]}`)
	f.Add(`{"keys":[{"kty":"RSA","kid":"k1","n":"AQAB","e":"AQAB"}]}`)
	f.Add(`{"keys":null}`)
	a := newAuthority(f)
	good := a.token(nil)
	f.Fuzz(func(t *testing.T, document string) {
		a.mu.Lock()
		a.jwks = document
		a.mu.Unlock()
		_, err := a.verifier(t, nil).Verify(t.Context(), secret(good))
		modulus := encode(string(signingKey().N.Bytes()))
		if err == nil && !strings.Contains(strings.ReplaceAll(document, `\`, ""), modulus[:20]) && !strings.Contains(document, `\u`) {
			t.Errorf("accepted with the keys %s", document)
		}
	})
}
