// Package lookalike tells which names people may take for one another. Whoever may make a group chooses its name, and it may
// be written with letters of another alphabet, or with characters that nobody sees.
//
// It follows the way of Unicode Technical Standard 39 (skeletons), with a table of its own that holds what looks like Latin
// in the alphabets that names of organisations are written in. It knows no fonts: that two names differ here does not prove
// that they look different. Ids decide, never this.
//
// https://www.unicode.org/reports/tr39/#Confusable_Detection
package lookalike

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// alike are letters and digits, each followed by what looks like it. Compatibility forms, such as full-width ones, and accents
// are dealt with by normalization.
const alike = `A АΑᎪ
B ВΒᏴ
C СϹᏟ
D Ꭰ
E ЕΕᎬ
F Ϝ
G ԌᏀ
H НΗᎻ
J ЈͿᎫ
K КΚᏦ
L Ꮮ
M МΜϺᎷ
N Ν
P РΡᏢ
Q Ԛ
R Ꭱ
S ЅՏᏚ
T ТΤᎢ
U Ս
V ѴᏙ
W ԜᎳ
X ХΧ
Y ҮΥУ
Z ΖᏃ
a аαɑ
b Ьь
c сϲ
d ԁ
e еҽ
g ɡց
h һհ
i іιıɩ
j јϳ
k кκ
l 1I|ІΙӀӏǀ
n ո
o 0OОΟՕоοօσ
p рρ
q ԛզ
r г
s ѕ
u υսʋ
v νѵ
w ԝѡա
x хχ
y уγү
m м
t т
3 ЗзƷʒ
4 Ꮞ
8 Ȣȣ
'` + "`" + `´ʹʼˈ’‘′
- ‐‑‒–—−
`

// Table is what looks like what.
type Table struct{ of map[rune]rune }

// NewTable makes the table.
func NewTable() *Table {
	t := &Table{of: map[rune]rune{}}
	for line := range strings.Lines(alike) {
		runes := []rune(strings.TrimSuffix(line, "\n"))
		for _, r := range runes[1:] {
			if r != ' ' {
				t.of[r] = runes[0]
			}
		}
	}
	return t
}

// Keys returns what a name has in common with those that look like it: two names may be taken for one another when they share
// a key. The case of letters makes no difference, nor do accents and spaces.
func (t *Table) Keys(name string) [2]string {
	return [2]string{strings.ToLower(t.skeleton(name)), t.skeleton(strings.ToLower(name))}
}

func (t *Table) skeleton(name string) string {
	var out strings.Builder
	space := false
	for _, r := range norm.NFKD.String(name) {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			space = true
			continue
		case unicode.In(r, unicode.Mn, unicode.Me) || unseen(r):
			continue
		}
		if space && out.Len() > 0 {
			out.WriteByte(' ')
		}
		space = false
		if known, ok := t.of[r]; ok {
			r = known
		}
		out.WriteRune(r)
	}
	return strings.NewReplacer("rn", "m", "vv", "w").Replace(out.String())
}

// unseen reports characters that take no room: among them marks that turn the direction of writing.
func unseen(r rune) bool {
	switch r {
	case 0x115f, 0x1160, 0x3164, 0xffa0, 0x2800, unicode.ReplacementChar: // fillers, a pattern without dots
		return true
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Variation_Selector)
}

// Plain reports whether a name holds nothing that serves to deceive: no characters that nobody sees, no spaces of other kinds,
// and no letters of several alphabets that look alike.
func Plain(name string) bool {
	var seen []*unicode.RangeTable
	scripts := []*unicode.RangeTable{unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Armenian, unicode.Cherokee}
	for _, r := range name {
		if unseen(r) || unicode.IsSpace(r) && r != ' ' || !unicode.IsGraphic(r) {
			return false
		}
		for _, script := range scripts {
			if unicode.Is(script, r) && (len(seen) == 0 || seen[0] != script) {
				if seen = append(seen, script); len(seen) > 1 {
					return false
				}
			}
		}
	}
	return true
}
