package check

import (
	"regexp"
	"strings"
	"unicode"
)

var plainWord = regexp.MustCompile(`^[A-Za-z0-9@%+=:,./_-]+$`)

// ShellQuote writes a word for a POSIX shell. Words may come from the tenant: nothing in them becomes a command of whoever
// pastes it, nor steers a terminal.
func ShellQuote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	word = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, word)
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Onbehalf is a command of ours, with the settings that are looked at here.
func (s *State) Onbehalf(command string) string {
	command = "onbehalf " + command
	if s.File != "" {
		command += " --env " + ShellQuote(s.File)
	}
	return command
}

// NewSecret is the command that makes another secret of a registration, beside those that it has, and prints it.
//
// https://learn.microsoft.com/cli/azure/ad/app/credential#az-ad-app-credential-reset
func NewSecret(id string) string {
	return "az ad app credential reset --append --display-name onbehalf --query password --output tsv --id " + ShellQuote(id)
}

// RandomKey is the command that prints a random key that is strong enough for everything here.
const RandomKey = "openssl rand -base64 48"
