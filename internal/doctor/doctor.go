// Package doctor checks a set-up, from the settings to an answer of the search service, and names the cause of what does
// not work and who mends it how. It changes nothing, anywhere, and needs no more rights than who runs it has: what it may
// not look at it skips, and says how to get the right.
//
// The checks are in the packages below it, by what they look at, in the order in which a call passes there: settings,
// network, registrations, call, searchservice. What they share is in package check. Package exam runs them; packages explain
// and tokens put errors and tokens into words.
package doctor

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/onbehalf/onbehalf/internal/doctor/call"
	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/doctor/network"
	"github.com/onbehalf/onbehalf/internal/doctor/registrations"
	"github.com/onbehalf/onbehalf/internal/doctor/searchservice"
	"github.com/onbehalf/onbehalf/internal/doctor/settings"
	"github.com/onbehalf/onbehalf/internal/doctor/tokens"
)

// Config is what the doctor looks at, and with what.
type Config = check.Config

// checks returns all of them, in the order in which a call passes what they look at.
func checks(s *check.State) []check.Check {
	all := slices.Concat(settings.Checks(), network.Checks(s), registrations.Checks(s), call.Checks(s), searchservice.Checks(s))
	for i, c := range all {
		if slices.ContainsFunc(s.Skip, c.In) {
			all[i] = check.Check{ID: c.ID, Title: c.Title, Run: func(context.Context, *check.State) exam.Finding {
				return exam.Skip("left out, as was asked for", "")
			}}
		}
	}
	return all
}

// Listed is a check as the documentation lists it.
type Listed struct {
	ID, Title string
	After     []string // the checks that it waits for
}

// List returns all checks.
func List() []Listed {
	var list []Listed
	for _, c := range checks(&check.State{}) {
		list = append(list, Listed{c.ID, c.Title, slices.Concat(c.Needs, c.Unless)})
	}
	return list
}

// Run runs all checks. Observe, which may be nil, is told of each result as soon as all before it are known,
// until ctx ends.
func Run(ctx context.Context, cfg Config, observe func(exam.Result)) *exam.Report {
	if cfg.LooksFor <= 0 {
		cfg.LooksFor = 30 * 24 * time.Hour
	}
	s := &check.State{Config: cfg}
	return exam.Run(ctx, checks(s), s, exam.Limits{}, cfg.Now, observe)
}

// ExplainToken explains a token against the settings: who, for whom, and every reason for which the server would refuse
// it. The signature is checked with the authority's keys where these can be had within seconds.
func ExplainToken(ctx context.Context, cfg Config, text string) (*tokens.Token, error) {
	s := &check.State{Config: cfg}
	settings.ForTokens(ctx, s)
	noKeys := errors.New("TENANT_ID or AZURE_AUTHORITY_HOST is not usable")
	if !s.Tenant.IsZero() && s.Cloud.Authority != "" {
		within, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if s.Keys, noKeys = network.FetchKeys(within, s); noKeys != nil {
			noKeys = errors.New("the authority's keys were not to be had: " + check.Reason(noKeys))
		}
	}
	return tokens.Explain(text, s.TokenSetup(noKeys))
}
