// Package conform puts the authorization of an MCP server through checks, from outside, over HTTP: what the server says
// about itself, what it answers to a request without a token, and whether any of many hostile tokens and requests gets
// in. Each check has an id, one line of what the specification says, and what was seen.
//
// It shares no code with package bearer, which it was made to judge. Hostile tokens are signed by a [Minter]: the local
// Entra, or a test issuer's key that the server trusts. It is not the protocol's conformance suite
// (@modelcontextprotocol/conformance), which has no check of authorization for servers.
package conform

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"sync"
	"time"
)

// Config says what to check, and with what.
type Config struct {
	URL *url.URL // of the MCP endpoint, exactly as clients use it
	// Minter signs tokens that the server should accept or refuse. Nil: Token is all there is, and the checks that
	// need a token of a certain content are skipped.
	Minter Minter
	Token  string // a good access token, where there is no Minter

	Only, Skip []string // ids of checks, with * for anything within a part: "token.*"

	HTTPClient *http.Client     // must trust the server and its authority; it follows no redirect
	Now        func() time.Time // the clock; nil: [time.Now]
}

// Verdict is what came of a check.
type Verdict string

// The verdicts.
const (
	Pass Verdict = "pass"
	Fail Verdict = "fail"
	Skip Verdict = "skip" // the check does not apply, or needs what is not there
)

// Result is one check's.
type Result struct {
	ID      string        `json:"id"`
	Spec    string        `json:"spec"` // what the specification says, with its section
	Verdict Verdict       `json:"verdict"`
	Seen    string        `json:"seen"` // never holds a token
	Took    time.Duration `json:"took"` // nanoseconds
}

// Report is what came of all checks.
type Report struct {
	URL     string    `json:"url"`
	Start   time.Time `json:"start"`
	Results []Result  `json:"results"`
}

// Count returns how many checks had a verdict.
func (r *Report) Count(v Verdict) (n int) {
	for _, result := range r.Results {
		if result.Verdict == v {
			n++
		}
	}
	return n
}

// ErrBaseline says that the server refuses even a good token, so that no refusal would prove anything.
var ErrBaseline = errors.New("the server does not accept a token that should be good")

// ErrNoCheck says that what was named leaves nothing to check.
var ErrNoCheck = errors.New("no check has such an id")

// check is one check. need names what it cannot do without.
type check struct {
	id, spec string
	need     need
	run      func(ctx context.Context, s *session) outcome
}

type need int

const (
	nothing   need = iota
	aGoodOne       // a token that the server accepts
	aMinter        // tokens of any content, well signed
	rawMinter      // tokens of any bytes, well signed
)

type outcome struct {
	verdict Verdict
	seen    string
}

func passed(format string, args ...any) outcome { return outcome{Pass, fmt.Sprintf(format, args...)} }

func failed(format string, args ...any) outcome { return outcome{Fail, fmt.Sprintf(format, args...)} }

func skipped(format string, args ...any) outcome {
	return outcome{Skip, fmt.Sprintf(format, args...)}
}

// checkTimeout bounds one check.
const checkTimeout = 30 * time.Second

// IDs returns the ids of all checks, in the order in which they run.
func IDs() []string {
	var ids []string
	for _, c := range allChecks() {
		ids = append(ids, c.id)
	}
	return ids
}

func allChecks() []check {
	return slices.Concat(metadataChecks(), challengeChecks(), tokenChecks(), requestChecks(), sessionChecks())
}

// Run runs the checks one after another. observe, which may be nil, is told of each result at once. An error means that
// the checks could not be run: see [ErrBaseline].
func Run(ctx context.Context, cfg Config, observe func(Result)) (*Report, error) {
	s, err := newSession(cfg)
	if err != nil {
		return nil, err
	}
	if err := s.baseline(ctx); err != nil {
		return nil, err
	}
	report := &Report{URL: cfg.URL.String(), Start: s.cfg.Now()}
	for _, c := range allChecks() {
		if !cfg.wants(c.id) {
			continue
		}
		result := s.run(ctx, c)
		report.Results = append(report.Results, result)
		if observe != nil {
			observe(result)
		}
		if err := ctx.Err(); err != nil {
			return report, err
		}
	}
	if len(report.Results) == 0 {
		return nil, ErrNoCheck
	}
	return report, nil
}

func (cfg *Config) wants(id string) bool {
	matches := func(pattern string) bool { ok, err := path.Match(pattern, id); return ok && err == nil }
	return (len(cfg.Only) == 0 || slices.ContainsFunc(cfg.Only, matches)) && !slices.ContainsFunc(cfg.Skip, matches)
}

func (s *session) run(ctx context.Context, c check) Result {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	start := s.cfg.Now()
	out := s.lacking(c.need)
	if out.verdict == "" {
		out = c.run(ctx, s)
	}
	return Result{ID: c.id, Spec: c.spec, Verdict: out.verdict, Seen: out.seen, Took: s.cfg.Now().Sub(start)}
}

func (s *session) lacking(n need) outcome {
	_, raw := s.cfg.Minter.(RawMinter)
	switch {
	case n >= aGoodOne && s.good == "":
		return skipped("needs a good token")
	case n >= aMinter && s.cfg.Minter == nil:
		return skipped("needs a minter of tokens")
	case n == rawMinter && !raw:
		return skipped("needs the issuer's key")
	}
	return outcome{}
}

func newSession(cfg Config) (*session, error) {
	if cfg.URL == nil || cfg.URL.Host == "" {
		return nil, errors.New("want the URL of an MCP endpoint")
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{Timeout: checkTimeout}
	}
	own := *cfg.HTTPClient
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	cfg.HTTPClient = &own
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // the one place where the default clock is chosen
	}
	stranger := sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	return &session{cfg: cfg, stranger: stranger, good: cfg.Token}, nil
}
