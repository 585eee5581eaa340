package entraserver

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// checkFederated accepts another issuer's token in place of a secret, when issuer, subject and audience are those of a
// federated credential, letter by letter. Only then is the issuer asked for its keys: who calls the token endpoint
// cannot make this server call somebody of their choice.
//
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation
func (s *Server) checkFederated(c *call, app *Application, token *jwt) error {
	issuer, subject, audiences := token.claims.text("iss"), token.claims.text("sub"), token.claims.texts("aud")
	matching := slices.DeleteFunc(slices.Clone(app.FederatedCredentials), func(f FederatedCredential) bool { return f.Issuer != issuer })
	if len(matching) == 0 {
		return refuse(700211, quote(issuer))
	}
	matching = slices.DeleteFunc(matching, func(f FederatedCredential) bool { return f.Subject != subject })
	if len(matching) == 0 {
		return refuse(700213, quote(subject))
	}
	if !slices.ContainsFunc(matching, func(f FederatedCredential) bool { return s.audienceFits(f, audiences) }) {
		return refuse(700212, quote(strings.Join(audiences, " ")))
	}
	if s.isOurIssuer(issuer) {
		return s.checkOwnFederated(c, token)
	}
	key, err := s.foreign.key(c.Context(), c.now, issuer, token.header.text("kid"))
	if err != nil {
		s.log.WarnContext(c.Context(), "federated credential: the issuer's keys", slog.String("issuer", issuer), slog.String("error", err.Error()))
		return refuse(50166)
	}
	if key == nil || !verifyRSA(key, token) {
		return refuse(700027, "[Reason - The provided signature value did not match the expected signature value., Thumbprint of key used by client: '"+quote(token.header.text("kid"))+"']")
	}
	return checkAssertionTimes(c.now, token.claims)
}

// audienceFits compares audiences. A v2 token of our own names the token exchange by its application id, which stands
// for its App ID URI.
func (s *Server) audienceFits(f FederatedCredential, audiences []string) bool {
	if len(audiences) != 1 {
		return false
	}
	if slices.Contains(f.Audiences, audiences[0]) {
		return true
	}
	app := s.dir.resource(audiences[0])
	return app != nil && slices.ContainsFunc(f.Audiences, func(a string) bool { return slices.Contains(app.IdentifierURIs, a) })
}

// checkOwnFederated verifies a token of this server, such as a managed identity's. A person's token is no credential.
func (s *Server) checkOwnFederated(c *call, token *jwt) error {
	if err := s.checkSignature(token); err != nil {
		return refuse(700027, "[Reason - The provided signature value did not match the expected signature value.]")
	}
	if token.claims.text("scp") != "" || isIDToken(token.claims) && token.claims.text("oid") != token.claims.text("sub") {
		return refuse(700229)
	}
	if err := checkTimes(c.now, token, s.ages.of(s.sessionOf(token).serial)); err != nil {
		return checkAssertionTimes(c.now.Add(s.ages.of(s.sessionOf(token).serial)), token.claims)
	}
	return nil
}

// foreignKeys keeps the keys of other issuers for a while.
type foreignKeys struct {
	client *http.Client

	mu      sync.Mutex
	issuers map[string]issuerKeys
}

type issuerKeys struct {
	keys    map[string]*rsa.PublicKey
	fetched time.Time
}

// Bounds of what is fetched from and kept of other issuers.
const (
	foreignKeysFor  = 5 * time.Minute
	foreignTimeout  = 10 * time.Second
	maxForeign      = 100
	maxForeignBody  = 256 << 10
	maxForeignKeys  = 50
	leastKeyBits    = 2048
	largestExponent = 1 << 31
)

func newForeignKeys(client *http.Client) *foreignKeys {
	if client == nil {
		client = &http.Client{}
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &foreignKeys{client: &own, issuers: map[string]issuerKeys{}}
}

// key returns the issuer's key of that id, nil when it has none. One that is not known is looked for at the issuer, at
// most once in five minutes for each issuer.
func (f *foreignKeys) key(ctx context.Context, now time.Time, issuer, kid string) (*rsa.PublicKey, error) {
	f.mu.Lock()
	known, ok := f.issuers[issuer]
	f.mu.Unlock()
	if ok && now.Sub(known.fetched) < foreignKeysFor {
		return known.keys[kid], nil
	}
	ctx, cancel := context.WithTimeout(ctx, foreignTimeout)
	defer cancel()
	keys, err := f.fetch(ctx, issuer)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.issuers) >= maxForeign {
		clear(f.issuers)
	}
	f.issuers[issuer] = issuerKeys{keys, now}
	return keys[kid], nil
}

func (f *foreignKeys) fetch(ctx context.Context, issuer string) (map[string]*rsa.PublicKey, error) {
	var metadata struct {
		Issuer  string `json:"issuer"`
		KeysURI string `json:"jwks_uri"`
	}
	if err := f.get(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &metadata); err != nil {
		return nil, err
	}
	if metadata.Issuer != issuer {
		return nil, errors.New("the issuer's metadata names another issuer")
	}
	var set struct {
		Keys []struct {
			Type string `json:"kty"`
			Use  string `json:"use"`
			ID   string `json:"kid"`
			N    string `json:"n"`
			E    string `json:"e"`
		} `json:"keys"`
	}
	if err := f.get(ctx, metadata.KeysURI, &set); err != nil {
		return nil, err
	}
	keys := map[string]*rsa.PublicKey{}
	for _, k := range set.Keys {
		if k.Type != "RSA" || k.Use != "" && k.Use != "sig" || len(keys) >= maxForeignKeys {
			continue
		}
		if key := publicKey(k.N, k.E); key != nil {
			keys[k.ID] = key
		}
	}
	return keys, nil
}

// publicKey reads an RSA key of RFC 7518 §6.3.1; nil when it is too small or malformed.
func publicKey(modulus, exponent string) *rsa.PublicKey {
	n, err1 := base64.RawURLEncoding.DecodeString(modulus)
	e, err2 := base64.RawURLEncoding.DecodeString(exponent)
	if err1 != nil || err2 != nil {
		return nil
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n)}
	exp := new(big.Int).SetBytes(e)
	if key.N.BitLen() < leastKeyBits || key.N.BitLen() > 4*leastKeyBits || !exp.IsInt64() || exp.Int64() < 3 || exp.Int64() >= largestExponent {
		return nil
	}
	key.E = int(exp.Int64())
	return key
}

func (f *foreignKeys) get(ctx context.Context, address string, into any) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return fmt.Errorf("%q: want an https URL", quote(address))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil) //nolint:gosec // an issuer that an administrator registered, or what its metadata names
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := f.client.Do(req) //nolint:gosec // see above
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode != http.StatusOK || media != "application/json" && media != "application/jwk-set+json" {
		return fmt.Errorf("issuer: HTTP %d of type %q", resp.StatusCode, quote(media))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxForeignBody+1))
	if err != nil || len(body) > maxForeignBody {
		return errors.Join(errors.New("issuer: the answer is too long or broken off"), err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	return nil
}
