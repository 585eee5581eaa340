package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/doctor/explain"
)

// keySet are the authority's signing keys.
type keySet = explain.Keys

// authorityChecks look at what Entra says about itself.
func authorityChecks() []check {
	return []check{
		{ID: "authority.tenant", Title: "the tenant exists in this cloud", Needs: []string{"network.authority"}, Run: authorityTenant},
		{ID: "authority.issuer", Title: "tokens will name the issuer that the server expects", Needs: []string{"authority.tenant"}, Run: authorityIssuer},
		{ID: "authority.keys", Title: "the keys that sign tokens can be fetched", Needs: []string{"authority.tenant"}, Run: authorityKeys},
	}
}

// refused turns an answer of Entra's into a finding, in the catalogue's words.
func refused(e *entra.Error) exam.Finding {
	advice := e.Advice()
	seen := e.Error()
	if e.Correlation != "" {
		seen += ", correlation id " + e.Correlation
	}
	fix := advice.Fix
	if advice.Who != entra.You {
		fix = advice.Who + ": " + fix
	}
	return exam.Failed(seen, advice.Cause, fix)
}

func authorityTenant(_ context.Context, s *state) exam.Finding {
	if s.metadata.status != http.StatusOK {
		e := entra.ParseError(s.metadata.status, s.metadata.header, bytes.NewReader(s.metadata.body))
		if e.Code == "server_error" || e.Code == "temporarily_unavailable" {
			return exam.Failed(fmt.Sprintf("HTTP %d from %s", s.metadata.status, s.discovery()), "That is not Entra's answer: a proxy, or another program at this address.", "Check AZURE_AUTHORITY_HOST.")
		}
		return refused(e)
	}
	return exam.Good("%s", s.tenant)
}

func authorityIssuer(_ context.Context, s *state) exam.Finding {
	var document struct {
		Issuer string `json:"issuer"`
	}
	const fix = "Check AZURE_AUTHORITY_HOST, and whether a proxy answers in Entra's place."
	if err := json.Unmarshal(s.metadata.body, &document); err != nil {
		return exam.Failed("no JSON from "+s.discovery(), "That is not Entra's answer.", fix)
	}
	if want := s.cloud.IssuerV2(s.tenant.String()); document.Issuer != want {
		return exam.Failed(clipped(document.Issuer), "The server accepts tokens of the issuer "+want+" alone.", fix)
	}
	return exam.Good("%s", document.Issuer)
}

func authorityKeys(ctx context.Context, s *state) exam.Finding {
	keys, err := s.fetchKeys(ctx)
	if err != nil {
		return exam.Failed(firstLine(err), "The server cannot verify tokens without them.", "Check whether a proxy changes answers of "+s.cloud.Authority)
	}
	s.keys = keys
	return exam.Good("%d keys", len(keys))
}

// fetchKeys gets the authority's keys by the address at which it always has them.
func (s *state) fetchKeys(ctx context.Context) (keySet, error) {
	address := s.cloud.Authority + strings.ToLower(s.tenant.String()) + "/discovery/v2.0/keys"
	got, err := s.get(ctx, s.EntraClient, address)
	if err != nil {
		return nil, err
	}
	if got.status != http.StatusOK {
		return nil, fmt.Errorf("HTTP %d from %s", got.status, address)
	}
	return explain.ParseKeys(got.body)
}
