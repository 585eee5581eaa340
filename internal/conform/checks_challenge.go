package conform

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// junk is a bearer token that nobody issued.
const junk = "Bearer not-a-token"

// onChallenge looks at the challenge of a request with these Authorization headers.
func onChallenge(authorization []string, look func(params map[string]string, a answer, s *session) outcome) func(context.Context, *session) outcome {
	return func(ctx context.Context, s *session) outcome {
		a := s.probe(ctx, authorization...)
		params := a.challenge()
		if params == nil {
			return failed("%s, no Bearer challenge", a.seen())
		}
		return look(params, a, s)
	}
}

func challengeChecks() []check {
	return slices.Concat(challengesWithoutToken(), challengesWithToken())
}

func challengesWithoutToken() []check {
	status := func(method string) func(context.Context, *session) outcome {
		return func(ctx context.Context, s *session) outcome {
			a := s.send(ctx, method, s.cfg.URL.String(), "", commonHeaders("2025-11-25"), "")
			return wantStatus(a, http.StatusUnauthorized, http.StatusMethodNotAllowed)
		}
	}
	return []check{
		{"challenge.no-token", "no token: 401 (RFC 6750 §3, MCP authorization)", nothing, func(ctx context.Context, s *session) outcome {
			return wantStatus(s.probe(ctx), http.StatusUnauthorized)
		}},
		{"challenge.no-token-no-error", "no token: the challenge has no error code (RFC 6750 §3.1)", nothing, onChallenge(nil, func(p map[string]string, a answer, _ *session) outcome {
			return verdictOn(p["error"] == "", "%s", a.seen())
		})},
		{"challenge.resource-metadata", "the challenge names the metadata, and it is there (RFC 9728 §5.1)", nothing, challengeMetadata},
		{"challenge.scope", "the challenge names the scopes to ask for, fully qualified (RFC 6750 §3, MCP authorization: SHOULD)", nothing, onChallenge(nil, func(p map[string]string, a answer, _ *session) outcome {
			return verdictOn(qualified(strings.Fields(p["scope"])), "%s", a.seen())
		})},
		{"challenge.get", "GET without a token gets in nowhere (MCP authorization: every request)", nothing, status(http.MethodGet)},
		{"challenge.delete", "DELETE without a token gets in nowhere (MCP authorization: every request)", nothing, status(http.MethodDelete)},
		{"challenge.basic", "credentials of another scheme are none: 401 (RFC 6750 §3)", nothing, func(ctx context.Context, s *session) outcome {
			return wantStatus(s.probe(ctx, "Basic YWxpY2U6eA=="), http.StatusUnauthorized)
		}},
		{"challenge.empty", "a Bearer header without a token is malformed: 400 or 401 (RFC 6750 §3.1)", nothing, func(ctx context.Context, s *session) outcome {
			return wantStatus(s.probe(ctx, "Bearer "), http.StatusBadRequest, http.StatusUnauthorized)
		}},
	}
}

func challengesWithToken() []check {
	return []check{
		{"challenge.invalid-token", `a bad token: 401 with error="invalid_token" (RFC 6750 §3.1)`, nothing, onChallenge([]string{junk}, func(p map[string]string, a answer, _ *session) outcome {
			return verdictOn(a.status == http.StatusUnauthorized && p["error"] == "invalid_token", "%s", a.seen())
		})},
		{"challenge.description", "a bad token: the challenge says why, in ASCII without quotes (RFC 6750 §3)", nothing, onChallenge([]string{junk}, challengeDescription)},
		{"challenge.no-store", "refusals must not be kept by caches (RFC 9111 §5.2.2.5)", nothing, onChallenge([]string{junk}, func(_ map[string]string, a answer, _ *session) outcome {
			return verdictOn(strings.Contains(a.header.Get("Cache-Control"), "no-store"), "Cache-Control %q", a.header.Get("Cache-Control"))
		})},
		{"challenge.no-leak", "refusals tell nothing of the inside: no addresses, no stack, not the token (RFC 6750 §5.2)", nothing, onChallenge([]string{junk + ".x.y"}, challengeLeak)},
		{"challenge.expired", `an expired token: 401 with error="invalid_token", so that clients refresh it (RFC 6750 §3.1)`, aMinter, func(ctx context.Context, s *session) outcome {
			return s.challenged(ctx, Token{Claims: s.expired(nil)}, http.StatusUnauthorized, "invalid_token")
		}},
		{"challenge.expired-first", "expired and without the scope: expired, 401 (MCP authorization, error handling)", aMinter, func(ctx context.Context, s *session) outcome {
			return s.challenged(ctx, Token{Claims: s.expired(map[string]any{"scp": "conform.other"})}, http.StatusUnauthorized, "invalid_token")
		}},
		{"challenge.insufficient-scope", `a good token without the scope: 403 with error="insufficient_scope" (RFC 6750 §3.1)`, aMinter, func(ctx context.Context, s *session) outcome {
			return s.challenged(ctx, Token{Claims: map[string]any{"scp": "conform.other"}}, http.StatusForbidden, "insufficient_scope")
		}},
		{"challenge.insufficient-scope-names-it", "that challenge names the scopes needed, fully qualified (MCP authorization, scope challenge)", aMinter, func(ctx context.Context, s *session) outcome {
			a, problem := s.probeMinted(ctx, Token{Claims: map[string]any{"scp": "conform.other"}})
			if problem.verdict != "" {
				return problem
			}
			return verdictOn(qualified(strings.Fields(a.challenge()["scope"])), "%s", a.seen())
		}},
	}
}

func challengeMetadata(ctx context.Context, s *session) outcome {
	at := s.probe(ctx).challenge()["resource_metadata"]
	if at == "" {
		return failed("no resource_metadata")
	}
	return s.metadataAt(ctx, at)
}

func challengeDescription(p map[string]string, a answer, _ *session) outcome {
	text := p["error_description"]
	odd := strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' })
	return verdictOn(text != "" && !odd, "%s: %q", a.seen(), shorten(text, 100))
}

func challengeLeak(_ map[string]string, a answer, s *session) outcome {
	text := strings.ToLower(string(a.body) + strings.Join(a.header.Values("WWW-Authenticate"), " "))
	for _, telling := range []string{"discovery/", "jwks", "goroutine", ".go:", "traceback", "exception", "stack", "not-a-token", "/node_modules/", "connection refused"} {
		if strings.Contains(text, telling) {
			return failed("%s, the text holds %q", a.seen(), telling)
		}
	}
	return passed("%s", a.seen())
}

// expired are the claims of a token that was good until an hour ago.
func (s *session) expired(more map[string]any) map[string]any {
	now := s.cfg.Now().Unix()
	return overlaid(map[string]any{"iat": now - 7500, "nbf": now - 7500, "exp": now - 3600}, more)
}

// probeMinted mints and sends; the outcome has a verdict when there was no token to send.
func (s *session) probeMinted(ctx context.Context, t Token) (answer, outcome) {
	token, err := s.cfg.Minter.Mint(ctx, t)
	if err != nil {
		return answer{}, skipped("no such token: %s", shorten(err.Error(), 120))
	}
	return s.probe(ctx, "Bearer "+token), outcome{}
}

func (s *session) challenged(ctx context.Context, t Token, status int, code string) outcome {
	a, problem := s.probeMinted(ctx, t)
	if problem.verdict != "" {
		return problem
	}
	return verdictOn(a.status == status && a.challenge()["error"] == code, "%s, want HTTP %d error=%q", a.seen(), status, code)
}
