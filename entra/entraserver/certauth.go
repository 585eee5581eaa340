package entraserver

import (
	"net/http"
	"net/url"

	"github.com/onbehalf/onbehalf/entra"
)

// checkClientAssertion checks a certificate's assertion or a federated credential.
func (s *Server) checkClientAssertion(*call, *Application, url.Values) error {
	return &entra.Error{Status: http.StatusNotImplemented, Code: invalidClient, Description: "The local Entra does not check client assertions."}
}
