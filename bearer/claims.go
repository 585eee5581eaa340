package bearer

import (
	"math"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/bearer/internal/strictjson"
	"github.com/onbehalf/onbehalf/identity"
)

// claims are those of a token whose signature is good. Absent ones are zero.
//
// https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
type claims struct {
	issuer, tenant, version, audience string
	client                            string // azp or, in v1 tokens, appid
	object, subject, kind             string // oid, sub, idtyp
	name, upn                         string
	tokenID                           string
	scopes, roles, groups, amr, acrs  []string
	clientCapabilities                []string
	actorFacets, subjectFacets        []string
	parent                            string // xms_par_app_azp
	notBefore, expires                time.Time
	bound                             bool // cnf: the token works only with a proof of possession
	overage                           bool // the groups did not fit
	idToken                           bool // claims that only an id_token has
}

// readClaims takes the claims apart. A claim of the wrong JSON type makes the token malformed: guessing what was meant
// is how checks are bypassed.
func readClaims(object strictjson.Object) (*claims, bool) {
	r := claimReader{object: object, ok: true}
	c := &claims{
		issuer: r.text("iss"), tenant: r.text("tid"), version: r.text("ver"), audience: r.text("aud"),
		object: r.text("oid"), subject: r.text("sub"), kind: r.text("idtyp"),
		name: r.text("name"), parent: r.text("xms_par_app_azp"),
		scopes: r.words("scp"), roles: r.texts("roles"), groups: r.texts("groups"), amr: r.texts("amr"), acrs: r.texts("acrs"),
		clientCapabilities: r.textOrTexts("xms_cc"),
		actorFacets:        r.words("xms_act_fct"), subjectFacets: r.words("xms_sub_fct"),
		notBefore: r.time("nbf"), expires: r.time("exp"),
		bound:   !object.Get("cnf").IsZero(),
		idToken: !object.Get("nonce").IsZero() || !object.Get("at_hash").IsZero() || !object.Get("c_hash").IsZero(),
	}
	c.client = r.text("azp")
	if c.version == "1.0" {
		c.client = r.text("appid")
	}
	if c.upn = r.text("preferred_username"); c.upn == "" {
		c.upn = r.text("upn")
	}
	if c.tokenID = r.text("uti"); c.tokenID == "" {
		c.tokenID = r.text("jti")
	}
	if names := object.Get("_claim_names"); !names.IsZero() {
		sources, isObject := names.Object()
		r.ok = r.ok && isObject
		c.overage = !sources.Get("groups").IsZero()
	}
	if has := object.Get("hasgroups"); !has.IsZero() && c.groups == nil {
		c.overage = true
	}
	return c, r.ok
}

type claimReader struct {
	object strictjson.Object
	ok     bool
}

func (r *claimReader) text(name string) string {
	value := r.object.Get(name)
	if value.IsZero() {
		return ""
	}
	text, ok := value.Text()
	r.ok = r.ok && ok
	return text
}

func (r *claimReader) texts(name string) []string {
	value := r.object.Get(name)
	if value.IsZero() {
		return nil
	}
	texts, ok := value.Texts()
	r.ok = r.ok && ok
	return texts
}

func (r *claimReader) textOrTexts(name string) []string {
	if text, ok := r.object.Get(name).Text(); ok {
		return []string{text}
	}
	return r.texts(name)
}

// words splits at single spaces and at nothing else: a tab or a look-alike of a space is part of a word.
func (r *claimReader) words(name string) []string {
	text := r.text(name)
	if text == "" {
		return nil
	}
	var words []string
	for word := range strings.SplitSeq(text, " ") {
		if word != "" {
			words = append(words, word)
		}
	}
	return words
}

// latest is the last second of the year 9999.
const latest = 253402300799

// time reads a NumericDate (RFC 7519 §2), which may hold a fraction.
func (r *claimReader) time(name string) time.Time {
	value := r.object.Get(name)
	if value.IsZero() {
		return time.Time{}
	}
	seconds, ok := value.Number()
	if !ok || seconds < 0 || seconds > latest {
		r.ok = false
		return time.Time{}
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9))
}

// Facets of an agent. https://learn.microsoft.com/entra/agent-id/agent-token-claims
const (
	facetAgent     = "11" // an agent's identity
	facetAgentUser = "13" // the user account that belongs to an agent
)

// caller makes the Caller of claims that have passed every check.
func (c *claims) caller(t identity.TenantID, o identity.ObjectID, client identity.ClientID, appOnly bool) *identity.Caller {
	caller := &identity.Caller{
		Tenant: t, Object: o, Client: client,
		Name: c.name, UPN: c.upn,
		Scopes: c.scopes, Roles: c.roles, Groups: c.groups,
		AuthMethods: c.amr, AuthContexts: c.acrs,
		Issuer: c.issuer, Audience: c.audience,
		Expires: c.expires, AppOnly: appOnly, TokenID: c.tokenID,
	}
	for _, capability := range c.clientCapabilities {
		caller.CP1 = caller.CP1 || strings.EqualFold(capability, "cp1")
	}
	return caller
}
