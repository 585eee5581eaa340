package entraserver

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/onbehalf/onbehalf/entra"
)

// finish sends the person back with what was asked for.
func (s *Server) finish(w http.ResponseWriter, c *call, a *authorization, person *Person, sess session) error {
	answer := url.Values{}
	if a.wantCode {
		code, ok := s.newCode(c, authCode{
			client: a.client.AppID, redirectURI: a.redirect, scope: a.params.Get("scope"), resource: a.params.Get("resource"), claims: a.params.Get("claims"),
			nonce: a.params.Get("nonce"), challenge: a.params.Get("code_challenge"), method: orElse(a.params.Get("code_challenge_method"), "plain"),
			platform: a.platform(), session: sess,
		})
		if !ok {
			return s.answerError(w, c, a, refuse(90055))
		}
		answer.Set("code", code)
	}
	if a.wantID {
		token, err := s.idToken(c, delegation{client: clientAuth{a.client, proofNone}, person: person, session: sess, want: a.want, nonce: a.params.Get("nonce"), code: answer.Get("code")})
		if err != nil {
			return err
		}
		answer.Set("id_token", token)
	}
	if a.params.Get("client_info") == "1" {
		answer.Set("client_info", clientInfo(person.ID, s.dir.Tenant()))
	}
	sum := sha256.Sum256([]byte(a.client.AppID.String() + sess.person.String() + sess.since.String()))
	answer.Set("session_state", formatGUID([16]byte(sum[:16])))
	c.record.Outcome = "signed in"
	return s.sendBack(w, c, a, answer)
}

// platform says where the redirect URI is registered.
func (a *authorization) platform() platform {
	fits := func(uri string) bool { return uri == a.redirect || sameButPort(uri, a.redirect) }
	switch {
	case slices.ContainsFunc(a.client.Web.RedirectURIs, fits):
		return platformWeb
	case slices.ContainsFunc(a.client.SPA.RedirectURIs, fits):
		return platformSPA
	default:
		return platformPublic
	}
}

// answerError tells the application why not, as RFC 6749 §4.1.2.1 has it and with Entra's error_uri.
func (s *Server) answerError(w http.ResponseWriter, c *call, a *authorization, e *entra.Error) error {
	c.record.Outcome = outcomeOf(e)
	answer := url.Values{"error": {e.Code}, "error_description": {c.describe(e)}}
	if n := e.Number(); n != 0 {
		answer.Set("error_uri", c.authority.base+"/error?code="+strconv.Itoa(n))
	}
	if e.Sub != "" {
		answer.Set("error_subcode", e.Sub)
	}
	if e.Claims != "" {
		answer.Set("claims", e.Claims)
	}
	return s.sendBack(w, c, a, answer)
}

// sendBack answers in the response mode that was asked for. The redirect URI was matched against the registered ones
// in this very request.
func (s *Server) sendBack(w http.ResponseWriter, c *call, a *authorization, answer url.Values) error {
	if a.state != "" {
		answer.Set("state", a.state)
	}
	if a.mode == "form_post" {
		v := view{Title: "Continue", Target: a.redirect, Script: template.JS(submitScript)} //nolint:gosec // a constant
		for _, name := range slices.Sorted(maps.Keys(answer)) {
			v.Fields = append(v.Fields, field{name, answer.Get(name)})
		}
		return s.render(w, c, http.StatusOK, "form_post", v)
	}
	target := a.redirect + "#" + answer.Encode()
	if a.mode == "query" {
		separator := "?"
		if strings.Contains(a.redirect, "?") {
			separator = "&"
		}
		target = a.redirect + separator + answer.Encode()
	}
	w.Header().Set("Location", target) // not http.Redirect, which would write a body with the code in it
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusFound)
	return nil
}

// halfHash is the claim c_hash.
//
// https://openid.net/specs/openid-connect-core-1_0.html#HybridIDToken
func halfHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
