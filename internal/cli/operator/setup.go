package operator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/provision/indexplan"
	"github.com/onbehalf/onbehalf/internal/sample"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient"
)

// maxSchema bounds a file with an index definition.
const maxSchema = 4 << 20

func (a *app) setupIndexCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "index",
		Short: "Make the index with document permissions",
		Long: `Make the index with document permissions, by the preview API version that has them (` + searchclient.DefaultAPIVersion + `). What is there
is compared first. Permissions are never taken away from an index, and what the service cannot change is said, not tried.`,
		Example: "  onbehalf setup index plan --env .env\n  onbehalf setup index apply --schema index.json --env .env\n  onbehalf setup index destroy old-index --env .env --index old-index",
		Args:    shell.KnownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.indexPlanCommand("plan"), a.indexPlanCommand("apply"), a.indexDestroyCommand())
	return cmd
}

// indexSetup is one run of "setup index".
type indexSetup struct {
	*app
	o       *operator
	schema  string
	asJSON  bool
	yes     bool
	service *searchclient.Client
}

func (a *app) newIndexSetup() *indexSetup { return &indexSetup{app: a, o: a.newOperator()} }

func (s *indexSetup) open() error {
	err := s.o.open()
	if err == nil {
		s.service, err = s.o.service()
	}
	return err
}

func (a *app) indexPlanCommand(name string) *cobra.Command {
	s := a.newIndexSetup()
	cmd := &cobra.Command{
		Use:     name,
		Short:   "Show what would change, and change nothing",
		Long:    "Show how the index differs from the schema: the sample index's, or that of --schema. Nothing is changed.",
		Example: "  onbehalf setup index plan --env .env\n  onbehalf setup index plan --schema index.json --index handbook --env .env",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := s.plan(cmd.Context())
			return err
		},
	}
	if name == "apply" {
		cmd.Short, cmd.Long = "Make the index, or change what differs", "Show how the index differs from the schema, ask, and change it. Run again, it finds nothing to do."
		cmd.Example = strings.ReplaceAll(cmd.Example, " plan ", " apply ")
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return s.apply(cmd.Context()) }
		cmd.Flags().BoolVar(&s.yes, "yes", false, "do not ask")
	}
	s.o.indexFlags(cmd)
	cmd.Flags().StringVar(&s.schema, "schema", "", "take the index's definition from this `FILE`, as the service's REST API has it (default: the sample index)")
	cmd.Flags().BoolVar(&s.asJSON, "json", false, "print the plan as JSON")
	return cmd
}

// want is the definition that the index should have.
func (s *indexSetup) want() (*search.Definition, error) {
	if s.schema == "" {
		return sample.Definition(s.o.index), nil
	}
	info, err := os.Stat(s.schema)
	if err == nil && info.Size() > maxSchema {
		err = fmt.Errorf("larger than %d bytes", maxSchema)
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(s.schema)
	}
	if err != nil {
		return nil, shell.Usage(fmt.Errorf("--schema: %w", err))
	}
	definition, err := indexplan.ParseSchema(text)
	switch {
	case err != nil:
		return nil, shell.Usage(fmt.Errorf("--schema %s: %w", s.schema, err))
	case definition.Name != "" && definition.Name != s.o.index:
		return nil, shell.Usage(shell.Hint(fmt.Errorf("--schema %s is of the index %s, AZURE_SEARCH_INDEX is %s", s.schema, definition.Name, s.o.index), "--index %s", definition.Name))
	}
	definition.Name = s.o.index
	return definition, nil
}

func (s *indexSetup) plan(ctx context.Context) (*indexplan.Plan, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	want, err := s.want()
	if err != nil {
		return nil, err
	}
	have, err := indexplan.Read(ctx, s.service, s.o.index)
	if err != nil {
		return nil, s.o.explain(err)
	}
	plan := indexplan.Make(want, have)
	if s.asJSON {
		err = shell.WriteJSON(s.Out, plan)
	} else {
		s.show(plan)
	}
	if err == nil && plan.Blocked() {
		err = shell.Hint(fmt.Errorf("index %s cannot become what the schema says; nothing was changed", s.o.index), "the lines that begin with ! say what to do instead")
	}
	return plan, err
}

// show prints a plan: + is new, ~ changes, ! cannot be done.
func (s *indexSetup) show(plan *indexplan.Plan) {
	line := func(format string, args ...any) {
		fmt.Fprintln(s.Out, shell.PrintableLine(fmt.Sprintf(format, args...)))
	}
	line("index %s at %s, api-version %s", plan.Index, s.o.settings.Get("AZURE_SEARCH_ENDPOINT"), searchclient.DefaultAPIVersion)
	sign := map[indexplan.Kind]string{indexplan.Add: "+", indexplan.Change: "~", indexplan.Blocked: "!"}
	for _, step := range plan.Steps {
		switch {
		case step.From == "":
			line("%s %s: %s", sign[step.Kind], step.What, step.To)
		case step.To == "":
			line("%s %s: %s", sign[step.Kind], step.What, step.From)
		default:
			line("%s %s: %s -> %s", sign[step.Kind], step.What, step.From, step.To)
		}
		if step.Why != "" {
			line("    %s", step.Why)
		}
	}
	if len(plan.Steps) == 0 {
		line("nothing to change")
	}
	for _, warning := range plan.Warnings {
		fmt.Fprintln(s.Err, shell.PrintableLine("warning: "+warning))
	}
}

func (s *indexSetup) apply(ctx context.Context) error {
	plan, err := s.plan(ctx)
	if err != nil || len(plan.Steps) == 0 {
		return err
	}
	if !s.yes {
		if err = s.Confirm(ctx, "Do this?"); err != nil {
			return err
		}
	}
	if err = plan.Apply(ctx, s.service); err != nil {
		if errors.Is(err, indexplan.ErrDropped) {
			return shell.Hint(err, "do not put documents there: everybody would see them. Does the service offer api-version %s?", searchclient.DefaultAPIVersion)
		}
		return s.o.explain(err)
	}
	if s.asJSON {
		return nil
	}
	word := "made"
	if plan.Exists {
		word = "changed"
	}
	fmt.Fprintf(s.Out, "index %s %s\n", s.o.index, word)
	return nil
}

func (a *app) indexDestroyCommand() *cobra.Command {
	s := a.newIndexSetup()
	cmd := &cobra.Command{
		Use:   "destroy [NAME]",
		Short: "Delete the index with all its documents",
		Long: `Show what the index holds, and delete it with all its documents. The name has to be typed, or given and --yes besides.
Nothing brings the documents back.`,
		Example: "  onbehalf setup index destroy --env .env\n  onbehalf setup index destroy old-index --index old-index --yes --env .env",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			return s.destroy(cmd.Context(), name)
		},
	}
	s.o.indexFlags(cmd)
	cmd.Flags().BoolVar(&s.yes, "yes", false, "delete without asking; NAME must be given")
	return cmd
}

func (s *indexSetup) destroy(ctx context.Context, name string) error {
	if err := s.open(); err != nil {
		return err
	}
	switch {
	case name != "" && name != s.o.index:
		return shell.Usage(shell.Hint(fmt.Errorf("the index of the settings is %s, not %s", s.o.index, name), "--index %s", name))
	case s.yes && name == "":
		return shell.Usage(shell.Hint(errors.New("--yes needs the index's name"), "onbehalf setup index destroy %s --yes%s", s.o.index, s.o.repeated()))
	}
	definition, err := s.o.definition(ctx, s.service)
	if err != nil {
		return err
	}
	stats, err := s.service.Stats(ctx, s.o.index)
	if err != nil {
		return s.o.explain(err)
	}
	fmt.Fprintf(s.Out, "- index %s at %s: %d documents, %d fields, %d bytes\n", s.o.index, s.o.settings.Get("AZURE_SEARCH_ENDPOINT"), stats.Documents, len(definition.Fields), stats.Bytes)
	if !s.yes {
		if err = s.confirm(ctx); err != nil {
			return err
		}
	}
	if err = s.service.Delete(ctx, s.o.index, definition.ETag); err != nil {
		if errors.Is(err, search.ErrPrecondition) {
			return errors.New("somebody has changed the index meanwhile: nothing was deleted")
		}
		return s.o.explain(err)
	}
	fmt.Fprintf(s.Out, "index %s and %d documents deleted\n", s.o.index, stats.Documents)
	return nil
}

// confirm has the person type the name.
func (s *indexSetup) confirm(ctx context.Context) error {
	name, err := s.Ask(ctx, "Nothing brings the documents back. Type the index's name to delete it: ")
	switch {
	case errors.Is(err, shell.ErrNobody):
		return shell.Usage(shell.Hint(fmt.Errorf("nothing was deleted: %w", err), "onbehalf setup index destroy %s --yes%s", s.o.index, s.o.repeated()))
	case err != nil:
		return err
	case name != s.o.index:
		return errors.New("nothing was deleted: that is not the index's name")
	}
	return nil
}
