package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/provision"
	"github.com/onbehalf/onbehalf/internal/sample"
	"github.com/onbehalf/onbehalf/search/searchclient"
)

func (a *app) indexCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "index",
		Short:   "Put documents into the index",
		Example: "  onbehalf index push documents.jsonl --env .env",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.indexPushCommand())
	return cmd
}

func (a *app) indexPushCommand() *cobra.Command {
	var skipBad bool
	cmd := &cobra.Command{
		Use:   "push FILE.jsonl",
		Short: "Upload documents with their permissions",
		Long: `Upload documents of the sample schema, a JSON object a line: id, name, section, content, size, oid (who may read, as
object ids of people, or "all"), group (object ids of groups). It needs AZURE_SEARCH_ENDPOINT, AZURE_SEARCH_INDEX and
SEARCH_ADMIN_KEY. A line that does not parse stops it before anything is uploaded.`,
		Example: "  onbehalf index push documents.jsonl --env .env",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runIndexPush(cmd.Context(), args[0], skipBad)
		},
	}
	cmd.Flags().BoolVar(&skipBad, "skip-bad", false, "leave out lines that do not parse instead of stopping")
	return cmd
}

func (a *app) runIndexPush(ctx context.Context, path string, skipBad bool) error {
	settings, err := a.Settings(false) // an admin key must not go where a file in a cloned repository says
	if err != nil {
		return err
	}
	if err = settings.Require("AZURE_SEARCH_ENDPOINT", "AZURE_SEARCH_INDEX", "SEARCH_ADMIN_KEY"); err != nil {
		return err
	}
	documents, err := a.readDocuments(path, skipBad)
	if err != nil {
		return err
	}
	client, err := settings.HTTPClient()
	if err != nil {
		return err
	}
	service, err := searchclient.New(searchclient.Config{
		Endpoint: settings.Get("AZURE_SEARCH_ENDPOINT"), Key: identity.NewSecret(settings.Get("SEARCH_ADMIN_KEY")),
		Cloud: entra.Clouds()[0], HTTPClient: client,
	})
	if err != nil {
		return shell.Usage(err)
	}
	bar := a.progress("uploading")
	report, err := provision.Push(ctx, service, settings.Get("AZURE_SEARCH_INDEX"), sample.Stream(documents), provision.PushOptions{
		Progress: func(done int) { bar(done, len(documents)) },
	})
	for _, failure := range report.Failures {
		fmt.Fprintf(a.Err, "%s: HTTP %d: %s\n", shell.Printable(failure.Key), failure.Code, shell.Printable(failure.Message))
	}
	fmt.Fprintf(a.Out, "%d documents uploaded, %d failed, %d not tried\n", report.Uploaded, report.Failed, len(documents)-report.Uploaded-report.Failed)
	if err != nil {
		return err
	}
	if report.Failed > 0 {
		return fmt.Errorf("%d documents were refused", report.Failed)
	}
	return nil
}
