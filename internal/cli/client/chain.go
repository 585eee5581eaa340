package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// recordedCall is a finished call as the server shows it to whoever made it (see internal/chainstore).
type recordedCall struct {
	ID       string        `json:"id"`
	Start    time.Time     `json:"start"`
	Took     time.Duration `json:"took"`
	Tool     string        `json:"tool"`
	Decision string        `json:"decision"`
	Reason   string        `json:"reason"`
	Hops     []chain.Hop   `json:"hops"`
}

func chainCommand(sh *shell.Shell) *cobra.Command {
	o := newOptions(sh)
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "chain [ID]",
		Short: "Show the hops of a call of yours",
		Long: "Shows who was asked, as whom, for which audience, what was decided and how long it took, for one call; without an id,\n" +
			"your newest calls. A server shows a call to the person who made it, and to nobody else.",
		Example: "  onbehalf chain\n  onbehalf chain 7f3a0c5e9b1d4f6a8e2c0b4d6f8a1c3e",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
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
			if len(args) == 1 {
				return o.showChain(ctx, s, token, args[0], asJSON)
			}
			return o.listChains(ctx, s, token, asJSON)
		},
	}
	o.tokenFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (o *options) showChain(ctx context.Context, s *signer, token identity.Token, id string, asJSON bool) error {
	var call recordedCall
	if err := s.fetchChain(ctx, token, "/api/chain/"+url.PathEscape(id), &call); err != nil {
		return err
	}
	if asJSON {
		return shell.WriteJSON(o.sh.Out, call)
	}
	o.tty.table(o.sh.Out, hopHeadings(), hopRows(call.Hops))
	return nil
}

func (o *options) listChains(ctx context.Context, s *signer, token identity.Token, asJSON bool) error {
	var list struct {
		Calls []recordedCall `json:"calls"`
	}
	if err := s.fetchChain(ctx, token, "/api/chain", &list); err != nil {
		return err
	}
	if asJSON {
		return shell.WriteJSON(o.sh.Out, list.Calls)
	}
	rows := make([][]string, len(list.Calls))
	for i := range list.Calls {
		call := &list.Calls[i]
		rows[i] = []string{call.ID, call.Start.Local().Format(time.TimeOnly), call.Tool, call.Decision, call.Reason, call.Took.Round(time.Microsecond).String()}
	}
	o.tty.table(o.sh.Out, []string{"call", "at", "tool", "decision", "reason", "took"}, rows)
	return nil
}

// maxChain bounds the answer that holds a chain.
const maxChain = 4 << 20

var errNoCall = errors.New("the server knows no such call of yours")

// fetchChain asks the server for calls of the person whose token this is.
func (s *signer) fetchChain(ctx context.Context, token identity.Token, path string, out any) error {
	address := *s.server
	address.Path, address.RawPath = "", ""
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String()+path, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token.Value.Reveal())
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return shell.Hint(errNoCall, "it keeps the newest calls only; \"onbehalf chain\" lists them")
	default:
		return fmt.Errorf("the server answers HTTP %d at %s", resp.StatusCode, path)
	}
	text, err := limited(resp.Body, maxChain)
	if err != nil {
		return err
	}
	if json.Unmarshal(text, out) != nil {
		return errors.New("the answer is not a chain")
	}
	return nil
}

// printChain prints the hops of the call that has just ended.
func (o *callOptions) printChain(ctx context.Context, s *signer) error {
	id := s.watch.chainID()
	if id == "" {
		return errors.New("the server names none")
	}
	if s.handler == nil {
		return errors.New("no token to ask with")
	}
	token, ok := s.handler.Token()
	if !ok {
		return errors.New("no token to ask with")
	}
	call, err := s.awaitChain(ctx, token, id)
	if err != nil {
		return err
	}
	o.tty.table(o.sh.Err, hopHeadings(), hopRows(call.Hops))
	return nil
}

// A server answers before it keeps the chain of the call, which may then be asked for too early: in all this often, with
// pauses of 10, 20, … milliseconds.
const (
	chainTries = 10
	chainPause = 10 * time.Millisecond
)

func (s *signer) awaitChain(ctx context.Context, token identity.Token, id string) (call recordedCall, err error) {
	for try := range chainTries {
		if err = s.fetchChain(ctx, token, "/api/chain/"+url.PathEscape(id), &call); !errors.Is(err, errNoCall) {
			return call, err
		}
		select {
		case <-ctx.Done():
			return call, context.Cause(ctx)
		case <-time.After(time.Duration(try+1) * chainPause):
		}
	}
	return call, err
}

func hopHeadings() []string {
	return []string{"station", "decision", "name", "person", "audience", "reason", "took"}
}

func hopRows(hops []chain.Hop) [][]string {
	rows := make([][]string, len(hops))
	for i := range hops {
		hop := &hops[i]
		rows[i] = []string{string(hop.Station), string(hop.Decision), hop.Name, hop.Subject, hop.Audience, hop.Reason, hop.Took.Round(time.Microsecond).String()}
	}
	return rows
}
