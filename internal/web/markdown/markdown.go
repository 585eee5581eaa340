// Package markdown makes what a model writes into HTML that may stand in a page.
package markdown

import (
	"bytes"
	"html/template"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/util"
	"golang.org/x/net/idna"
)

// Renderer makes a model's text into HTML that may stand in a page. The text is foreign: a model repeats what documents
// say. Raw HTML in it is left out; links lead to http and https only, show their host where their text does not, and
// tell nobody where they were; images become links, since the browser would fetch them without being asked. What comes
// out is then held against a list of what may be there: two libraries have to be wrong for a script to pass.
type Renderer struct {
	convert goldmark.Markdown
	policy  *bluemonday.Policy
}

// Bounds of what is rendered; what is beyond them is shown as it is.
const (
	maxMarkdown = 64 << 10 // bytes of a text
	maxMarks    = 1000     // of emphasis, links and code in a paragraph
	maxCells    = 20_000   // of tables: a row may leave out all of its own
	maxNesting  = 32       // of quotes and lists that begin in one line
)

// New returns a renderer. It is safe for concurrent use.
func New() *Renderer {
	policy := bluemonday.NewPolicy()
	policy.AllowElements("p", "br", "hr", "h3", "h4", "h5", "h6", "ul", "li", "strong", "em", "del", "code", "pre", "blockquote",
		"table", "thead", "tbody", "tr", "th", "td")
	policy.AllowAttrs("start").Matching(bluemonday.Integer).OnElements("ol")
	policy.AllowElements("ol")
	policy.AllowAttrs("align").Matching(regexp.MustCompile(`^(left|center|right)$`)).OnElements("th", "td")
	policy.AllowAttrs("class").Matching(regexp.MustCompile(`^host$`)).OnElements("span")
	policy.AllowAttrs("href").OnElements("a")
	policy.AllowURLSchemes("http", "https")
	policy.AllowRelativeURLs(false)
	policy.RequireNoFollowOnLinks(true)
	policy.RequireNoReferrerOnLinks(true)
	policy.AddTargetBlankToFullyQualifiedLinks(true) // with rel noopener
	return &Renderer{
		convert: goldmark.New(
			goldmark.WithExtensions(extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)), extension.Strikethrough,
				extension.NewLinkify(extension.WithLinkifyAllowedProtocols([]string{"http:", "https:"}))),
			goldmark.WithParserOptions(parser.WithASTTransformers()),
			goldmark.WithRendererOptions(html.WithHardWraps(), renderer.WithNodeRenderers(util.Prioritized(foreign{}, 100))),
		),
		policy: policy,
	}
}

// HTML renders a text.
func (m *Renderer) HTML(text string) template.HTML {
	text, rest := tame(strings.Map(inPlace, text))
	var out bytes.Buffer
	if err := m.convert.Convert([]byte(text), &out); err != nil {
		return template.HTML("<p>" + template.HTMLEscapeString(text+rest) + "</p>") //nolint:gosec // escaped
	}
	if rest != "" {
		out.WriteString("<pre>" + template.HTMLEscapeString(rest) + "</pre>")
	}
	return template.HTML(m.policy.SanitizeReader(&out).String()) //nolint:gosec // sanitised
}

// inPlace takes out what turns the direction of what stands beside it: the host that is shown after a link could read as
// another one.
//
// https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing
func inPlace(r rune) rune {
	if r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
		return -1
	}
	return r
}

// tame splits a text where it had better not be rendered: the parser's time grows with the square of the marks in a
// paragraph, and with how deep it is nested. Nobody writes so, but a document may have a model do it.
func tame(text string) (rendered, rest string) {
	marks, columns, cells, at := 0, 0, 0, 0
	for line := range strings.Lines(text) {
		content := strings.TrimLeft(line, " \t>-+*.)0123456789") // after what opens quotes and lists
		opening := len(strings.TrimSpace(line[:len(line)-len(content)]))
		if strings.TrimSpace(line) == "" {
			marks, columns = 0, 0
		}
		for i := range len(content) {
			if strings.IndexByte("*_~`[]<>!&", content[i]) >= 0 {
				marks++
			}
		}
		columns = max(columns, strings.Count(content, "|"))
		cells += columns
		if at+len(line) > maxMarkdown || marks > maxMarks || cells > maxCells || opening > 2*maxNesting {
			break
		}
		at += len(line)
	}
	return text[:at], text[at:]
}

// foreign renders what leads elsewhere, and headings below those of the page.
type foreign struct{}

// RegisterFuncs implements goldmark's [renderer.NodeRenderer].
func (f foreign) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindLink, f.link)
	r.Register(ast.KindAutoLink, f.autoLink)
	r.Register(ast.KindImage, f.image)
	r.Register(ast.KindHeading, f.heading)
	r.Register(ast.KindRawHTML, f.nothing)
	r.Register(ast.KindHTMLBlock, f.nothing)
}

func (foreign) nothing(util.BufWriter, []byte, ast.Node, bool) (ast.WalkStatus, error) {
	return ast.WalkSkipChildren, nil
}

func (foreign) link(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n, ok := node.(*ast.Link)
	if !ok {
		return ast.WalkContinue, nil
	}
	address := webAddress(n.Destination)
	switch {
	case address == nil: // only its text
	case entering:
		openLink(w, address)
	default:
		_, _ = w.WriteString("</a>")
		sayHost(w, address, plainText(node, source))
	}
	return ast.WalkContinue, nil
}

func (foreign) autoLink(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n, ok := node.(*ast.AutoLink)
	if !ok || !entering {
		return ast.WalkContinue, nil
	}
	label := string(n.Label(source))
	if address := webAddress(n.URL(source)); address != nil && n.AutoLinkType == ast.AutoLinkURL {
		openLink(w, address)
		_, _ = w.WriteString(template.HTMLEscapeString(label) + "</a>")
		sayHost(w, address, label)
		return ast.WalkContinue, nil
	}
	_, _ = w.WriteString(template.HTMLEscapeString(label))
	return ast.WalkContinue, nil
}

// image is a link to it, named by its description.
func (foreign) image(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n, ok := node.(*ast.Image)
	if !ok || !entering {
		return ast.WalkContinue, nil
	}
	label := plainText(node, source)
	if label == "" {
		label = "image"
	}
	if address := webAddress(n.Destination); address != nil {
		openLink(w, address)
		_, _ = w.WriteString(template.HTMLEscapeString(label) + "</a>")
		sayHost(w, address, label)
	} else {
		_, _ = w.WriteString(template.HTMLEscapeString(label))
	}
	return ast.WalkSkipChildren, nil
}

// heading keeps the outline of the page: a message is below two headings already.
func (foreign) heading(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n, ok := node.(*ast.Heading)
	if !ok {
		return ast.WalkContinue, nil
	}
	const lowest = 6
	level := strconv.Itoa(min(n.Level+2, lowest))
	if entering {
		_, _ = w.WriteString("<h" + level + ">")
	} else {
		_, _ = w.WriteString("</h" + level + ">\n")
	}
	return ast.WalkContinue, nil
}

func openLink(w util.BufWriter, address *url.URL) {
	_, _ = w.WriteString(`<a href="` + template.HTMLEscapeString(address.String()) + `">`)
}

// sayHost adds the host to a link whose text does not name it: a text can name another one.
func sayHost(w util.BufWriter, address *url.URL, label string) {
	label = strings.TrimPrefix(strings.TrimPrefix(label, "https://"), "http://")
	if label == address.Host || strings.HasPrefix(label, address.Host+"/") {
		return
	}
	_, _ = w.WriteString(` <span class="host">(` + template.HTMLEscapeString(address.Host) + `)</span>`)
}

// webAddress returns an address that a person may follow, or nil.
func webAddress(destination []byte) *url.URL {
	const longest = 2048
	u, err := url.Parse(string(destination))
	if err != nil || len(destination) > longest || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil
	}
	if strings.ContainsFunc(u.Host, func(r rune) bool { return r >= utf8.RuneSelf }) { // letters of other scripts look like those of a name that people know
		host, err := idna.Lookup.ToASCII(u.Hostname())
		if err != nil {
			return nil
		}
		if port := u.Port(); port != "" {
			host += ":" + port
		}
		u.Host = host
	}
	return u
}

// plainText is the text within a node.
func plainText(node ast.Node, source []byte) string {
	var out strings.Builder
	_ = ast.Walk(node, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch text := n.(type) {
		case *ast.Text:
			if entering {
				out.Write(text.Segment.Value(source))
			}
		case *ast.String:
			if entering {
				out.Write(text.Value)
			}
		}
		return ast.WalkContinue, nil
	})
	return strings.TrimSpace(out.String())
}
