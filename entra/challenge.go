package entra

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
)

// maxChallenge bounds a WWW-Authenticate header whose claims are read: claims of [maxClaims] in base64, and what stands
// around them.
const maxChallenge = 16 << 10

// claimsParam finds the claims of a challenge in WWW-Authenticate: a quoted string of base64.
var claimsParam = regexp.MustCompile(`(?i)(?:^|[\s,])claims\s*=\s*"([A-Za-z0-9+/_=-]+)"`)

// ClaimsChallenge returns the claims that an API demands with an HTTP 401, by its header WWW-Authenticate, as the JSON
// that Entra wants back; "" when it demands none.
//
// https://learn.microsoft.com/entra/identity-platform/claims-challenge
func ClaimsChallenge(header http.Header) string {
	for _, challenge := range header.Values("WWW-Authenticate") {
		if len(challenge) > maxChallenge {
			continue
		}
		found := claimsParam.FindStringSubmatch(challenge)
		if found == nil {
			continue
		}
		text := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(found[1], "="))
		claims, err := base64.RawStdEncoding.DecodeString(text)
		if err == nil && len(claims) <= maxClaims && json.Valid(claims) {
			return string(claims)
		}
	}
	return ""
}
