package client

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// list prints a tool's rows: at a terminal a table whose cells are cut so that a row is a line; elsewhere whole cells
// between tabs, for cut and awk, where one long text would pad every row to its length.
func (t *terminal) list(headings []string, rows [][]string) {
	g := newGrid(headings, rows)
	if t.fancy {
		narrow(g.widths, t.width, func(int) int { return leastCut })
		g.print(t.out, t.bold, cut)
		return
	}
	for _, row := range g.rows {
		fmt.Fprintln(t.out, strings.Join(row, "\t"))
	}
}

// table prints what we list ourselves, whole: ids are there to be copied. Where a terminal is too narrow for a row, cells
// go on in the next line, and where their words are too long for that, each row becomes lines of a heading and a value.
func (t *terminal) table(out io.Writer, headings []string, rows [][]string) {
	g := newGrid(headings, rows)
	if t.fancy && !narrow(g.widths, t.width, g.least) {
		g.printRecords(out, t.bold)
		return
	}
	g.print(out, t.bold, wrap)
}

// grid is a table's cells, the headings first, and how wide each column is.
type grid struct {
	rows   [][]string
	widths []int
}

func newGrid(headings []string, rows [][]string) *grid {
	g := &grid{widths: make([]int, len(headings))}
	for _, row := range append([][]string{headings}, rows...) {
		clean := make([]string, len(row))
		for i, text := range row {
			clean[i] = oneLine(text)
			g.widths[i] = max(g.widths[i], utf8.RuneCountInString(clean[i]))
		}
		g.rows = append(g.rows, clean)
	}
	return g
}

// oneLine makes a cell of a text: harmless, without tabs and line ends.
func oneLine(text string) string { return strings.Join(strings.Fields(printable(text)), " ") }

const (
	leastCut    = 8  // a cell that is cut shows so much
	longestWord = 36 // an id, a UUID, is not broken; a longer word may be
)

// least is the width that a column needs when its cells are wrapped.
func (g *grid) least(column int) int {
	least := 1
	for _, row := range g.rows {
		for word := range strings.FieldsSeq(row[column]) {
			least = max(least, min(utf8.RuneCountInString(word), longestWord))
		}
	}
	return least
}

// narrow takes from the widest columns until a row fits, and reports whether it does.
func narrow(widths []int, limit int, least func(column int) int) bool {
	total := 2 * (len(widths) - 1)
	floor := make([]int, len(widths))
	for i, width := range widths {
		total, floor[i] = total+width, least(i)
	}
	for ; total > limit; total-- {
		widest := -1
		for i, width := range widths {
			if width > floor[i] && (widest < 0 || width > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return false
		}
		widths[widest]--
	}
	return true
}

// print prints the rows. fit makes the lines of a cell.
func (g *grid) print(out io.Writer, bold func(string) string, fit func(text string, width int) []string) {
	for r, row := range g.rows {
		cells, height := make([][]string, len(row)), 0
		for i, text := range row {
			cells[i] = fit(text, g.widths[i])
			height = max(height, len(cells[i]))
		}
		for y := range height {
			var line strings.Builder
			for i, cell := range cells {
				text := ""
				if y < len(cell) {
					text = cell[y]
				}
				line.WriteString(text + strings.Repeat(" ", g.widths[i]-utf8.RuneCountInString(text)+2))
			}
			text := strings.TrimRight(line.String(), " ")
			if r == 0 {
				text = bold(text)
			}
			fmt.Fprintln(out, text)
		}
	}
}

// printRecords prints each row as lines of a heading and a value; a value that there is not has no line.
func (g *grid) printRecords(out io.Writer, bold func(string) string) {
	headings, width := g.rows[0], 0
	for _, heading := range headings {
		width = max(width, utf8.RuneCountInString(heading))
	}
	for r, row := range g.rows[1:] {
		if r > 0 {
			fmt.Fprintln(out)
		}
		for i, text := range row {
			if text != "" {
				fmt.Fprintf(out, "%s%s  %s\n", bold(headings[i]), strings.Repeat(" ", width-utf8.RuneCountInString(headings[i])), text)
			}
		}
	}
}

// cut makes one line of a text, at most so wide.
func cut(text string, width int) []string {
	if runes := []rune(text); len(runes) > width {
		text = string(runes[:width-1]) + "…"
	}
	return []string{text}
}

// wrap breaks a text at its blanks into lines at most so wide, and a word that is wider where it has to.
func wrap(text string, width int) []string {
	lines, used := []string{""}, 0
	for word := range strings.FieldsSeq(text) {
		rest := []rune(word)
		if used > 0 && used+1+len(rest) <= width {
			lines[len(lines)-1] += " "
			used++
		} else if used > 0 {
			lines, used = append(lines, ""), 0
		}
		for len(rest) > 0 {
			if used == width {
				lines, used = append(lines, ""), 0
			}
			n := min(len(rest), width-used)
			lines[len(lines)-1] += string(rest[:n])
			rest, used = rest[n:], used+n
		}
	}
	return lines
}
