package doctor

import (
	"context"
	"errors"
	"time"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/doctor/explain"
)

// ExplainToken explains a token against the settings: who, for whom, and every reason for which the server would refuse
// it. The signature is checked with the authority's keys where these can be had within seconds.
func ExplainToken(ctx context.Context, cfg Config, text string) (*explain.Token, error) {
	s := &state{Config: cfg}
	for _, read := range []func(context.Context, *state) exam.Finding{settingsTenant, settingsAPI, settingsAuthority} {
		read(ctx, s) // what is wrong there is not compared
	}
	if !s.api.IsZero() {
		settingsAppIDURI(ctx, s)
	}
	noKeys := errors.New("TENANT_ID or AZURE_AUTHORITY_HOST is not usable")
	if !s.tenant.IsZero() && s.cloud.Authority != "" {
		within, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if s.keys, noKeys = s.fetchKeys(within); noKeys != nil {
			noKeys = errors.New("the authority's keys were not to be had: " + reason(noKeys))
		}
	}
	return explain.ReadToken(text, s.tokenSetup(noKeys))
}

// tokenSetup is what tokens are held against.
func (s *state) tokenSetup(noKeys error) explain.Setup {
	names := map[string]string{}
	for _, name := range []string{"WEB_CLIENT_ID", "AGENT_CLIENT_ID"} {
		if id, err := identity.ParseClientID(s.Setting(name)); err == nil {
			names[id.String()] = name
		}
	}
	return explain.Setup{
		Cloud: s.cloud, Tenant: s.tenant.String(), API: s.api.String(), AppIDURI: s.appIDURI, Scope: scopeName, Names: names,
		Now: s.Now(), Keys: s.keys, NoKeys: noKeys,
	}
}

// scopeName is the permission that every call of the server needs.
const scopeName = "execute"
