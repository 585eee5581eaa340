package bearer

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/identity"
)

// The checks of a token, in their order; the chain shows those that were passed.
const (
	checkSignature = "signature"
	checkKeyIssuer = "key-issuer"
	checkIssuer    = "iss"
	checkVersion   = "ver"
	checkAudience  = "aud"
	checkTime      = "exp"
	checkPerson    = "person"
	checkScope     = "scp"
	checkClient    = "azp"
	checkIdentity  = "oid"
	checkGroups    = "groups"
)

// Verify checks an access token and returns who calls. A refusal is a [*Challenge]. The Caller is shared with other
// requests that bring the same token: nobody may change it.
//
// The order of the checks is fixed: form, key, signature, issuer, version, audience, time, person, scope, client,
// identity, groups. An expired token without the right scope is thus an expired one, and its client gets a new one.
func (v *Verifier) Verify(ctx context.Context, token identity.Secret) (*identity.Caller, error) {
	start := v.cfg.Now()
	call := chain.FromContext(ctx)
	caller, decision, checks, err := v.verify(ctx, token, start)
	if call == nil {
		if err != nil {
			return nil, err
		}
		return caller, nil
	}
	hop := chain.Hop{Station: chain.Verify, Decision: decision, Checks: checks, Start: start, Took: v.cfg.Now().Sub(start)}
	if err != nil {
		hop.Reason, hop.Status = err.Reason, err.Status
		chain.Add(ctx, hop)
		return nil, err
	}
	hop.Issuer, hop.Audience, hop.Client = caller.Issuer, caller.Audience, caller.Client.String()
	hop.Tenant, hop.Subject, hop.Scopes = caller.Tenant.String(), caller.Object.String(), caller.Scopes
	hop.Methods, hop.TokenID, hop.Expires = caller.AuthMethods, caller.TokenID, caller.Expires
	if caller.Actor != nil {
		hop.Actor = caller.Actor.Client.String()
	}
	chain.Add(ctx, hop)
	return caller, nil
}

func (v *Verifier) verify(ctx context.Context, secret identity.Secret, now time.Time) (*identity.Caller, chain.Decision, []string, *Challenge) {
	token := secret.Reveal()
	if len(token) > maxToken {
		return nil, chain.Refused, nil, invalidToken("malformed", "the token is too large")
	}
	if strings.Count(token, ".") != 2 {
		return nil, chain.Refused, nil, invalidToken("malformed", "the token is not a JWT: it must have three parts")
	}
	if !canonical(token) {
		return nil, chain.Refused, nil, invalidToken("malformed", "the token is not in canonical base64url")
	}
	digest := digestOf(token)
	if caller, checks := v.cache.get(&digest, now); caller != nil {
		return caller, chain.Cached, checks, nil
	}
	p := &proof{v: v, ctx: ctx, now: now}
	caller, challenge := p.prove(token)
	if challenge != nil {
		decision := chain.Refused
		if challenge.Code == CodeUnavailable {
			decision = chain.Failed
		}
		return nil, decision, p.checks, challenge
	}
	caller.Assertion, caller.Digest = secret, digest
	if challenge := v.resolveGroups(ctx, caller, p); challenge != nil {
		return nil, chain.Refused, p.checks, challenge
	}
	v.cache.put(caller, p.checks, now)
	return caller, chain.Allowed, p.checks, nil
}

// digestOf hashes without putting a copy of the token on the heap.
func digestOf(token string) [32]byte {
	var buffer [4096]byte
	if len(token) <= len(buffer) {
		return sha256.Sum256(buffer[:copy(buffer[:], token)])
	}
	return sha256.Sum256([]byte(token))
}

// proof is the verification of one token under way.
type proof struct {
	v      *Verifier
	ctx    context.Context
	now    time.Time
	checks []string
	claims *claims
	tenant identity.TenantID
}

func (p *proof) passed(check string) { p.checks = append(p.checks, check) }

func (p *proof) prove(token string) (*identity.Caller, *Challenge) {
	t, challenge := parseJWS(token)
	if challenge != nil {
		return nil, challenge
	}
	p.checks = make([]string, 0, 12)
	keys, challenge := p.signature(t)
	if challenge != nil {
		return nil, challenge
	}
	object, err := t.claims()
	if err != nil {
		return nil, invalidToken("malformed", "the token's claims are malformed")
	}
	var ok bool
	if p.claims, ok = readClaims(object); !ok {
		return nil, invalidToken("malformed", "a claim of the token has the wrong type")
	}
	for _, step := range []func() *Challenge{
		func() *Challenge { return p.issuer(keys) }, p.version, p.audience, p.times,
	} {
		if challenge := step(); challenge != nil {
			return nil, challenge
		}
	}
	return p.person()
}

// signature returns the keys of the token's kid under which its signature is good.
func (p *proof) signature(t *jws) ([]signingKey, *Challenge) {
	keys, err := p.v.keys.lookup(p.ctx, t.kid)
	if errors.Is(err, errNoKeys) {
		return nil, unavailable("keys", "the token cannot be verified just now: the signing keys are out of reach")
	}
	if err != nil {
		return nil, invalidToken("key", "the token is signed with a key that its authority does not know")
	}
	digest := digestOf(t.signed)
	var good []signingKey
	for i, key := range keys {
		if i > 0 && key.public.Equal(keys[i-1].public) && len(good) > 0 || rsa.VerifyPKCS1v15(key.public, crypto.SHA256, digest[:], t.signature) == nil {
			good = append(good, key)
		}
	}
	if len(good) == 0 {
		return nil, invalidToken("signature", "the token's signature is wrong")
	}
	p.passed(checkSignature)
	return good, nil
}

// issuer binds key, iss and tid to one another: a key that signs for another tenant or authority must not pass.
func (p *proof) issuer(keys []signingKey) *Challenge {
	cfg, c := &p.v.cfg, p.claims
	tenant, err := identity.ParseTenantID(c.tenant)
	if err != nil || tenant.String() != c.tenant || !slices.Contains(cfg.Tenants, tenant) {
		return invalidToken("tenant", "the token comes from a tenant that this server does not serve")
	}
	p.tenant = tenant
	v2 := cfg.Cloud.IssuerV2(c.tenant)
	if !slices.ContainsFunc(keys, func(k signingKey) bool {
		return k.issuer == "" || strings.ReplaceAll(k.issuer, "{tenantid}", c.tenant) == v2
	}) {
		return invalidToken("key-issuer", "the token's key does not sign for its tenant")
	}
	p.passed(checkKeyIssuer)
	want := v2
	if c.version == "1.0" && cfg.AcceptV1 {
		want = cfg.Cloud.IssuerV1(c.tenant)
	}
	if c.issuer != want {
		return invalidToken("issuer", "the token comes from an issuer that this server does not trust")
	}
	p.passed(checkIssuer)
	return nil
}

func (p *proof) version() *Challenge {
	switch {
	case p.claims.version == "2.0", p.claims.version == "1.0" && p.v.cfg.AcceptV1:
		p.passed(checkVersion)
		return nil
	}
	return invalidToken("version", "this server accepts tokens of version 2.0: set requestedAccessTokenVersion to 2 in the API's registration")
}

func (p *proof) audience() *Challenge {
	if p.claims.audience == "" || !slices.Contains(p.v.cfg.Audiences, p.claims.audience) {
		return invalidToken("audience", "the token was issued for another API")
	}
	p.passed(checkAudience)
	return nil
}

func (p *proof) times() *Challenge {
	c, skew := p.claims, p.v.cfg.Skew
	switch {
	case c.expires.IsZero():
		return invalidToken("expiry", "the token does not say when it expires")
	case !p.now.Before(c.expires.Add(skew)):
		return invalidToken("expired", "the token has expired")
	case p.now.Before(c.notBefore.Add(-skew)):
		return invalidToken("not-before", "the token is not valid yet")
	}
	p.passed(checkTime)
	return nil
}

// person finds out who calls, and whether that is somebody this server serves.
func (p *proof) person() (*identity.Caller, *Challenge) {
	cfg, c := &p.v.cfg, p.claims
	appOnly, challenge := p.kind()
	if challenge != nil {
		return nil, challenge
	}
	p.passed(checkPerson)
	if !appOnly {
		for _, name := range p.v.names {
			if !slices.Contains(c.scopes, name) {
				return nil, insufficientScope("scope", "the token lacks a scope that this server needs", cfg.Scopes)
			}
		}
		p.passed(checkScope)
	}
	client, err := identity.ParseClientID(c.client)
	if err != nil {
		return nil, invalidToken("client", "the token does not name its client")
	}
	if len(cfg.Clients) > 0 && !slices.Contains(cfg.Clients, client) {
		return nil, accessDenied("client", "this server does not serve the application that sent the token")
	}
	p.passed(checkClient)
	object, err := identity.ParseObjectID(c.object)
	if err != nil {
		return nil, invalidToken("identity", "the token does not name a person (oid)")
	}
	p.passed(checkIdentity)
	caller := c.caller(p.tenant, object, client, appOnly)
	if slices.Contains(c.actorFacets, facetAgent) {
		caller.Actor = &identity.Actor{Client: client}
		if c.parent != "" {
			if caller.Actor.Parent, err = identity.ParseClientID(c.parent); err != nil {
				return nil, invalidToken("malformed", "the token names an agent's parent that is no client id")
			}
		}
	}
	return caller, nil
}

// kind tells a person's token from an application's, an agent's own, and from what is no access token at all. Where the
// token does not say what it is (idtyp is an optional claim), an application's is the one whose sub is its oid: that of a
// person is made for each application. A person's token without a scope must not pass for an application with its roles.
//
// https://learn.microsoft.com/entra/identity-platform/claims-validation
func (p *proof) kind() (appOnly bool, _ *Challenge) {
	cfg, c := &p.v.cfg, p.claims
	delegated := len(c.scopes) > 0
	switch {
	case c.bound:
		return false, invalidToken("bound", "the token is bound to a key (cnf) and must not be sent as a bearer token")
	case c.kind != "" && c.kind != "user" && c.kind != "app", c.kind == "app" && delegated:
		return false, invalidToken("kind", "the token is neither a person's nor an application's")
	case slices.Contains(c.subjectFacets, facetAgentUser) && !cfg.AllowAgents:
		return false, accessDenied("agent", "this server serves people: the token is for an agent's own account")
	case delegated:
		return false, nil
	case c.idToken || c.kind == "user" || c.kind == "" && c.subject != c.object:
		return false, invalidToken("id-token", "the token holds no scope (scp): it is no access token of a person")
	case !cfg.AllowAppOnly:
		return false, invalidToken("app-only", "this server acts for people: the token is an application's, without a person")
	case len(c.roles) == 0:
		return true, accessDenied("role", "the application holds no role of this API")
	}
	return true, nil
}

// resolveGroups asks for the groups of a person whose token has no room for them.
func (v *Verifier) resolveGroups(ctx context.Context, caller *identity.Caller, p *proof) *Challenge {
	if !p.claims.overage {
		return nil
	}
	if v.cfg.Groups == nil {
		return accessDenied("overage", "the person is in more groups than a token holds, and this server cannot look them up")
	}
	results := v.groups.DoChan(string(caller.Digest[:]), func() (_ any, err error) {
		defer func() { // in a goroutine of its own it would end the process
			if reason := recover(); reason != nil {
				err = fmt.Errorf("a panic: %v", reason)
			}
		}()
		shared, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		return v.cfg.Groups(shared, caller)
	})
	select {
	case <-ctx.Done():
		return unavailable("overage", "the person's groups could not be looked up")
	case result := <-results:
		var challenge *Challenge
		groups, _ := result.Val.([]string)
		switch {
		case errors.As(result.Err, &challenge):
			return challenge
		case result.Err != nil || groups == nil:
			v.cfg.Logger.WarnContext(ctx, "the groups of a person could not be resolved", slog.String("person", caller.Key()), slog.Any("error", result.Err))
			return unavailable("overage", "the person's groups could not be looked up")
		}
		caller.Groups = groups
		p.passed(checkGroups)
		return nil
	}
}
