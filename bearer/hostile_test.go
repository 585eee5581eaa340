package bearer_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/bearer"
	"github.com/onbehalf/onbehalf/identity"
)

// forge makes a hostile token.
type forge func(a *authority) string

// claim changes claims of a token that is otherwise good, signed with the good key.
func claim(changes object) forge { return func(a *authority) string { return a.token(changes) } }

// head changes header members of a token that is otherwise good, signed with the good key.
func head(changes object) forge {
	return func(a *authority) string { return sign(signingKey(), toJSON(header(changes)), toJSON(a.claims(nil))) }
}

// headText signs a header as it is written.
func headText(text string) forge {
	return func(a *authority) string { return sign(signingKey(), text, toJSON(a.claims(nil))) }
}

// claimsText signs claims as they are written; every $X in them stands for the good claim X.
func claimsText(change func(good string) string) forge {
	return func(a *authority) string {
		return sign(signingKey(), toJSON(header(nil)), change(toJSON(a.claims(nil))))
	}
}

// add writes another member in front of the good claims.
func add(member string) forge {
	return claimsText(func(good string) string { return "{" + member + "," + good[1:] })
}

// cut changes the text of a token.
func cut(change func(token string) string) forge {
	return func(a *authority) string { return change(a.token(nil)) }
}

func hmacSigned(alg string, key func() []byte) forge {
	return func(a *authority) string {
		signed := encode(toJSON(header(object{"alg": alg}))) + "." + encode(toJSON(a.claims(nil)))
		mac := hmac.New(sha256.New, key())
		mac.Write([]byte(signed))
		return signed + "." + encode(string(mac.Sum(nil)))
	}
}

func publicPEM() []byte {
	der, err := x509.MarshalPKIXPublicKey(&signingKey().PublicKey)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func pssSigned(alg string) forge {
	return func(a *authority) string {
		signed := encode(toJSON(header(object{"alg": alg}))) + "." + encode(toJSON(a.claims(nil)))
		digest := sha256.Sum256([]byte(signed))
		signature, err := rsa.SignPSS(rand.Reader, signingKey(), crypto.SHA256, digest[:], nil)
		if err != nil {
			panic(err)
		}
		return signed + "." + encode(string(signature))
	}
}

// byStranger signs with a key that is not the authority's.
func byStranger(changes object) forge {
	return func(a *authority) string {
		return sign(strangerKey(), toJSON(header(changes)), toJSON(a.claims(nil)))
	}
}

// respell returns the token with the spare bits of its last character set: the same bytes to a lenient decoder.
func respell(token string, part int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	parts := strings.Split(token, ".")
	for len(parts[part])%4 == 0 { // no spare bits: nothing to respell
		return token + "="
	}
	last := len(parts[part]) - 1
	parts[part] = parts[part][:last] + string(alphabet[strings.IndexByte(alphabet, parts[part][last])+1])
	return strings.Join(parts, ".")
}

const evilKey = `{"kty":"RSA","n":"` + "AQAB" + `","e":"AQAB"}`

var hostileTokens = []struct {
	attack string
	forge  forge
	reason string
}{
	{"says that it needs no signature", cut(func(s string) string {
		return encode(toJSON(header(object{"alg": "none"}))) + s[strings.Index(s, "."):strings.LastIndex(s, ".")+1]
	}), "algorithm"},
	{"says so, and keeps a signature", head(object{"alg": "none"}), "algorithm"},
	{"says so in another case", head(object{"alg": "nOnE"}), "algorithm"},
	{"names no algorithm", head(object{"alg": nil}), "algorithm"},
	{"names an empty algorithm", head(object{"alg": ""}), "algorithm"},
	{"names a list of algorithms", head(object{"alg": []string{"RS256"}}), "algorithm"},
	{"names the algorithm in another case", head(object{"alg": "rs256"}), "algorithm"},
	{"hides the algorithm behind a NUL", head(object{"alg": "RS256\x00"}), "algorithm"},
	{"HS256 with the public key as PEM", hmacSigned("HS256", publicPEM), "algorithm"},
	{"HS256 with the modulus", hmacSigned("HS256", func() []byte { return signingKey().N.Bytes() }), "algorithm"},
	{"HS256 with an empty key", hmacSigned("HS256", func() []byte { return nil }), "algorithm"},
	{"an HMAC in the place of an RSA signature", hmacSigned("RS256", publicPEM), "signature"},
	{"PS256 with the good key", pssSigned("PS256"), "algorithm"},
	{"a PSS signature that says RS256", pssSigned("RS256"), "signature"},
	{"RS512 announced, RS256 made", head(object{"alg": "RS512"}), "algorithm"},
	{"ES256 announced", head(object{"alg": "ES256"}), "algorithm"},
	{"two algorithms, the good one last", headText(`{"typ":"JWT","alg":"none","kid":"k1","alg":"RS256"}`), "malformed"},
	{"two algorithms in different cases, the other way round", headText(`{"typ":"JWT","ALG":"RS256","kid":"k1","alg":"none"}`), "algorithm"},
	{"an algorithm whose name is escaped twice", headText(`{"typ":"JWT","kid":"k1","alg":"RS256","\u0061lg":"none"}`), "malformed"},

	{"a signature by a stranger's key under a good kid", byStranger(nil), "signature"},
	{"a kid that nobody knows", byStranger(object{"kid": "k2"}), "key"},
	{"no kid", head(object{"kid": nil}), "key"},
	{"an empty kid", head(object{"kid": ""}), "key"},
	{"a kid that is a number", head(object{"kid": 1}), "key"},
	{"a kid that is a path", byStranger(object{"kid": "../../../../dev/null"}), "key"},
	{"a kid with an injection", byStranger(object{"kid": "k1' UNION SELECT 'key"}), "key"},
	{"a kid with a NUL after a good one", byStranger(object{"kid": "k1\x00"}), "key"},
	{"a kid in another case", byStranger(object{"kid": "K1"}), "key"},
	{"a kid of 100 kilobytes", head(object{"kid": strings.Repeat("k", 100_000)}), "malformed"},
	{"a kid of 300 bytes", head(object{"kid": strings.Repeat("k", 300)}), "key"},
	{"two kids", headText(`{"typ":"JWT","alg":"RS256","kid":"k1","kid":"k2"}`), "malformed"},
	{"brings its own key (jwk)", byStranger(object{"jwk": evilKey}), "own-key"},
	{"says where its key is (jku)", byStranger(object{"jku": "https://evil.example/keys"}), "own-key"},
	{"brings a certificate (x5c)", byStranger(object{"x5c": []string{"MIIB"}}), "own-key"},
	{"says where its certificate is (x5u)", byStranger(object{"x5u": "https://evil.example/cert"}), "own-key"},
	{"says where its key is, under the good signature", head(object{"jku": "https://evil.example/keys"}), "own-key"},
	{"names the key by x5t and another by kid", byStranger(object{"kid": "k9", "x5t": "k1"}), "key"},
	{"an extension that must be understood", head(object{"crit": []string{"exp"}, "exp": 1}), "malformed"},
	{"an empty list of such extensions", head(object{"crit": []string{}}), "malformed"},
	{"an unencoded payload (b64)", head(object{"b64": false, "crit": []string{"b64"}}), "malformed"},
	{"an encrypted token's header", head(object{"enc": "A256GCM"}), "malformed"},
	{"the header of a token for Microsoft Graph", head(object{"nonce": "x"}), "microsoft-api"},
	{"a logout token", head(object{"typ": "logout+jwt"}), "type"},
	{"a proof of possession", head(object{"typ": "dpop+jwt"}), "type"},
	{"no type", head(object{"typ": nil}), "type"},
	{"a type that is a number", head(object{"typ": 1}), "type"},

	{"one bit of the signature changed", cut(func(s string) string {
		i := strings.LastIndex(s, ".") + 9
		return s[:i] + string(map[bool]byte{true: 'A', false: 'B'}[s[i] != 'A']) + s[i+1:]
	}), "signature"},
	{"no signature", cut(func(s string) string { return s[:strings.LastIndex(s, ".")+1] }), "signature"},
	{"half a signature", cut(func(s string) string { return s[:len(s)-174] }), "signature"},
	{"a signature with a tail", cut(func(s string) string { return s[:len(s)-2] + "AAAA" }), "signature"},
	{"a signature of zeros", cut(func(s string) string {
		return s[:strings.LastIndex(s, ".")+1] + encode(strings.Repeat("\x00", 256))
	}), "signature"},
	{"the payload of another token under a good signature", func(a *authority) string {
		mine, other := strings.Split(a.token(nil), "."), strings.Split(a.token(object{"oid": agent}), ".")
		return mine[0] + "." + other[1] + "." + mine[2]
	}, "signature"},
	{"another spelling of the same signature", cut(func(s string) string { return respell(s, 2) }), "malformed"},
	{"another spelling of the same payload", cut(func(s string) string { return respell(s, 1) }), "malformed"},
	{"padding", cut(func(s string) string { return s + "==" }), "malformed"},
	{"the other base64 alphabet", func(a *authority) string {
		parts := strings.Split(a.token(object{"name": "\u00ff\u00fe???>>>~~~"}), ".")
		return strings.NewReplacer("-", "+", "_", "/").Replace(strings.Join(parts, "."))
	}, "malformed"},
	{"a line break within", cut(func(s string) string { return s[:40] + "\n" + s[40:] }), "malformed"},
	{"a carriage return at the end", cut(func(s string) string { return s + "\r" }), "malformed"},
	{"a space within", cut(func(s string) string { return s[:10] + " " + s[10:] }), "malformed"},
	{"two parts", cut(func(s string) string { return s[:strings.LastIndex(s, ".")] }), "malformed"},
	{"four parts", cut(func(s string) string { return s + ".x" }), "malformed"},
	{"five parts, as an encrypted token has", cut(func(s string) string { return s + ".x.y" }), "malformed"},
	{"nothing", cut(func(string) string { return "" }), "malformed"},
	{"two dots", cut(func(string) string { return ".." }), "malformed"},
	{"ten thousand dots", cut(func(string) string { return strings.Repeat(".", 10_000) }), "malformed"},
	{"a megabyte", claim(object{"name": strings.Repeat("x", 1<<20)}), "malformed"},

	{"a header that is a list", headText(`["RS256"]`), "malformed"},
	{"a header that is null", headText(`null`), "malformed"},
	{"a header with a tail", headText(toJSON(header(nil)) + "{}"), "malformed"},
	{"a header that opens a thousand lists", headText(`{"typ":"JWT","alg":"RS256","kid":"k1","x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`), "malformed"},
	{"claims that are a list", claimsText(func(string) string { return `[]` }), "malformed"},
	{"claims that are text", claimsText(func(string) string { return `"x"` }), "malformed"},
	{"claims with a tail", claimsText(func(good string) string { return good + `{"aud":"x"}` }), "malformed"},
	{"claims with a byte order mark", claimsText(func(good string) string { return "\ufeff" + good }), "malformed"},
	{"claims in UTF-16", claimsText(func(good string) string { return strings.Join(strings.Split(good, ""), "\x00") }), "malformed"},
	{"broken UTF-8 in a name", add(`"x":"` + "\xff\xfe" + `"`), "malformed"},
	{"an overlong encoding", add(`"x":"` + "\xc0\xaf" + `"`), "malformed"},
	{"half a surrogate pair", add(`"x":"\ud800"`), "malformed"},
	{"a comment", add(`/* "aud":"x" */"x":1`), "malformed"},
	{"a trailing comma", claimsText(func(good string) string { return strings.TrimSuffix(good, "}") + ",}" }), "malformed"},
	{"two audiences as two members", add(`"aud":"` + api + `"`), "malformed"},
	{"two people, the second escaped", add(`"\u006fid":"` + agent + `"`), "malformed"},
	{"two members deep inside", add(`"x":{"y":[{"z":1,"z":2}]}`), "malformed"},
	{"nested a hundred times", add(`"x":` + strings.Repeat(`{"x":`, 100) + "1" + strings.Repeat("}", 100)), "malformed"},
	{"a thousand members", add(strings.TrimSuffix(numbered(1000), ",")), "malformed"},

	{"no audience", claim(object{"aud": nil}), "audience"},
	{"another API's audience", claim(object{"aud": client}), "audience"},
	{"an empty audience", claim(object{"aud": ""}), "audience"},
	{"a list of audiences, ours among them", claim(object{"aud": []string{client, api}}), "malformed"},
	{"a list with our audience alone", claim(object{"aud": []string{api}}), "malformed"},
	{"our audience with a tail", claim(object{"aud": api + ".evil.example"}), "audience"},
	{"our audience in upper case", claim(object{"aud": strings.ToUpper(api[:8]) + "X" + api[9:]}), "audience"},
	{"the audience of Microsoft Graph", claim(object{"aud": "00000003-0000-0000-c000-000000000000"}), "audience"},
	{"our App ID URI, which v2 tokens never carry", claim(object{"aud": "api://" + api}), "audience"},

	{"no issuer", claim(object{"iss": nil}), "issuer"},
	{"an issuer elsewhere", claim(object{"iss": "https://evil.example/" + tenant + "/v2.0"}), "issuer"},
	{"an issuer that begins like ours", func(a *authority) string {
		return a.token(object{"iss": a.URL + ".evil.example/" + tenant + "/v2.0"})
	}, "issuer"},
	{"our issuer with another tenant", func(a *authority) string { return a.token(object{"iss": a.URL + "/" + otherTenant + "/v2.0"}) }, "issuer"},
	{"our issuer with a slash", func(a *authority) string { return a.token(object{"iss": a.URL + "/" + tenant + "/v2.0/"}) }, "issuer"},
	{"our issuer in upper case", func(a *authority) string {
		return a.token(object{"iss": strings.ToUpper(a.URL) + "/" + tenant + "/v2.0"})
	}, "issuer"},
	{"the template of an issuer", func(a *authority) string { return a.token(object{"iss": a.URL + "/{tenantid}/v2.0"}) }, "issuer"},
	{"a v1 issuer", func(a *authority) string { return a.token(object{"iss": a.URL + "/" + tenant + "/"}) }, "issuer"},
	{"no tenant", claim(object{"tid": nil}), "tenant"},
	{"another tenant", claim(object{"tid": otherTenant}), "tenant"},
	{"another tenant with its own issuer", func(a *authority) string {
		return a.token(object{"tid": otherTenant, "iss": a.URL + "/" + otherTenant + "/v2.0"})
	}, "tenant"},
	{"a tenant that is a path", claim(object{"tid": "../" + tenant}), "tenant"},
	{"our tenant in upper case", claim(object{"tid": strings.ToUpper(tenant)}), "tenant"},
	{"our tenant in braces", claim(object{"tid": "{" + tenant + "}"}), "tenant"},
	{"no version", claim(object{"ver": nil}), "version"},
	{"version 1.0 with the issuer of version 2.0", claim(object{"ver": "1.0", "appid": client}), "version"},
	{"a version that is a number", claim(object{"ver": 2.0}), "malformed"},
	{"version 3.0", claim(object{"ver": "3.0"}), "version"},

	{"no expiry", claim(object{"exp": nil}), "expiry"},
	{"expired", func(a *authority) string { return a.token(object{"exp": a.clock().Unix() - 61}) }, "expired"},
	{"an expiry of zero", claim(object{"exp": 0}), "expired"},
	{"a negative expiry", claim(object{"exp": -1}), "malformed"},
	{"an expiry as text", claim(object{"exp": "9999999999"}), "malformed"},
	{"an expiry of null", add(`"exp2":1`).but(`"exp":`, `"exp":null,"exp3":`), "malformed"},
	{"an expiry that overflows", add(`"x":1`).but(`"exp":`, `"exp":1e30,"exp3":`), "malformed"},
	{"an expiry beyond what any number holds", add(`"x":1`).but(`"exp":`, `"exp":1e999,"exp3":`), "malformed"},
	{"not valid before tomorrow", func(a *authority) string { return a.token(object{"nbf": a.clock().Unix() + 86400}) }, "not-before"},
	{"not valid before, with a fraction", func(a *authority) string { return a.token(object{"nbf": float64(a.clock().Unix()) + 60.9}) }, "not-before"},

	{"an application's token", claim(object{"scp": nil, "idtyp": "app", "roles": []string{"Reader"}, "sub": alice}), "app-only"},
	{"an application's token that does not say so", claim(object{"scp": nil, "roles": []string{"Reader"}, "sub": alice}), "app-only"},
	{"an application's token with a person's claims", claim(object{"idtyp": "app"}), "kind"},
	{"an application's token without a role", claim(object{"scp": nil, "sub": alice}), "app-only"},
	{"a device's token", claim(object{"idtyp": "device"}), "kind"},
	{"an id_token of the same registration", claim(object{"scp": nil, "nonce": "n"}), "id-token"},
	{"an id_token without a nonce", claim(object{"scp": nil}), "id-token"},
	{"an empty scope", claim(object{"scp": ""}), "id-token"},
	{"a scope of spaces", claim(object{"scp": "   "}), "id-token"},
	{"another scope", claim(object{"scp": "read"}), "scope"},
	{"a scope that begins like ours", claim(object{"scp": "execute2"}), "scope"},
	{"a scope that ends like ours", claim(object{"scp": "non-execute"}), "scope"},
	{"our scope in upper case", claim(object{"scp": "Execute"}), "scope"},
	{"our scope with a Cyrillic letter", claim(object{"scp": "\u0435xecute"}), "scope"},
	{"our scope in full-width letters", claim(object{"scp": "ｅｘｅｃｕｔｅ"}), "scope"},
	{"our scope with a zero-width space", claim(object{"scp": "execute\u200b"}), "scope"},
	{"our scope behind a tab", claim(object{"scp": "read\texecute"}), "scope"},
	{"our scope behind a no-break space", claim(object{"scp": "read\u00a0execute"}), "scope"},
	{"our scope behind a line break", claim(object{"scp": "read\nexecute"}), "scope"},
	{"our scope behind a comma", claim(object{"scp": "read,execute"}), "scope"},
	{"our scope fully qualified", claim(object{"scp": "api://" + api + "/execute"}), "scope"},
	{"scopes as a list", claim(object{"scp": []string{"execute"}}), "malformed"},
	{"scopes of null", add(`"scq":1`).but(`"scp":`, `"scp":null,"scq2":`), "malformed"},
	{"our scope as a role", claim(object{"scp": "read", "roles": []string{"execute"}}), "scope"},
	{"our scope under the name of another claim", claim(object{"scp": "read", "scope": "execute", "Scp": "execute"}), "scope"},

	{"no person", claim(object{"oid": nil}), "identity"},
	{"a person who is a path", claim(object{"oid": "../" + alice}), "identity"},
	{"a person who is a number", claim(object{"oid": 1}), "malformed"},
	{"no client", claim(object{"azp": nil}), "client"},
	{"a client that is a name", claim(object{"azp": "web"}), "client"},
	{"a v1 client in a v2 token", claim(object{"azp": nil, "appid": client}), "client"},
	{"bound to a key", claim(object{"cnf": object{"jkt": "x"}}), "bound"},
	{"bound to nothing", claim(object{"cnf": object{}}), "bound"},
	{"an agent's own account", claim(object{"xms_sub_fct": "3 13"}), "agent"},
	{"an agent with a parent that is no id", claim(object{"xms_act_fct": "11", "xms_par_app_azp": "boss"}), "malformed"},
	{"more groups than fit", claim(object{"_claim_names": object{"groups": "src1"}}), "overage"},
	{"more groups than fit, and an empty list", claim(object{"groups": []string{}, "_claim_names": object{"groups": "src1"}}), "overage"},
	{"claim names that are text", claim(object{"_claim_names": "groups"}), "malformed"},
	{"groups that are text", claim(object{"groups": "board"}), "malformed"},
	{"groups that are numbers", claim(object{"groups": []int{1}}), "malformed"},
	{"roles that are an object", claim(object{"roles": object{"Admin": true}}), "malformed"},
}

// but replaces text in the claims of a forged token and signs it anew.
func (f forge) but(old, replacement string) forge {
	return func(a *authority) string {
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(f(a), ".")[1])
		if err != nil {
			panic(err)
		}
		return sign(signingKey(), toJSON(header(nil)), strings.Replace(string(payload), old, replacement, 1))
	}
}

func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`"m` + strings.Repeat("x", i%7) + encode(strings.Repeat("y", i/7)) + `":1,`)
	}
	return b.String()
}

func TestHostileTokens(t *testing.T) {
	a := newAuthority(t)
	v := a.verifier(t, nil)
	if _, err := v.Verify(t.Context(), secret(a.token(nil))); err != nil {
		t.Fatalf("the good token: %v", err)
	}
	if len(hostileTokens) < 80 {
		t.Errorf("%d attacks, want at least 80", len(hostileTokens))
	}
	for _, test := range hostileTokens {
		token := test.forge(a)
		for range 2 { // the second time it must not come from the cache
			got := refusal(t.Context(), t, v, token)
			if got.Reason != test.reason {
				t.Errorf("%s: %+v, want reason %q", test.attack, got, test.reason)
			}
			if text := got.Error(); strings.Contains(text, alice) || strings.Contains(text, "evil") || strings.Contains(text, a.URL) {
				t.Errorf("%s: the refusal repeats the attacker or tells of the inside: %s", test.attack, text)
			}
		}
	}
	if got := a.fetches.Load(); got > 2 {
		t.Errorf("%d key fetches, want at most 2", got)
	}
}

// TestTokensThatLookHostile are unusual and good.
func TestTokensThatLookHostile(t *testing.T) {
	a := newAuthority(t)
	v := a.verifier(t, nil)
	now := float64(a.clock().Unix())
	for desc, token := range map[string]forge{
		"fractional times":           claim(object{"exp": now + 0.5, "nbf": now - 0.25}),
		"a time with an exponent":    add(`"x":1`).but(`"exp":`, `"exp":1.9e9,"exp2":`),
		"expired within the skew":    claim(object{"exp": now - 59}),
		"several scopes":             claim(object{"scp": "read execute write"}),
		"an access token's own type": head(object{"typ": "at+jwt"}),
		"escaped names and values":   add(`"x":1`).but(`"scp":"execute"`, `"\u0073cp":"\u0065xecute"`),
		"white space":                claimsText(func(good string) string { return " \n\t" + strings.ReplaceAll(good, ",", " ,\r\n ") + " " }),
		"a surrogate pair":           add(`"x":"\ud83d\ude00 \\u0041 \ufffd"`),
		"every kind of value":        add(`"x":[1,-2.5e3,true,false,null,"\"]}",{"y":[]},{}]`),
		"names of another case":      add(`"AUD":"x","Iss":"y","SCP":[]`),
		"an agent for a person":      claim(object{"xms_act_fct": "11 3", "xms_sub_fct": "1"}),
		"no groups":                  claim(object{"groups": []string{}}),
	} {
		if _, err := v.Verify(t.Context(), secret(token(a))); err != nil {
			t.Errorf("%s: %v", desc, err)
		}
	}
}

func TestWhatConfigurationAllows(t *testing.T) {
	a := newAuthority(t)
	const uri = "api://" + api
	v1 := func(a *authority) string {
		return a.token(object{"ver": "1.0", "iss": a.URL + "/" + tenant + "/", "azp": nil, "appid": client, "aud": uri, "upn": "alice@contoso.example", "preferred_username": nil})
	}
	app := claim(object{"scp": nil, "idtyp": "app", "roles": []string{"Job"}, "sub": alice})
	other := func(a *authority) string {
		return a.token(object{"tid": otherTenant, "iss": a.URL + "/" + otherTenant + "/v2.0"})
	}
	for _, test := range []struct {
		desc   string
		change func(*bearer.Config)
		token  forge
		reason string // "" when it is good
	}{
		{"v1 accepted", func(c *bearer.Config) { c.AcceptV1, c.Audiences = true, []string{uri, api} }, v1, ""},
		{"v1 accepted, v2 still good", func(c *bearer.Config) { c.AcceptV1 = true }, claim(nil), ""},
		{"v1 not accepted", func(c *bearer.Config) { c.Audiences = []string{uri} }, v1, "issuer"},
		{"v1 accepted, its issuer without version", func(c *bearer.Config) { c.AcceptV1 = true }, func(a *authority) string { return a.token(object{"iss": a.URL + "/" + tenant + "/"}) }, "issuer"},
		{"agents accepted", func(c *bearer.Config) { c.AllowAgents = true }, claim(object{"xms_sub_fct": "13"}), ""},
		{"applications accepted", func(c *bearer.Config) { c.AllowAppOnly = true }, app, ""},
		{"applications accepted, without a role", func(c *bearer.Config) { c.AllowAppOnly = true }, claim(object{"scp": nil, "idtyp": "app", "sub": alice}), "role"},
		{"applications accepted, an id_token", func(c *bearer.Config) { c.AllowAppOnly = true }, claim(object{"scp": nil, "nonce": "n", "roles": []string{"Job"}}), "id-token"},
		{"applications accepted, a person's token with roles and without a scope", func(c *bearer.Config) { c.AllowAppOnly = true }, claim(object{"scp": nil, "roles": []string{"Job"}}), "id-token"},
		{"applications accepted, one that does not say so", func(c *bearer.Config) { c.AllowAppOnly = true }, claim(object{"scp": nil, "roles": []string{"Job"}, "sub": alice}), ""},
		{"the client allowed", func(c *bearer.Config) { c.Clients = []identity.ClientID{must(identity.ParseClientID(client))} }, claim(nil), ""},
		{"another client allowed", func(c *bearer.Config) { c.Clients = []identity.ClientID{must(identity.ParseClientID(agent))} }, claim(nil), "client"},
		{"two tenants", func(c *bearer.Config) { c.Tenants = append(c.Tenants, must(identity.ParseTenantID(otherTenant))) }, other, ""},
		{"two tenants, the issuer of the one with the tid of the other", func(c *bearer.Config) { c.Tenants = append(c.Tenants, must(identity.ParseTenantID(otherTenant))) }, claim(object{"tid": otherTenant}), "issuer"},
		{"two tenants, a third", func(c *bearer.Config) { c.Tenants = append(c.Tenants, must(identity.ParseTenantID(blueprint))) }, other, "tenant"},
	} {
		v := a.verifier(t, test.change)
		caller, err := v.Verify(t.Context(), secret(test.token(a)))
		if test.reason == "" && (err != nil || caller == nil) {
			t.Errorf("%s: %v", test.desc, err)
		}
		if test.reason != "" {
			if got := refusal(t.Context(), t, v, test.token(a)); got.Reason != test.reason {
				t.Errorf("%s: %+v, want %q", test.desc, got, test.reason)
			}
		}
	}
}

// TestTheKeysOwnIssuer signs for our tenant with a key that the same document publishes for another one.
func TestTheKeysOwnIssuer(t *testing.T) {
	a := newAuthority(t)
	good := jwk("k1", &signingKey().PublicKey, a.URL+"/"+tenant+"/v2.0")
	v := a.verifier(t, nil)
	a.publish(good, jwk("k2", &rotatedKey().PublicKey, a.URL+"/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"))
	if _, err := v.Verify(t.Context(), secret(a.token(nil))); err != nil {
		t.Errorf("a key with the tenant's own issuer: %v", err)
	}
	consumers := sign(rotatedKey(), toJSON(header(object{"kid": "k2"})), toJSON(a.claims(nil)))
	if got := refusal(t.Context(), t, v, consumers); got.Reason != "key-issuer" {
		t.Errorf("a key of the consumers' tenant: %+v", got)
	}
	// One kid, two keys, two issuers: each signs for its own tenant only.
	a.publish(jwk("k1", &rotatedKey().PublicKey, a.URL+"/"+otherTenant+"/v2.0"), good)
	v = a.verifier(t, nil)
	if _, err := v.Verify(t.Context(), secret(a.token(nil))); err != nil {
		t.Errorf("the second key of a kid: %v", err)
	}
	if got := refusal(t.Context(), t, v, sign(rotatedKey(), toJSON(header(nil)), toJSON(a.claims(nil)))); got.Reason != "key-issuer" {
		t.Errorf("the first key of a kid: %+v", got)
	}
}
