package markdown_test

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/onbehalf/onbehalf/internal/web/markdown"
)

func TestMarkdown(t *testing.T) {
	m := markdown.New()
	for _, test := range []struct{ desc, text, want string }{
		{"words", "Two *kinds* of **words** and `code`.", "<p>Two <em>kinds</em> of <strong>words</strong> and <code>code</code>.</p>\n"},
		{"a heading stays below the page's", "# Big\n", "<h3>Big</h3>\n"},
		{"a list", "3. a\n4. b", "<ol start=\"3\">\n<li>a</li>\n<li>b</li>\n</ol>\n"},
		{"a link names its host", "[the bank](https://evil.example/bank)", `<p><a href="https://evil.example/bank" rel="nofollow noreferrer noopener" target="_blank">the bank</a> <span class="host">(evil.example)</span></p>` + "\n"},
		{"a link whose text is another host", "[bank.example](https://evil.example/)", `<p><a href="https://evil.example/" rel="nofollow noreferrer noopener" target="_blank">bank.example</a> <span class="host">(evil.example)</span></p>` + "\n"},
		{"an address", "https://docs.example/a", `<p><a href="https://docs.example/a" rel="nofollow noreferrer noopener" target="_blank">https://docs.example/a</a></p>` + "\n"},
		{"an image is not fetched", "![secret](https://evil.example/?q=1)", `<p><a href="https://evil.example/?q=1" rel="nofollow noreferrer noopener" target="_blank">secret</a> <span class="host">(evil.example)</span></p>` + "\n"},
		{"a script's address", "[x](javascript:alert(1)) [y](data:text/html,z) [z](/c/1)", "<p>x y z</p>\n"},
		{"raw HTML", "a <b onclick=x>b</b> <script>alert(1)</script>", "<p>a b alert(1)</p>\n"},
		{"a block of HTML", "<div><img src=x onerror=alert(1)></div>\n\nrest", "<p>rest</p>\n"},
		{"text that is no HTML", "1 < 2 & 3 > 2", "<p>1 &lt; 2 &amp; 3 &gt; 2</p>\n"},
		{"a host in letters that look like others", "[bаnk.example](https://bаnk.example/)", `<p><a href="https://xn--bnk-6cd.example/" rel="nofollow noreferrer noopener" target="_blank">bаnk.example</a> <span class="host">(xn--bnk-6cd.example)</span></p>` + "\n"},
		{"a name that turns the host after it", "[x\u202e](https://moc.knab.example/)\u2066\u202d", `<p><a href="https://moc.knab.example/" rel="nofollow noreferrer noopener" target="_blank">x</a> <span class="host">(moc.knab.example)</span></p>` + "\n"},
		{"a user in an address", "[x](https://bank.example@evil.example/)", "<p>x</p>\n"},
	} {
		if got := string(m.HTML(test.text)); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.desc, got, test.want)
		}
	}
}

// What would keep the parser busy for a minute is shown as it is; what people write is not among it.
func TestMarkdownIsBounded(t *testing.T) {
	m := markdown.New()
	again := func(text string) string { return strings.Repeat(text, 250<<10/len(text)) }
	for _, text := range []string{
		again("[a](b"), again("***a"), again("> "), again("- "), again("1. "), again("~~a"), again("![["), again("`a``b"), again("<a href="),
		again("|a") + "\n" + again("|-"), again("a"),
	} {
		got := string(m.HTML("Words.\n\n" + text))
		if !strings.HasPrefix(got, "<p>Words.</p>\n<pre>") || len(got) > 6*len(text) {
			t.Errorf("%.20q: %d bytes, %.40q", text, len(got), got)
		}
	}
	rows := strings.Repeat("|a", 3000) + "\n" + strings.Repeat("|-", 3000) + "\n" + strings.Repeat("|\n", 9000) // 27 million cells
	if got := string(m.HTML(rows)); !strings.Contains(got, "<pre>|\n") || len(got) > 1<<20 {
		t.Errorf("a table: %d bytes", len(got))
	}
	table := "| a | b | c |\n|---|---|---|\n" + strings.Repeat("| *one* | `two` | [three](https://docs.example/3) |\n", 120)
	long := strings.Repeat("Some **words** with [a link](https://docs.example/1), `code` and *more*.\n\n", 300)
	for _, text := range []string{table, long, "```\n" + strings.Repeat("a[i] = b[i] * c\n", 150) + "```\n", "- a\n  - b\n    1. c\n\n> > quoted\n"} {
		if got := string(m.HTML(text)); strings.Contains(got, "<pre>**") || strings.Contains(got, "<pre>|") || strings.Count(got, "<pre>") > 1 {
			t.Errorf("%.20q is not rendered whole", text)
		}
	}
}

// FuzzMarkdown holds whatever comes out against what may be in a page.
func FuzzMarkdown(f *testing.F) {
	for _, seed := range []string{
		"# a\n\n* b\n* c\n\n| a | b |\n|:-:|--:|\n| 1 | <img src=x onerror=alert(1)> |", "[a](javascript:alert(1))", "<a href=\"javascript:x\">",
		"![a](http://b/c \"d\" onload=x)", "```html\n<script>\n```", "<https://a.b>", "[a]: http://x/\n[a]", "&lt;script&gt;", "<svg/onload=x>", "[x](<http://a\"onmouseover=b>)",
		"a\n<!--\n-->\n<style>*{}</style>", "~~x~~", "\x00<b\x00>", "[\\](http://a)](http://b)",
	} {
		f.Add(seed)
	}
	m := markdown.New()
	elements := strings.Fields("html head body p br hr h3 h4 h5 h6 ul ol li strong em del code pre blockquote table thead tbody tr th td a span")
	f.Fuzz(func(t *testing.T, text string) {
		root, err := html.Parse(strings.NewReader(string(m.HTML(text))))
		if err != nil {
			t.Fatal(err)
		}
		for node := range root.Descendants() {
			if node.Type == html.CommentNode || node.Type == html.ElementNode && !slices.Contains(elements, node.Data) {
				t.Fatalf("%q gives <%s>", text, node.Data)
			}
			for _, a := range node.Attr {
				switch a.Key {
				case "href":
					if !strings.HasPrefix(a.Val, "https://") && !strings.HasPrefix(a.Val, "http://") {
						t.Fatalf("%q gives a link to %q", text, a.Val)
					}
				case "rel", "target", "start", "class", "align":
				default:
					t.Fatalf("%q gives %s=%q", text, a.Key, a.Val)
				}
			}
		}
	})
}
