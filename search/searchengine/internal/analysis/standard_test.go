package analysis

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// FuzzASCII compares the fast way for ASCII with the segmenter.
func FuzzASCII(f *testing.F) {
	for _, seed := range []string{"a.b.c 1.5", "x:y:z a:1 1:2", "it's a_b __ _1 3a", "1,000;5 a;b", "a..b 'a' ''", "a._.b 1_,2", "a\x00b\x7f"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for i := range len(text) {
			if text[i] >= utf8.RuneSelf {
				return
			}
		}
		got := standard(maxTokenLength)(nil, text)
		slow := cutter{text: text, max: maxTokenLength}
		slow.cutUnicode(0, len(text))
		var want []Token
		for _, token := range slow.tokens {
			if strings.Trim(token.Term, "_") != "" { // Lucene makes no token of underscores alone
				token.Position = len(want)
				want = append(want, token)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	})
}
