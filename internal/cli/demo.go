package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/demo"
	"github.com/onbehalf/onbehalf/internal/sample"
)

type demoFlags struct {
	once                        bool
	docs, people                string
	entraAddr, searchAddr, addr string
	webAddr                     string
	skipBad                     bool
}

// anyPort is where "demo --once" listens unless a flag says otherwise.
const anyPort = "127.0.0.1:0"

func (a *app) demoCommand() *cobra.Command {
	var flags demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole way of a call on this machine, without Azure",
		Long: `Run a local Entra, a local AI Search, the MCP server and the web agent in one process; sign alice, bob and carol in,
call get_documents as each, and hold what each saw against the documents' permissions. Exit code 1 on any difference.
Then serve until Ctrl-C: open the page whose address it prints, sign in as alice, in another window as bob, and ask both
the same. With --once it stops after the show, without the page.`,
		Example: "  onbehalf demo --once\n  onbehalf demo --docs debian.jsonl --people people.jsonl",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if flags.once {
				for flag, addr := range map[string]*string{"entra-addr": &flags.entraAddr, "search-addr": &flags.searchAddr, "addr": &flags.addr} {
					if !cmd.Flags().Changed(flag) {
						*addr = anyPort
					}
				}
			}
			return a.runDemo(cmd.Context(), flags)
		},
	}
	cmd.Flags().BoolVar(&flags.once, "once", false, "use free ports, stop after the show")
	cmd.Flags().StringVar(&flags.docs, "docs", "", "show the documents of this `FILE`, a JSON object a line: id, name, section, content, size, oid, group")
	cmd.Flags().StringVar(&flags.people, "people", "", "add the people of this `FILE`, a JSON object a line: name, upn, oid, groups")
	cmd.Flags().StringVar(&flags.entraAddr, "entra-addr", "127.0.0.1:8443", "where the local Entra listens")
	cmd.Flags().StringVar(&flags.searchAddr, "search-addr", "127.0.0.1:8444", "where the local Search listens")
	cmd.Flags().StringVar(&flags.addr, "addr", "127.0.0.1:8000", "where the MCP server listens")
	cmd.Flags().StringVar(&flags.webAddr, "web-addr", "127.0.0.1:8080", "where the web agent listens")
	cmd.Flags().BoolVar(&flags.skipBad, "skip-bad", false, "leave out documents that do not parse instead of stopping")
	return cmd
}

func (a *app) runDemo(ctx context.Context, flags demoFlags) error {
	logger, err := a.Logger()
	if err != nil {
		return err
	}
	config := demo.Config{Once: flags.once, Out: a.Out, Now: a.Now, Logger: logger, Progress: a.progress("loading")}
	if flags.docs != "" {
		if config.Documents, err = a.readDocuments(flags.docs, flags.skipBad); err != nil {
			return err
		}
	}
	if config.People, err = openPeople(flags.people); err != nil {
		return err
	}
	if !flags.once {
		var dir string
		if dir, err = os.MkdirTemp("", "onbehalf-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		config.EnvFile = filepath.Join(dir, "demo.env")
	}
	addresses := []flagged{{"--entra-addr", flags.entraAddr}, {"--search-addr", flags.searchAddr}, {"--addr", flags.addr}}
	if !flags.once {
		addresses = append(addresses, flagged{"--web-addr", flags.webAddr})
	}
	listeners, err := listenAll(ctx, false, addresses...)
	if err != nil {
		return err
	}
	config.Entra, config.Search, config.MCP = listeners[0], listeners[1], listeners[2]
	if !flags.once {
		config.Web = listeners[3]
	}
	return demo.Run(ctx, config)
}

// openPeople reads a file of people; "" is none.
func openPeople(path string) (io.Reader, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, shell.Usage(fmt.Errorf("--people: %w", err))
	}
	return bytes.NewReader(text), nil
}

// readDocuments reads a file of documents; a bad line ends it, or is reported and left out.
func (a *app) readDocuments(path string, skipBad bool) ([]sample.Document, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, shell.Usage(err)
	}
	defer file.Close()
	var bad func(*sample.LineError) error
	skipped := 0
	if skipBad {
		bad = func(e *sample.LineError) error {
			skipped++
			fmt.Fprintf(a.Err, "skipped %v\n", e)
			return nil
		}
	}
	documents, err := sample.Read(file, path, bad)
	if problem, ok := errors.AsType[*sample.LineError](err); ok {
		return nil, shell.Hint(problem, "nothing of the file was uploaded; mend the line, or leave out what is bad with --skip-bad")
	}
	if skipped > 0 {
		fmt.Fprintf(a.Err, "%d of %d lines skipped\n", skipped, skipped+len(documents))
	}
	return documents, err
}
