package conform

import (
	"context"
	"net/http"
)

const sessionHeader = "Mcp-Session-Id"

func sessionChecks() []check {
	return []check{
		{"session.other-person", "the session of one person does not take the token of another (MCP security best practices, session hijacking)", aMinter, func(ctx context.Context, s *session) outcome {
			return s.inSession(ctx, func(id string) outcome {
				token, err := s.cfg.Minter.Mint(ctx, Token{User: "bob"})
				if err != nil {
					return skipped("no second person: %v", err)
				}
				a := s.call(ctx, listTools, func(h http.Header) {
					h.Set(sessionHeader, id)
					h.Set("Authorization", "Bearer "+token)
				})
				return verdictOn(a.err == nil && a.status >= 400 && a.status < 500, "%s", a.seen())
			})
		}},
		{"session.no-token", "a session is no authentication (MCP security best practices: MUST NOT)", aGoodOne, func(ctx context.Context, s *session) outcome {
			return s.inSession(ctx, func(id string) outcome {
				return wantStatus(s.call(ctx, listTools, func(h http.Header) {
					h.Set(sessionHeader, id)
					h.Del("Authorization")
				}), http.StatusUnauthorized)
			})
		}},
		{"session.expired-token", "… nor does it outlive the token (MCP authorization: every request)", aMinter, func(ctx context.Context, s *session) outcome {
			return s.inSession(ctx, func(id string) outcome {
				token, err := s.cfg.Minter.Mint(ctx, Token{Claims: s.expired(nil)})
				if err != nil {
					return skipped("no such token: %v", err)
				}
				return wantStatus(s.call(ctx, listTools, func(h http.Header) {
					h.Set(sessionHeader, id)
					h.Set("Authorization", "Bearer "+token)
				}), http.StatusUnauthorized)
			})
		}},
		{"session.guessable", "session ids cannot be guessed (MCP security best practices; at least 128 bits)", aGoodOne, func(ctx context.Context, s *session) outcome {
			return s.inSession(ctx, func(id string) outcome {
				other := s.newSessionID(ctx)
				return verdictOn(len(id) >= 22 && id != other && commonPrefix(id, other) < 16, "%d characters, the next differs after %d", len(id), commonPrefix(id, other))
			})
		}},
		{"session.unknown", "a session that the server did not make gives no one anything (MCP transports, session management)", aGoodOne, func(ctx context.Context, s *session) outcome {
			a := s.call(ctx, listTools, func(h http.Header) { h.Set(sessionHeader, "conform-0123456789-0123456789") })
			if s.newSessionID(ctx) == "" {
				return passed("no sessions: %s", a.seen())
			}
			return wantStatus(a, http.StatusNotFound, http.StatusBadRequest)
		}},
		{"server.alive", "after all of this the server still serves", aGoodOne, func(ctx context.Context, s *session) outcome {
			return verdictOn(s.probe(ctx, s.bearer()...).accepted(), "%s", s.probe(ctx, s.bearer()...).seen())
		}},
	}
}

// newSessionID begins a session with the good token; "" when the server keeps none.
func (s *session) newSessionID(ctx context.Context) string {
	return s.call(ctx, initialize, nil).header.Get(sessionHeader)
}

// inSession runs a check in a session of the good token's person.
func (s *session) inSession(ctx context.Context, run func(id string) outcome) outcome {
	id := s.newSessionID(ctx)
	if id == "" {
		return passed("the server keeps no sessions")
	}
	s.call(ctx, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, func(h http.Header) { h.Set(sessionHeader, id) })
	return run(id)
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
