package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

type callOptions struct {
	*options
	argsJSON, output, save string
	asJSON, withChain      bool
}

func callCommand(sh *shell.Shell) *cobra.Command {
	o := &callOptions{options: newOptions(sh)}
	cmd := &cobra.Command{
		Use:   "call TOOL [key=value …]",
		Short: "Call a tool as the signed-in person",
		Long: "Calls a tool. Words key=value are typed by the tool's schema; a key that takes a list may be repeated. --args-json takes\n" +
			"an object, or - for standard input. The exit code is 1 when the tool says that it failed.",
		Example: "  onbehalf call get_documents query=budget top=3\n  echo '{\"query\":\"budget\"}' | onbehalf call get_documents --args-json - --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return shell.Usage(shell.Hint(errors.New("want the name of a tool"), "onbehalf tools lists them"))
			}
			return o.run(cmd.Context(), args[0], args[1:])
		},
	}
	cmd.ValidArgsFunction = o.completeCall
	o.signInFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.argsJSON, "args-json", "", "the arguments as a JSON `OBJECT`, or - for standard input")
	flags.BoolVar(&o.asJSON, "json", false, "print the result as JSON")
	flags.StringVar(&o.output, "output", "auto", "how to print the result: auto, table, text, json")
	must(cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"auto", "table", "text", "json"}, cobra.ShellCompDirectiveNoFileComp)))
	flags.StringVar(&o.save, "save", "", "write images and other files of the result into this `FOLDER`")
	flags.BoolVar(&o.withChain, "chain", false, "also print the hops of the call, where the server shows them")
	return cmd
}

func (o *callOptions) run(cmdContext context.Context, name string, words []string) error {
	if o.asJSON {
		o.output = "json"
	}
	if !strings.Contains(" auto table text json ", " "+o.output+" ") {
		return shell.Usage(fmt.Errorf("--output %q: want auto, table, text or json", o.output))
	}
	base, err := o.baseArguments()
	if err != nil {
		return err
	}
	s, handler, err := o.openCaller()
	if err != nil {
		return err
	}
	ctx, cancel := o.within(cmdContext)
	defer cancel()
	bar := o.progress()
	session, err := s.connect(ctx, o.options, handler, bar.show)
	if err != nil {
		return s.explain(ctx, err)
	}
	defer session.Close()
	tool, err := findTool(ctx, session, name)
	if err != nil {
		return s.explain(ctx, err)
	}
	args, err := arguments(schemaOf(tool), base, words)
	if err != nil {
		return err
	}
	params := &mcp.CallToolParams{Name: name, Arguments: args}
	if bar != nil {
		params.SetProgressToken("call")
	}
	result, err := session.CallTool(ctx, params)
	bar.end()
	if err == nil {
		err = o.print(result)
	}
	if o.withChain {
		if chainErr := o.printChain(ctx, s); chainErr != nil {
			fmt.Fprintf(o.sh.Err, "note: the chain of the call: %v\n", chainErr)
		}
	}
	return s.explain(ctx, err)
}

// maxArguments bounds standard input.
const maxArguments = 4 << 20

func (o *callOptions) baseArguments() (map[string]any, error) {
	text := []byte(o.argsJSON)
	switch o.argsJSON {
	case "":
		return nil, nil
	case "-":
		var err error
		if text, err = limited(o.sh.In, maxArguments); err != nil {
			return nil, shell.Usage(fmt.Errorf("standard input: %w", err))
		}
	}
	var base map[string]any
	if err := decodeJSON(text, &base); err != nil || base == nil {
		return nil, shell.Usage(errors.New("--args-json: want a JSON object"))
	}
	return base, nil
}

// findTool fetches the tool's schema, or names the nearest tool.
func findTool(ctx context.Context, session *mcp.ClientSession, name string) (*mcp.Tool, error) {
	tools, err := listTools(ctx, session)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(tools))
	for i, tool := range tools {
		if names[i] = tool.Name; tool.Name == name {
			return tool, nil
		}
	}
	err = fmt.Errorf("the server has no tool %q", name)
	if near := shell.Nearest(name, names); near != "" {
		return nil, shell.Usage(shell.Hint(err, "did you mean %s?", printable(near)))
	}
	return nil, shell.Usage(shell.Hint(err, "\"onbehalf tools\" lists them"))
}

// progress is the bar at a terminal; nil, and then silent, anywhere else.
type progress struct {
	bar *progressbar.ProgressBar
	err io.Writer
}

func (o *callOptions) progress() *progress {
	if !o.tty.fancyErr {
		return nil
	}
	return &progress{err: o.sh.Err}
}

func (p *progress) show(n *mcp.ProgressNotificationParams) {
	if p == nil {
		return
	}
	total := int64(-1)
	if n.Total > 0 {
		total = int64(n.Total * 100)
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(p.err), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(false))
	}
	p.bar.Describe(printable(strings.ReplaceAll(n.Message, "\n", " ")))
	_ = p.bar.Set64(int64(n.Progress * 100)) // a bar that cannot be drawn is no reason to fail
}

func (p *progress) end() {
	if p != nil && p.bar != nil {
		_ = p.bar.Finish() // as above
	}
}
