package obo

import (
	"fmt"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
)

// Refusal is why there is no token. Kind says what can be done, Advice says it in words for people.
//
//nolint:errname // a refusal is an answer, not a failure of ours; the name is the one of the design
type Refusal struct {
	Kind   entra.Kind
	Reason string       // a fixed word or "AADSTS…", for logs and the chain
	Entra  *entra.Error // Entra's answer; nil when the refusal is our own or Entra did not answer
	Advice entra.Advice

	Claims          string        // a claims challenge for the person's client: JSON, verbatim; "" for none
	ConsentURL      string        // where the person can consent, for entra.ConsentRequired
	SignInURL       string        // where a browser asks the person for what the claims demand, for entra.InteractionRequired
	AdminConsentURL string        // where an administrator can consent for everybody
	RetryAfter      time.Duration // how long to wait, for entra.Throttled and entra.Unavailable; 0 when nobody knows

	cause error
}

// Error implements error. It names kind and reason, never people or tokens.
func (r *Refusal) Error() string {
	return fmt.Sprintf("no token on behalf of the person: %s (%s)", r.Kind, r.Reason)
}

// Unwrap returns Entra's answer and, where the caller's context ended or the network failed, that error.
func (r *Refusal) Unwrap() []error {
	var errs []error
	if r.Entra != nil {
		errs = append(errs, r.Entra)
	}
	if r.cause != nil {
		errs = append(errs, r.cause)
	}
	return errs
}

// Say tells a person what is the matter and what to do, in plain sentences. The text holds no secret; it may hold a
// consent link and Entra's correlation id.
func (r *Refusal) Say() string {
	var say strings.Builder
	say.WriteString(r.Advice.Cause)
	if r.Advice.Who == entra.You {
		say.WriteString(" " + r.Advice.Fix)
	} else {
		say.WriteString(" This is for " + r.Advice.Who + ": " + r.Advice.Fix)
	}
	if r.ConsentURL != "" {
		say.WriteString(" Consent here: " + r.ConsentURL)
	}
	if r.AdminConsentURL != "" && r.AdminConsentURL != r.ConsentURL {
		say.WriteString(" An administrator consents for everybody here: " + r.AdminConsentURL)
	}
	if r.RetryAfter > 0 {
		fmt.Fprintf(&say, " Wait %s.", r.RetryAfter.Round(time.Second))
	}
	if reference := r.reference(); reference != "" {
		say.WriteString(" (" + reference + ")")
	}
	return say.String()
}

// reference is what an administrator needs to find the event in Entra's logs.
func (r *Refusal) reference() string {
	if r.Entra == nil {
		return ""
	}
	var parts []string
	if n := r.Entra.Number(); n != 0 {
		parts = append(parts, fmt.Sprintf("AADSTS%d", n))
	}
	if r.Entra.Correlation != "" {
		parts = append(parts, "correlation id "+r.Entra.Correlation)
	}
	return strings.Join(parts, ", ")
}

// refuse makes a refusal of our own.
func refuse(reason string, advice entra.Advice, cause error) *Refusal {
	return &Refusal{Kind: advice.Kind, Reason: reason, Advice: advice, cause: cause}
}

// waiting returns a copy of the refusal with the time that is left to wait.
func (r *Refusal) waiting(left time.Duration) *Refusal {
	again := *r
	again.RetryAfter = max(left, time.Second)
	return &again
}

// lasting reports whether asking again with the same assertion would bring the same answer.
func (r *Refusal) lasting() bool {
	switch r.Kind {
	case entra.ConsentRequired, entra.InteractionRequired, entra.Blocked, entra.AppOnly, entra.AssertionExpired, entra.AssertionAudience, entra.Misconfigured:
		return r.Entra != nil
	default:
		return false
	}
}

// revoked reports whether Entra said that the person's sign-ins count no longer, for whatever API.
func (r *Refusal) revoked() bool {
	if r.Entra == nil {
		return false
	}
	switch r.Entra.Number() {
	case 50057, 50132, 50133, 50173: // disabled; password or sessions revoked
		return true
	default:
		return false
	}
}

// challenged is the refusal for an API that rejects even a fresh token and demands claims of the person.
func challenged(claims string, cause error) *Refusal {
	r := refuse("downstream-challenge", entra.Advice{
		Kind: entra.InteractionRequired, Cause: "The API demands a stronger or newer sign-in.", Who: entra.You, Fix: "Sign in again.",
	}, cause)
	r.Claims = claims
	return r
}
