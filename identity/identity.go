// Package identity says who acts: the verified person of a request ([Caller]), a token that speaks for that person
// towards a downstream API ([Token]), and the ids and secrets that both are made of.
//
// It verifies nothing (see package bearer) and obtains nothing (see packages obo and signin). It imports no other
// package of this module, so that every station of a call can agree on its words.
package identity

import (
	"slices"
	"time"
)

// Caller is the verified person of one request, and the client that acts for that person. Only package bearer makes
// one; nothing changes it afterwards. (Tenant, Object) is the person's key: never use the name, which anyone may change.
type Caller struct {
	Tenant TenantID
	Object ObjectID
	Client ClientID // azp (v2 tokens) or appid (v1): the application that the person signed in to
	Name   string   // for display, never for decisions
	UPN    string   // preferred_username or upn: for display, never for decisions

	Scopes       []string // scp: short names such as "execute"
	Roles        []string // roles: application roles of the person, or of the application where AppOnly
	Groups       []string // object ids from the token, or resolved on overage; nil when the token says nothing of groups
	AuthMethods  []string // amr: how the person signed in, such as "pwd" and "mfa"; v2 tokens leave it out by default
	AuthContexts []string // acrs: satisfied authentication contexts such as "c1"

	Issuer, Audience string    // iss and aud of the token, as they were verified
	Expires          time.Time // exp, without any allowance for skew
	AppOnly          bool      // an application without a person; refused unless a tool allows roles
	Actor            *Actor    // an agent that acts for the person, or nil
	CP1              bool      // the client understands claims challenges (xms_cc holds "cp1")
	TokenID          string    // uti or jti: names the token in logs without revealing it

	Assertion Secret   // the access token itself, for the on-behalf-of exchange
	Digest    [32]byte // SHA-256 of the token, computed once
}

// Actor is an agent that acts for a person (claim xms_act_fct 11): who really presses the key.
type Actor struct {
	Client ClientID // the agent's application id
	Parent ClientID // xms_par_app_azp: the blueprint that the agent was made from
}

// Key returns tenant and object as "tid/oid", the only identity that outlives a request.
func (c *Caller) Key() string { return c.Tenant.String() + "/" + c.Object.String() }

// HasScope reports whether the token was issued for the scope, by its short name as in the claim scp.
func (c *Caller) HasScope(name string) bool { return slices.Contains(c.Scopes, name) }

// HasRole reports whether the token carries the application role.
func (c *Caller) HasRole(name string) bool { return slices.Contains(c.Roles, name) }

// Token is an access token for a downstream API. Package obo makes it for a Caller, package searchclient or a tool
// spends it; neither imports the other. Package signin returns one for the MCP server itself.
type Token struct {
	Value    Secret
	Tenant   TenantID
	Object   ObjectID // whose token it is: who spends it compares this with the Caller
	Audience string   // aud of the token, for the chain; "" when the token is opaque
	Expires  time.Time
}
