// Package network checks whether those who are asked later answer at all, what Entra says about itself, and what replicas share.
package network

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
)

// Checks returns the checks of this area.
func Checks(shared *check.State) []check.Check {
	return check.Bind(&state{State: shared}, networkChecks(), authorityChecks(), cacheChecks())
}

// areaCheck is one of this area's.
type areaCheck = exam.Check[*state]

// state is what these checks find out for one another, beside what all share.
type state struct {
	*check.State

	metadata *check.Answer // network.authority
}

// networkChecks ask whether anybody answers.
func networkChecks() []areaCheck {
	return []areaCheck{
		{ID: "network.authority", Title: "Entra answers, and TLS to it is trusted", Needs: []string{"settings.authority", "settings.tenant"}, Unless: []string{"settings.ca"}, Run: networkAuthority},
		{ID: "network.clock", Title: "this machine's clock agrees with Entra's", Needs: []string{"network.authority"}, Run: networkClock},
		{ID: "network.graph", Title: "Microsoft Graph answers", Needs: []string{"settings.graph"}, Unless: []string{"settings.ca", "network.authority"}, Run: networkGraph},
		{ID: "network.search", Title: "the search service answers", Needs: []string{"settings.search-endpoint"}, Unless: []string{"settings.ca"}, Run: networkSearch},
		{ID: "network.server", Title: "the MCP server answers", Needs: []string{"settings.mcp-url"}, Unless: []string{"settings.ca"}, Run: networkServer},
	}
}

func (s *state) discovery() string {
	return s.Cloud.Authority + s.Tenant.String() + "/v2.0/.well-known/openid-configuration"
}

func networkAuthority(ctx context.Context, s *state) exam.Finding {
	got, err := s.Get(ctx, s.EntraClient, s.discovery())
	if err != nil {
		return s.Unreachable(s.EntraClient, s.discovery(), err, "AZURE_AUTHORITY_HOST")
	}
	s.metadata = got
	return s.Reached(s.EntraClient, s.Cloud.Authority)
}

// How far clocks may differ: the server allows one minute, Entra five.
const (
	clockWarns = 45 * time.Second
	clockFails = 4 * time.Minute
)

func networkClock(_ context.Context, s *state) exam.Finding {
	theirs, err := http.ParseTime(s.metadata.Header.Get("Date"))
	if err != nil {
		return exam.Skip("the answer says no time (header Date)", "")
	}
	word, off := "ahead of", s.metadata.At.Sub(theirs)
	if off < 0 {
		word, off = "behind", -off
	}
	seen := fmt.Sprintf("this machine is %s %s Entra", off.Round(time.Second), word)
	const fix = "Set this machine's clock, and let it be kept by NTP."
	switch {
	case off > clockFails:
		return exam.Failed(seen, "Tokens are taken for expired or for not valid yet, and Entra refuses assertions that are signed here.", fix).By(setClock())
	case off > clockWarns:
		return exam.Warned(seen, "The server lets clocks differ by a minute.", fix).By(setClock())
	}
	return exam.Good("%s or less off", time.Duration(max(1, int(off.Seconds())))*time.Second)
}

// setClock is the command of this system that has the clock kept.
func setClock() string {
	switch runtime.GOOS {
	case "darwin":
		return "sudo sntp -sS time.apple.com"
	case "windows":
		return "w32tm /resync"
	}
	return "sudo timedatectl set-ntp true"
}

func networkGraph(ctx context.Context, s *state) exam.Finding {
	address := s.Cloud.Graph + "/v1.0/"
	if _, err := s.Get(ctx, s.EntraClient, address); err != nil {
		return s.Unreachable(s.EntraClient, address, err, "GRAPH_ENDPOINT")
	}
	return s.Reached(s.EntraClient, address)
}

func networkSearch(ctx context.Context, s *state) exam.Finding {
	if _, err := s.Get(ctx, s.HTTPClient, s.Service+"/"); err != nil {
		return s.Unreachable(s.HTTPClient, s.Service, err, "AZURE_SEARCH_ENDPOINT")
	}
	return s.Reached(s.HTTPClient, s.Service)
}

func networkServer(ctx context.Context, s *state) exam.Finding {
	if _, err := s.Get(ctx, s.HTTPClient, s.MCP.String()); err != nil {
		found := s.Unreachable(s.HTTPClient, s.MCP.String(), err, "MCP_URL")
		if check.OnLoopback(s.MCP) && strings.Contains(err.Error(), "refused") {
			found.Cause, found.Fix, found.Command = "The server does not run here.", "Start it, or set MCP_URL to where it runs.", s.Onbehalf("serve")
		}
		return found
	}
	return s.Reached(s.HTTPClient, s.MCP.String())
}
