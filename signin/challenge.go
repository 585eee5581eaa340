package signin

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Bounds of a WWW-Authenticate header.
const (
	maxChallengeBytes  = 16 << 10
	maxChallenges      = 8
	maxChallengeParams = 32
)

// challenge is one Bearer challenge (RFC 6750 §3, RFC 9728 §5.1, and Entra's claims challenge).
type challenge struct {
	found    bool     // there was a Bearer challenge at all
	code     string   // error: "invalid_token", "insufficient_scope", "insufficient_claims"
	scopes   []string // scope: fully qualified, in Entra's case
	metadata string   // resource_metadata: a URL
	claims   string   // claims: base64, as it came
}

// parseChallenge finds the Bearer challenge among those of an answer. Several: the first.
func parseChallenge(header http.Header) (challenge, error) {
	parsed, err := parseWWWAuthenticate(header.Values("WWW-Authenticate"))
	if err != nil {
		return challenge{}, fmt.Errorf("the server's WWW-Authenticate header: %w", err)
	}
	for _, candidate := range parsed {
		if candidate.scheme != "bearer" {
			continue
		}
		return challenge{
			found:    true,
			code:     candidate.params["error"],
			scopes:   strings.Fields(candidate.params["scope"]),
			metadata: candidate.params["resource_metadata"],
			claims:   candidate.params["claims"],
		}, nil
	}
	return challenge{}, nil
}

// schemeParams is one challenge of any scheme.
type schemeParams struct {
	scheme string            // in lower case
	params map[string]string // names in lower case; a token68 is under ""
}

var errChallengeSyntax = errors.New("not a list of challenges (RFC 9110 §11.6.1)")

// parseWWWAuthenticate reads challenges, of one or several header fields, each of which may hold several. It accepts
// what the standard does and an empty quoted string, such as Entra's realm="".
//
// https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
func parseWWWAuthenticate(values []string) ([]schemeParams, error) {
	var all []schemeParams
	size := 0
	for _, value := range values {
		if size += len(value); size > maxChallengeBytes {
			return nil, fmt.Errorf("longer than %d bytes", maxChallengeBytes)
		}
		p := challengeParser{rest: value}
		if err := p.list(); err != nil {
			return nil, err
		}
		if all = append(all, p.done...); len(all) > maxChallenges {
			return nil, fmt.Errorf("more than %d challenges", maxChallenges)
		}
	}
	return all, nil
}

type challengeParser struct {
	rest string
	done []schemeParams
}

// list reads elements between commas. An element opens a challenge or adds a parameter to the one before: only what
// follows its first word tells.
func (p *challengeParser) list() error {
	for {
		p.skip(" \t,")
		if p.rest == "" {
			return nil
		}
		if err := p.element(); err != nil {
			return err
		}
		p.skip(" \t")
		if p.rest != "" && p.rest[0] != ',' {
			return errChallengeSyntax
		}
	}
}

func (p *challengeParser) element() error {
	word := p.word()
	if word == "" {
		return errChallengeSyntax
	}
	gap := p.skip(" \t")
	if p.rest != "" && p.rest[0] == '=' {
		return p.param(word)
	}
	if len(p.done) == maxChallenges {
		return fmt.Errorf("more than %d challenges", maxChallenges)
	}
	p.done = append(p.done, schemeParams{strings.ToLower(word), map[string]string{}})
	if p.rest == "" || p.rest[0] == ',' || !gap {
		return nil
	}
	return p.first()
}

// first reads what follows a scheme: a parameter, or a token68 such as Negotiate's.
func (p *challengeParser) first() error {
	before := p.rest
	name := p.word()
	p.skip(" \t")
	if name != "" && p.rest != "" && p.rest[0] == '=' {
		after := strings.TrimLeft(p.rest[1:], "= \t")
		if after != "" && after[0] != ',' || strings.HasPrefix(p.rest, `="`) {
			return p.param(name)
		}
	}
	p.rest = before
	end := strings.IndexAny(p.rest, " \t,")
	if end < 0 {
		end = len(p.rest)
	}
	for _, r := range []byte(p.rest[:end]) {
		if !isTokenByte(r) && r != '/' && r != '=' {
			return errChallengeSyntax
		}
	}
	p.done[len(p.done)-1].params[""] = p.rest[:end]
	p.rest = p.rest[end:]
	return nil
}

// param reads "=value" and adds it to the challenge at hand.
func (p *challengeParser) param(name string) error {
	p.rest = p.rest[1:]
	p.skip(" \t")
	value, err := p.value()
	if err != nil {
		return err
	}
	if len(p.done) == 0 {
		return errChallengeSyntax
	}
	params := p.done[len(p.done)-1].params
	name = strings.ToLower(name)
	if _, twice := params[name]; twice {
		return fmt.Errorf("parameter %q is there twice", name)
	}
	if len(params) == maxChallengeParams {
		return fmt.Errorf("more than %d parameters", maxChallengeParams)
	}
	params[name] = value
	return nil
}

func (p *challengeParser) value() (string, error) {
	if !strings.HasPrefix(p.rest, `"`) {
		word := p.word()
		if word == "" {
			return "", errChallengeSyntax
		}
		return word, nil
	}
	var value strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch r := p.rest[i]; {
		case r == '"':
			p.rest = p.rest[i+1:]
			return value.String(), nil
		case r == '\\' && i+1 < len(p.rest):
			i++
			value.WriteByte(p.rest[i])
		case r < ' ' && r != '\t' || r == 0x7f:
			return "", errChallengeSyntax
		default:
			value.WriteByte(r)
		}
	}
	return "", errChallengeSyntax
}

func (p *challengeParser) word() string {
	end := 0
	for end < len(p.rest) && isTokenByte(p.rest[end]) {
		end++
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	return word
}

func (p *challengeParser) skip(set string) bool {
	trimmed := strings.TrimLeft(p.rest, set)
	skipped := len(trimmed) != len(p.rest)
	p.rest = trimmed
	return skipped
}

// isTokenByte reports a tchar of RFC 9110 §5.6.2.
func isTokenByte(r byte) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", r) >= 0
}

// Reason returns what the Bearer challenge of an answer gives as its reason: RFC 6750's error and error_description,
// "" where there is none. The description is the server's own text: treat it as foreign.
func Reason(header http.Header) (code, description string) {
	parsed, err := parseWWWAuthenticate(header.Values("WWW-Authenticate"))
	if err != nil {
		return "", ""
	}
	for _, candidate := range parsed {
		if candidate.scheme == "bearer" {
			return candidate.params["error"], candidate.params["error_description"]
		}
	}
	return "", ""
}
