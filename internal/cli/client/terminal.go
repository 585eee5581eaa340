package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/signin"
)

// terminal is where the person sits, if there is one.
type terminal struct {
	in       io.Reader
	out, err io.Writer

	interactive bool // a person can be asked: standard input and error are a terminal
	fancy       bool // standard output is one
	fancyErr    bool
	colour      bool
	width       int
	program     string // which terminal it is, as far as images go
}

func newTerminal(sh *shell.Shell) *terminal {
	t := &terminal{in: sh.In, out: sh.Out, err: sh.Err, width: 100}
	t.fancy, t.fancyErr = isTerminal(sh.Out), isTerminal(sh.Err)
	t.interactive = isTerminal(sh.In) && t.fancyErr
	t.colour = sh.Colour()
	name, _ := sh.Environ("TERM")
	t.program, _ = sh.Environ("TERM_PROGRAM")
	if strings.Contains(name, "kitty") {
		t.program = "kitty"
	}
	if width := sh.Width(); width > 0 {
		t.width = width
	}
	return t
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// bold is for headings, where colours are wanted.
func (t *terminal) bold(s string) string {
	if !t.colour {
		return s
	}
	return "\x1b[1m" + s + "\x1b[0m"
}

// yes asks a question; only "y" and "yes" are one.
func (t *terminal) yes(ctx context.Context, question string) (bool, error) {
	fmt.Fprintf(t.err, "%s [y/N] ", question)
	reply, err := shell.ReadLine(ctx, t.in)
	return shell.IsYes(reply), err
}

func (t *terminal) askSecret(_ context.Context, question string) (string, error) {
	file, ok := t.in.(*os.File)
	if !ok {
		return "", errors.New("no terminal to ask at")
	}
	fmt.Fprint(t.err, question)
	text, err := term.ReadPassword(int(file.Fd()))
	fmt.Fprintln(t.err)
	return string(text), err
}

// showCode shows a device code and counts down until the sign-in ends.
func (o *options) showCode(ctx context.Context, code signin.DeviceCode) error {
	fmt.Fprintf(o.sh.Err, "To sign in for %s\n  open   %s\n  enter  %s\n", printable(code.Server), printable(code.VerificationURL), o.tty.bold(printable(code.UserCode)))
	fmt.Fprintln(o.sh.Err, "Should the page say that a policy blocks this (53003, 530032): Ctrl-C, then \"onbehalf login --browser\".")
	if !o.tty.fancyErr {
		return nil
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	defer fmt.Fprint(o.sh.Err, "\r\x1b[K")
	for {
		left := code.Expires.Sub(o.sh.Now()).Round(time.Second)
		fmt.Fprintf(o.sh.Err, "\r\x1b[Kwaiting, %d:%02d left (Ctrl-C gives up)", int(left.Minutes()), int(left.Seconds())%60)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// errDeclined is the person's no.
var errDeclined = errors.New("you declined")

// confirm asks whether a server may have tokens for an API that is not its own address.
func (o *options) confirm(ctx context.Context, asked signin.Grant) error {
	o.patience.hold()
	fmt.Fprintf(o.sh.Err, "The server      %s\nasks for        %s\nto be issued by %s%s\n", asked.Server, joinScopes(asked.Scopes), printable(asked.Authority), printable(asked.Tenant))
	fmt.Fprintln(o.sh.Err, "Whoever runs that server can then use this API as you. Say yes only if the API is that server's own.")
	ok, err := o.tty.yes(ctx, "Do you trust it?")
	if err != nil {
		return err
	}
	if !ok {
		return errDeclined
	}
	return nil
}

// ask asks whether to sign in now because a server wants it. A device code needs a yes; a browser shows for itself what
// is asked.
func (o *options) ask(ctx context.Context, cause signin.Cause) error {
	o.patience.hold()
	fmt.Fprintf(o.sh.Err, "%s wants you to sign in", cause.Server)
	if cause.Claims != "" {
		fmt.Fprintf(o.sh.Err, " again, %s", printable(cause.Demand()))
	}
	fmt.Fprintln(o.sh.Err)
	if o.device && cause.Claims == "" {
		return nil // asked for by name on the command line; what a server demands beyond that needs a yes of its own
	}
	if o.tty.interactive {
		ok, err := o.tty.yes(ctx, "Sign in now?")
		if err != nil {
			return err
		}
		if !ok {
			return errDeclined
		}
		return nil
	}
	if !o.device && (o.browser || o.hasBrowser()) {
		return nil
	}
	return &signin.Needed{Request: signin.Request{Server: cause.Server, Account: o.account}, Cause: cause.Reason}
}

// printable takes from a foreign text what could steer a terminal; see [shell.Printable].
func printable(s string) string { return shell.Printable(s) }
