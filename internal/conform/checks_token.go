package conform

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

func tokenChecks() []check {
	return slices.Concat(forgedTokens(), mintedTokens(), rawTokens())
}

// forged is a check with a token that needs no minter: made from the good one, or signed by a stranger.
func forged(id, spec string, forge func(ctx context.Context, s *session) (string, error)) check {
	return check{"token." + id, spec, aGoodOne, func(ctx context.Context, s *session) outcome {
		token, err := forge(ctx, s)
		if err != nil {
			return skipped("no such token: %s", shorten(err.Error(), 120))
		}
		return wantStatus(s.probe(ctx, "Bearer "+token), http.StatusUnauthorized)
	}}
}

// byStranger is forged with the good claims, a changed header, and a stranger's signature.
func byStranger(id, spec string, change func(own *rsa.PublicKey, header map[string]any)) check {
	return forged(id, spec, func(_ context.Context, s *session) (string, error) {
		header, claims, err := takeApart(s.good)
		if err != nil {
			return "", err
		}
		key, err := s.stranger()
		if err != nil {
			return "", err
		}
		change(&key.PublicKey, header)
		return signRaw(key, jsonText(header), jsonText(claims))
	})
}

// reheaded is forged with the signature of the good token under a changed header.
func reheaded(id, spec string, change func(header map[string]any)) check {
	return forged(id, spec, func(_ context.Context, s *session) (string, error) {
		header, _, err := takeApart(s.good)
		if err != nil {
			return "", err
		}
		change(header)
		parts := strings.Split(s.good, ".")
		return encode(jsonText(header)) + "." + parts[1] + "." + parts[2], nil
	})
}

// recut is forged by changing the text of the good token.
func recut(id, spec string, change func(parts []string) string) check {
	return forged(id, spec, func(_ context.Context, s *session) (string, error) {
		if strings.Count(s.good, ".") != 2 {
			return "", errors.New("the good token is not a JWT")
		}
		return change(strings.Split(s.good, ".")), nil
	})
}

func forgedTokens() []check {
	return []check{
		recut("alg-none", "a token that says it needs no signature is invalid (RFC 8725 §3.2)", func(p []string) string {
			return encode(`{"typ":"JWT","alg":"none"}`) + "." + p[1] + "."
		}),
		recut("alg-none-case", "… in whatever case it says so (RFC 8725 §2.1)", func(p []string) string {
			return encode(`{"typ":"JWT","alg":"nOnE"}`) + "." + p[1] + "."
		}),
		reheaded("alg-none-signed", "… and when it carries a signature all the same (RFC 8725 §3.1)", func(h map[string]any) { h["alg"] = "none" }),
		reheaded("alg-changed", "the signature covers the header: another algorithm there spoils it (RFC 7515 §5.2)", func(h map[string]any) { h["alg"] = "RS512" }),
		forged("hs256-public-key", "a public key is no HMAC secret: the algorithm is the server's choice (RFC 8725 §2.1, §3.1)", hmacWithPublicKey),
		byStranger("stranger-key", "a stranger's signature under a good key id is wrong (RFC 7515 §5.2)", func(*rsa.PublicKey, map[string]any) {}),
		byStranger("unknown-key", "a key that the issuer does not publish signs for nobody (RFC 7515 §5.2)", func(_ *rsa.PublicKey, h map[string]any) { h["kid"] = "conform-unknown" }),
		byStranger("no-key-id", "without a key id no other key is good enough (RFC 7515 §6)", func(_ *rsa.PublicKey, h map[string]any) { delete(h, "kid"); delete(h, "x5t") }),
		byStranger("key-id-path", "a key id is a name, not a path (RFC 8725 §3.10)", func(_ *rsa.PublicKey, h map[string]any) { h["kid"] = "../../../../../../dev/null" }),
		byStranger("key-id-injection", "a key id is a name, not a query (RFC 8725 §3.10)", func(_ *rsa.PublicKey, h map[string]any) { h["kid"] = "x' UNION SELECT 'x" }),
		byStranger("own-key-jwk", "a key that the token brings along is nobody's (RFC 8725 §3.10)", func(own *rsa.PublicKey, h map[string]any) {
			h["jwk"] = map[string]any{"kty": "RSA", "n": encode(string(own.N.Bytes())), "e": "AQAB"}
		}),
		byStranger("own-key-jku", "… nor one that it says where to find (RFC 8725 §3.10)", func(_ *rsa.PublicKey, h map[string]any) { h["jku"] = "http://127.0.0.1:9/keys" }),
		byStranger("own-key-x5c", "… nor one in a certificate that it brings (RFC 8725 §3.10)", func(_ *rsa.PublicKey, h map[string]any) { h["x5c"] = []string{"MIIB"} }),
		recut("signature-missing", "no signature is a wrong one (RFC 7515 §5.2)", func(p []string) string { return p[0] + "." + p[1] + "." }),
		recut("signature-short", "half a signature is a wrong one (RFC 8017 §8.2.2)", func(p []string) string { return p[0] + "." + p[1] + "." + p[2][:len(p[2])/8*4] }),
		recut("signature-zero", "zeros are a wrong signature (RFC 8017 §8.2.2)", func(p []string) string {
			return p[0] + "." + p[1] + "." + encode(strings.Repeat("\x00", 256))
		}),
		recut("claims-changed", "the signature covers the claims (RFC 7515 §5.2)", func(p []string) string {
			claims, _ := base64.RawURLEncoding.DecodeString(p[1])
			return p[0] + "." + encode("{\"conform\":1,"+strings.TrimPrefix(string(claims), "{")) + "." + p[2]
		}),
		recut("another-spelling", "one token has one spelling: spare bits are zero (RFC 4648 §3.5, RFC 7515 §2)", respelled),
		recut("padded", "base64url without padding (RFC 7515 §2)", func(p []string) string { return strings.Join(p, ".") + "==" }),
		recut("two-parts", "a signed token has three parts (RFC 7515 §3.1)", func(p []string) string { return p[0] + "." + p[1] }),
		recut("five-parts", "… not five, as an encrypted one (RFC 7516 §3.1)", func(p []string) string { return strings.Join(p, ".") + ".x.y" }),
		recut("opaque", "a token that is no JWT is invalid (RFC 7519 §7.2)", func([]string) string { return "0123456789abcdef" }),
		{"token.huge", "a token of 100 KiB is refused, and the server survives it (RFC 6585 §5)", aGoodOne, func(ctx context.Context, s *session) outcome {
			a := s.probe(ctx, "Bearer "+s.good+strings.Repeat("A", 100<<10))
			return wantStatus(a, http.StatusUnauthorized, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusRequestHeaderFieldsTooLarge)
		}},
		{"token.unknown-keys-fetched", "unknown key ids do not make the server fetch keys each time (Microsoft: signing key rollover)", aMinter, keyFetches},
	}
}

// respelled sets a spare bit of the signature's last character: to a lenient decoder the token is the same.
func respelled(p []string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if len(p[2])%4 == 0 {
		return strings.Join(p, ".") + "="
	}
	last := len(p[2]) - 1
	value := strings.IndexByte(alphabet, p[2][last])
	return p[0] + "." + p[1] + "." + p[2][:last] + string(alphabet[value|1])
}

func hmacWithPublicKey(ctx context.Context, s *session) (string, error) {
	key, err := s.publicKey(ctx)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", err
	}
	header, claims, err := takeApart(s.good)
	if err != nil {
		return "", err
	}
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(claims))
	token.Header["kid"] = header["kid"]
	return token.SignedString(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// publicKey is the key that signed the good token.
func (s *session) publicKey(ctx context.Context) (*rsa.PublicKey, error) {
	if minter, ok := s.cfg.Minter.(RawMinter); ok {
		return minter.PublicKey(), nil
	}
	header, claims, err := takeApart(s.good)
	if err != nil {
		return nil, err
	}
	issuer, _ := claims["iss"].(string)
	document, ok := s.issuerMetadata(ctx, issuer)
	if !ok {
		return nil, errors.New("the issuer's metadata is not to be had")
	}
	a := s.send(ctx, http.MethodGet, document.Keys, "", nil, "")
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
			N  string `json:"n"`
		} `json:"keys"`
	}
	if a.err != nil || json.Unmarshal(a.body, &set) != nil {
		return nil, errors.New("the issuer's keys are not to be had")
	}
	for _, key := range set.Keys {
		if modulus, err := base64.RawURLEncoding.DecodeString(key.N); err == nil && key.ID == header["kid"] {
			return &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537}, nil
		}
	}
	return nil, errors.New("the issuer does not publish the key")
}

// keyFetches sends 20 tokens with unknown keys and asks the issuer how often it was asked.
func keyFetches(ctx context.Context, s *session) outcome {
	counter, ok := s.cfg.Minter.(Counter)
	if !ok {
		return skipped("the issuer does not count")
	}
	before, err := counter.KeyFetches(ctx)
	if err != nil {
		return skipped("the issuer does not count: %v", err)
	}
	header, claims, err := takeApart(s.good)
	if err != nil {
		return skipped("%v", err)
	}
	key, err := s.stranger()
	if err != nil {
		return skipped("%v", err)
	}
	for i := range 20 {
		header["kid"] = "conform-" + strconv.Itoa(i)
		token, problem := signRaw(key, jsonText(header), jsonText(claims))
		if problem != nil {
			return skipped("%v", problem)
		}
		if a := s.probe(ctx, "Bearer "+token); a.accepted() {
			return failed("%s", a.seen())
		}
	}
	after, err := counter.KeyFetches(ctx)
	if err != nil {
		return skipped("the issuer does not count: %v", err)
	}
	return verdictOn(after-before <= 1, "%d fetches for 20 tokens", after-before)
}

// minted is a check with a well-signed token of unusual content.
func minted(id, spec string, t Token, statuses ...int) check {
	return mintedBy(id, spec, func(*session) Token { return t }, statuses...)
}

func mintedBy(id, spec string, make func(s *session) Token, statuses ...int) check {
	if len(statuses) == 0 {
		statuses = []int{http.StatusUnauthorized}
	}
	return check{"token." + id, spec, aMinter, func(ctx context.Context, s *session) outcome {
		a, problem := s.probeMinted(ctx, make(s))
		if problem.verdict != "" {
			return problem
		}
		return wantStatus(a, statuses...)
	}}
}

func claims(pairs ...any) Token {
	t := Token{Claims: map[string]any{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		if name, ok := pairs[i].(string); ok {
			t.Claims[name] = pairs[i+1]
		}
	}
	return t
}

// good returns a claim of the good token.
func (s *session) goodClaim(name string) string {
	_, claims, err := takeApart(s.good)
	text, ok := claims[name].(string)
	if err != nil || !ok {
		return ""
	}
	return text
}

const stranger = "11111111-2222-4333-8444-555555555555"

func mintedTokens() []check {
	const refused, forbidden = http.StatusUnauthorized, http.StatusForbidden
	return []check{
		minted("type", "a token of another type is no access token (RFC 9068 §4, RFC 8725 §3.11)", Token{Header: map[string]any{"typ": "logout+jwt"}}),
		minted("critical", "extensions that must be understood and are not make a token invalid (RFC 7515 §4.1.11)", Token{Header: map[string]any{"crit": []string{"conform"}, "conform": 1}}),
		minted("graph-nonce", "a token for Microsoft Graph is not for this server (MCP authorization, token handling)", Token{Header: map[string]any{"nonce": "x"}, Claims: map[string]any{"aud": "00000003-0000-0000-c000-000000000000"}}),
		minted("consumers-key", "the key of personal accounts does not sign for the tenant (Microsoft: access token validation)", Token{Key: "consumers"}),
		minted("audience", "a token for another API is refused (MCP authorization, token audience; RFC 8707 §2)", claims("aud", stranger)),
		minted("audience-missing", "… and one for nobody (RFC 9068 §4)", claims("aud", nil)),
		minted("audience-graph", "… and one for Microsoft Graph (MCP security best practices, token passthrough)", claims("aud", "https://graph.microsoft.com")),
		mintedBy("audience-suffix", "audiences are compared whole (RFC 7519 §4.1.3)", func(s *session) Token {
			return claims("aud", s.goodClaim("aud")+".evil.example")
		}),
		minted("issuer", "a token of another issuer is refused (RFC 9068 §4)", claims("iss", "https://evil.example/v2.0")),
		minted("issuer-missing", "… and one of nobody (RFC 9068 §4)", claims("iss", nil)),
		mintedBy("issuer-prefix", "issuers are compared whole (RFC 9068 §4)", func(s *session) Token {
			return claims("iss", s.goodClaim("iss")+".evil.example")
		}),
		mintedBy("tenant", "a token of another tenant is refused, though the same keys sign it (Microsoft: multi-tenant validation)", func(s *session) Token {
			return claims("tid", stranger, "iss", strings.Replace(s.goodClaim("iss"), s.goodClaim("tid"), stranger, 1))
		}),
		minted("tenant-mismatch", "the issuer's tenant is the token's (Microsoft: access token validation)", claims("tid", stranger)),
		minted("expiry-missing", "a token that never expires is refused (RFC 9068 §4)", claims("exp", nil)),
		minted("expiry-text", "times are numbers (RFC 7519 §2)", claims("exp", "9999999999")),
		mintedBy("not-before", "a token is not good before its time (RFC 7519 §4.1.5)", func(s *session) Token {
			return claims("nbf", s.cfg.Now().Unix()+86400, "exp", s.cfg.Now().Unix()+90000)
		}),
		minted("app-only", "an application's token is no person's (Microsoft: on-behalf-of flow)", claims("scp", nil, "idtyp", "app", "roles", []string{"conform"}), refused, forbidden),
		mintedBy("app-only-undeclared", "… also when it does not say so (Microsoft: access token claims)", func(s *session) Token {
			return claims("scp", nil, "idtyp", nil, "sub", s.goodClaim("oid"), "roles", []string{"conform"}, "name", nil)
		}, refused, forbidden),
		minted("id-token", "an id_token is no access token (OpenID Connect Core §2, RFC 9068 §4)", claims("scp", nil, "idtyp", nil, "nonce", "n"), refused, forbidden),
		minted("no-person", "a token without a person (oid) is no person's (Microsoft: access token claims)", claims("oid", nil), refused, forbidden),
		minted("bound", "a token that is bound to a key must not come as a bearer token (RFC 7800 §3, RFC 9449 §7.2)", claims("cnf", map[string]any{"jkt": "x"}), refused, forbidden),
		minted("scope-missing", "no scope at all (RFC 9068 §2.2.3)", claims("scp", ""), refused, forbidden),
		mintedBy("scope-longer", "scopes are compared whole (RFC 6749 §3.3)", func(s *session) Token { return claims("scp", s.goodClaim("scp")+"2") }, forbidden),
		mintedBy("scope-case", "… with regard to case (RFC 6749 §3.3)", func(s *session) Token { return claims("scp", strings.ToUpper(s.goodClaim("scp"))) }, forbidden),
		mintedBy("scope-look-alike", "… byte by byte: look-alikes are others (RFC 6749 §3.3)", func(s *session) Token {
			return claims("scp", lookAlike(s.goodClaim("scp")))
		}, forbidden),
		mintedBy("scope-tab", "scopes are separated by spaces alone (RFC 6749 §3.3)", func(s *session) Token { return claims("scp", "other\t"+s.goodClaim("scp")) }, refused, forbidden),
		mintedBy("scope-as-role", "a role of the same name is no scope (Microsoft: access token claims)", func(s *session) Token {
			return claims("scp", "other", "roles", []string{s.goodClaim("scp")})
		}, forbidden),
		mintedBy("deep", "a claim that is nested a thousand times does no harm (RFC 8259 §9)", func(*session) Token {
			var nested any = 1
			for range 1000 {
				nested = []any{nested}
			}
			return claims("exp", nested)
		}, refused),
	}
}

// lookAlike replaces letters by ones of another alphabet, or of full width, that look the same.
func lookAlike(scope string) string {
	for latin, other := range map[string]string{"e": "\u0435", "a": "\u0430", "o": "\u043e", "c": "\u0441"} {
		if strings.Contains(scope, latin) {
			return strings.Replace(scope, latin, other, 1)
		}
	}
	return scope + "\u200b"
}

// raw is a check with a well-signed token whose JSON no library would write.
func raw(id, spec string, header func(good string) string, claims func(good string) string) check {
	return check{"token." + id, spec, rawMinter, func(ctx context.Context, s *session) outcome {
		minter, ok := s.cfg.Minter.(RawMinter)
		if !ok {
			return skipped("needs the issuer's key")
		}
		h, c := minter.Good()
		token, err := minter.MintRaw(header(jsonText(h)), claims(jsonText(c)))
		if err != nil {
			return skipped("%v", err)
		}
		return wantStatus(s.probe(ctx, "Bearer "+token), http.StatusUnauthorized)
	}}
}

func rawTokens() []check {
	same := func(good string) string { return good }
	first := func(member string) func(string) string {
		return func(good string) string { return "{" + member + "," + strings.TrimPrefix(good, "{") }
	}
	return []check{
		raw("duplicate-claim", "a claim comes once (RFC 7519 §4, RFC 8725 §2.6)", same, first(`"oid":"`+stranger+`"`)),
		raw("duplicate-header", "a header member comes once (RFC 7515 §4)", first(`"alg":"none"`), same),
		raw("claims-utf8", "claims are UTF-8 (RFC 7519 §7.2)", same, first("\"x\":\"\xff\xfe\"")),
		raw("claims-tail", "claims are one JSON object (RFC 7519 §7.2)", same, func(good string) string { return good + "{}" }),
	}
}
