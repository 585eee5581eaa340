package cli_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onbehalf/onbehalf/internal/cli"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

var update = flag.Bool("update", false, "write docs/commands.md anew")

// commandsPage is the page that holds the help of every command.
const commandsPage = "../../docs/commands.md"

// commands returns all commands, the root first.
func commands(t *testing.T) []*cobra.Command {
	t.Helper()
	sh := shell.New()
	sh.In, sh.Out, sh.Err = strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer)
	root := cli.Root(sh)
	if code := sh.Run(t.Context(), []string{"--help"}); code != 0 {
		t.Fatalf("--help ends with %d", code)
	}
	var all []*cobra.Command
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		all = append(all, cmd)
		for _, child := range cmd.Commands() {
			if child.Name() != "help" && child.Name() != "completion" { // cobra's own
				walk(child)
			}
		}
	}
	walk(root)
	return all
}

// flagNames lists the flags of a command, those of all commands included.
func flagNames(cmd *cobra.Command) []string {
	names := []string{"help"}
	add := func(f *pflag.Flag) { names = append(names, f.Name) }
	cmd.LocalFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	return names
}

// Each command shows how it is used, in lines that it takes.
func TestExamplesAreTaken(t *testing.T) {
	for _, cmd := range commands(t) {
		if cmd.Example == "" {
			t.Errorf("%s: no example", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			for _, words := range invocations(line) {
				found, rest, err := cmd.Root().Find(words)
				if err != nil {
					t.Errorf("%s: %q: %v", cmd.CommandPath(), line, err)
					continue
				}
				if err = found.ParseFlags(rest); err == nil {
					err = found.ValidateArgs(found.Flags().Args())
				}
				if err != nil {
					t.Errorf("%s: %q: %v", cmd.CommandPath(), line, err)
				}
			}
		}
	}
}

// The page of commands is what --help says.
func TestCommandsPage(t *testing.T) {
	var page strings.Builder
	page.WriteString("# Commands\n\nWhat `--help` says of each command. Every command also takes `--env FILE`, from which it reads settings, and\n`--log-level`: debug, info, warn or error.\n")
	for _, cmd := range commands(t)[1:] {
		about := cmd.Long
		if about == "" {
			about = cmd.Short + "."
		}
		fmt.Fprintf(&page, "\n## %s\n\n```text\n%s\n\n%s\n", cmd.CommandPath(), strings.TrimSpace(about), cmd.UseLine())
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { f.Hidden = f.Hidden || f.Name == "help" })
		if flags := cmd.LocalFlags().FlagUsages(); flags != "" {
			fmt.Fprintf(&page, "\n%s", flags)
		}
		fmt.Fprintf(&page, "```\n\n```sh\n%s\n```\n", strings.ReplaceAll(strings.TrimRight(strings.TrimPrefix(cmd.Example, "  "), "\n"), "\n  ", "\n"))
	}
	if *update {
		if err := os.WriteFile(commandsPage, []byte(page.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(commandsPage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), page.String()); diff != "" {
		t.Errorf("docs/commands.md is not what --help says; go test ./internal/cli -run TestCommandsPage -update writes it (-page +help):\n%s", diff)
	}
}

var (
	codeSpan = regexp.MustCompile("`[^`\n]+`")
	flagWord = regexp.MustCompile(`^\[*--([a-z][a-z-]*)`)
)

// A flag that a page names is there, and at the command for which the page names it.
func TestPagesNameFlagsThatThereAre(t *testing.T) {
	all := commands(t)
	foreign := []string{"disable-resource-parameter", "cacert", "env-file"} // of mcp-remote, curl and docker
	var known []string
	for _, cmd := range all {
		known = append(known, flagNames(cmd)...)
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../../README.md", "../../CONTRIBUTING.md", "../../SECURITY.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		whole := strings.ReplaceAll(string(text), "\\\n", " ")
		for line := range strings.Lines(whole) {
			for _, words := range invocations(line) {
				checkFlags(t, page, all[0], words)
			}
		}
		for _, span := range codeSpan.FindAllString(whole, -1) {
			name := flagWord.FindStringSubmatch(strings.Trim(span, "`"))
			if name != nil && !strings.HasSuffix(name[1], "-") && !slices.Contains(known, name[1]) && !slices.Contains(foreign, name[1]) {
				t.Errorf("%s: no command has the flag %s", filepath.Base(page), span)
			}
		}
	}
}

// invocations finds the command lines of onbehalf in a line of text, and returns what follows the program's name.
func invocations(line string) [][]string {
	line, _, _ = strings.Cut(line, " #")
	var found [][]string
	for _, part := range regexp.MustCompile("[`|;&()<>]").Split(line, -1) {
		words := strings.Fields(strings.NewReplacer(`"`, "", "'", "").Replace(part))
		at := slices.IndexFunc(words, func(w string) bool { return w == "onbehalf" || strings.HasSuffix(w, "/onbehalf") })
		environment := func(w string) bool { return strings.Contains(w, "=") }
		if at >= 0 && !slices.ContainsFunc(words[:at], func(w string) bool { return !environment(w) && w != "$" && w != "go" && w != "run" }) {
			found = append(found, words[at+1:])
		}
	}
	return found
}

func checkFlags(t *testing.T, page string, cmd *cobra.Command, words []string) {
	t.Helper()
	for len(words) > 0 {
		at := slices.IndexFunc(cmd.Commands(), func(c *cobra.Command) bool { return c.Name() == words[0] })
		if at < 0 {
			break
		}
		cmd, words = cmd.Commands()[at], words[1:]
	}
	for _, word := range words {
		name := flagWord.FindStringSubmatch(word)
		if name != nil && !slices.Contains(flagNames(cmd), name[1]) {
			t.Errorf("%s: %s has no flag %s (onbehalf … %s)", filepath.Base(page), cmd.CommandPath(), word, strings.Join(words, " "))
		}
	}
}
