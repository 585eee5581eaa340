package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/internal/cli/client"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/doctor"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/doctor/explain"
)

type doctorFlags struct {
	asJSON, list         bool
	verbose, strict      bool
	skip                 []string
	tokenFile, errorFile string
	account              string
	people               *client.People
	admin                administrator
	anyAuthority         bool
}

func (a *app) doctorCommand() *cobra.Command {
	f := doctorFlags{people: client.NewPeople(a.Shell)}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the whole set-up and name the cause of what does not work, or explain one token or one error",
		Long: `Check the set-up that the settings describe: the settings themselves, network and clock, Entra and its keys, the app
registrations, the credentials, the MCP server, the way of a call with the token of who is signed in here, the search
service and the index. Nothing is changed anywhere. For each area it says how many checks are well; each that is not is told
with what was seen, the cause, and what mends it, in words and as a command to copy. What depends on a check that failed is
skipped and listed below that one, so that one mistake is told once. -v prints every check. Exit code 1 when a check fails.

--token-file says who a token speaks for, for which API, and every reason for which this set-up would refuse it; the token
itself is never printed. --error-file explains an error that you have before you, offline: Entra's answer, a page's text,
an HTTP answer, a line of a log. Both take - for standard input. Exit code 1 when the token is refused or the code unknown.`,
		Example: "  onbehalf doctor --env .env\n  onbehalf doctor --token-file token.txt --env .env\n  pbpaste | onbehalf doctor --error-file -",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case f.errorFile != "" && f.tokenFile != "":
				return shell.Usage(errors.New("--error-file and --token-file exclude each other"))
			case f.list:
				return a.listChecks()
			case f.errorFile != "":
				return a.explainError(f)
			case f.tokenFile != "":
				return a.explainToken(cmd, f)
			}
			return a.runDoctor(cmd, f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.asJSON, "json", false, "print the report as JSON")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "print every check, as soon as it is through")
	flags.BoolVar(&f.strict, "strict", false, "fail (exit code 1) on what is warned of, too")
	flags.StringSliceVar(&f.skip, "skip", nil, "leave these `CHECKS` out, and what needs them: ids or areas such as server,person")
	flags.BoolVar(&f.list, "list", false, "print the ids of all checks and what they check")
	flags.StringVar(&f.tokenFile, "token-file", "", "explain the access token in this `FILE` instead; - for standard input")
	flags.StringVar(&f.errorFile, "error-file", "", "explain the error in this `FILE` instead, offline; - for standard input")
	flags.StringVar(&f.account, "account", "", "with whose sign-in to try, by `NAME` or object id, where several people are signed in here")
	flags.BoolVar(&f.anyAuthority, "dangerously-authority", false, "trust an AZURE_AUTHORITY_HOST that is none of Microsoft's")
	f.people.Flags(cmd)
	f.admin.signInFlags(cmd)
	return cmd
}

func (a *app) listChecks() error {
	for _, c := range doctor.List() {
		if _, err := fmt.Fprintf(a.Out, "%-33s  %s\n", c.ID, c.Title); err != nil {
			return err
		}
	}
	return nil
}

// knownChecks refuses names that are neither a check nor an area.
func knownChecks(names []string) error {
	var known []string
	for _, c := range doctor.List() {
		area, _, _ := strings.Cut(c.ID, ".")
		known = append(known, c.ID, area)
	}
	for _, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		err := fmt.Errorf("--skip: there is no check or area %q", name)
		if near := shell.Nearest(name, known); near != "" {
			return shell.Usage(shell.Hint(err, "did you mean %s?", near))
		}
		return shell.Usage(shell.Hint(err, "onbehalf doctor --list shows all"))
	}
	return nil
}

// readText reads what is to be explained, of a file or of standard input.
func (a *app) readText(flag, path string) (string, error) {
	in := a.In
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", shell.Usage(fmt.Errorf("%s: %w", flag, err))
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	text, err := explain.Read(in)
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	return text, nil
}

// say writes an explanation, as JSON or for people.
func (a *app) say(asJSON bool, explained interface{ WriteText(w io.Writer) }) error {
	if asJSON {
		return shell.WriteJSON(a.Out, explained)
	}
	var text strings.Builder
	explained.WriteText(&text)
	_, err := io.WriteString(a.Out, shell.Printable(text.String()))
	return err
}

func (a *app) explainError(f doctorFlags) error {
	text, err := a.readText("--error-file", f.errorFile)
	if err != nil {
		return err
	}
	found := explain.Error(text)
	if len(found.Findings) == 0 {
		return shell.Hint(errors.New("the text holds no error that is known here"), "give the whole answer, with its status line and headers, or the line of the log with the AADSTS code")
	}
	if err = a.say(f.asJSON, found); err != nil {
		return err
	}
	if !found.Known() {
		return shell.Exit(shell.ExitFailed, errors.New("the catalogue lacks this code"))
	}
	return nil
}

func (a *app) explainToken(cmd *cobra.Command, f doctorFlags) error {
	text, err := a.readText("--token-file", f.tokenFile)
	if err != nil {
		return err
	}
	cfg, err := a.doctorConfig(f)
	if err != nil {
		return err
	}
	token, err := doctor.ExplainToken(cmd.Context(), cfg, text)
	if err != nil {
		return fmt.Errorf("--token-file: %w", err)
	}
	if err = a.say(f.asJSON, token); err != nil {
		return err
	}
	if len(token.Refused) > 0 {
		return shell.Exit(shell.ExitFailed, errors.New("this set-up refuses the token"))
	}
	return nil
}

func (a *app) runDoctor(cmd *cobra.Command, f doctorFlags) error {
	if err := knownChecks(f.skip); err != nil {
		return err
	}
	cfg, err := a.doctorConfig(f)
	if err != nil {
		return err
	}
	cfg.Skip = f.skip
	if err = a.doctorAdministrator(cmd.Context(), f, &cfg); err != nil {
		return err
	}
	report, err := a.examine(cmd.Context(), cfg, f)
	if err != nil {
		return err
	}
	if failed := report.Count(exam.Fail); failed > 0 {
		err = fmt.Errorf("%d of %d checks failed: %s", failed, len(report.Results), strings.Join(report.IDs(exam.Fail), ", "))
		if !f.verbose && !f.asJSON {
			err = shell.Hint(err, "onbehalf doctor -v prints every check, with what was seen")
		}
		return shell.Exit(shell.ExitFailed, err)
	}
	if warned := report.Count(exam.Warn); f.strict && warned > 0 {
		return shell.Exit(shell.ExitFailed, fmt.Errorf("%d of %d checks warn, and --strict was given: %s", warned, len(report.Results), strings.Join(report.IDs(exam.Warn), ", ")))
	}
	return nil
}

// examine runs the checks and writes what came of them.
func (a *app) examine(ctx context.Context, cfg doctor.Config, f doctorFlags) (*exam.Report, error) {
	style := exam.Style{Width: a.Width(), Colour: a.Colour(), Clean: shell.Printable}
	all, progress := len(doctor.List()), func(int, int) {}
	if !f.verbose {
		progress = a.progress("checking")
	}
	var known exam.Report // until it is interrupted
	report := doctor.Run(ctx, cfg, func(r exam.Result) {
		known.Results = append(known.Results, r)
		progress(len(known.Results), all)
		if f.verbose && !f.asJSON {
			_ = r.WriteText(a.Out, style) // the summary says it when the output is gone
		}
	})
	if err := ctx.Err(); err != nil {
		progress(all, all) // takes the bar away
		if !f.verbose && !f.asJSON && len(known.Results) > 0 {
			_ = known.WriteText(a.Out, style)
		}
		return nil, err
	}
	switch {
	case f.asJSON:
		return report, shell.WriteJSON(a.Out, report)
	case f.verbose:
		_, err := fmt.Fprintln(a.Out, report.Summary())
		return report, err
	}
	return report, report.WriteText(a.Out, style)
}
