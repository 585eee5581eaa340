package shell

import "testing"

func TestReflow(t *testing.T) {
	for _, test := range []struct{ desc, text, want string }{
		{"nothing", "", ""},
		{"a line that fits", "one two", "one two"},
		{"a line that is too long", "one two three four five", "one two three\nfour five"},
		{"lines of a paragraph are joined", "one\ntwo three four\nfive", "one two three\nfour five"},
		{"paragraphs stay apart", "one\n\ntwo", "one\n\ntwo"},
		{"an example stays as it is", "so:\n\n  rules: and nothing else\n    - more\n\nend", "so:\n\n  rules: and nothing else\n    - more\n\nend"},
		{"an example right below its paragraph", "so:\n  rules\nend", "so:\n  rules\nend"},
		{"a word that is wider than all", "an incomprehensibility is", "an\nincomprehensibility\nis"},
	} {
		if got := reflow(test.text, 14); got != test.want {
			t.Errorf("%s: %q, want %q", test.desc, got, test.want)
		}
	}
}
