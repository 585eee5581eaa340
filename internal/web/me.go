package web

import (
	"encoding/base64"
	"encoding/json"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/web/hops"
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
	return &Person{Key: p.Key(), Name: name, UPN: p.UPN, Initials: initials(name), Tint: int(hash.Sum32() % tints)}
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

// tokenClaims is what the page shows of an access token. It is read without verifying anything, and decides nothing: to
// whom a token belongs and what it is for, its API checks.
type tokenClaims struct {
	Audience   string          `json:"aud"`
	Groups     []string        `json:"groups"`
	Sources    json.RawMessage `json:"_claim_names"` // overage: the groups are elsewhere
	HasGroups  bool            `json:"hasgroups"`
	Scopes     string          `json:"scp"`
	Client     string          `json:"azp"`
	ClientV1   string          `json:"appid"`
	AuthMethod []string        `json:"amr"`
	Contexts   []string        `json:"acrs"`
}

func readClaims(token string) (c tokenClaims, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	return c, err == nil && json.Unmarshal(payload, &c) == nil
}

// me is the page "Who am I here?".
func (a *App) me(w http.ResponseWriter, v *visit) error {
	if v.session == nil {
		return a.welcome(w, v, "/me")
	}
	if a.calls.Take(v.owner().String()) > 0 { // it asks all servers
		return &pageError{status: http.StatusTooManyRequests, heading: "That was too much at once", text: "Wait a moment, then try again."}
	}
	p, now := v.session.person, a.cfg.Now()
	page := MePage{Page: a.frame(v, "Who am I here?")}
	page.Claims = []Claim{
		{Label: "Name", Value: p.Name, Note: "for display: names change"},
		{Label: "Account", Value: p.UPN, Note: "for display, too"},
		{Label: "Object id", Value: p.Object.String(), Note: "who you are in this tenant, for good", Code: true},
		{Label: "Tenant", Value: p.Tenant.String(), Note: "your organization", Code: true},
		{Label: "Signed in", Value: ago(now.Sub(v.session.since)), Note: "at " + strings.TrimSuffix(a.cfg.Authority, "/")},
		{Label: "This session ends", Value: untilText(v.session.since.Add(a.sessions.limits.Life).Sub(now)), Note: "or after " + span(a.sessions.limits.Idle) + " without use"},
	}
	page.Servers = a.toolsOf(v.Context(), v.session)
	a.addToken(v, &page)
	page.Tokens = v.session.held(a.cfg.Servers, now)
	items, err := a.desk.list(v.owner())
	if err != nil {
		return err
	}
	page.Conversations = len(items)
	return a.pages.show(w, http.StatusOK, "me", page)
}

// addToken adds what the token for the first server says.
func (a *App) addToken(v *visit, page *MePage) {
	token, err := v.session.tokens.Token(v.Context(), signin.Request{Server: a.cfg.Servers[0].URL.String(), Scopes: []entra.Scope{a.cfg.Scope}, Silent: true})
	if err != nil {
		page.Claims = append(page.Claims, Claim{Label: "Token", Value: "none that counts", Note: "the next question will ask you to sign in"})
		return
	}
	claims, ok := readClaims(token.Value.Reveal())
	if !ok {
		return
	}
	client := claims.Client
	if client == "" {
		client = claims.ClientV1
	}
	page.Groups, page.Overage = claims.Groups, len(claims.Sources) > 0 || claims.HasGroups
	add := func(label, value, note string, code bool) {
		if value != "" {
			page.Claims = append(page.Claims, Claim{label, value, note, code})
		}
	}
	add("Signed in with", hops.MethodsInWords(claims.AuthMethod), "", false)
	add("Authentication contexts", strings.Join(claims.Contexts, ", "), "stronger sign-ins that you have passed", true)
	add("Client", client, "this agent, as your organization knows it", true)
	add("Permissions", claims.Scopes, "what this agent may ask for as you", true)
}

// held says which tokens a session holds, never the tokens.
func (s *session) held(servers []Server, now time.Time) []Claim {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Claim
	for i := range servers {
		c := s.servers[servers[i].Name]
		if c == nil {
			continue
		}
		if token, ok := c.handler.Token(); ok {
			out = append(out, Claim{Label: servers[i].Name + " (" + servers[i].URL.Host + ")", Value: token.Audience, Note: "ends " + untilText(token.Expires.Sub(now)), Code: true})
		}
	}
	return out
}

func untilText(d time.Duration) string {
	if d <= 0 {
		return "now"
	}
	return "in " + span(d)
}

// span says how long something takes, roughly.
func span(d time.Duration) string {
	count := func(n int, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return strconv.Itoa(n) + " " + unit + "s"
	}
	if d < 2*time.Hour {
		return count(max(int(d.Round(time.Minute)/time.Minute), 1), "minute")
	}
	return count(int(d.Round(time.Hour)/time.Hour), "hour")
}
