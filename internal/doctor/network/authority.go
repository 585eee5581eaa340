package network

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/doctor/tokens"
)

// authorityChecks look at what Entra says about itself.
func authorityChecks() []areaCheck {
	return []areaCheck{
		{ID: "authority.tenant", Title: "the tenant exists in this cloud", Needs: []string{"network.authority"}, Run: authorityTenant},
		{ID: "authority.issuer", Title: "tokens will name the issuer that the server expects", Needs: []string{"authority.tenant"}, Run: authorityIssuer},
		{ID: "authority.keys", Title: "the keys that sign tokens can be fetched", Needs: []string{"authority.tenant"}, Run: authorityKeys},
	}
}

func authorityTenant(_ context.Context, s *state) exam.Finding {
	if s.metadata.Status != http.StatusOK {
		e := entra.ParseError(s.metadata.Status, s.metadata.Header, bytes.NewReader(s.metadata.Body))
		if e.Code == "server_error" || e.Code == "temporarily_unavailable" {
			return exam.Failed(fmt.Sprintf("HTTP %d from %s", s.metadata.Status, s.discovery()), "That is not Entra's answer: a proxy, or another program at this address.", "Check AZURE_AUTHORITY_HOST.")
		}
		found := check.Refused(e)
		found.Seen = s.Tenant.String() + ": " + found.Seen
		if e.Number() == 90002 {
			found.Fix = "TENANT_ID: " + check.PortalApp + " > Overview > Directory (tenant) ID; for another cloud also AZURE_AUTHORITY_HOST, which is " + s.Cloud.Authority + " now."
			found.Command = "az account show --query tenantId --output tsv"
		}
		return found
	}
	return exam.Good("%s", s.Tenant)
}

func authorityIssuer(_ context.Context, s *state) exam.Finding {
	var document struct {
		Issuer string `json:"issuer"`
	}
	const fix = "Check AZURE_AUTHORITY_HOST, and whether a proxy answers in Entra's place."
	if err := json.Unmarshal(s.metadata.Body, &document); err != nil {
		return exam.Failed("no JSON from "+s.discovery(), "That is not Entra's answer.", fix)
	}
	if want := s.Cloud.IssuerV2(s.Tenant.String()); document.Issuer != want {
		return exam.Failed(check.Clipped(document.Issuer), "The server accepts tokens of the issuer "+want+" alone.", fix)
	}
	return exam.Good("%s", document.Issuer)
}

func authorityKeys(ctx context.Context, s *state) exam.Finding {
	keys, err := FetchKeys(ctx, s.State)
	if err != nil {
		return exam.Failed(check.FirstLine(err), "The server cannot verify tokens without them.", "Check whether a proxy changes answers of "+s.Cloud.Authority)
	}
	s.Keys = keys
	return exam.Good("%d keys", len(keys))
}

// FetchKeys gets the authority's keys by the address at which it always has them.
func FetchKeys(ctx context.Context, s *check.State) (check.KeySet, error) {
	address := s.Cloud.Authority + strings.ToLower(s.Tenant.String()) + "/discovery/v2.0/keys"
	got, err := s.Get(ctx, s.EntraClient, address)
	if err != nil {
		return nil, err
	}
	if got.Status != http.StatusOK {
		return nil, fmt.Errorf("HTTP %d from %s", got.Status, address)
	}
	return tokens.ParseKeys(got.Body)
}
