package conform

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// session is one run against one server.
type session struct {
	cfg      Config
	stranger func() (*rsa.PrivateKey, error) // a key that nobody trusts
	good     string                          // a token that the server accepts
	modern   bool                            // the server speaks 2026-07-28

	probeBody    string // a message that every caller may send
	probeHeaders http.Header
}

// answer is what the server said.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error
}

const (
	maxAnswer  = 1 << 20
	maxPause   = 5 * time.Second // that a Retry-After makes us wait
	maxRetries = 20
)

// send sends a request, waiting when the server says that there were too many.
func (s *session) send(ctx context.Context, method, url, body string, headers http.Header, host string) answer {
	for attempt := 0; ; attempt++ {
		a := s.sendOnce(ctx, method, url, body, headers, host)
		if a.err != nil || a.status != http.StatusTooManyRequests || attempt == maxRetries {
			return a
		}
		seconds, _ := strconv.Atoi(a.header.Get("Retry-After"))
		select {
		case <-ctx.Done():
			return answer{err: ctx.Err()}
		case <-time.After(min(time.Duration(max(seconds, 1))*time.Second, maxPause)):
		}
	}
}

func (s *session) sendOnce(ctx context.Context, method, url, body string, headers http.Header, host string) answer {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	request.Header = headers.Clone()
	if request.Header == nil {
		request.Header = http.Header{}
	}
	request.Host = host
	response, err := s.cfg.HTTPClient.Do(request)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return answer{response.StatusCode, response.Header, text, err}
}

// probe sends the harmless message with these Authorization headers.
func (s *session) probe(ctx context.Context, authorization ...string) answer {
	return s.probeWith(ctx, "", func(h http.Header) {
		for _, value := range authorization {
			h.Add("Authorization", value)
		}
	})
}

func (s *session) probeWith(ctx context.Context, host string, change func(http.Header)) answer {
	headers := s.probeHeaders.Clone()
	change(headers)
	return s.send(ctx, http.MethodPost, s.cfg.URL.String(), s.probeBody, headers, host)
}

// call sends a message with the good token.
func (s *session) call(ctx context.Context, body string, change func(http.Header)) answer {
	headers := s.probeHeaders.Clone()
	headers.Set("Authorization", "Bearer "+s.good)
	if change != nil {
		change(headers)
	}
	return s.send(ctx, http.MethodPost, s.cfg.URL.String(), body, headers, "")
}

const meta2026 = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"onbehalf conform","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`

func commonHeaders(version string) http.Header {
	return http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "Mcp-Protocol-Version": {version},
	}
}

func discoverHeaders() http.Header {
	h := commonHeaders("2026-07-28")
	h.Set("Mcp-Method", "server/discover")
	return h
}

const (
	discover   = `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{` + meta2026 + `}}`
	initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"onbehalf conform","version":"1"}}}`
)

// baseline gets a good token and finds a message that the server answers with it.
func (s *session) baseline(ctx context.Context) error {
	if s.cfg.Minter != nil {
		var err error
		if s.good, err = s.cfg.Minter.Mint(ctx, Token{}); err != nil {
			return fmt.Errorf("a good token: %w", err)
		}
	}
	s.probeBody, s.probeHeaders = discover, discoverHeaders()
	modern := s.probe(ctx, s.bearer()...)
	versions, _ := modern.result()["supportedVersions"].([]any)
	s.modern = modern.accepted() && slices.Contains(versions, any("2026-07-28"))
	legacyBody, legacyHeaders := initialize, commonHeaders("2025-11-25")
	s.probeBody, s.probeHeaders = legacyBody, legacyHeaders
	legacy := s.probe(ctx, s.bearer()...)
	switch {
	case legacy.err != nil:
		return legacy.err
	case legacy.accepted(), s.good == "":
	case s.modern:
		s.probeBody, s.probeHeaders = discover, discoverHeaders()
	default:
		return fmt.Errorf("%w: initialize: %s", ErrBaseline, legacy.seen())
	}
	return nil
}

func (s *session) bearer() []string {
	if s.good == "" {
		return nil
	}
	return []string{"Bearer " + s.good}
}

// accepted reports whether a JSON-RPC result came back.
func (a answer) accepted() bool { return a.status == http.StatusOK && a.result() != nil }

// result returns the result of the JSON-RPC answer, which may be framed as an event.
func (a answer) result() map[string]any {
	for _, text := range append([][]byte{a.body}, events(a.body)...) {
		var message struct {
			Result map[string]any `json:"result"`
		}
		if json.Unmarshal(text, &message) == nil && message.Result != nil {
			return message.Result
		}
	}
	return nil
}

func events(body []byte) (data [][]byte) {
	for line := range bytes.Lines(body) {
		if text, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			data = append(data, bytes.TrimSpace(text))
		}
	}
	return data
}

// challenge returns the parameters of the Bearer challenge, nil without one.
func (a answer) challenge() map[string]string {
	for _, value := range a.header.Values("WWW-Authenticate") {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
		if strings.EqualFold(scheme, "Bearer") {
			return parseParams(rest)
		}
	}
	return nil
}

// parseParams reads the parameters of a challenge (RFC 9110 §11.2), as far as it is well formed.
func parseParams(text string) map[string]string {
	params := map[string]string{}
	for {
		name, rest, ok := strings.Cut(strings.TrimLeft(text, " \t,"), "=")
		if !ok {
			return params
		}
		rest = strings.TrimLeft(rest, " \t")
		var value strings.Builder
		if quoted, isQuoted := strings.CutPrefix(rest, `"`); isQuoted {
			end := -1
			for i := 0; i < len(quoted) && end < 0; i++ {
				switch {
				case quoted[i] == '\\' && i+1 < len(quoted):
					i++
					value.WriteByte(quoted[i])
				case quoted[i] == '"':
					end = i
				default:
					value.WriteByte(quoted[i])
				}
			}
			if end < 0 {
				return params
			}
			text = quoted[end+1:]
		} else {
			plain, after, _ := strings.Cut(rest, ",")
			value.WriteString(strings.TrimSpace(plain))
			text = after
		}
		params[strings.ToLower(strings.TrimSpace(name))] = value.String()
	}
}

// seen tells an answer in one line.
func (a answer) seen() string {
	if a.err != nil {
		return "no answer: " + reason(a.err)
	}
	status := "HTTP " + strconv.Itoa(a.status)
	params := a.challenge()
	switch {
	case a.accepted():
		return status + ", a result: accepted"
	case params == nil:
		return status
	case params["error"] == "":
		return fmt.Sprintf("%s, challenge without error, scope=%q", status, shorten(params["scope"], 80))
	default:
		return fmt.Sprintf("%s error=%q scope=%q", status, shorten(params["error"], 40), shorten(params["scope"], 80))
	}
}

// reason shortens an error of net/http, whose text repeats the URL.
func reason(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return shorten(err.Error(), 120)
}

func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

// wantStatus passes when the answer has one of the statuses.
func wantStatus(a answer, statuses ...int) outcome {
	if a.err == nil && slices.Contains(statuses, a.status) {
		return passed("%s", a.seen())
	}
	return failed("%s, want %s", a.seen(), join(statuses))
}

func join(statuses []int) string {
	words := make([]string, len(statuses))
	for i, status := range statuses {
		words[i] = strconv.Itoa(status)
	}
	return strings.Join(words, " or ")
}
