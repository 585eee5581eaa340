package client

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// Session is the sign-in of the person at this terminal, for commands of other packages.
type Session struct{ o *options }

// NewSession gives a command the flags that choose server, account and token cache.
func NewSession(sh *shell.Shell, cmd *cobra.Command) *Session {
	o := newOptions(sh)
	o.cacheFlags(cmd)
	cmd.Flags().BoolVar(&o.anyAuthority, "dangerously-authority", false, "trust an AZURE_AUTHORITY_HOST that is none of Microsoft's")
	return &Session{o}
}

// Server returns the server that a flag named, or "".
func (s *Session) Server() string { return s.o.server }

// AnyAuthority reports whether the person trusts an authority that is none of Microsoft's.
func (s *Session) AnyAuthority() bool { return s.o.anyAuthority }

// Token returns the token that the server would get now, without asking the person for anything: a
// [*signin.Needed] says that she has to sign in, a [*signin.Ambiguous] that she has to choose an account.
func (s *Session) Token(ctx context.Context) (identity.Token, error) {
	signer, err := s.o.openSigner(true)
	if err != nil {
		return identity.Token{}, err
	}
	return signer.cachedToken(ctx)
}

// LoginHint is the command that signs in.
func (s *Session) LoginHint() string {
	opened, err := s.o.openCache()
	if err != nil {
		return "onbehalf login"
	}
	return s.o.loginHint(opened)
}
