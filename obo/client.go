package obo

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/msalerr"
)

// Client is an [Exchanger]. It is safe for concurrent use.
type Client struct {
	cloud           entra.Cloud
	tenant          identity.TenantID
	client          identity.ClientID
	consentRedirect string
	authority       *authority

	now     func() time.Time
	log     *slog.Logger
	timeout time.Duration
}

// wish is one exchange that somebody asks for.
type wish struct {
	caller *identity.Caller
	scope  entra.Scope
	claims string
	cae    bool // whether the downstream API may demand claims of this person's client
}

// Close waits for what is under way.
func (cl *Client) Close() error { return nil }

// Exchange implements [Exchanger].
func (cl *Client) Exchange(ctx context.Context, c *identity.Caller, s entra.Scope, claims string) (identity.Token, error) {
	start := cl.now()
	hop := chain.Hop{Station: chain.Exchange, Client: cl.client.String(), Scopes: []string{s.String()}, Audience: s.Resource(), Start: start}
	w := wish{caller: c, scope: s, claims: claims, cae: c != nil && c.CP1}
	got, refusal := cl.exchange(ctx, w)
	if c != nil {
		hop.Subject, hop.Tenant = c.Object.String(), c.Tenant.String()
	}
	hop.CorrelationID, hop.TraceID, hop.Status = got.correlation, got.trace, got.status
	hop.Took = cl.now().Sub(start)
	if refusal != nil {
		hop.Decision, hop.Reason = chain.Refused, refusal.Reason
		if refusal.Kind == entra.Unavailable {
			hop.Decision = chain.Failed
		}
		chain.Add(ctx, hop)
		return identity.Token{}, refusal
	}
	hop.Decision, hop.Expires = chain.Allowed, got.token.Expires
	if got.token.Audience != "" {
		hop.Audience = got.token.Audience
	}
	chain.Add(ctx, hop)
	return got.token, nil
}

func (cl *Client) exchange(ctx context.Context, w wish) (answer, *Refusal) {
	if refusal := cl.precheck(w); refusal != nil {
		return answer{}, refusal
	}
	ctx, cancel := context.WithTimeout(ctx, cl.timeout)
	defer cancel()
	got, err := cl.authority.exchange(ctx, w)
	if err != nil {
		return got, cl.explain(ctx, err, w)
	}
	return got, nil
}

// precheck refuses what Entra would refuse, or what we must not ask for.
func (cl *Client) precheck(w wish) *Refusal {
	c := w.caller
	switch {
	case c == nil || c.Assertion.IsZero() || c.Object.IsZero() || c.Tenant.IsZero():
		return refuse("no-caller", entra.Advice{Kind: entra.InteractionRequired, Cause: "Nobody is signed in.", Who: entra.You, Fix: "Sign in."}, nil)
	case c.AppOnly:
		advice, _ := entra.AdviceFor(7000114)
		return refuse("app-only", advice, nil)
	case !cl.tenant.IsZero() && c.Tenant != cl.tenant:
		return refuse("tenant", entra.Advice{Kind: entra.Blocked, Cause: "Your account belongs to another tenant than this server.", Who: entra.You, Fix: "Sign in with an account of this server's tenant."}, nil)
	case !cl.now().Before(c.Expires):
		advice, _ := entra.AdviceFor(500133)
		return refuse("assertion-expired", advice, nil)
	case w.scope.IsZero():
		return refuse("no-scope", entra.Advice{Kind: entra.Misconfigured, Cause: "The tool names no scope.", Who: entra.Operator, Fix: "Name the scope that the tool needs, such as https://search.azure.com/.default."}, nil)
	}
	return nil
}

// explain turns an error of the exchange into a refusal.
func (cl *Client) explain(ctx context.Context, err error, w wish) *Refusal {
	if answer, ok := errors.AsType[*entra.Error](err); ok {
		return cl.refusalOf(answer, w.caller, w.scope)
	}
	later := entra.Advice{Kind: entra.Unavailable, Cause: "Entra could not be reached.", Who: entra.You, Fix: "Try again later."}
	switch {
	case errors.Is(err, errPerson):
		cl.log.ErrorContext(ctx, "Entra's token is not the caller's: nothing was returned", slog.String("tenant", w.caller.Tenant.String()), slog.String("object", w.caller.Object.String()), slog.String("scope", w.scope.String()))
		return refuse("person-mismatch", entra.Advice{Kind: entra.Blocked, Cause: "The token that came back speaks for somebody else.", Who: entra.Operator, Fix: "Look for the event in the log: this must never happen."}, errPerson)
	case errors.Is(err, msalerr.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return refuse("timeout", later, err)
	case errors.Is(err, context.Canceled):
		return refuse("canceled", later, err)
	case errors.Is(err, msalerr.ErrConnection):
		return refuse("connection", later, err)
	case errors.Is(err, msalerr.ErrMalformed):
		later.Cause = "Entra's answer could not be used."
		return refuse("malformed-answer", later, err)
	default:
		cl.log.ErrorContext(ctx, "the application's credential cannot be used", slog.Any("error", err))
		return refuse("credential", entra.Advice{Kind: entra.Misconfigured, Cause: "This server cannot prove to Entra who it is.", Who: entra.Operator, Fix: "Look into the log: the secret, certificate, token file or managed identity cannot be read."}, err)
	}
}
