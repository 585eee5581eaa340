package check

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/doctor/explain"
)

// Answer is what somebody said over HTTP.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	At     time.Time // by this machine's clock
}

// maxAnswer bounds what is read of one.
const maxAnswer = 1 << 20

// Get asks for an address.
func (s *State) Get(ctx context.Context, client *http.Client, address string) (*Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	return s.Send(client, req)
}

// Send sends a request; a redirect is not followed.
func (s *State) Send(client *http.Client, req *http.Request) (*Answer, error) {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := own.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	return &Answer{resp.StatusCode, resp.Header, text, s.Now()}, nil
}

// Unreachable turns an error of the network into a finding.
func (s *State) Unreachable(client *http.Client, address string, err error, setting string) exam.Finding {
	u, bad := url.Parse(address)
	if bad != nil {
		return exam.Failed(setting, "That is no URL.", setting)
	}
	seen := u.Host + ": " + Reason(err)
	through := proxyOf(client, u)
	if symptom, ok := explain.Symptom(err.Error()); ok {
		cause := symptom.Cause
		if through != "" {
			cause += " The connection goes through the proxy " + through + "."
		}
		return exam.Failed(seen, cause, setting+": "+symptom.Fix)
	}
	return exam.Failed(seen, "There is no connection to "+u.Host+".", setting+": check it, and whether this machine may reach that host.")
}

// Reason is the innermost error: net/http repeats the URL around it.
func Reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return Clipped(err.Error())
}

// proxyOf returns the host of the proxy through which a client reaches a URL, or "".
func proxyOf(client *http.Client, u *url.URL) string {
	transport, ok := client.Transport.(*http.Transport)
	if !ok || transport.Proxy == nil {
		return ""
	}
	proxy, err := transport.Proxy(&http.Request{URL: u})
	if err != nil || proxy == nil {
		return ""
	}
	return proxy.Host
}

// Reached says that somebody answers at an address, and through which proxy.
func (s *State) Reached(client *http.Client, address string) exam.Finding {
	u, err := url.Parse(address)
	if err != nil {
		return exam.Good("%s answers", address)
	}
	if through := proxyOf(client, u); through != "" {
		return exam.Good("%s answers, through the proxy %s", u.Host, through)
	}
	return exam.Good("%s answers", u.Host)
}

// OnLoopback reports whether a URL is of this machine.
func OnLoopback(u *url.URL) bool {
	addr, err := netip.ParseAddr(u.Hostname())
	return strings.EqualFold(u.Hostname(), "localhost") || err == nil && addr.Unmap().IsLoopback()
}
