package web

import (
	"hash/fnv"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/signin"
)

// tints is how many colours a face can have: the same person has the same one on the local Entra's pages.
const tints = 6

// personOf is a person as the pages show her.
func personOf(p signin.Person) *Person {
	name := p.Name
	if name == "" {
		name = p.UPN
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(p.UPN)) // never fails (hash.Hash)
	return &Person{Name: name, UPN: p.UPN, Initials: initials(name), Tint: int(hash.Sum32() % tints)}
}

// initials are the first letters of the first and the last word.
func initials(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if len(words) == 0 {
		return "?"
	}
	first, _ := utf8.DecodeRuneInString(words[0])
	text := string(unicode.ToUpper(first))
	if len(words) > 1 {
		last, _ := utf8.DecodeRuneInString(words[len(words)-1])
		text += string(unicode.ToUpper(last))
	}
	return text
}

// me is the page "Who am I here?".
func (a *App) me(w http.ResponseWriter, v *visit) error {
	if v.session == nil {
		redirect(w, "/")
		return nil
	}
	p := v.session.person
	page := MePage{Page: a.frame(v, "Who am I here?")}
	page.Claims = []Claim{
		{Label: "Name", Value: p.Name},
		{Label: "Account", Value: p.UPN},
		{Label: "Object id", Value: p.Object.String(), Note: "who you are, in this tenant; names may change", Code: true},
		{Label: "Tenant", Value: p.Tenant.String(), Code: true},
		{Label: "Signed in", Value: ago(a.cfg.Now().Sub(v.session.since))},
	}
	return a.pages.show(w, http.StatusOK, "me", page)
}
