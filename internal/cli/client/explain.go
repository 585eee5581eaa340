package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/signin"
	"github.com/onbehalf/onbehalf/signin/vault"
)

// explain adds to an error what the person can do.
func (s *signer) explain(ctx context.Context, err error) error {
	if missing, ok := errors.AsType[*shell.MissingError](err); ok {
		return fmt.Errorf("%s asks for a sign-in: %w", s.server, missing)
	}
	if err == nil || shell.HintOf(err) != "" {
		return err
	}
	var ambiguous *signin.Ambiguous
	var refused *signin.Refused
	var needed *signin.Needed
	refusal, isRefusal := errors.AsType[*entra.Error](err)
	switch {
	case errors.Is(err, context.Canceled):
		return timedOut(ctx, err)
	case errors.Is(err, signin.ErrCodeExpired):
		return shell.Hint(err, "\"onbehalf login --browser\" signs in without a code")
	case errors.Is(err, signin.ErrNoBrowser):
		return shell.Hint(err, "--device-code signs in with a code on another device; BROWSER names the program that opens a page")
	case errors.As(err, &ambiguous):
		return shell.Hint(ambiguous, "choose one with --account %s", ambiguous.Accounts[0].Name)
	case errors.As(err, &refused):
		return explainRefusal(refused)
	case errors.As(err, &needed):
		hint := s.loginHint
		if account := needed.Request.Account; account != "" {
			hint += " --account " + account
		}
		return shell.Hint(explainNeeded(needed), "%s", hint)
	case isRefusal:
		advice := refusal.Advice()
		return shell.Hint(fmt.Errorf("%s (%w)", advice.Cause, refusal), "%s", adviceText(advice))
	}
	if hinted := explainCache(err); hinted != nil {
		return hinted
	}
	return s.explainServer(ctx, err)
}

func explainNeeded(needed *signin.Needed) error {
	if refusal, ok := errors.AsType[*entra.Error](needed.Cause); ok {
		return fmt.Errorf("you must sign in again: %s (%w)", refusal.Advice().Cause, refusal)
	}
	if account := needed.Request.Account; account != "" {
		return fmt.Errorf("%s is not signed in for this server", account)
	}
	return errors.New("you are not signed in for this server")
}

func explainRefusal(refused *signin.Refused) error {
	advice := refused.Err.Advice()
	err := fmt.Errorf("%s (%w)", strings.TrimSuffix(advice.Cause, "."), refused)
	if refused.Err.Correlation != "" {
		err = fmt.Errorf("%w, correlation id %s", err, printable(refused.Err.Correlation))
	}
	if other, blocked := refused.Other(); blocked {
		flag := map[signin.Method]string{signin.ByBrowser: "--browser", signin.ByDeviceCode: "--device-code"}[other]
		return shell.Hint(err, "a policy of your tenant blocks sign-in by %s: try %s", refused.Method, flag)
	}
	return shell.Hint(err, "%s", adviceText(advice))
}

func adviceText(advice entra.Advice) string {
	if advice.Who == entra.You {
		return advice.Fix
	}
	return advice.Who + ": " + advice.Fix
}

func explainCache(err error) error {
	var unavailable *vault.UnavailableError
	switch {
	case errors.Is(err, vault.ErrNoKeeper):
		return shell.Hint(err, "--cache-passphrase-file FILE encrypts with a passphrase; --plaintext-cache does not encrypt")
	case errors.Is(err, vault.ErrPassphrase):
		return shell.Hint(err, "\"onbehalf logout\" removes what was encrypted with the other one")
	case errors.As(err, &unavailable):
		hint := map[string]string{
			vault.DesktopName:    "unlock the desktop's keyring, or sign in anew after \"onbehalf logout\"",
			vault.PassphraseName: "give the passphrase with --cache-passphrase-file",
			vault.PlainName:      "it was written with --plaintext-cache: say so again, or sign in anew after \"onbehalf logout\"",
		}[unavailable.Keeper]
		return shell.Hint(err, "%s", cmp.Or(hint, "sign in anew after \"onbehalf logout\""))
	}
	return nil
}

// explainServer is for what the server did.
func (s *signer) explainServer(ctx context.Context, err error) error {
	if timed := timedOut(ctx, err); timed != err { //nolint:errorlint // the same error, not the same kind
		return timed
	}
	foreign := err
	if text := trimSDK(err.Error()); text != err.Error() {
		err = &trimmedError{text, foreign}
	}
	status, code, description := s.watch.refusal()
	switch {
	case errors.Is(err, signin.ErrNotTrusted) && strings.Contains(err.Error(), "nobody confirmed"):
		return shell.Hint(err, "if that API is the server's own: run this in a terminal and confirm it, or name it with --scope")
	case errors.Is(err, signin.ErrNotTrusted), errors.Is(err, signin.ErrStillRefused), errors.Is(err, signin.ErrTooMany):
		return shell.Hint(err, "do not go on unless you know who runs %s", s.server.Host)
	case status == http.StatusUnauthorized && strings.Contains(err.Error(), "Unauthorized"):
		return shell.Hint(fmt.Errorf("%s refuses the token: %s", s.server, describe(code, description)), "\"onbehalf token\" shows what the token says; \"onbehalf login\" gets a new one")
	case strings.Contains(err.Error(), "proxyconnect"):
		return shell.Hint(fmt.Errorf("the proxy does not let us through to %s", s.server), "HTTPS_PROXY and NO_PROXY say which servers are asked through a proxy")
	case strings.Contains(err.Error(), "certificate signed by unknown authority"):
		return shell.Hint(&trimmedError{printable(err.Error()), foreign}, "ONBEHALF_CA_FILE names a CA to trust besides the system's")
	case strings.Contains(err.Error(), "no such host"):
		return shell.Hint(fmt.Errorf("no host is known by the name of %s, or there is no network", s.server.Hostname()), "check the name; --server names another server")
	case timedOutAtServer(foreign):
		return shell.Hint(fmt.Errorf("%s does not answer in time", s.server), "--timeout sets another limit")
	case strings.Contains(err.Error(), "connection refused"):
		return shell.Hint(fmt.Errorf("nothing answers at %s", s.server), "start the server, or name another with --server")
	}
	return &trimmedError{printable(err.Error()), foreign}
}

// timedOutAtServer reports that the HTTP client waited for one answer as long as it may.
func timedOutAtServer(err error) bool {
	failed, ok := errors.AsType[*url.Error](err)
	return ok && failed.Timeout()
}

// trimmedError is an error in fewer words.
type trimmedError struct {
	text string
	err  error
}

// Error returns the fewer words.
func (e *trimmedError) Error() string { return e.text }

// Unwrap returns the error in all its words.
func (e *trimmedError) Unwrap() error { return e.err }

func describe(code, description string) string {
	text := "HTTP 401 without a reason"
	if code != "" {
		text = code
	}
	if description != "" {
		text += ": " + description
	}
	return printable(text)
}

// trimSDK takes the SDK's own words from the front of its errors.
func trimSDK(text string) string {
	if _, rest, ok := strings.Cut(text, "rejected by transport: "); ok {
		return rest
	}
	return text
}

// watch sees what the server answers beside the SDK: why it refused, and the id of the call's chain.
type watch struct {
	base  http.RoundTripper
	begin func() // called before each request; nil: nothing is

	mu          sync.Mutex
	status      int
	code        string
	description string
	chain       string
}

// chainHeader names the chain of a call; see package onbehalf.
const chainHeader = "Onbehalf-Chain"

// RoundTrip implements [http.RoundTripper].
func (w *watch) RoundTrip(req *http.Request) (*http.Response, error) {
	if w.begin != nil {
		w.begin()
	}
	resp, err := w.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if id := resp.Header.Get(chainHeader); id != "" {
		w.chain = id
	}
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		w.status = resp.StatusCode
		w.code, w.description = signin.Reason(resp.Header)
	}
	if mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); mediaType != "text/event-stream" {
		resp.Body = &boundedBody{resp.Body, maxAnswer}
	}
	return resp, nil
}

// maxAnswer bounds an answer in one piece, unpacked, which the SDK reads whole; of a stream it bounds each event.
const maxAnswer = 32 << 20

// boundedBody ends with an error where there is more than allowed.
type boundedBody struct {
	io.ReadCloser
	left int64
}

// Read implements [io.Reader].
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		b.left = 0
		return 0, fmt.Errorf("the server's answer is larger than %d MiB", maxAnswer>>20)
	}
	return n, err
}

func (w *watch) refusal() (status int, code, description string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status, w.code, w.description
}

func (w *watch) chainID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.chain
}

// limited reads at most n bytes of a body.
func limited(body io.Reader, n int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(body, n+1))
	if err == nil && int64(len(text)) > n {
		err = fmt.Errorf("an answer of more than %d bytes", n)
	}
	return text, err
}
