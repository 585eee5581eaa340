package tokens

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// maxToken is what the server accepts; see package bearer.
const maxToken = 16 << 10

// jwt is a token taken apart. Nothing in it is verified.
type jwt struct {
	signed         string // header.payload
	signature      []byte
	header, claims claimSet
}

// claimSet holds numbers as they were written.
type claimSet map[string]any

func (c claimSet) text(name string) string {
	text, _ := c[name].(string)
	return text
}

// texts returns a list, or a single text as a list of one.
func (c claimSet) texts(name string) []string {
	switch value := c[name].(type) {
	case string:
		return []string{value}
	case []any:
		texts := make([]string, len(value))
		for i, element := range value {
			texts[i] = fmt.Sprint(element)
		}
		return texts
	default:
		return nil
	}
}

// time reads a NumericDate (RFC 7519 §2).
func (c claimSet) time(name string) (time.Time, bool) {
	number, ok := c[name].(json.Number)
	if !ok {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseFloat(number.String(), 64)
	if err != nil || seconds < 0 || seconds > 253402300799 { // the year 9999
		return time.Time{}, false
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), true
}

// parseToken finds the token in a text: bare, after "Bearer", in quotes, or in the JSON of a token answer.
func parseToken(text string) (*jwt, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") {
		var answer struct {
			Snake string `json:"access_token"`
			Camel string `json:"accessToken"` // az account get-access-token
		}
		if json.Unmarshal([]byte(text), &answer) == nil {
			text = answer.Snake + answer.Camel
		}
	}
	if scheme, rest, ok := strings.Cut(text, " "); ok && strings.EqualFold(strings.TrimSuffix(scheme, ":"), "Bearer") {
		text = rest
	}
	text = strings.Trim(strings.TrimSpace(text), `"'`)
	parts := strings.Split(text, ".")
	switch {
	case text == "":
		return nil, errors.New("there is no token in it")
	case len(text) > maxToken:
		return nil, fmt.Errorf("longer than the %d KiB that the server accepts", maxToken>>10)
	case len(parts) == 5:
		return nil, errors.New("the token is encrypted (JWE): its API alone can read it, and this server is not it")
	case len(parts) != 3:
		return nil, fmt.Errorf("not a JWT: it has %d parts where three are needed. A refresh token or an authorization code is none; an opaque access token is for an API of Microsoft's", len(parts))
	}
	t := &jwt{signed: parts[0] + "." + parts[1]}
	var err error
	if t.header, err = decodePart(parts[0]); err != nil {
		return nil, fmt.Errorf("not a JWT: its header is %w", err)
	}
	if t.claims, err = decodePart(parts[1]); err != nil {
		return nil, fmt.Errorf("not a JWT: its claims are %w", err)
	}
	if t.signature, err = base64.RawURLEncoding.DecodeString(parts[2]); err != nil {
		return nil, errors.New("the token's signature is not base64url: was it cut or wrapped?")
	}
	return t, nil
}

func decodePart(part string) (claimSet, error) {
	plain, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return nil, errors.New("not base64url")
	}
	decoder := json.NewDecoder(bytes.NewReader(plain))
	decoder.UseNumber()
	var set claimSet
	if err := decoder.Decode(&set); err != nil || set == nil {
		return nil, errors.New("no JSON object")
	}
	return set, nil
}

// Keys are the signing keys of an authority, by kid.
type Keys map[string]*rsa.PublicKey

// ParseKeys reads a JSON Web Key Set (RFC 7517). Keys that are no RSA keys are left out.
func ParseKeys(text []byte) (Keys, error) {
	var set struct {
		Keys []struct {
			ID       string `json:"kid"`
			Type     string `json:"kty"`
			Modulus  string `json:"n"`
			Exponent string `json:"e"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("the answer is no set of keys (JWKS)")
	}
	keys := Keys{}
	for _, key := range set.Keys {
		modulus, err1 := base64.RawURLEncoding.DecodeString(key.Modulus)
		exponent, err2 := base64.RawURLEncoding.DecodeString(key.Exponent)
		e := new(big.Int).SetBytes(exponent)
		if key.Type != "RSA" || key.ID == "" || err1 != nil || err2 != nil || len(modulus) == 0 || len(modulus) > 1024 || !e.IsInt64() || e.Int64() > math.MaxInt32 {
			continue
		}
		keys[key.ID] = &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(e.Int64())}
	}
	if len(keys) == 0 {
		return nil, errors.New("the set of keys (JWKS) holds no RSA key")
	}
	return keys, nil
}

// signedBy reports whether a key made the token's signature.
func (t *jwt) signedBy(key *rsa.PublicKey) bool {
	digest := sha256.Sum256([]byte(t.signed))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], t.signature) == nil
}
