// Package prose reads Markdown as text: what it says, without its marks. The text is foreign, and what comes out is text
// as well, to be escaped like any other.
package prose

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// Block is a paragraph, list or table, in lines: one for each item and row.
type Block struct {
	Heading string // under which it stands
	Lines   []string
}

// maxRead is how many bytes of a text are read: what parsers of Markdown do with hostile text grows faster than the text.
const maxRead = 8 << 10

// nested is a line that begins with more quotes and lists than anybody writes.
var nested = regexp.MustCompile(`(?m)^(?:[ \t]*(?:>|(?:[-+*]|[0-9]{1,9}[.)])[ \t])){9,}`)

// Read returns the blocks of a text, or of its beginning where it is long.
func Read(markdown string) []Block {
	source := nested.ReplaceAll([]byte(cut(strings.ReplaceAll(markdown, "\x00", ""), maxRead)), nil)
	r := &reader{source: source}
	r.blocks(goldmark.New(goldmark.WithExtensions(extension.Strikethrough)).Parser().Parse(text.NewReader(source)))
	return r.out
}

// Line returns what a text says in one line, most bytes of it or somewhat more.
func Line(markdown string, most int) string {
	var out strings.Builder
	heading := ""
	for _, b := range Read(cut(markdown, 4*most)) {
		if out.Len() > most {
			break
		}
		if out.Len() > 0 {
			out.WriteByte(' ')
		}
		if b.Heading != heading && b.Heading != "" {
			out.WriteString(b.Heading + " – ")
		}
		heading = b.Heading
		out.WriteString(strings.Join(b.Lines, "; "))
	}
	return out.String()
}

type reader struct {
	source  []byte
	heading string
	out     []Block
}

func (r *reader) add(lines ...string) {
	kept := lines[:0]
	for _, line := range lines {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			kept = append(kept, line)
		}
	}
	if len(kept) > 0 {
		r.out = append(r.out, Block{r.heading, kept})
	}
}

// blocks reads what stands in a document or a quote.
func (r *reader) blocks(parent ast.Node) {
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Heading:
			r.heading = strings.Join(strings.Fields(r.words(n)), " ")
		case *ast.Blockquote:
			r.blocks(n)
		case *ast.List:
			r.add(r.items(n)...)
		case *ast.Paragraph:
			r.add(r.lines(n)...)
		default:
			r.add(r.words(n))
		}
	}
}

// items reads a list; those of lists within it follow the item that they stand in.
func (r *reader) items(list *ast.List) []string {
	var out []string
	number := list.Start
	for item := list.FirstChild(); item != nil; item = item.NextSibling() {
		mark, within := "• ", []string(nil)
		if list.IsOrdered() {
			mark = strconv.Itoa(number) + ". "
			number++
		}
		var words strings.Builder
		for n := item.FirstChild(); n != nil; n = n.NextSibling() {
			if inner, ok := n.(*ast.List); ok {
				within = append(within, r.items(inner)...)
			} else {
				words.WriteString(r.words(n) + " ")
			}
		}
		out = append(append(out, mark+words.String()), within...)
	}
	return out
}

// delimiter is the second line of a table. Parsers of tables make a cell of nothing for each column that a row leaves out:
// a short text can hold millions. So tables are read here, from paragraphs.
//
// https://github.github.com/gfm/#tables-extension-
var delimiter = regexp.MustCompile(`^ *\|?( *:?-+:? *\|)+( *:?-+:?)? *$`)

// lines are those of a paragraph: the rows of a table, or else one.
func (r *reader) lines(paragraph ast.Node) []string {
	words := r.words(paragraph)
	lines := strings.Split(words, "\n")
	if len(lines) < 2 || !delimiter.MatchString(lines[1]) {
		return []string{words}
	}
	var out []string
	for _, line := range slices.Delete(lines, 1, 2) {
		var cells []string
		for cell := range strings.SplitSeq(line, "|") {
			if cell = strings.TrimSpace(cell); cell != "" {
				cells = append(cells, cell)
			}
		}
		out = append(out, strings.Join(cells, " · "))
	}
	return out
}

var tag = regexp.MustCompile(`<[^>]*>`)

// words are the words of a node and of what stands in it.
func (r *reader) words(parent ast.Node) string {
	var out strings.Builder
	_ = ast.Walk(parent, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // no step fails
		if !entering {
			if n.Type() == ast.TypeBlock {
				out.WriteByte(' ')
			}
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			value := n.Value(r.source)
			if !n.IsRaw() {
				value = util.ResolveEntityNames(util.ResolveNumericReferences(util.UnescapePunctuations(value)))
			}
			out.Write(value)
			if n.SoftLineBreak() || n.HardLineBreak() {
				out.WriteByte('\n')
			}
		case *ast.String:
			out.Write(n.Value)
		case *ast.AutoLink:
			out.Write(n.Label(r.source))
		case *ast.CodeBlock, *ast.FencedCodeBlock:
			out.Write(n.Lines().Value(r.source))
		case *ast.HTMLBlock:
			out.Write(tag.ReplaceAll(n.Lines().Value(r.source), []byte(" ")))
		}
		return ast.WalkContinue, nil
	})
	return out.String()
}

// cut shortens a text at the end of a line, or else of a character.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	text = strings.ToValidUTF8(text[:most], "")
	if i := strings.LastIndexByte(text, '\n'); i > most/2 {
		return text[:i]
	}
	return text
}
