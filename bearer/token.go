package bearer

import (
	"encoding/base64"
	"strings"

	"github.com/onbehalf/onbehalf/bearer/internal/strictjson"
)

// maxToken bounds an access token. Entra's stay below 8 KiB: beyond 200 groups it writes an overage claim instead.
const maxToken = 16 << 10

// jws is a token in the compact serialization of RFC 7515 §7.1, taken apart. Nothing in it is verified.
//
// It is parsed here and not by a JWT library: the libraries decode header and claims leniently (names regardless of
// case, the last of two members, 16 spellings of one signature) and pick the algorithm by the token's own word. What
// is left to do without that is one call of crypto/rsa. The fuzz tests hold this parser against two libraries.
type jws struct {
	signed    string // header.payload, what the signature covers
	payload   string // still encoded: it is decoded when the signature is good
	signature []byte
	kid       string
}

// parseJWS reads a token of three parts.
func parseJWS(token string) (*jws, *Challenge) {
	if strings.ContainsAny(token, "\r\n") { // encoding/base64 skips them, even when strict
		return nil, invalidToken("malformed", "the token holds a line break")
	}
	first := strings.IndexByte(token, '.')
	last := strings.LastIndexByte(token, '.')
	header, err := decodeObject(token[:first])
	if err != nil {
		return nil, invalidToken("malformed", "the token's header is malformed")
	}
	t := &jws{signed: token[:last], payload: token[first+1 : last]}
	if challenge := t.readHeader(header); challenge != nil {
		return nil, challenge
	}
	if t.signature, err = base64.RawURLEncoding.Strict().DecodeString(token[last+1:]); err != nil {
		return nil, invalidToken("malformed", "the token's signature is malformed")
	}
	return t, nil
}

// readHeader takes nothing from the header but the name of a key: the algorithm is ours to choose, and a token that
// brings its key along, which Entra's never do, is refused (RFC 8725 §3.1, §3.10).
func (t *jws) readHeader(header strictjson.Object) *Challenge {
	if alg, _ := header.Get("alg").Text(); alg != "RS256" {
		return invalidToken("algorithm", "the token is not signed with RS256")
	}
	switch typ, _ := header.Get("typ").Text(); strings.ToLower(typ) {
	case "jwt", "at+jwt", "application/at+jwt":
	default:
		return invalidToken("type", "the token is not an access token: wrong typ")
	}
	for _, name := range []string{"jwk", "jku", "x5c", "x5u"} {
		if !header.Get(name).IsZero() {
			return invalidToken("own-key", "the token brings its own key along")
		}
	}
	if !header.Get("crit").IsZero() || !header.Get("enc").IsZero() || !header.Get("b64").IsZero() {
		return invalidToken("malformed", "the token's header asks for extensions that are not understood")
	}
	if !header.Get("nonce").IsZero() {
		return invalidToken("microsoft-api", "the token was issued for an API of Microsoft's, such as Microsoft Graph, and not for this server")
	}
	kid, ok := header.Get("kid").Text()
	if !ok || kid == "" || len(kid) > maxKeyID {
		return invalidToken("key", "the token does not name its key")
	}
	t.kid = kid
	return nil
}

func (t *jws) claims() (strictjson.Object, error) { return decodeObject(t.payload) }

func decodeObject(segment string) (strictjson.Object, error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	if err != nil {
		return strictjson.Object{}, err
	}
	return strictjson.ParseObject(data)
}

// canonical reports whether the last character of each part carries no spare bits. A lenient decoder drops them, so
// that one signature has up to 16 spellings: each would be another entry of a cache that is asked before decoding.
func canonical(token string) bool {
	for part := range strings.SplitSeq(token, ".") {
		if part == "" {
			continue
		}
		var spare uint8
		switch len(part) % 4 {
		case 0:
			continue
		case 1:
			return false
		case 2:
			spare = 0x0f
		case 3:
			spare = 0x03
		}
		if value, ok := sextet(part[len(part)-1]); !ok || value&spare != 0 {
			return false
		}
	}
	return true
}

// sextet returns the six bits that a character of base64url stands for.
func sextet(c byte) (uint8, bool) {
	switch {
	case c >= 'A' && c <= 'Z':
		return c - 'A', true
	case c >= 'a' && c <= 'z':
		return c - 'a' + 26, true
	case c >= '0' && c <= '9':
		return c - '0' + 52, true
	case c == '-':
		return 62, true
	case c == '_':
		return 63, true
	}
	return 0, false
}
