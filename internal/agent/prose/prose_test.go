package prose_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/internal/agent/prose"
)

func TestRead(t *testing.T) {
	for markdown, want := range map[string]string{
		"plain words,\non two lines":                                   `[{ [plain words, on two lines]}]`,
		"# A\n\n## B *c*\n\n**Bold**, _slanted_, ~~gone~~ and `code`.": `[{B c [Bold, slanted, gone and code.]}]`,
		"A [link](http://x \"t\"), ![picture](http://y) <http://z>":    `[{ [A link, picture http://z]}]`,
		"- one\n- two\n  - three\n\n3. four\n4. five":                  `[{ [• one • two • three]} { [3. four 4. five]}]`,
		"> quoted\n>\n> more":                                          `[{ [quoted]} { [more]}]`,
		"| a | b |\n|---|---|\n| 1 | **2** |\n| | 3 |":                 `[{ [a · b 1 · 2 3]}]`,
		"a \\* b &amp; c &#42; 2 * 3 snake_case_name 5 < 6":            `[{ [a * b & c * 2 * 3 snake_case_name 5 < 6]}]`,
		"x\n\n---\n\n```go\nif a < b {\n}\n```":                        `[{ [x]} { [if a < b { }]}]`,
		"<div>shown <b>bold</b></div>\n\nin <i>line</i>":               `[{ [shown bold]} { [in line]}]`,
		"Heading\n-------------\nbelow":                                `[{Heading [below]}]`,
		"":                                                             `[]`, "# only": `[]`, "\x00": `[]`,
	} {
		if got := fmt.Sprint(prose.Read(markdown)); got != want {
			t.Errorf("%q: got %s, want %s", markdown, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	if got := prose.Line("# A\n\none\n\ntwo\n\n## B\n\n- three\n- four\n", 600); got != "A – one two B – • three; • four" {
		t.Errorf("got %q", got)
	}
	if got := prose.Line(strings.Repeat("word ", 10_000), 600); len(got) < 600 || len(got) > 2400 {
		t.Errorf("%d bytes", len(got))
	}
}

// Hostile text costs no more than other text, and what comes out of it is bounded.
func TestHostileText(t *testing.T) {
	for _, piece := range []string{"> ", "- ", "[", "![", "](", "*a ", "**_", "`", "|a", "|-", "<", "<a ", "&", "\\", "~~", "# ", "\u202e", "1. ", "\t", "[a](", "<!--", "``` \n", "[a](", "- a\n"} {
		long := strings.Repeat(piece, 100<<10/len(piece))
		size := 0
		for _, b := range prose.Read(long) {
			size += len(b.Heading) + len(strings.Join(b.Lines, ""))
		}
		if size > 64<<10 {
			t.Errorf("%q: %d bytes", piece, size)
		}
	}
	rows := strings.Repeat("|a", 500) + "\n" + strings.Repeat("|-", 500) + "\n" + strings.Repeat("|\n", 9000)
	prose.Read(rows)
}

func FuzzRead(f *testing.F) {
	f.Add("# A\n\n| a |\n|---|\n| b |\n\n- x\n  1. y\n\n> <b>z</b> &amp; `c`")
	f.Fuzz(func(t *testing.T, text string) {
		for _, b := range prose.Read(text) {
			for _, line := range append(b.Lines, b.Heading) {
				if utf8.ValidString(text) && !utf8.ValidString(line) || strings.ContainsAny(line, "\n\r") {
					t.Errorf("got %q", line)
				}
			}
			if len(b.Lines) == 0 {
				t.Error("a block without lines")
			}
		}
	})
}
