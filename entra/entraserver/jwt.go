package entraserver

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// maxJWT bounds a token that is handed in.
const maxJWT = 64 << 10

// errMalformed says that a text is no JWT in the compact form of RFC 7515 §3.1.
var errMalformed = errors.New("not a JWT")

// jwt is a token taken apart; nothing about it is verified.
type jwt struct {
	header, claims claimSet
	signed         []byte // header and claims as they were signed
	signature      []byte
}

// claimSet is a JSON object whose members are read with a look at their type: a claim of another type is absent.
type claimSet map[string]any

func (c claimSet) text(name string) string {
	s, _ := c[name].(string)
	return s
}

// texts returns a claim that is a string or an array of strings.
func (c claimSet) texts(name string) []string {
	switch v := c[name].(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, item := range v {
			if s, ok := item.(string); ok {
				out = append(out, s)
			}
		}
		return out
	default:
		return nil
	}
}

// time returns a NumericDate, whole or fractional, and whether there is one that a calendar knows.
func (c claimSet) time(name string) (time.Time, bool) {
	const endOfCalendar = 253402300799 // 9999-12-31
	n, ok := c[name].(float64)
	if !ok || math.IsNaN(n) || n < 0 || n > endOfCalendar {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(n)
	return time.Unix(int64(whole), int64(fraction*1e9)), true
}

// parseJWT takes a signed token apart: exactly three parts of unpadded base64url, the first two JSON objects.
func parseJWT(text string) (*jwt, error) {
	if len(text) > maxJWT {
		return nil, fmt.Errorf("%w: longer than %d bytes", errMalformed, maxJWT)
	}
	head, rest, ok1 := strings.Cut(text, ".")
	body, tail, ok2 := strings.Cut(rest, ".")
	if !ok1 || !ok2 || strings.Contains(tail, ".") {
		return nil, fmt.Errorf("%w: want three parts", errMalformed)
	}
	t := &jwt{signed: []byte(text[:len(head)+1+len(body)])}
	var err error
	if t.header, err = decodeObject(head); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if t.claims, err = decodeObject(body); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	if t.signature, err = base64.RawURLEncoding.Strict().DecodeString(tail); err != nil {
		return nil, fmt.Errorf("signature: %w", errMalformed)
	}
	return t, nil
}

func decodeObject(part string) (claimSet, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, errMalformed
	}
	var object claimSet
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&object); err != nil || object == nil || decoder.More() {
		return nil, errMalformed
	}
	return object, nil
}

// signJWT makes a token with the key's RS256 signature.
func signJWT(key *signingKey, header, claims any) (string, error) {
	signed, err := encodeJWT(header, claims)
	if err != nil {
		return "", err
	}
	signature, err := key.sign(signed)
	if err != nil {
		return "", err
	}
	return string(appendPart(append(signed, '.'), signature)), nil
}

// encodeJWT returns the first two parts of a token.
func encodeJWT(header, claims any) ([]byte, error) {
	head, err := json.Marshal(header)
	if err != nil {
		return nil, fmt.Errorf("token header: %w", err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return nil, fmt.Errorf("token claims: %w", err)
	}
	out := make([]byte, 0, base64.RawURLEncoding.EncodedLen(len(head)+len(body))+512)
	return appendPart(append(appendPart(out, head), '.'), body), nil
}

func appendPart(dst, part []byte) []byte { return base64.RawURLEncoding.AppendEncode(dst, part) }
