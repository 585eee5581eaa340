// Package shell is what all commands share: where settings come from, how errors are said, which exit code they give.
// It links no stand-in, so that the production server can use it.
package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onbehalf/onbehalf/internal/httprun"
)

// Exit codes of every command.
const (
	ExitOK     = 0
	ExitFailed = 1 // refused or failed
	ExitUsage  = 2 // wrong use
)

// Shell is the world around a command.
type Shell struct {
	In       io.Reader
	Out, Err io.Writer
	Environ  func(name string) (string, bool)
	Dir      string           // where onbehalf.yaml and .env are looked for
	Now      func() time.Time // the clock

	envFile  string
	logLevel string
	root     *cobra.Command
	started  bool // the arguments were accepted
}

// New returns the shell of this process.
func New() *Shell {
	return &Shell{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.LookupEnv, Dir: ".", Now: time.Now}
}

// Root makes the root command.
func (s *Shell) Root(use, short, example string) *cobra.Command {
	root := &cobra.Command{
		Use: use, Short: short, Example: example, Version: Version().String(),
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRun: func(*cobra.Command, []string) { s.started = true },
		Args:             KnownCommand,
		RunE:             func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.PersistentFlags().StringVar(&s.envFile, "env", "", "read settings from this `FILE` of NAME=value lines")
	root.PersistentFlags().StringVar(&s.logLevel, "log-level", "warn", "what goes to stderr: debug, info, warn, error")
	_ = root.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions([]string{"debug", "info", "warn", "error"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return nearestFlag(cmd, err) })
	s.fitHelp(root)
	s.root = root
	return root
}

// Run runs the command line and returns the exit code; errors go to stderr as "what failed: why" and a hint.
func (s *Shell) Run(ctx context.Context, args []string) int {
	s.root.SetArgs(args)
	s.checkDefaults()
	cmd, err := s.root.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	code := ExitFailed
	if coded, ok := errors.AsType[*codedError](err); ok {
		code = coded.code
	} else if !s.started {
		code = ExitUsage
	}
	s.report(cmd, err, code)
	return code
}

// checkDefaults lets the commands that cobra adds by itself refuse words that they do not know: a script that asks for the
// completion of a shell which there is not must not go on with the help.
func (s *Shell) checkDefaults() {
	s.root.InitDefaultHelpCmd()
	s.root.InitDefaultCompletionCmd()
	for _, cmd := range s.root.Commands() {
		switch cmd.Name() {
		case "completion":
			cmd.Args, cmd.RunE = KnownCommand, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		case "help":
			cmd.Args = func(_ *cobra.Command, words []string) error {
				found, rest, err := s.root.Find(words)
				if err != nil {
					return Usage(err)
				}
				return KnownCommand(found, rest)
			}
		}
	}
}

func (s *Shell) report(cmd *cobra.Command, err error, code int) {
	if errors.Is(err, context.Canceled) && code == ExitFailed {
		fmt.Fprintf(s.Err, "%s: interrupted\n", cmd.Name())
		if hint := HintOf(err); hint != "" {
			fmt.Fprintf(s.Err, "hint: %s\n", Printable(hint))
		}
		return
	}
	hint := ""
	if hinted, ok := errors.AsType[*hintedError](err); ok {
		hint = hinted.hint
	} else if code == ExitUsage {
		hint = cmd.CommandPath() + " --help shows what there is"
	}
	if text := err.Error(); text != "" {
		fmt.Fprintf(s.Err, "%s: %s\n", cmd.Name(), Printable(strings.TrimSpace(text)))
	}
	if hint != "" {
		fmt.Fprintf(s.Err, "hint: %s\n", Printable(hint))
	}
}

// EnvFile returns the file named by --env, or "": hints repeat it.
func (s *Shell) EnvFile() string { return s.envFile }

// Logger returns a logger to stderr at the level that was asked for.
func (s *Shell) Logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return nil, Usage(fmt.Errorf("--log-level %q: want debug, info, warn or error", s.logLevel))
	}
	return slog.New(slog.NewTextHandler(s.Err, &slog.HandlerOptions{Level: level})), nil
}

// Usage marks an error as wrong use: exit code 2.
func Usage(err error) error { return &codedError{err, ExitUsage} }

// Exit marks an error with an exit code of its own.
func Exit(code int, err error) error { return &codedError{err, code} }

type codedError struct {
	err  error
	code int
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// Hint adds to an error what the person can do next.
func Hint(err error, format string, args ...any) error {
	return &hintedError{err, fmt.Sprintf(format, args...)}
}

// HintOf returns what [Hint] added, or "".
func HintOf(err error) string {
	if hinted, ok := errors.AsType[*hintedError](err); ok {
		return hinted.hint
	}
	return ""
}

type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

// Nearest returns the word that word was probably meant to be, or "".
func Nearest(word string, words []string) string {
	best, least := "", len(word)/2+1
	for _, candidate := range words {
		if d := levenshtein.ComputeDistance(strings.ToLower(word), strings.ToLower(candidate)); d < least {
			best, least = candidate, d
		}
	}
	return best
}

// KnownCommand is the Args of a command that does nothing itself: a word that names none of its commands is answered with
// the nearest of them.
func KnownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	err := fmt.Errorf("there is no command %q", args[0])
	if near := Nearest(args[0], names); near != "" {
		err = Hint(err, "did you mean %s %s?", cmd.CommandPath(), near)
	}
	return Usage(err)
}

// nearestFlag adds the nearest flag to the complaint about an unknown one.
func nearestFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return Usage(err)
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := Nearest(unknown.GetSpecifiedName(), names); near != "" {
		err = Hint(err, "did you mean --%s?", near)
	}
	return Usage(err)
}

// PortHint adds to an error about an address, or about a port in use, which flag changes it.
func PortHint(err error, flag string) error {
	if wrong, ok := errors.AsType[*net.AddrError](err); ok {
		return Usage(fmt.Errorf("%s %q: want HOST:PORT, such as 127.0.0.1:8000", flag, wrong.Addr))
	}
	switch inUse, ok := errors.AsType[*httprun.InUseError](err); {
	case ok:
		return Hint(inUse, "choose another one with %s, or port 0 for any", flag)
	case errors.Is(err, syscall.EACCES):
		return Hint(err, "ports below 1024 are for the system's administrator: choose another one with %s", flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return Hint(err, "%s wants an address of this machine: 127.0.0.1 for programs here alone, 0.0.0.0 for others too", flag)
	}
	return err
}
