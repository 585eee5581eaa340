package registrations

import (
	"encoding/json"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor/check"
)

// azUpdate is the command that sets a property of a registration. Values come from the tenant: they are quoted, so that
// nothing in them becomes a command of whoever pastes it.
func azUpdate(id identity.ClientID, flag string, values ...string) string {
	words := []string{"az ad app update --id", id.String(), flag}
	for _, value := range values {
		words = append(words, check.ShellQuote(value))
	}
	return strings.Join(words, " ")
}

// adminConsent is the command that consents to what a registration lists, for everybody.
func adminConsent(client identity.ClientID) string {
	return "az ad app permission admin-consent --id " + client.String()
}

// permissionAdd is the command that lists a delegated permission in a registration.
func permissionAdd(client identity.ClientID, resource, permission string) string {
	return "az ad app permission add --id " + client.String() + " --api " + resource + " --api-permissions " + check.ShellQuote(permission+"=Scope")
}

// asJSON writes what is made of strings alone.
func asJSON(v any) string {
	text, _ := json.Marshal(v) //nolint:errchkjson // strings always marshal
	return string(text)
}
