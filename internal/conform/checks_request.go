package conform

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

func requestChecks() []check {
	return slices.Concat(smuggledTokens(), rebinding(), messages())
}

// smuggled is a check that the token is looked for in one Authorization header and nowhere else.
func smuggled(id, spec string, change func(s *session, h http.Header), statuses ...int) check {
	return check{"request." + id, spec, aGoodOne, func(ctx context.Context, s *session) outcome {
		return wantStatus(s.probeWith(ctx, "", func(h http.Header) { change(s, h) }), statuses...)
	}}
}

func smuggledTokens() []check {
	const refused, malformed = http.StatusUnauthorized, http.StatusBadRequest
	return []check{
		smuggled("two-headers", "two Authorization headers: refused, whichever is good (RFC 9110 §5.3, RFC 6750 §3.1)", func(s *session, h http.Header) {
			h["Authorization"] = []string{"Bearer " + s.good, junk}
		}, refused, malformed),
		smuggled("two-headers-swapped", "… in either order (RFC 9110 §5.3)", func(s *session, h http.Header) {
			h["Authorization"] = []string{junk, "Bearer " + s.good}
		}, refused, malformed),
		smuggled("two-good-headers", "… also when both are good (RFC 6750 §2)", func(s *session, h http.Header) {
			h["Authorization"] = []string{"Bearer " + s.good, "Bearer " + s.good}
		}, refused, malformed),
		smuggled("joined-headers", "… and as one header with a comma (RFC 9110 §5.3)", func(s *session, h http.Header) {
			h.Set("Authorization", junk+", Bearer "+s.good)
		}, refused, malformed),
		smuggled("cookie", "a token in a cookie is none (RFC 6750 §2)", func(s *session, h http.Header) {
			h.Set("Cookie", "access_token="+s.good+"; Authorization="+s.good)
		}, refused, malformed),
		smuggled("other-headers", "a token in a header of another name is none (RFC 6750 §2)", func(s *session, h http.Header) {
			for _, name := range []string{"Proxy-Authorization", "X-Forwarded-Authorization", "X-Original-Authorization", "X-Auth-Token", "X-Access-Token"} {
				h.Set(name, "Bearer "+s.good)
			}
		}, refused, malformed),
		smuggled("identity-headers", "headers of a gateway that says who calls are not believed (RFC 9110 §17.15)", func(s *session, h http.Header) {
			for _, name := range []string{"X-Ms-Client-Principal", "X-Ms-Client-Principal-Id", "X-Forwarded-User", "X-User", "Remote-User", "X-Ms-Token-Aad-Access-Token"} {
				h.Set(name, s.good)
			}
		}, refused, malformed),
		{"request.query", "a token in the URL is not taken: URLs are logged (MCP authorization: MUST NOT; RFC 6750 §5.3)", aGoodOne, func(ctx context.Context, s *session) outcome {
			u := *s.cfg.URL
			u.RawQuery = url.Values{"access_token": {s.good}}.Encode()
			return wantStatus(s.send(ctx, http.MethodPost, u.String(), s.probeBody, s.probeHeaders, ""), refused, malformed)
		}},
		{"request.form", "a token in a form is not taken (MCP authorization, token handling)", aGoodOne, func(ctx context.Context, s *session) outcome {
			h := s.probeHeaders.Clone()
			h.Set("Content-Type", "application/x-www-form-urlencoded")
			return wantStatus(s.send(ctx, http.MethodPost, s.cfg.URL.String(), "access_token="+s.good, h, ""), refused, malformed, http.StatusUnsupportedMediaType)
		}},
		smuggled("scheme-case", "the scheme's name has no case: bearer is Bearer (RFC 9110 §11.1)", func(s *session, h http.Header) {
			h.Set("Authorization", "bearer "+s.good)
		}, http.StatusOK),
		{"request.paths", "no spelling of the path gets in without a token (RFC 3986 §6)", nothing, otherPaths},
		{"request.methods", "no method and no override of it gets in without a token (RFC 9110 §9)", nothing, otherMethods},
	}
}

func otherPaths(ctx context.Context, s *session) outcome {
	path := s.cfg.URL.Path
	origin := strings.TrimSuffix(s.at("/"), "/")
	for _, variant := range []string{path + "/", strings.ToUpper(path), "/" + path, path + "/.", path + "%2f", path + ";x=y", path + "?x=/public", "/./" + strings.TrimPrefix(path, "/"), path + "%00", "/" + "%6d" + strings.TrimPrefix(path, "/m")} {
		if a := s.send(ctx, http.MethodPost, origin+variant, s.probeBody, s.probeHeaders, ""); a.accepted() {
			return failed("%s at %s", a.seen(), variant)
		}
	}
	return passed("none of 10 did")
}

func otherMethods(ctx context.Context, s *session) outcome {
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodOptions, http.MethodHead, "post", "MCP"} {
		h := s.probeHeaders.Clone()
		h.Set("X-Http-Method-Override", http.MethodPost)
		if a := s.send(ctx, method, s.cfg.URL.String(), s.probeBody, h, ""); a.accepted() {
			return failed("%s with %s", a.seen(), method)
		}
	}
	return passed("none of 6 did")
}

// rebinding are checks that no web page reaches the server, not even with the token of the person at the browser.
func rebinding() []check {
	const forbidden, misdirected, malformed = http.StatusForbidden, http.StatusMisdirectedRequest, http.StatusBadRequest
	from := func(id, spec, host string, origins []string, statuses ...int) check {
		return check{"rebinding." + id, spec, aGoodOne, func(ctx context.Context, s *session) outcome {
			return wantStatus(s.probeWith(ctx, host, func(h http.Header) {
				h.Set("Authorization", "Bearer "+s.good)
				for _, origin := range origins {
					h.Add("Origin", origin)
				}
			}), statuses...)
		}}
	}
	return []check{
		from("origin", "an Origin that is not allowed: 403 (MCP transports, security: MUST)", "", []string{"https://evil.example"}, forbidden),
		from("origin-null", "… also null, of a sandboxed page or a file (Fetch §3.2)", "", []string{"null"}, forbidden),
		from("origin-prefix", "origins are compared whole (RFC 6454 §5)", "", []string{"http://localhost.evil.example"}, forbidden),
		from("host", "a Host that is not the server's is refused: DNS rebinding (MCP transports, security)", "evil.example", nil, forbidden, misdirected, malformed),
		from("host-and-origin", "… also when Origin is the same name (MCP transports, security)", "evil.example", []string{"http://evil.example"}, forbidden, misdirected, malformed),
		{"rebinding.cors", "answers are not readable by every page (Fetch, CORS)", aGoodOne, func(ctx context.Context, s *session) outcome {
			a := s.probeWith(ctx, "", func(h http.Header) {
				h.Set("Authorization", "Bearer "+s.good)
				h.Set("Origin", "https://evil.example")
			})
			allowed := a.header.Get("Access-Control-Allow-Origin")
			return verdictOn(allowed != "*" && !strings.Contains(allowed, "evil"), "Access-Control-Allow-Origin %q", allowed)
		}},
	}
}

const listTools = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`

// messages are checks of what the body and the headers say, with a good token: a gate must see what the server runs.
func messages() []check {
	return []check{
		{"message.batch", "batches are gone since 2025-06-18: several calls must not hide behind one (MCP changelog)", aGoodOne, func(ctx context.Context, s *session) outcome {
			a := s.call(ctx, "["+listTools+","+strings.Replace(listTools, `"id":1`, `"id":2`, 1)+"]", func(h http.Header) { h.Del("Mcp-Protocol-Version") })
			return verdictOn(a.err == nil && a.status >= 400, "%s", seenBody(a))
		}},
		{"message.case", "member names have a case: Method is not method (RFC 8259 §8.3)", aGoodOne, func(ctx context.Context, s *session) outcome {
			a := s.call(ctx, `{"jsonrpc":"2.0","id":1,"method":"conform/none","Method":"tools/list","METHOD":"initialize","params":{}}`, nil)
			return verdictOn(a.err == nil && a.result() == nil, "%s", seenBody(a))
		}},
		{"message.version", "a protocol version that the server does not speak: 400 (MCP transports, protocol version header)", aGoodOne, func(ctx context.Context, s *session) outcome {
			return wantStatus(s.call(ctx, listTools, func(h http.Header) { h.Set("Mcp-Protocol-Version", "1999-01-01") }), http.StatusBadRequest)
		}},
		{"message.method-header", "Mcp-Method says the body's method, or 400: gates trust it (MCP 2026-07-28 transports)", aGoodOne, func(ctx context.Context, s *session) outcome {
			return s.mismatch(ctx, "tools/list", "")
		}},
		{"message.name-header", "Mcp-Name says the body's tool, or 400: gates trust it (MCP 2026-07-28 transports)", aGoodOne, func(ctx context.Context, s *session) outcome {
			return s.mismatch(ctx, "tools/call", "conform-other")
		}},
		{"message.large", "a body of 32 MiB is refused (RFC 9110 §15.5.14)", aGoodOne, func(ctx context.Context, s *session) outcome {
			a := s.call(ctx, strings.Replace(s.probeBody, `{`, "{"+strings.Repeat(" ", 32<<20), 1), nil)
			return verdictOn(a.err != nil || a.status >= 400 && a.status < 500, "%s", a.seen())
		}},
		{"message.cache", "what was meant for one caller is kept by no shared cache (MCP 2026-07-28 caching, RFC 9111 §3.5)", aGoodOne, caching},
	}
}

// mismatch sends a call of a tool whose headers say something else.
func (s *session) mismatch(ctx context.Context, method, name string) outcome {
	if !s.modern {
		return skipped("the server does not speak 2026-07-28")
	}
	a := s.call(ctx, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"conform-none","arguments":{},`+meta2026+`}}`, func(h http.Header) {
		h.Set("Mcp-Protocol-Version", "2026-07-28")
		h.Set("Mcp-Method", method)
		if name != "" {
			h.Set("Mcp-Name", name)
		}
	})
	var message struct {
		Error struct{ Code int }
	}
	_ = json.Unmarshal(a.body, &message)
	const headerMismatch = -32020
	return verdictOn(a.status == http.StatusBadRequest && message.Error.Code == headerMismatch, "%s, code %d", a.seen(), message.Error.Code)
}

func caching(ctx context.Context, s *session) outcome {
	a := s.probe(ctx, s.bearer()...)
	control := a.header.Get("Cache-Control")
	if strings.Contains(control, "public") || strings.Contains(control, "s-maxage") {
		return failed("Cache-Control %q", control)
	}
	if !s.modern {
		return passed("Cache-Control %q", control)
	}
	a = s.call(ctx, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{`+meta2026+`}}`, func(h http.Header) {
		h.Set("Mcp-Protocol-Version", "2026-07-28")
		h.Set("Mcp-Method", "tools/list")
	})
	scope, _ := a.result()["cacheScope"].(string)
	return verdictOn(a.accepted() && scope != "public", "Cache-Control %q, cacheScope %q", control, scope)
}

func seenBody(a answer) string {
	if a.err == nil && a.status == http.StatusOK && a.result() == nil {
		return a.seen() + ", no result"
	}
	return a.seen()
}
