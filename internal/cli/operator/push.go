package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/provision"
	"github.com/onbehalf/onbehalf/internal/provision/corpus"
	"github.com/onbehalf/onbehalf/search"
)

// maxParallel bounds the batches under way: each holds 8 MB of documents.
const maxParallel = 32

type pushFlags struct {
	sample, skipBad, asJSON, yes    bool
	acl, journal, report, account   string
	parallel                        int
	name, content, section, sizeFld string
}

func (a *app) indexPushCommand() *cobra.Command {
	o := a.newOperator()
	var flags pushFlags
	defaults := corpus.DefaultFolderFields()
	cmd := &cobra.Command{
		Use:   "push FILE.jsonl|DIR",
		Short: "Upload documents with their permissions",
		Long: `Upload documents: a file with a JSON object a line, or a folder of Markdown and text files with an acl.yaml that says
who may read which. Everything is checked against the index's definition before anything is uploaded. What was uploaded is
noted in a journal: run the same command again after an interruption, and it goes on where it was.

It needs AZURE_SEARCH_ENDPOINT, AZURE_SEARCH_INDEX and SEARCH_ADMIN_KEY, or with --entra the role Search Index Data
Contributor and a role that may read the index's definition. Exit code 1 when a document was refused or not uploaded.

An acl.yaml, in which the first rule that fits decides and a file that no rule fits is refused:

  rules:
    - path: "handbook/**"
      everyone: true
    - path: "people/alice.md"
      users: [alice@contoso.com]
    - path: "**/*.md"
      groups: [engineering, 9e000000-0000-4000-8000-0000000000e1]`,
		Example: "  onbehalf index push documents.jsonl --env .env\n  onbehalf index push ./handbook --env .env --report failed.jsonl\n  onbehalf index push --sample --env .env",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 && !flags.sample || len(args) > 0 && flags.sample {
				return shell.Usage(errors.New("want a file of JSON lines, a folder, or --sample"))
			}
			if flags.parallel < 1 || flags.parallel > maxParallel {
				return shell.Usage(fmt.Errorf("--parallel %d: want 1 to %d", flags.parallel, maxParallel))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			path := ""
			if len(args) > 0 {
				path = args[0]
			}
			return a.runIndexPush(cmd.Context(), o, path, flags)
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&flags.sample, "sample", false, "upload the five sample documents: one for you, one for a group of yours")
	f.BoolVar(&flags.yes, "yes", false, "with --sample: do not ask, also where the index holds other documents")
	f.StringVar(&flags.account, "account", "", "with --sample: for whom, by `NAME` or object id, where several people are signed in here")
	f.BoolVar(&flags.skipBad, "skip-bad", false, "leave out documents that are wrong instead of stopping")
	f.StringVar(&flags.acl, "acl", "", "the `FILE` that says who may read a folder's files (default DIR/"+corpus.ACLName+")")
	f.StringVar(&flags.journal, "journal", "", "keep the journal in this `FILE` (default: beside the input)")
	f.StringVar(&flags.report, "report", "", "write what was refused to this `FILE`, a JSON object a line")
	f.BoolVar(&flags.asJSON, "json", false, "print the outcome as JSON")
	f.IntVar(&flags.parallel, "parallel", 4, "how many batches are under way at once")
	f.StringVar(&flags.name, "name-field", defaults.Name, "the field for the names of a folder's files")
	f.StringVar(&flags.content, "content-field", defaults.Content, "the field for their text")
	f.StringVar(&flags.section, "section-field", defaults.Section, "the field for the folder that they are in")
	f.StringVar(&flags.sizeFld, "size-field", defaults.Size, "the field for their size in bytes")
	return cmd
}

// push is one run of "index push".
type push struct {
	*app
	o       *operator
	flags   pushFlags
	service search.Service

	delegated *delegate // nil where the settings of the MCP server are missing
	source    corpus.Source
	survey    *corpus.Survey
	journal   *provision.Journal
	report    *reportFile
	outcome   pushOutcome
}

func (a *app) runIndexPush(ctx context.Context, o *operator, path string, flags pushFlags) error {
	if err := o.open(); err != nil {
		return err
	}
	service, err := o.service()
	if err != nil {
		return err
	}
	p := &push{app: a, o: o, flags: flags, service: service, outcome: pushOutcome{Index: o.index, Failures: []pushFailure{}}}
	p.delegated, err = o.delegate()
	if err != nil && flags.sample {
		return err
	}
	defer p.delegated.close()
	definition, err := o.definition(ctx, service)
	if err != nil {
		return err
	}
	if p.report, err = openReport(flags.report); err != nil {
		return err
	}
	err = p.run(ctx, path, definition)
	return errors.Join(err, p.report.close())
}

func (p *push) run(ctx context.Context, path string, definition *search.Definition) error {
	checker, err := corpus.NewChecker(definition)
	if err != nil {
		return err
	}
	if p.source, err = p.open(ctx, path, definition); err != nil {
		return err
	}
	if p.survey, err = corpus.Check(p.source, checker, p.bad); err != nil {
		if problem, ok := errors.AsType[*corpus.InputError](err); ok {
			err = shell.Hint(problem, "nothing was uploaded; mend it, or leave out what is wrong with --skip-bad")
		}
		return err
	}
	if p.survey.Documents == 0 {
		return fmt.Errorf("%s holds no documents to upload", path)
	}
	p.remark(definition)
	if p.flags.sample {
		if err = p.besideOthers(ctx); err != nil {
			return err
		}
	}
	if err = p.openJournal(path, definition.ETag); err != nil {
		return err
	}
	return p.upload(ctx)
}

// open makes the input of what the command line names.
func (p *push) open(ctx context.Context, path string, definition *search.Definition) (corpus.Source, error) {
	if p.flags.sample {
		return p.sample(ctx)
	}
	in := input{path: path, acl: p.flags.acl, definition: definition, find: p.finder(ctx), warn: p.warn, fields: corpus.FolderFields{
		Name: p.flags.name, Content: p.flags.content, Section: p.flags.section, Size: p.flags.sizeFld,
	}}
	source, acl, err := in.open(ctx)
	if acl != nil {
		p.outcome.unused = acl.Unused
	}
	return source, err
}

// input is a file or folder that the command line names.
type input struct {
	path, acl  string
	definition *search.Definition
	fields     corpus.FolderFields
	find       func(context.Context, corpus.Kind, string) (string, error)
	warn       func(messages ...string)
}

// open opens it; the ACL is that of a folder.
func (in *input) open(ctx context.Context) (corpus.Source, *corpus.ACL, error) {
	info, err := os.Stat(in.path)
	switch {
	case err != nil:
		return nil, nil, shell.Usage(err)
	case info.Mode().IsRegular():
		return corpus.Lines(in.path), nil, nil
	case !info.IsDir():
		return nil, nil, shell.Usage(fmt.Errorf("%s: want a file or a folder; it is read twice", in.path))
	}
	file := in.acl
	if file == "" {
		file = filepath.Join(in.path, corpus.ACLName)
	}
	acl, err := corpus.ReadACL(file)
	if err != nil {
		return nil, nil, shell.Hint(err, "a folder needs a file that says who may read what: onbehalf index push --help shows one")
	}
	warnings, err := acl.Resolve(ctx, in.find)
	in.warn(warnings...)
	if err != nil {
		return nil, nil, shell.Hint(err, "give object ids, or sign in somebody who may read the directory")
	}
	source, notes, err := corpus.Folder(in.path, acl, in.definition, in.fields)
	if err != nil {
		return nil, nil, err
	}
	if notes.Others > 0 {
		in.warn(fmt.Sprintf("%s: files that are neither Markdown nor text, left out: %d", in.path, notes.Others))
	}
	if notes.Links > 0 {
		in.warn(fmt.Sprintf("%s: symbolic links, which are not followed: %d", in.path, notes.Links))
	}
	return source, acl, nil
}

// bad decides about a document that is wrong.
func (p *push) bad(problem *corpus.InputError) error {
	if err := p.report.write(pushFailure{Origin: problem.Origin, Field: problem.Field, Message: problem.Err.Error()}); err != nil {
		return err
	}
	if !p.flags.skipBad {
		return problem
	}
	if p.outcome.Skipped++; p.outcome.Skipped <= maxShownFailures {
		fmt.Fprintf(p.Err, "skipped %s\n", shell.PrintableLine(problem.Error()))
	}
	return nil
}

// openJournal opens the journal beside the input. The five sample documents need none.
func (p *push) openJournal(path, etag string) error {
	if p.flags.sample {
		return nil
	}
	file := p.flags.journal
	if file == "" {
		file = filepath.Clean(path) + ".push-journal"
	}
	p.outcome.Journal = file
	whole, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	journal, state, err := provision.OpenJournal(file, provision.JournalFor{
		Endpoint: p.o.settings.Get("AZURE_SEARCH_ENDPOINT"), Index: p.o.index, ETag: etag,
		File: filepath.Base(whole), Input: p.survey.Digest, Documents: p.survey.Documents, Last: p.survey.Last,
	})
	if err != nil {
		return shell.Hint(err, "%s", journalHint(err))
	}
	p.journal = journal
	switch state {
	case provision.JournalContinued:
		p.outcome.Before = journal.Count()
		fmt.Fprintf(p.Err, "continuing: %d of %d documents were uploaded before (%s)\n", p.outcome.Before, p.survey.Documents, file)
	case provision.JournalOutdated:
		p.warn(file + ": the input or the index has changed since: this upload starts anew; documents of the earlier one may be in the index")
	default:
	}
	return nil
}

// journalHint says what to do about a journal that was refused. It was left as it is, and nothing was uploaded.
func journalHint(err error) string {
	switch {
	case errors.Is(err, provision.ErrOtherJournal):
		return "nothing was uploaded; that upload goes on by it: let it, or keep this one's journal elsewhere with --journal FILE, or remove it"
	case errors.Is(err, provision.ErrDamagedJournal):
		return "nothing was uploaded; without it, everything is uploaded again: move it away"
	case errors.Is(err, provision.ErrNewerJournal):
		return "nothing was uploaded; go on with that version, or move it away, and everything is uploaded again"
	}
	return "nothing was uploaded; --journal FILE keeps it elsewhere"
}

func (p *push) upload(ctx context.Context) error {
	all := p.survey.Documents - p.outcome.Before
	bar := p.tools.Progress("uploading")
	options := provision.PushOptions{
		Parallel: p.flags.parallel, MaxShown: maxShownFailures, Progress: func(done int) { bar(done, all) },
		Failed: func(f provision.Failure) error { return p.report.write(p.failure(f)) },
	}
	done := func(int) bool { return false }
	if p.journal != nil {
		options.Uploaded, done = p.journal.Note, p.journal.Done
	}
	warnOfGroups := p.lookGroupsUp(ctx)
	report, err := provision.Push(ctx, p.service, p.o.index, p.survey.Items(p.source, done), options)
	warnOfGroups()
	p.outcome.take(p.survey, report)
	for _, f := range report.Failures {
		p.outcome.Failures = append(p.outcome.Failures, p.failure(f))
	}
	if p.journal != nil {
		err = errors.Join(err, p.endJournal(err == nil && p.outcome.complete()))
	}
	return p.finish(err)
}

// endJournal removes the journal of an upload of which nothing is left to do.
func (p *push) endJournal(complete bool) error {
	if complete {
		p.outcome.Journal = ""
		return p.journal.Remove()
	}
	return p.journal.Close()
}

func (p *push) failure(f provision.Failure) pushFailure {
	return pushFailure{Origin: p.source.Origin(f.Position), Key: f.Key, Status: f.Code, Message: f.Message}
}

// finish says what became of it.
func (p *push) finish(err error) error {
	if p.outcome.unused != nil {
		p.warn(p.outcome.unused()...)
	}
	if p.flags.asJSON {
		err = errors.Join(err, shell.WriteJSON(p.Out, &p.outcome))
	} else {
		p.outcome.show(p.app)
	}
	switch {
	case err != nil && p.journal != nil:
		return shell.Hint(p.o.explain(err), "the same command goes on where this one stopped")
	case err != nil:
		return p.o.explain(err)
	case p.outcome.Failed > 0:
		return shell.Hint(fmt.Errorf("%d documents were refused", p.outcome.Failed), "the same command tries those again; --report FILE lists them all")
	}
	return nil
}

func (p *push) warn(messages ...string) {
	for _, message := range messages {
		p.outcome.Warnings = append(p.outcome.Warnings, message)
		fmt.Fprintf(p.Err, "warning: %s\n", shell.PrintableLine(message))
	}
}

// maxShownFailures is how many failures a person gets to see; --report has all.
const maxShownFailures = 20

// pushOutcome is what --json prints.
type pushOutcome struct {
	Index     string        `json:"index"`
	Documents int           `json:"documents"` // of the input, without those skipped
	Before    int           `json:"before"`    // uploaded by an earlier run
	Uploaded  int           `json:"uploaded"`
	Failed    int           `json:"failed"`
	Remaining int           `json:"remaining"` // neither uploaded nor refused, as far as is known
	Skipped   int           `json:"skipped"`   // wrong, and left out by --skip-bad
	Everyone  int           `json:"everyone"`  // documents that all may read
	Nobody    int           `json:"nobody"`    // documents that nobody may read
	Journal   string        `json:"journal,omitempty"`
	Warnings  []string      `json:"warnings,omitempty"`
	Failures  []pushFailure `json:"failures"` // the first of them

	unused func() []string
}

// pushFailure is a line of --report.
type pushFailure struct {
	Origin  string `json:"origin"`
	Key     string `json:"key,omitempty"`
	Field   string `json:"field,omitempty"`
	Status  int    `json:"status,omitempty"` // the service's; none when the document never went there
	Message string `json:"message"`
}

func (o *pushOutcome) take(survey *corpus.Survey, report provision.PushReport) {
	o.Documents, o.Everyone, o.Nobody = survey.Documents, survey.Everyone, survey.Nobody
	o.Uploaded, o.Failed = report.Uploaded, report.Failed
	o.Remaining = o.Documents - o.Before - o.Uploaded - o.Failed
}

func (o *pushOutcome) complete() bool { return o.Failed == 0 && o.Remaining == 0 }

func (o *pushOutcome) show(a *app) {
	for _, f := range o.Failures {
		fmt.Fprintf(a.Err, "%s: %s: HTTP %d: %s\n", shell.PrintableLine(f.Origin), shell.PrintableLine(f.Key), f.Status, shell.PrintableLine(strings.TrimSpace(f.Message)))
	}
	if o.Failed > len(o.Failures) {
		fmt.Fprintf(a.Err, "… and %d more\n", o.Failed-len(o.Failures))
	}
	fmt.Fprintf(a.Out, "%d documents uploaded, %d failed, %d not tried", o.Uploaded, o.Failed, o.Remaining)
	if o.Before > 0 {
		fmt.Fprintf(a.Out, ", %d uploaded before", o.Before)
	}
	if o.Skipped > 0 {
		fmt.Fprintf(a.Out, ", %d skipped", o.Skipped)
	}
	fmt.Fprintf(a.Out, "\n%d may be read by everyone, %d by nobody\n", o.Everyone, o.Nobody)
	if o.Journal != "" {
		fmt.Fprintf(a.Out, "journal: %s\n", o.Journal)
	}
}

// rawDocument is a document as the index takes it.
func rawDocument(v any) (search.Document, error) { return json.Marshal(v) }
