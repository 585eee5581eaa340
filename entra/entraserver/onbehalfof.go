package entraserver

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// onBehalfOf exchanges a person's token for one towards another API. The order of the checks is Entra's: who is wrong
// in two ways gets the error of the first.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow
func (s *Server) onBehalfOf(w http.ResponseWriter, c *call, form url.Values) error {
	auth, err := s.authenticateClient(c, form)
	if err != nil {
		return err
	}
	if !auth.confidential() {
		return refuse(7000218)
	}
	text, err := need(form, "assertion")
	if err != nil {
		return err
	}
	use, err := need(form, "requested_token_use")
	if err != nil {
		return err
	}
	if use != "on_behalf_of" {
		return refuse(90023, "requested_token_use", "want on_behalf_of.")
	}
	scope, err := need(form, "scope")
	if err != nil {
		return err
	}
	sess, err := s.checkAssertion(c, auth.app, text)
	if err != nil {
		return err
	}
	return s.grantDelegated(w, c, form, delegatedRequest{auth: auth, session: sess, scope: scope})
}

// checkAssertion verifies the person's token and returns how that person signed in.
func (s *Server) checkAssertion(c *call, app *Application, text string) (session, error) {
	token, err := parseJWT(text)
	if err != nil {
		return session{}, refuse(50027)
	}
	if isIDToken(token.claims) {
		return session{}, refuse(240002)
	}
	if err := s.checkSignature(token); err != nil {
		return session{}, err
	}
	sess := s.sessionOf(token)
	if err := checkTimes(c.now, token, s.ages.of(sess.serial)); err != nil {
		return session{}, err
	}
	if aud := token.claims.text("aud"); !isAudience(app, aud) {
		return session{}, refuse(500131, quote(aud), app.AppID, app.DisplayName)
	}
	if token.claims.text("idtyp") == "app" || token.claims.text("scp") == "" {
		return session{}, refuse(7000114, app.AppID)
	}
	person := s.dir.Person(object(token.claims.text("oid")))
	if err := s.checkPerson(person); err != nil {
		return session{}, err
	}
	sess.person = person.ID
	if s.policies.current().refuseRevoked && s.isVoid(c.now, sess) {
		return session{}, refuse(50173, c.now.UTC().Format(time.RFC3339), c.now.UTC().Format(time.RFC3339))
	}
	return sess, nil
}

// isIDToken tells an id_token by what it lacks: no access token is without scp and the client that it was issued to.
func isIDToken(claims claimSet) bool {
	return claims.text("aud") != "" && claims.text("scp") == "" && claims.text("azp") == "" && claims.text("appid") == "" &&
		claims.text("idtyp") == "" && claims["roles"] == nil
}

// checkSignature wants an RS256 signature of one of our published keys, and our issuer.
func (s *Server) checkSignature(token *jwt) error {
	kid := token.header.text("kid")
	key := s.keys.find(kid)
	switch {
	case token.header.text("alg") != "RS256" || token.header["crit"] != nil:
		return refuse(50013, "The algorithm of the signature is not supported.")
	case key == nil:
		return refuse(50013, "The key was not found., Thumbprint of key used by client: '"+quote(kid)+"'")
	case !key.verifies(token.signed, token.signature) && !key.verifies(graphSigned(token), token.signature):
		return refuse(50013, "The provided signature value did not match the expected signature value., Thumbprint of key used by client: '"+quote(kid)+"'")
	case !s.isOurIssuer(token.claims.text("iss")):
		return refuse(50013, "The issuer of the assertion is not this tenant.")
	default:
		return nil
	}
}

// graphSigned returns what the signature of a Graph token is over: the header with the digest of its nonce.
func graphSigned(token *jwt) []byte {
	nonce := token.header.text("nonce")
	if nonce == "" {
		return nil
	}
	header := tokenHeader{"JWT", graphNonce(nonce), "RS256", token.header.text("x5t"), token.header.text("kid")}
	signed, err := encodeJWT(header, struct{}{})
	if err != nil {
		return nil
	}
	head, _, _ := strings.Cut(string(signed), ".")
	_, body, _ := strings.Cut(string(token.signed), ".")
	return []byte(head + "." + body)
}

// isOurIssuer reports whether a token of this issuer may be one of ours.
func (s *Server) isOurIssuer(issuer string) bool {
	tenant := s.dir.Tenant().String()
	return slices.ContainsFunc(s.authorities(), func(a authority) bool { return issuer == a.issuer(1, tenant) || issuer == a.issuer(2, tenant) })
}

// skew is how far clocks may differ.
const skew = 5 * time.Minute

// checkTimes wants exp ahead and nbf behind; age is by how much the token was made older on demand.
func checkTimes(now time.Time, token *jwt, age time.Duration) error {
	expires, ok := token.claims.time("exp")
	if !ok {
		return refuse(500133, now.UTC().Format(time.RFC3339), "missing")
	}
	starts, hasStart := token.claims.time("nbf")
	if !now.Add(age).Before(expires) || hasStart && now.Add(skew).Before(starts) {
		return refuse(500133, now.UTC().Format(time.RFC3339), expires.Add(-age).UTC().Format(time.RFC3339))
	}
	return nil
}

// isAudience reports whether a token for aud is meant for the application: its id or one of its App ID URIs, in any
// case, with or without a slash at the end.
func isAudience(app *Application, aud string) bool {
	return equalFold(aud, app.AppID.String()) ||
		slices.ContainsFunc(app.IdentifierURIs, func(uri string) bool { return uriKey(uri) == uriKey(aud) })
}

// sessionOf returns how the person of a verified token signed in. Tokens that tests had signed by the control API carry
// no sealed session; for these amr and acrs speak.
func (s *Server) sessionOf(token *jwt) session {
	if plain, err := s.unseal(sealedSession, token.claims.text("aio")); err == nil {
		if sess, err := s.openSession(plain); err == nil {
			return sess
		}
	}
	sess := session{serial: s.ages.next()}
	sess.origin = sess.serial
	sess.mfa = slices.Contains(token.claims.texts("amr"), "mfa")
	issued, _ := token.claims.time("iat")
	sess.since = issued.Add(backdate)
	for _, name := range token.claims.texts("acrs") {
		if context, err := parseContext(name); err == nil {
			sess.contexts = append(sess.contexts, context)
		}
	}
	return sess
}
