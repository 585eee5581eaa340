package lookalike_test

import (
	"slices"
	"testing"

	"github.com/onbehalf/onbehalf/internal/provision/lookalike"
)

func same(t *lookalike.Table, a, b string) bool {
	keys := t.Keys(b)
	return slices.ContainsFunc(func() []string { k := t.Keys(a); return k[:] }(), func(k string) bool { return slices.Contains(keys[:], k) })
}

func TestAlike(t *testing.T) {
	t.Parallel()
	table := lookalike.NewTable()
	for _, pair := range [][2]string{
		{"Finance", "finance"},
		{"Finance", "Finаnce"}, // Cyrillic а
		{"CEO", "СЕО"},         // Cyrillic altogether
		{"FINANCE", "FlNANCE"}, // a small L
		{"Finance", "Finance\u200b"},
		{"Finance", "\u202eFinance"},
		{"Finance", "Fi\u00adnance"},
		{"Finance", "Ｆｉｎａｎｃｅ"},
		{"Finance", "𝐅𝐢𝐧𝐚𝐧𝐜𝐞"},
		{"all staff", "All\u00a0 staff"},
		{"Modern", "Modem"},
		{"Team 1", "Team l"},
		{"O'Neill", "O’Neill"},
		{"Büro", "Buro"},
		{"Büro", "Bu\u0308ro"},
		{"VPN Users", "ⅤΡΝ Users"},
	} {
		if !same(table, pair[0], pair[1]) {
			t.Errorf("%q and %q differ: %q, %q", pair[0], pair[1], table.Keys(pair[0]), table.Keys(pair[1]))
		}
	}
	for _, pair := range [][2]string{{"Finance", "Financing"}, {"Team 1", "Team 2"}, {"Москва", "Mockва!"}, {"", "a"}, {"経理部", "経営部"}} {
		if same(table, pair[0], pair[1]) {
			t.Errorf("%q and %q are taken for one another", pair[0], pair[1])
		}
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Finance", "Finance & Legal (EU)", "Büro 3", "Финансы", "Οικονομικά", "経理部 Tokyo", "", "مالية", "e\u0301quipe"} {
		if !lookalike.Plain(name) {
			t.Errorf("%q is not plain", name)
		}
	}
	for _, name := range []string{"Finаnce", "Finance\u200b", "\u202eecnaniF", "a\nb", "a\u00a0b", "\x1b[1A", "Fi\u00adnance", "a\ufe0fb", "αβc", "\xff"} {
		if lookalike.Plain(name) {
			t.Errorf("%q is plain", name)
		}
	}
}

// Whatever a name holds, a name looks like itself.
func FuzzKeys(f *testing.F) {
	for _, seed := range []string{"", "Finance", "\xff\x00", "ﷺ", "e\u0301\u0301", "\u202e"} {
		f.Add(seed)
	}
	table := lookalike.NewTable()
	f.Fuzz(func(t *testing.T, name string) {
		if !same(table, name, name) || !same(table, name, name+"\u200b") {
			t.Errorf("%q does not look like itself", name)
		}
		lookalike.Plain(name)
	})
}
