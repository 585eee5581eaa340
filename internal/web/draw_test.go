package web

import (
	"html/template"
	"testing"
)

func TestCitations(t *testing.T) {
	sources := []Source{{N: 1, Anchor: "s-q-1"}, {N: 12, Anchor: "s-q-12"}}
	for _, test := range []struct{ desc, text, want string }{
		{"a source", "<p>So it is [1].</p>", `<p>So it is <a class="cite" href="#s-q-1">[1]</a>.</p>`},
		{"two", "[1][12]", `<a class="cite" href="#s-q-1">[1]</a><a class="cite" href="#s-q-12">[12]</a>`},
		{"none of that number", "[2] [123]", "[2] [123]"},
		{"code", "<code>a[1]</code> <pre><code>b[1]</code></pre>", "<code>a[1]</code> <pre><code>b[1]</code></pre>"},
		{"a link", `<a href="https://x.example/[1]">[1]</a>`, `<a href="https://x.example/[1]">[1]</a>`},
	} {
		got := string(cite(template.HTML(test.text), sources))
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.desc, got, test.want)
		}
		if again := string(cite(template.HTML(got), sources)); again != got {
			t.Errorf("%s: a second time makes it %s", test.desc, again)
		}
	}
}
