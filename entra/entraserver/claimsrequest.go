package entraserver

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// claimsRequest is what the parameter claims demands of the access token. What it says of the id_token is of no concern:
// MSAL for Node always sends something there.
//
// https://learn.microsoft.com/entra/identity-platform/claims-challenge
type claimsRequest struct {
	policies []string // capolids: the policies that a refusal named
	contexts []byte   // acrs: authentication contexts, 1 for "c1"
	cp1      bool     // xms_cc: the client understands claims challenges
}

// parseClaims reads the parameter; "" demands nothing.
func parseClaims(text string) (claimsRequest, error) {
	var out claimsRequest
	if text == "" {
		return out, nil
	}
	type member struct {
		Value  any   `json:"value"`
		Values []any `json:"values"`
	}
	var doc struct {
		AccessToken map[string]*member `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return out, refuse(90023, "claims", "it is not a JSON object of claims.")
	}
	values := func(name string) (texts []string) {
		m := doc.AccessToken[name]
		if m == nil {
			return nil
		}
		for _, v := range append(slices.Clone(m.Values), m.Value) {
			if s, ok := v.(string); ok {
				texts = append(texts, s)
			}
		}
		return texts
	}
	out.policies = values("capolids")
	out.cp1 = slices.ContainsFunc(values("xms_cc"), func(s string) bool { return strings.EqualFold(s, "cp1") })
	for _, name := range values("acrs") {
		context, err := parseContext(name)
		if err != nil {
			return out, refuse(90023, "claims", err.Error())
		}
		if !slices.Contains(out.contexts, context) {
			out.contexts = append(out.contexts, context)
		}
	}
	slices.Sort(out.contexts)
	return out, nil
}

// parseContext reads the id of an authentication context: "c1" to "c99".
func parseContext(name string) (byte, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(name, "c"), 10, 8)
	if err != nil || n < 1 || n > 99 || !strings.HasPrefix(name, "c") {
		return 0, fmt.Errorf("an authentication context is named c1 to c99, not %q", quote(name))
	}
	return byte(n), nil
}

// contextNames is the reverse of parseContext.
func contextNames(contexts []byte) []string {
	names := make([]string, len(contexts))
	for i, n := range contexts {
		names[i] = "c" + strconv.Itoa(int(n))
	}
	return names
}

// challenge is the claims member of a refusal: sign in again with these.
func challenge(claim string, values ...string) string {
	text, err := json.Marshal(map[string]any{"access_token": map[string]any{claim: map[string]any{"essential": true, "values": values}}})
	if err != nil {
		return ""
	}
	return string(text)
}
