package signin

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// maxClaims bounds a claims challenge, as it is sent and once it is decoded.
const maxClaims = 4 << 10

// claimDemand is one claim of the OpenID Connect claims parameter.
//
// https://openid.net/specs/openid-connect-core-1_0.html#ClaimsParameter
type claimDemand struct {
	Essential bool     `json:"essential,omitempty"`
	Value     string   `json:"value,omitempty"`
	Values    []string `json:"values,omitempty"`
}

// demandedClaims is what is taken from a server's challenge: authentication contexts, a moment before which tokens were
// revoked, Conditional Access policies, client capabilities. Nothing else: a server must not make Entra put other
// things into a token, or ask the person for them.
//
// https://learn.microsoft.com/entra/identity-platform/claims-challenge
type demandedClaims struct {
	AccessToken struct {
		ACRS     *claimDemand `json:"acrs,omitempty"`
		NBF      *claimDemand `json:"nbf,omitempty"`
		CAPolIDs *claimDemand `json:"capolids,omitempty"`
		PolIDs   *claimDemand `json:"polids,omitempty"`
		XMSCC    *claimDemand `json:"xms_cc,omitempty"`
	} `json:"access_token"`
}

// filterClaims decodes the claims of a challenge and returns what may be passed to Entra, as JSON.
func filterClaims(encoded string) (string, error) {
	if len(encoded) > maxClaims*4/3+4 {
		return "", fmt.Errorf("the server's claims challenge is longer than %d bytes", maxClaims)
	}
	decoded, err := decodeBase64(encoded)
	if err != nil || len(decoded) > maxClaims {
		return "", errors.New("the server's claims challenge is not base64 of at most 4 KiB")
	}
	var demanded demandedClaims
	if err = json.Unmarshal(decoded, &demanded); err != nil {
		return "", errors.New("the server's claims challenge is not the JSON of a claims parameter")
	}
	if demanded == (demandedClaims{}) {
		return "", errors.New("the server's claims challenge demands nothing that a server may demand (acrs, nbf, capolids, polids, xms_cc)")
	}
	filtered, err := json.Marshal(demanded)
	if err != nil {
		return "", fmt.Errorf("claims challenge: %w", err)
	}
	return string(filtered), nil
}

// Demand says in words what is demanded beyond the last sign-in: "to meet the Conditional Access policy …"; "" for nothing.
// The ids in it are the server's own words.
func (c Cause) Demand() string {
	if c.Claims == "" {
		return ""
	}
	var demanded demandedClaims
	if json.Unmarshal([]byte(c.Claims), &demanded) != nil {
		return "with more than before"
	}
	var parts []string
	add := func(text string, claim *claimDemand) {
		if claim == nil {
			return
		}
		values := claim.Values
		if claim.Value != "" {
			values = append([]string{claim.Value}, values...)
		}
		parts = append(parts, strings.TrimSpace(text+" "+strings.Join(values, ", ")))
	}
	add("to meet the Conditional Access policy", demanded.AccessToken.CAPolIDs)
	add("to meet the policy", demanded.AccessToken.PolIDs)
	add("in the authentication context", demanded.AccessToken.ACRS)
	if demanded.AccessToken.NBF != nil {
		parts = append(parts, "since earlier sign-ins no longer count")
	}
	if len(parts) == 0 {
		return "with more than before"
	}
	return strings.Join(parts, ", ")
}

// decodeBase64 accepts both alphabets, with and without padding: servers differ.
func decodeBase64(s string) ([]byte, error) {
	s = strings.TrimRight(s, "=")
	if strings.ContainsAny(s, "-_") {
		return base64.RawURLEncoding.DecodeString(s)
	}
	return base64.RawStdEncoding.DecodeString(s)
}
