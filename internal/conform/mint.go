package conform

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"
)

// Token says how a token is to differ from a good one: what stands in Header and Claims takes the place of what is
// there, and nil takes a member away.
type Token struct {
	Header map[string]any `json:"header,omitempty"`
	Claims map[string]any `json:"claims,omitempty"`
	Key    string         `json:"key,omitempty"`  // "" the good one, "consumers" that of personal accounts, where there is one
	User   string         `json:"user,omitempty"` // "" or "alice", or "bob" for another person
}

// Minter signs tokens as the server's issuer does.
type Minter interface {
	Mint(ctx context.Context, t Token) (string, error)
}

// RawMinter also signs header and claims that no JSON library would write.
type RawMinter interface {
	Minter
	MintRaw(header, claims string) (string, error)
	// Good returns header and claims of a good token.
	Good() (header, claims map[string]any)
	PublicKey() *rsa.PublicKey
}

// Counter also knows how often the signing keys were fetched.
type Counter interface {
	KeyFetches(ctx context.Context) (int, error)
}

// errNoKey says that the minter has no such key.
var errNoKey = errors.New("the minter has no such key")

// Local mints with the control API of the local Entra.
type Local struct {
	Entra      string // "https://localhost:8443"
	HTTPClient *http.Client
	// Claims are laid over those of every token, such as the audience of an API that is not the sample one.
	Claims map[string]any
}

// Mint implements [Minter].
func (l *Local) Mint(ctx context.Context, t Token) (string, error) {
	if len(l.Claims) > 0 {
		claims := maps.Clone(l.Claims)
		maps.Copy(claims, t.Claims)
		t.Claims = claims
	}
	body, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	var out struct {
		Token string `json:"access_token"`
	}
	if err := l.ask(ctx, http.MethodPost, "/_local/tokens", body, &out); err != nil {
		return "", err
	}
	return out.Token, nil
}

// KeyFetches implements [Counter].
func (l *Local) KeyFetches(ctx context.Context) (n int, err error) {
	var rows []struct {
		Endpoint string `json:"endpoint"`
		Requests int    `json:"requests"`
	}
	err = l.ask(ctx, http.MethodGet, "/_local/requests", nil, &rows)
	for _, row := range rows {
		if row.Endpoint == "keys" {
			n += row.Requests
		}
	}
	return n, err
}

func (l *Local) ask(ctx context.Context, method, path string, body []byte, out any) error {
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(l.Entra, "/")+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := l.HTTPClient.Do(request)
	if err != nil {
		return fmt.Errorf("the local Entra's control API: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the local Entra's control API: HTTP %d: %s", response.StatusCode, shorten(strings.TrimSpace(string(text)), 200))
	}
	return json.Unmarshal(text, out)
}

// Issuer mints with the key of a test issuer that the server trusts.
type Issuer struct {
	Key      *rsa.PrivateKey
	KeyID    string // as the issuer publishes it
	Issuer   string // "https://login.microsoftonline.com/TENANT/v2.0"
	Tenant   string
	Audience string
	Client   string
	Scope    string // short name
	Now      func() time.Time
}

// ParseKey reads an RSA private key in PEM, PKCS #8 or PKCS #1.
func ParseKey(text []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, errors.New("not an RSA private key (PKCS #8 or PKCS #1)")
	}
	return key, nil
}

// people of the Issuer.
func (*Issuer) person(user string) (oid, name string) {
	if user == "bob" {
		return "b0b00000-0000-4000-8000-000000000002", "Bob"
	}
	return "a11ce000-0000-4000-8000-000000000001", "Alice"
}

// Good implements [RawMinter].
func (i *Issuer) Good() (header, claims map[string]any) { return i.good("") }

func (i *Issuer) good(user string) (header, claims map[string]any) {
	now := i.Now().Unix()
	oid, name := i.person(user)
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	return map[string]any{"typ": "JWT", "alg": "RS256", "kid": i.KeyID}, map[string]any{
		"aud": i.Audience, "iss": i.Issuer, "iat": now - 300, "nbf": now - 300, "exp": now + 3600,
		"azp": i.Client, "azpacr": "0", "name": name, "oid": oid, "sub": "pairwise-" + oid, "preferred_username": strings.ToLower(name) + "@contoso.example",
		"scp": i.Scope, "tid": i.Tenant, "uti": hex.EncodeToString(id[:]), "ver": "2.0",
	}
}

// Mint implements [Minter].
func (i *Issuer) Mint(_ context.Context, t Token) (string, error) {
	if t.Key != "" {
		return "", errNoKey
	}
	header, claims := i.good(t.User)
	return i.MintRaw(jsonText(overlaid(header, t.Header)), jsonText(overlaid(claims, t.Claims)))
}

// MintRaw implements [RawMinter].
func (i *Issuer) MintRaw(header, claims string) (string, error) {
	return signRaw(i.Key, header, claims)
}

// PublicKey implements [RawMinter].
func (i *Issuer) PublicKey() *rsa.PublicKey { return &i.Key.PublicKey }

func overlaid(base, changes map[string]any) map[string]any {
	out := maps.Clone(base)
	maps.Copy(out, changes)
	maps.DeleteFunc(out, func(_ string, v any) bool { return v == nil })
	return out
}

// signRaw signs with RS256 whatever it is given.
func signRaw(key *rsa.PrivateKey, header, claims string) (string, error) {
	signed := encode(header) + "." + encode(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	return signed + "." + encode(string(signature)), err
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func jsonText(v map[string]any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "{}"
	}
	return string(text)
}

// takeApart returns header and claims of a token of whatever signature.
func takeApart(token string) (header, claims map[string]any, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil, errors.New("the good token is not a JWT")
	}
	for i, into := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return nil, nil, errors.New("the good token is not a JWT")
		}
		if err := json.Unmarshal(text, into); err != nil {
			return nil, nil, errors.New("the good token is not a JWT")
		}
	}
	return header, claims, nil
}
