package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/signin"
)

func tokenCommand(sh *shell.Shell) *cobra.Command {
	o := newOptions(sh)
	var raw, asJSON bool
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Explain the access token that the server gets",
		Long: "Explains the claims of the access token for the server, in words. The token itself is printed only with --raw:\n" +
			"whoever has it is you until it expires.",
		Example: "  onbehalf token\n  curl -H \"Authorization: Bearer $(onbehalf token --raw)\" …",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if raw && asJSON {
				return shell.Usage(errors.New("--raw and --json exclude each other"))
			}
			s, err := o.openSigner(false)
			if err != nil {
				return err
			}
			ctx, cancel := o.within(cmd.Context())
			defer cancel()
			token, err := s.cachedToken(ctx)
			if err != nil {
				return s.explain(ctx, err)
			}
			if raw {
				_, err = fmt.Fprintln(sh.Out, token.Value.Reveal())
				return err
			}
			claims, err := claimsOf(token.Value.Reveal())
			if err != nil {
				return err
			}
			if asJSON {
				return shell.WriteJSON(sh.Out, claims)
			}
			o.explainToken(claims, token.Expires, sh.Now())
			return nil
		},
	}
	o.tokenFlags(cmd)
	cmd.Flags().BoolVar(&raw, "raw", false, "print the token itself")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the claims as JSON")
	return cmd
}

// cachedToken returns the token that the server would get now, without asking the person.
func (s *signer) cachedToken(ctx context.Context) (identity.Token, error) {
	source, err := s.handler.TokenSource(ctx)
	if err != nil {
		return identity.Token{}, err
	}
	token, ok := s.handler.Token()
	if source == nil || !ok {
		return identity.Token{}, &signin.Needed{}
	}
	return token, nil
}

// claimsOf reads a JWT's payload without verifying it: it is for the person to read, nothing is decided by it.
func claimsOf(token string) (map[string]any, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("the token is opaque: only the server can read it")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, errors.New("the token is opaque: only the server can read it")
	}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber()
	var claims map[string]any
	if err := decoder.Decode(&claims); err != nil {
		return nil, errors.New("the token is opaque: only the server can read it")
	}
	return claims, nil
}

// claimWords says what the claims mean, in the order in which a person asks: who, for what, until when, how.
//
// https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
var claimWords = []struct{ name, words string }{ //nolint:gochecknoglobals // a constant table
	{"name", "who you are"},
	{"preferred_username", "your account"},
	{"upn", "your account (v1 token)"},
	{"oid", "your object id in the tenant: what servers know you by"},
	{"tid", "the tenant"},
	{"aud", "the API that the token is for; every other must refuse it"},
	{"scp", "what the client may do there for you"},
	{"roles", "your roles at the API"},
	{"groups", "your groups"},
	{"_claim_names", "you are in so many groups that the token only says where to ask"},
	{"azp", "the client that you signed in with"},
	{"appid", "the client that you signed in with (v1 token)"},
	{"azpacr", "how the client proved itself: 0 not at all (public), 1 secret, 2 certificate"},
	{"iss", "who issued the token"},
	{"iat", "issued"},
	{"nbf", "valid from"},
	{"exp", "valid until"},
	{"amr", "how you proved yourself (pwd: password, mfa: a second factor)"},
	{"acrs", "authentication contexts that you satisfied"},
	{"acr", "strength of the sign-in (v1 token)"},
	{"xms_cc", "the client can answer claims challenges (cp1)"},
	{"idp", "where you come from, as a guest"},
	{"idtyp", "whom the token stands for"},
	{"ver", "version of the token's format"},
}

// maxSkew is how far two clocks may differ without a word: five minutes, as Entra and its libraries allow.
const maxSkew = 5 * time.Minute

// explainToken prints the claims. expires is when the token ends by this machine's clock, which counted from the answer
// that brought the token: where the token itself names another time, one of the clocks is wrong.
func (o *options) explainToken(claims map[string]any, expires, now time.Time) {
	var rows [][]string
	for _, claim := range claimWords {
		if value, ok := claims[claim.name]; ok {
			rows = append(rows, []string{claim.name, claimText(claim.name, value), claim.words})
		}
	}
	o.tty.table(o.sh.Out, []string{"claim", "value", "meaning"}, rows)
	if seconds, err := numberOf(claims["exp"]); err == nil {
		left := expires.Sub(now).Round(time.Second)
		if left > 0 {
			fmt.Fprintf(o.sh.Out, "\nvalid for another %s\n", left)
		} else {
			fmt.Fprintf(o.sh.Out, "\nexpired %s ago\n", -left)
		}
		if skew := expires.Sub(time.Unix(seconds, 0)).Round(time.Minute); skew.Abs() > maxSkew {
			word := "ahead of"
			if skew < 0 {
				word = "behind"
			}
			fmt.Fprintf(o.sh.Err, "note: when you got the token, this machine's clock was %s %s Entra's: set it right\n", skew.Abs(), word)
		}
	}
}

func claimText(name string, value any) string {
	if slices.Contains([]string{"iat", "nbf", "exp"}, name) {
		if seconds, err := numberOf(value); err == nil {
			return time.Unix(seconds, 0).Local().Format(time.DateTime)
		}
	}
	switch v := value.(type) {
	case string:
		return printable(v)
	case []any:
		texts := make([]string, len(v))
		for i, element := range v {
			texts[i] = printable(fmt.Sprint(element))
		}
		return strings.Join(texts, " ")
	default:
		return printable(fmt.Sprint(v))
	}
}

func numberOf(value any) (int64, error) {
	number, ok := value.(json.Number)
	if !ok {
		return 0, errors.New("not a number")
	}
	whole, _, _ := strings.Cut(number.String(), ".")
	return json.Number(cmp.Or(whole, "0")).Int64()
}
