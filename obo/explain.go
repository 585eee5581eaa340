package obo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/msalerr"
)

// precheck refuses what Entra would refuse, or what we must not ask for.
func (cl *Client) precheck(w *wish, now time.Time) *Refusal {
	c := w.caller
	switch {
	case c == nil || c.Assertion.IsZero() || c.Object.IsZero() || c.Tenant.IsZero():
		return refuse("no-caller", entra.Advice{Kind: entra.InteractionRequired, Cause: "Nobody is signed in.", Who: entra.You, Fix: "Sign in."}, nil)
	case c.AppOnly:
		advice, _ := entra.AdviceFor(7000114)
		return refuse("app-only", advice, nil)
	case !cl.tenant.IsZero() && c.Tenant != cl.tenant:
		return refuse("tenant", entra.Advice{Kind: entra.Blocked, Cause: "Your account belongs to another tenant than this server.", Who: entra.You, Fix: "Sign in with an account of this server's tenant."}, nil)
	case !now.Before(c.Expires):
		advice, _ := entra.AdviceFor(500133)
		r := refuse("assertion-expired", advice, nil)
		r.Claims = newer(now)
		return r
	case w.claims != "" && !isClaims(w.claims):
		return refuse("claims", entra.Advice{Kind: entra.Misconfigured, Cause: "The API demands something that is no claims challenge.", Who: entra.Operator, Fix: "Look at the header WWW-Authenticate of the API's answer: its claims must be a JSON object of at most 8 KiB."}, nil)
	case w.scope.IsZero():
		return refuse("no-scope", entra.Advice{Kind: entra.Misconfigured, Cause: "The tool names no scope.", Who: entra.Operator, Fix: "Name the scope that the tool needs, such as https://search.azure.com/.default."}, nil)
	}
	return nil
}

// explain turns an error of the exchange into a refusal, and writes down what the operator must know.
func (cl *Client) explain(ctx context.Context, err error, w *wish) *Refusal {
	if answer, ok := errors.AsType[*entra.Error](err); ok {
		refusal := cl.refusalOf(answer, w.caller, w.scope)
		if refusal.Kind == entra.Misconfigured {
			cl.log.ErrorContext(ctx, "Entra refuses this server's set-up", slog.String("reason", refusal.Reason), slog.String("cause", refusal.Advice.Cause),
				slog.String("fix", refusal.Advice.Fix), slog.String("entra", answer.Description), slog.String("scope", w.scope.String()))
		}
		return refusal
	}
	const away = "Entra could not be reached."
	switch {
	case errors.Is(err, errPerson):
		cl.log.ErrorContext(ctx, "Entra's token is not the caller's: nothing was returned", slog.String("tenant", w.caller.Tenant.String()),
			slog.String("object", w.caller.Object.String()), slog.String("scope", w.scope.String()))
		return refuse("person-mismatch", entra.Advice{
			Kind: entra.Blocked, Cause: "The token that came back speaks for somebody else.", Who: entra.Operator, Fix: "Look for the event in the log: this must never happen.",
		}, errPerson)
	case errors.Is(err, msalerr.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return unavailable("timeout", away, err)
	case errors.Is(err, context.Canceled):
		return unavailable("canceled", away, err)
	case errors.Is(err, msalerr.ErrConnection):
		return unavailable("connection", away, err)
	case errors.Is(err, msalerr.ErrMalformed):
		return unavailable("malformed-answer", "Entra's answer could not be used.", err)
	}
	cl.log.ErrorContext(ctx, "the application's credential cannot be used", slog.Any("error", err))
	return refuse("credential", entra.Advice{
		Kind: entra.Misconfigured, Cause: "This server cannot prove to Entra who it is.", Who: entra.Operator,
		Fix: "Look into the log: the secret, certificate, token file or managed identity cannot be used.",
	}, err)
}

func unavailable(reason, cause string, err error) *Refusal {
	return refuse(reason, entra.Advice{Kind: entra.Unavailable, Cause: cause, Who: entra.You, Fix: "Try again later."}, err)
}

// refusalOf translates Entra's answer for the person who asked.
func (cl *Client) refusalOf(answer *entra.Error, c *identity.Caller, s entra.Scope) *Refusal {
	advice := answer.Advice()
	r := &Refusal{Kind: advice.Kind, Reason: "entra-" + answer.Code, Entra: answer, Advice: advice, RetryAfter: answer.RetryAfter}
	if n := answer.Number(); n != 0 {
		r.Reason = fmt.Sprintf("AADSTS%d", n)
	}
	switch r.Kind {
	case entra.InteractionRequired: // for any other kind, signing in with the claims would end in the same refusal
		r.Claims = answer.Claims
		r.SignInURL = cl.signInLink(c, s, r.Claims)
	case entra.AssertionExpired:
		r.Claims = newer(cl.now())
	case entra.ConsentRequired:
		r.ConsentURL, r.AdminConsentURL = cl.consentLinks(c, s)
	default:
	}
	return r
}

// newer is the challenge for a token that was issued after this moment, as APIs with continuous access evaluation send
// it when sign-ins were revoked.
//
// https://learn.microsoft.com/entra/identity-platform/claims-challenge
func newer(now time.Time) string {
	return fmt.Sprintf(`{"access_token":{"nbf":{"essential":true,"value":"%d"}}}`, now.Unix())
}

// consentLinks returns where the person, and where an administrator, can consent that this application calls the API.
// Without a registered redirect address only the administrator's link works: it needs none.
//
// https://learn.microsoft.com/entra/identity-platform/v2-admin-consent
// https://learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent#construct-the-url-for-granting-tenant-wide-admin-consent
func (cl *Client) consentLinks(c *identity.Caller, s entra.Scope) (person, admin string) {
	tenant := cl.cloud.Authority + c.Tenant.String()
	if cl.consentRedirect == "" {
		return "", tenant + "/adminconsent?" + url.Values{"client_id": {cl.client.String()}}.Encode()
	}
	query := url.Values{"client_id": {cl.client.String()}, "redirect_uri": {cl.consentRedirect}, "scope": {s.String()}}
	admin = tenant + "/v2.0/adminconsent?" + query.Encode()
	return cl.authorizeLink(c, s, "prompt", "consent"), admin
}

// signInLink returns where a browser asks the person for what the claims demand, or "" without a challenge or without a
// registered redirect address.
//
// https://learn.microsoft.com/entra/identity-platform/claims-challenge
func (cl *Client) signInLink(c *identity.Caller, s entra.Scope, claims string) string {
	if claims == "" || cl.consentRedirect == "" {
		return ""
	}
	return cl.authorizeLink(c, s, "claims", claims)
}

// authorizeLink is a sign-in of the person to this application, at our authority, with one more parameter. It has no
// state and no PKCE because nobody redeems the code: what the person does at Entra is all that it is for.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#request-an-authorization-code
func (cl *Client) authorizeLink(c *identity.Caller, s entra.Scope, name, value string) string {
	query := url.Values{
		"client_id": {cl.client.String()}, "redirect_uri": {cl.consentRedirect}, "scope": {s.String()}, "response_type": {"code"}, name: {value},
	}
	if c.UPN != "" {
		query.Set("login_hint", c.UPN)
	}
	return cl.cloud.Authority + c.Tenant.String() + "/oauth2/v2.0/authorize?" + query.Encode()
}
