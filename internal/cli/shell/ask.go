package shell

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// ErrNobody says that nobody can be asked: standard input is not a terminal.
var ErrNobody = errors.New("nobody can be asked: standard input is not a terminal")

// maxReply bounds what a person types, in bytes.
const maxReply = 4096

// ReadLine reads what a person types until Enter, without white space around it; "" where the input ends. A read of a
// terminal cannot be ended: when the context is over first, it is left behind until the command ends.
func ReadLine(ctx context.Context, in io.Reader) (string, error) {
	type reply struct {
		text string
		err  error
	}
	read := make(chan reply, 1)
	go func() {
		text, err := bufio.NewReader(io.LimitReader(in, maxReply)).ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
		read <- reply{strings.TrimSpace(text), err}
	}()
	select {
	case r := <-read:
		return r.text, r.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// Ask asks at the terminal, and returns what was typed; [ErrNobody] where there is none.
func (s *Shell) Ask(ctx context.Context, question string) (string, error) {
	file, ok := s.In.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return "", ErrNobody
	}
	fmt.Fprint(s.Err, question)
	return ReadLine(ctx, file)
}

// Confirm asks a question that "y" and "yes" alone say yes to. Where nobody can be asked, it is no.
func (s *Shell) Confirm(ctx context.Context, question string) error {
	reply, err := s.Ask(ctx, question+" [y/N] ")
	switch {
	case errors.Is(err, ErrNobody):
		return Usage(Hint(err, "--yes does it without asking"))
	case err != nil:
		return err
	case IsYes(reply):
		return nil
	default:
		return errors.New("you declined; nothing was changed")
	}
}

// IsYes reports whether a reply is "y" or "yes".
func IsYes(reply string) bool {
	return strings.EqualFold(reply, "y") || strings.EqualFold(reply, "yes")
}
