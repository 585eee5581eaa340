package registrations

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode"

	"github.com/onbehalf/onbehalf/identity"
)

// azUpdate is the command that sets a property of a registration. Values come from the tenant: they are quoted, so that
// nothing in them becomes a command of whoever pastes it.
func azUpdate(id identity.ClientID, flag string, values ...string) string {
	words := []string{"az ad app update --id", id.String(), flag}
	for _, value := range values {
		words = append(words, shellQuote(value))
	}
	return strings.Join(words, " ")
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9@%+=:,./_-]+$`)

// shellQuote writes a word for a POSIX shell.
func shellQuote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	word = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, word)
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// permissionAdd is the command that lists a delegated permission in a registration.
func permissionAdd(client identity.ClientID, resource, permission string) string {
	return "az ad app permission add --id " + client.String() + " --api " + resource + " --api-permissions " + shellQuote(permission+"=Scope")
}

// asJSON writes what is made of strings alone.
func asJSON(v any) string {
	text, _ := json.Marshal(v) //nolint:errchkjson // strings always marshal
	return string(text)
}
