package exam

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Style is how results are laid out for people.
type Style struct {
	Width  int  // where lines are broken; 0: nowhere, as where nobody sits before the output
	Colour bool // the verdict in colour

	// Clean takes from foreign texts what could steer a terminal; nil leaves them as they are.
	Clean func(string) string
}

// Where things stand on a line: the verdict, then the id or a label, then, below a label, its text.
const (
	verdictColumn = 9
	labelColumn   = 16
	idWidth       = 33
)

// WriteText writes a result: verdict, id and what was seen on one line, the cause and what mends it below it.
func (r Result) WriteText(w io.Writer, style Style) error {
	var text strings.Builder
	style.result(&text, r, idWidth)
	_, err := io.WriteString(w, text.String())
	return err
}

// WriteText writes what a person has to know: for each area how many of its checks are well, and below it each that is
// not, together with the checks that were skipped because of it. Result.WriteText writes the others, too.
func (r *Report) WriteText(w io.Writer, style Style) error {
	var text strings.Builder
	width := 0
	for _, area := range r.areas() {
		width = max(width, len(area.name))
		for _, result := range area.results {
			if result.Verdict != OK && result.Because == "" && len(area.alike(result)) == 1 {
				width = max(width, len(result.ID))
			}
		}
	}
	for _, area := range r.areas() {
		if well := area.count(OK); well > 0 {
			style.line(&text, OK, area.name, width, plural(well, "check"))
		}
		for i, result := range area.results {
			switch alike := area.alike(result); {
			case result.Verdict == OK || result.Because != "":
			case len(alike) == 1:
				style.result(&text, result, width)
				r.waiting(&text, style, alike)
			case alike[0] == area.results[i].ID: // the first of several of which the same is to be said
				style.line(&text, Skipped, area.name, width, plural(len(alike), "check")+" "+result.Seen)
				r.waiting(&text, style, alike)
			}
		}
	}
	text.WriteString(r.Summary() + "\n")
	_, err := io.WriteString(w, text.String())
	return err
}

// waiting writes which checks were skipped because of others.
func (r *Report) waiting(text *strings.Builder, style Style, others []string) {
	var ids []string
	for _, result := range r.Results {
		if slices.Contains(others, result.Because) {
			ids = append(ids, result.ID)
		}
	}
	if len(ids) > 0 {
		style.labelled(text, "", fmt.Sprintf("%s skipped because of it: %s", plural(len(ids), "check"), r.names(ids, others)))
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// area is what the ids of some checks begin with, and what came of them.
type area struct {
	name    string
	results []Result
}

func areaOf(id string) string {
	name, _, _ := strings.Cut(id, ".")
	return name
}

// areas returns the areas in the order of their first checks.
func (r *Report) areas() []area {
	var all []area
	for _, result := range r.Results {
		name := areaOf(result.ID)
		i := slices.IndexFunc(all, func(a area) bool { return a.name == name })
		if i < 0 {
			i, all = len(all), append(all, area{name: name})
		}
		all[i].results = append(all[i].results, result)
	}
	return all
}

func (a area) count(v Verdict) (n int) {
	for _, result := range a.results {
		if result.Verdict == v {
			n++
		}
	}
	return n
}

// alike returns the checks of the area of which the same is to be said as of a result: only of such as were left out.
func (a area) alike(as Result) (ids []string) {
	for _, result := range a.results {
		if result.ID == as.ID || result.Finding == as.Finding && as.Verdict == Skipped && as.Fix == "" {
			ids = append(ids, result.ID)
		}
	}
	return ids
}

// names lists the checks that were skipped because of others, an area by its name alone when that is all of it.
func (r *Report) names(ids, because []string) string {
	if len(ids)+len(because) == len(r.Results) {
		return "all others"
	}
	var names []string
	for _, area := range r.areas() {
		var here, others []string
		for _, result := range area.results {
			if slices.Contains(ids, result.ID) {
				here = append(here, result.ID)
			} else if !slices.Contains(because, result.ID) {
				others = append(others, result.ID)
			}
		}
		if len(here) > 1 && len(others) == 0 {
			here = []string{area.name + ".*"}
		}
		names = append(names, here...)
	}
	return strings.Join(names, ", ")
}

// result writes a result with its cause and what mends it.
func (s Style) result(text *strings.Builder, r Result, width int) {
	s.line(text, r.Verdict, r.ID, width, r.Seen)
	s.labelled(text, "cause:", r.Cause)
	s.labelled(text, "fix:", r.Fix)
	if r.Command != "" { // never broken: it is copied
		fmt.Fprintf(text, "%*s%-*s%s\n", verdictColumn, "", labelColumn-verdictColumn, "run:", s.oneLine(r.Command))
	}
}

// line writes verdict, id, and what was seen: below the id where it is too long to stand beside it.
func (s Style) line(text *strings.Builder, v Verdict, id string, width int, seen string) {
	seen = s.oneLine(seen)
	verdict := fmt.Sprintf("%-*s", verdictColumn, v)
	if s.Colour {
		verdict = colours()[v] + string(v) + "\x1b[0m" + verdict[len(v):]
	}
	if s.Width > 0 && verdictColumn+max(width, len(id))+2+utf8.RuneCountInString(seen) > s.Width {
		fmt.Fprintf(text, "%s%s\n", verdict, id)
		s.wrapped(text, verdictColumn, seen)
		return
	}
	fmt.Fprintf(text, "%s%-*s  %s\n", verdict, width, id, seen)
}

// colours are those of the verdicts.
func colours() map[Verdict]string {
	return map[Verdict]string{OK: "\x1b[32m", Warn: "\x1b[33m", Fail: "\x1b[1;31m", Skipped: "\x1b[2m"}
}

// oneLine keeps a foreign text in its line: with a line break in it, it could look like lines of ours.
func (s Style) oneLine(text string) string {
	if s.Clean != nil {
		text = s.Clean(text)
	}
	return strings.Join(strings.Fields(text), " ")
}

// labelled writes a text below a result, if there is one.
func (s Style) labelled(text *strings.Builder, label, value string) {
	if value = s.oneLine(value); value == "" {
		return
	}
	if label == "" {
		s.wrapped(text, verdictColumn, value)
		return
	}
	fmt.Fprintf(text, "%*s%-*s", verdictColumn, "", labelColumn-verdictColumn-1, label)
	s.words(text, labelColumn-1, labelColumn, value)
}

// wrapped writes a text indented, broken at the width.
func (s Style) wrapped(text *strings.Builder, indent int, value string) {
	text.WriteString(strings.Repeat(" ", indent-1))
	s.words(text, indent-1, indent, value)
}

// words writes words after a column, those that do not fit on lines of their own.
func (s Style) words(text *strings.Builder, column, indent int, value string) {
	for word := range strings.SplitSeq(value, " ") {
		length := utf8.RuneCountInString(word)
		if s.Width > 0 && column+1+length > s.Width && column >= indent {
			text.WriteString("\n" + strings.Repeat(" ", indent-1))
			column = indent - 1
		}
		text.WriteString(" " + word)
		column += 1 + length
	}
	text.WriteByte('\n')
}
