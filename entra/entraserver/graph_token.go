package entraserver

import (
	"net/http"
	"strings"

	"github.com/onbehalf/onbehalf/entra"
)

// graphRoutes mounts Microsoft Graph on the host of the local Entra.
func (s *Server) graphRoutes() map[string]endpoint {
	api := &graphAPI{
		dir: s.dir, now: s.now, verify: s.verifyGraphToken, base: s.graphBase,
		delay:        func() int { return s.policies.current().graphDelay },
		verifiedURIs: func() bool { return s.policies.current().verifiedURIs },
	}
	return map[string]endpoint{"ANY /v1.0/*": {name: "graph", handle: func(w http.ResponseWriter, c *call) error {
		w.Header().Del("Pragma")
		api.ServeHTTP(w, c.Request)
		return nil
	}}}
}

// verifyGraphToken accepts access tokens of this server for Microsoft Graph, and words a refusal as Graph does.
func (s *Server) verifyGraphToken(r *http.Request, raw string) (graphToken, error) {
	bad := func(message string) (graphToken, error) {
		return graphToken{}, &graphError{401, codeInvalidToken, message}
	}
	t, err := parseJWT(raw)
	if err != nil {
		return bad("IDX14100: JWT is not well formed, there are no dots (.).")
	}
	if sigErr := s.checkSignature(t); sigErr != nil {
		return bad("Access token validation failure. Invalid signature or issuer.")
	}
	if !s.forGraph(t.claims.text("aud")) {
		return bad("Access token validation failure. Invalid audience.")
	}
	if timeErr := checkTimes(s.now(), t, s.ages.of(s.sessionOf(t).serial)); timeErr != nil {
		return bad("Lifetime validation failed, the token is expired.")
	}
	token := graphToken{Object: object(t.claims.text("oid")), Grants: strings.Fields(t.claims.text("scp"))}
	if len(token.Grants) == 0 {
		token.AppOnly, token.Grants = true, t.claims.texts("roles")
	}
	person := s.dir.Person(token.Object)
	if token.Object.IsZero() || !token.AppOnly && (person == nil || !person.Enabled) {
		return bad("Access token validation failure. The account of the token does not exist or is disabled.")
	}
	return token, nil
}

// forGraph reports whether an audience is Microsoft Graph, also by the address of this one.
func (s *Server) forGraph(audience string) bool {
	audience = strings.TrimSuffix(audience, "/")
	if audience == entra.GraphAppID || audience == s.config.URL {
		return true
	}
	app := s.dir.resource(audience)
	return app != nil && app.AppID.String() == entra.GraphAppID
}
