package shell

import (
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// leastWidth is the narrowest terminal for which help is laid out.
const leastWidth = 40

// fitHelp lays the help of all commands out for the terminal that it is read at. Elsewhere its lines are as they are written.
func (s *Shell) fitHelp(root *cobra.Command) {
	file, ok := s.Out.(*os.File)
	if !ok {
		return
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width < leastWidth {
		return
	}
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages ", fmt.Sprintf(".FlagUsagesWrapped %d ", width)))
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		cmd.Long = reflow(cmd.Long, width)
		help(cmd, args)
	})
}

// reflow breaks the paragraphs of a text at a width. Lines that begin with a blank, as examples do, stay as they are.
func reflow(text string, width int) string {
	var out strings.Builder
	column := 0
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" || strings.HasPrefix(line, " ") {
			if column > 0 {
				out.WriteByte('\n')
			}
			out.WriteString(line + "\n")
			column = 0
			continue
		}
		for word := range strings.FieldsSeq(line) {
			length := utf8.RuneCountInString(word)
			switch {
			case column == 0:
			case column+1+length > width:
				out.WriteByte('\n')
				column = 0
			default:
				out.WriteByte(' ')
				column++
			}
			out.WriteString(word)
			column += length
		}
	}
	return strings.TrimRight(out.String(), "\n")
}
