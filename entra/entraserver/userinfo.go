package entraserver

import (
	"net/http"
	"strings"

	"github.com/onbehalf/onbehalf/entra"
)

// userInfo is OpenID Connect's: who the person of a Graph token is.
//
// https://learn.microsoft.com/entra/identity-platform/userinfo
func (s *Server) userInfo(w http.ResponseWriter, c *call) error {
	scheme, raw, _ := strings.Cut(c.Header.Get("Authorization"), " ")
	token, err := s.verifyGraphToken(c.Request, raw)
	person := s.dir.Person(token.Object)
	if !strings.EqualFold(scheme, "Bearer") || err != nil || person == nil {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		return &entra.Error{Status: http.StatusUnauthorized, Code: "invalid_token", Description: "The access token is not one of a person for Microsoft Graph."}
	}
	body := map[string]any{"sub": s.subject(client(entra.GraphAppID), person.ID), "name": person.Name}
	setNonEmpty(body, "given_name", person.GivenName)
	setNonEmpty(body, "family_name", person.Surname)
	setNonEmpty(body, "email", person.Mail)
	writeJSON(w, http.StatusOK, body)
	return nil
}
