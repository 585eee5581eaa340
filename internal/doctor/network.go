package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/doctor/explain"
)

// answer is what somebody said over HTTP.
type answer struct {
	status int
	header http.Header
	body   []byte
	at     time.Time // by this machine's clock
}

// maxAnswer bounds what is read of one.
const maxAnswer = 1 << 20

// get asks for an address.
func (s *state) get(ctx context.Context, client *http.Client, address string) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	return s.send(client, req)
}

// send sends a request; a redirect is not followed.
func (s *state) send(client *http.Client, req *http.Request) (*answer, error) {
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
	return &answer{resp.StatusCode, resp.Header, text, s.Now()}, nil
}

// unreachable turns an error of the network into a finding.
func (s *state) unreachable(client *http.Client, address string, err error, setting string) exam.Finding {
	u, bad := url.Parse(address)
	if bad != nil {
		return exam.Failed(setting, "That is no URL.", setting)
	}
	seen := u.Host + ": " + reason(err)
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

// reason is the innermost error: net/http repeats the URL around it.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return clipped(err.Error())
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

// networkChecks ask whether anybody answers.
func networkChecks() []check {
	return []check{
		{ID: "network.authority", Title: "Entra answers, and TLS to it is trusted", Needs: []string{"settings.authority", "settings.tenant"}, Unless: []string{"settings.ca"}, Run: networkAuthority},
		{ID: "network.clock", Title: "this machine's clock agrees with Entra's", Needs: []string{"network.authority"}, Run: networkClock},
		{ID: "network.graph", Title: "Microsoft Graph answers", Needs: []string{"settings.graph"}, Unless: []string{"settings.ca", "network.authority"}, Run: networkGraph},
		{ID: "network.search", Title: "the search service answers", Needs: []string{"settings.search-endpoint"}, Unless: []string{"settings.ca"}, Run: networkSearch},
		{ID: "network.server", Title: "the MCP server answers", Needs: []string{"settings.mcp-url"}, Unless: []string{"settings.ca"}, Run: networkServer},
	}
}

func (s *state) discovery() string {
	return s.cloud.Authority + s.tenant.String() + "/v2.0/.well-known/openid-configuration"
}

func networkAuthority(ctx context.Context, s *state) exam.Finding {
	got, err := s.get(ctx, s.EntraClient, s.discovery())
	if err != nil {
		return s.unreachable(s.EntraClient, s.discovery(), err, "AZURE_AUTHORITY_HOST")
	}
	s.metadata = got
	return s.reached(s.EntraClient, s.cloud.Authority)
}

func (s *state) reached(client *http.Client, address string) exam.Finding {
	u, err := url.Parse(address)
	if err != nil {
		return exam.Good("%s answers", address)
	}
	if through := proxyOf(client, u); through != "" {
		return exam.Good("%s answers, through the proxy %s", u.Host, through)
	}
	return exam.Good("%s answers", u.Host)
}

// How far clocks may differ: the server allows one minute, Entra five.
const (
	clockWarns = 45 * time.Second
	clockFails = 4 * time.Minute
)

func networkClock(_ context.Context, s *state) exam.Finding {
	theirs, err := http.ParseTime(s.metadata.header.Get("Date"))
	if err != nil {
		return exam.Skip("the answer says no time (header Date)", "")
	}
	word, off := "ahead of", s.metadata.at.Sub(theirs)
	if off < 0 {
		word, off = "behind", -off
	}
	seen := fmt.Sprintf("this machine is %s %s Entra", off.Round(time.Second), word)
	const fix = "Set the clock right: timedatectl set-ntp true"
	switch {
	case off > clockFails:
		return exam.Failed(seen, "Tokens are taken for expired or for not valid yet, and Entra refuses assertions that are signed here.", fix)
	case off > clockWarns:
		return exam.Warned(seen, "The server lets clocks differ by a minute.", fix)
	}
	return exam.Good("%s or less off", time.Duration(max(1, int(off.Seconds())))*time.Second)
}

func networkGraph(ctx context.Context, s *state) exam.Finding {
	address := s.cloud.Graph + "/v1.0/"
	if _, err := s.get(ctx, s.EntraClient, address); err != nil {
		return s.unreachable(s.EntraClient, address, err, "GRAPH_ENDPOINT")
	}
	return s.reached(s.EntraClient, address)
}

func networkSearch(ctx context.Context, s *state) exam.Finding {
	if _, err := s.get(ctx, s.HTTPClient, s.service+"/"); err != nil {
		return s.unreachable(s.HTTPClient, s.service, err, "AZURE_SEARCH_ENDPOINT")
	}
	return s.reached(s.HTTPClient, s.service)
}

func networkServer(ctx context.Context, s *state) exam.Finding {
	if _, err := s.get(ctx, s.HTTPClient, s.mcp.String()); err != nil {
		found := s.unreachable(s.HTTPClient, s.mcp.String(), err, "MCP_URL")
		if onLoopback(s.mcp) && strings.Contains(err.Error(), "refused") {
			found.Cause, found.Fix = "The server does not run here.", "onbehalf serve --env FILE, or set MCP_URL to where it runs"
		}
		return found
	}
	return s.reached(s.HTTPClient, s.mcp.String())
}
