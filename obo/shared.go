package obo

import (
	"context"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// SharedCache keeps tokens where other replicas find them; package rediscache is one. It deals with its own outages:
// what it cannot do, it leaves out.
type SharedCache interface {
	// Get returns a token that it has verified to be for this key, or false.
	Get(ctx context.Context, key SharedKey) (identity.Token, bool)
	// Put keeps the token until it or the caller's assertion expires.
	Put(ctx context.Context, key SharedKey, token identity.Token)
	// Delete removes the token, so that no replica hands it out again.
	Delete(ctx context.Context, key SharedKey)
}

// SharedKey names a token: whose it is, for whom, and what was asked for.
type SharedKey struct {
	Caller *identity.Caller  // holds the assertion, without which nothing can be opened
	Client identity.ClientID // this application
	Scope  entra.Scope
	Claims string
	CAE    bool
	Digest [32]byte // SHA-256 of tenant, client, scope, claims, CAE and the assertion's digest
}
