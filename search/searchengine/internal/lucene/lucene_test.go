package lucene_test

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/lucene"
)

// show writes a query as Lucene does: + for Must, - for MustNot.
func show(q lucene.Query) string {
	in := func(field, s string) string {
		if field != "" {
			return field + ":" + s
		}
		return s
	}
	switch q := q.(type) {
	case *lucene.All:
		return "*"
	case *lucene.Bool:
		var parts []string
		for _, c := range q.Clauses {
			parts = append(parts, [...]string{"", "+", "-"}[c.Occur]+show(c.Query))
		}
		return "(" + strings.Join(parts, " ") + ")"
	case *lucene.Boost:
		return fmt.Sprintf("%s^%.4g", show(q.Of), q.By)
	case *lucene.Term:
		return in(q.Field, q.Text)
	case *lucene.Phrase:
		if q.Slop > 0 {
			return in(q.Field, fmt.Sprintf("%q~%d", q.Text, q.Slop))
		}
		return in(q.Field, fmt.Sprintf("%q", q.Text))
	case *lucene.Prefix:
		return in(q.Field, "prefix<"+q.Text+">")
	case *lucene.Wildcard:
		var s strings.Builder
		for _, p := range q.Pattern {
			s.WriteString(p.Literal)
			if p.Then != 0 {
				s.WriteString("<" + string(p.Then) + ">")
			}
		}
		return in(q.Field, "wild "+s.String())
	case *lucene.Regexp:
		return in(q.Field, "/"+q.Pattern+"/")
	case *lucene.Fuzzy:
		return in(q.Field, fmt.Sprintf("%s~%d", q.Text, q.Edits))
	}
	return fmt.Sprintf("%T", q)
}

var simpleQueries = []struct{ text, any, all string }{
	{"", "*", "*"},
	{" * ", "*", "*"},
	{"hotel", "hotel", "hotel"},
	{"budget hotel", "(budget hotel)", "(+budget +hotel)"},
	{"a | b", "(a b)", "(a b)"},
	{"a + b", "(+a +b)", "(+a +b)"},
	{"budget hotel +pool", "(+(budget hotel) +pool)", "(+budget +hotel +pool)"},
	{"a | b c", "(a b c)", "(+(a b) +c)"},
	{"motel+(wifi|luxury)", "(+motel +(wifi luxury))", "(+motel +(wifi luxury))"},
	// The service's documentation: "wifi OR -luxury OR *" and "wifi AND -luxury AND *".
	{"wifi -luxury", "(wifi (-luxury *) *)", "(+wifi +(-luxury *))"},
	{"-luxury", "(-luxury *)", "(-luxury *)"},
	{"--luxury", "luxury", "luxury"},
	{"wifi - luxury", "(wifi luxury)", "(+wifi +luxury)"},
	{"wi-fi", "wi-fi", "wi-fi"},
	{"-(a b)", "(-(a b) *)", "(-(+a +b) *)"},
	{"wifi+-luxury", "(+wifi +(-luxury *))", "(+wifi +(-luxury *))"},
	{`"Roach Motel" inn`, `("Roach Motel" inn)`, `(+"Roach Motel" +inn)`},
	{`"say \"so\""`, `"say \"so\""`, `"say \"so\""`},
	{`"unclosed phrase`, "(unclosed phrase)", "(+unclosed +phrase)"},
	{`a + "" b`, "(a b)", "(+a +b)"},
	{"Lingui*", "prefix<lingui>", "prefix<lingui>"},
	{`lingui\*`, "lingui*", "lingui*"},
	{"4*4=16", "4*4=16", "4*4=16"},
	{"foo *", "(foo *)", "(+foo +*)"},
	{`luxury\+hotel`, "luxury+hotel", "luxury+hotel"},
	{`back\\slash`, `back\slash`, `back\slash`},
	{`end\`, "end", "end"},
	{"((a", "a", "a"},
	{"a) b", "(a b)", "(+a +b)"},
	{"()", "()", "()"},
	{"a () b", "(a b)", "(+a +b)"},
	{"+ | +a", "a", "a"},
	{"title:foo~1^2", "title:foo~1^2", "title:foo~1^2"},
	{"a AND b", "(a AND b)", "(+a +AND +b)"},
	{"größe höhe", "(größe höhe)", "(+größe +höhe)"},
}

func TestSimple(t *testing.T) {
	for _, test := range simpleQueries {
		for _, mode := range []struct {
			all  bool
			want string
		}{{false, test.any}, {true, test.all}} {
			got, err := lucene.Parse(test.text, lucene.Options{All: mode.all})
			if err != nil {
				t.Errorf("%s: %v", test.text, err)
			} else if show(got) != mode.want {
				t.Errorf("%s (all: %v): got %s, want %s", test.text, mode.all, show(got), mode.want)
			}
		}
	}
}

var fullQueries = []struct{ text, any, all string }{
	{"", "*", "*"},
	{"*", "*", "*"},
	{"*:*", "*", "*"},
	{"budget hotel", "(budget hotel)", "(+budget +hotel)"},
	{"a AND b", "(+a +b)", "(+a +b)"},
	{"a && b || c", "(+a +b c)", "(+a b c)"},
	{"a OR b AND c", "(a +b +c)", "(a +b +c)"},
	{"a b OR c", "(a b c)", "(+a b c)"},
	{"wifi -luxury", "(wifi -luxury)", "(+wifi -luxury)"},
	{"wifi NOT luxury", "(wifi -luxury)", "(+wifi -luxury)"},
	{"wifi AND !luxury", "(+wifi -luxury)", "(+wifi -luxury)"},
	{"+wifi +luxury pool", "(+wifi +luxury pool)", "(+wifi +luxury +pool)"},
	{"wifi - luxury", "(wifi - luxury)", "(+wifi +- +luxury)"},
	{"a | b", "(a | b)", "(+a +| +b)"},
	{"motel AND (wifi OR luxury)", "(+motel +(wifi luxury))", "(+motel +(wifi luxury))"},
	{"category:budget AND \"recently renovated\"^3", `(+category:budget +"recently renovated"^3)`, `(+category:budget +"recently renovated"^3)`},
	{`artists:("Miles Davis" "John Coltrane")`, `(artists:"Miles Davis" artists:"John Coltrane")`, `(+artists:"Miles Davis" +artists:"John Coltrane")`},
	{"genre:jazz NOT history", "(genre:jazz -history)", "(+genre:jazz -history)"},
	{"a:(b c:d)", "(a:b c:d)", "(+a:b +c:d)"},
	{"Address/City:Portland AND Address\\/State:OR1", "(+Address/City:Portland +Address/State:OR1)", "(+Address/City:Portland +Address/State:OR1)"},
	{`"hotel airport"~5`, `"hotel airport"~5`, `"hotel airport"~5`},
	{"Blue~ blue~1 blue~0 blue~5 blue~0.5", "(blue~2 blue~1 blue~0 blue~2 blue~2)", "(+blue~2 +blue~1 +blue~0 +blue~2 +blue~2)"},
	{"business~analyst", "business~analyst", "business~analyst"}, // the documentation's example of an operator that is none
	{"rock^2 electronic", "(rock^2 electronic)", "(+rock^2 +electronic)"},
	{"blue~1^0.5 blue^0.5~1", "(blue~1^0.5 blue~1^0.5)", "(+blue~1^0.5 +blue~1^0.5)"},
	{"(a b)^2", "(a b)^2", "(+a +b)^2"},
	{"Alpha* n?n*al te?t", "(prefix<alpha> wild n<?>n<*>al wild te<?>t)", "(+prefix<alpha> +wild n<?>n<*>al +wild te<?>t)"},
	{`a\*b* c**`, "(prefix<a*b> prefix<c>)", "(+prefix<a*b> +prefix<c>)"},
	{"/[mh]otel/", "/[mh]otel/", "/[mh]otel/"},
	{`/microsoft\.com\/azure\/.*/`, `/microsoft\.com\/azure\/(?:(?s:.))*/`, `/microsoft\.com\/azure\/(?:(?s:.))*/`},
	{`\+1 \(800\) 642\-7676`, "(+1 (800) 642-7676)", "(++1 +(800) +642-7676)"},
	{`\u0041bc`, "Abc", "Abc"},
	{`"a \"b\" c"`, `"a \"b\" c"`, `"a \"b\" c"`},
	{"wi-fi a+b", "(wi-fi a+b)", "(+wi-fi +a+b)"},
	{"a\u3000b", "(a b)", "(+a +b)"},
	{"NOTE ANDROID ORACLE", "(NOTE ANDROID ORACLE)", "(+NOTE +ANDROID +ORACLE)"},
}

func TestFull(t *testing.T) {
	for _, test := range fullQueries {
		for _, mode := range []struct {
			all  bool
			want string
		}{{false, test.any}, {true, test.all}} {
			got, err := lucene.Parse(test.text, lucene.Options{Full: true, All: mode.all})
			if err != nil {
				t.Errorf("%s: %v", test.text, err)
			} else if show(got) != mode.want {
				t.Errorf("%s (all: %v): got %s, want %s", test.text, mode.all, show(got), mode.want)
			}
		}
	}
}

var badFull = []struct {
	desc, text string
	column     int
}{
	{"recorded: search-wire §4", "/.*/.*/", 8},
	{"phrase without end", `"foo`, 5},
	{"parenthesis without end", "foo (bar", 8},
	{"parenthesis without beginning", "foo)", 3},
	{"empty group", "a ()", 3},
	{"operator at the end", "foo AND", 7},
	{"operator at the beginning", "AND foo", 0},
	{"two operators", "a AND OR b", 6},
	{"two modifiers", "+-a", 1},
	{"range", "size:[1 TO 5]", 5},
	{"colon without a field", "a :b", 2},
	{"leading wildcard", "foo *bar", 4},
	{"leading question mark", "?bar", 0},
	{"any value of a field", "name:*", 5},
	{"only a negation", "-luxury", 0},
	{"only a negation in a group", "a (-b)", 3},
	{"negation with *", "-luxury *", 0},
	{"boost without a number", "a^ b", 3},
	{"boost at the end", "a^", 3},
	{"tilde alone", "~", 0},
	{"tilde behind a group", "(a b)~2", 5},
	{"fraction of edits", "a~1.5", 1},
	{"backslash at the end", `foo\`, 5},
	{"bad code point", `a \u00zz`, 2},
	{"columns count UTF-16", "😀 )", 3},
}

func TestFullErrors(t *testing.T) {
	for _, test := range badFull {
		_, err := lucene.Parse(test.text, lucene.Options{Full: true})
		want := fmt.Sprintf("Failed to parse query string at line 1, column %d. See https://aka.ms/azure-search-full-query for supported syntax.", test.column)
		if e, ok := errors.AsType[*search.Error](err); !ok || e.Message != want || e.Status != http.StatusBadRequest || e.Code != "" {
			t.Errorf("%s: %s:\n got %v\nwant %s", test.desc, test.text, err, want)
		}
	}
}

func TestLimits(t *testing.T) {
	for desc, text := range map[string]string{
		"clauses":     strings.Repeat("a ", 1025),
		"phrase":      `"` + strings.Repeat("a ", 1025) + `"`,
		"characters":  strings.Repeat("ä", 100_001),
		"term":        strings.Repeat("a", 32_767),
		"prefix":      strings.Repeat("a", 1001) + "*",
		"parentheses": strings.Repeat("(", 101) + "a" + strings.Repeat(")", 101),
	} {
		for _, full := range []bool{false, true} {
			if _, err := lucene.Parse(text, lucene.Options{Full: full}); !errors.Is(err, search.ErrBadRequest) {
				t.Errorf("%s (full: %v): got %v, want 400", desc, full, err)
			}
		}
	}
	if _, err := lucene.Parse("/"+strings.Repeat("a", 1001)+"/", lucene.Options{Full: true}); !errors.Is(err, search.ErrBadRequest) {
		t.Errorf("regular expression: got %v, want 400", err)
	}
	q, err := lucene.Parse(strings.Repeat("a ", 1024), lucene.Options{})
	if b, ok := q.(*lucene.Bool); !ok || len(b.Clauses) != 1024 {
		t.Errorf("1024 clauses: %v", err)
	}
}

// What would be slow if it were read again and again.
func TestHostileTexts(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("(", 100_000), strings.Repeat(")", 100_000), strings.Repeat(`"(`, 50_000), strings.Repeat("a/", 50_000),
		strings.Repeat(`\"`, 50_000), strings.Repeat("-", 100_000), strings.Repeat("/a", 50_000), strings.Repeat("+|", 50_000),
	} {
		for _, full := range []bool{false, true} {
			_, err := lucene.Parse(text, lucene.Options{Full: full})
			if err != nil && !errors.Is(err, search.ErrBadRequest) {
				t.Errorf("%.10s: %v", text, err)
			}
		}
	}
}

func TestRegexps(t *testing.T) {
	for _, test := range []struct {
		pattern  string
		yes, not []string
	}{
		{"be*", []string{"b", "be", "beee"}, []string{"bet"}},
		{"be.", []string{"bee", "bet"}, []string{"be", "beef"}},
		{"(ab|c)+d?", []string{"abc", "cd"}, []string{"d", ""}},
		{"a+?", []string{"", "a", "aa"}, nil},
		{"a{2,3}", []string{"aa", "aaa"}, []string{"a", "aaaa"}},
		{"[^a-c]x", []string{"dx"}, []string{"ax"}},
		{"[a-]", []string{"a", "-"}, []string{"b"}},
		{`[\]x]`, []string{"]", "x"}, nil},
		{"^a$", []string{"^a$"}, []string{"a"}},
		{`\d`, []string{"d"}, []string{"1"}},
		{`"a.b"c`, []string{"a.bc"}, []string{"axbc"}},
		{"größe|x", []string{"größe", "x"}, nil},
		{"", []string{""}, []string{"a"}},
	} {
		q, err := lucene.Parse("/"+test.pattern+"/", lucene.Options{Full: true})
		if err != nil {
			t.Errorf("%s: %v", test.pattern, err)
			continue
		}
		r, ok := q.(*lucene.Regexp)
		if !ok {
			t.Errorf("%s: got %T", test.pattern, q)
			continue
		}
		re := regexp.MustCompile("^(?:" + r.Pattern + ")$")
		for _, s := range test.yes {
			if !re.MatchString(s) {
				t.Errorf("%s (%s) does not match %q", test.pattern, re, s)
			}
		}
		for _, s := range test.not {
			if re.MatchString(s) {
				t.Errorf("%s (%s) matches %q", test.pattern, re, s)
			}
		}
	}
	for pattern, want := range map[string]error{
		"(a": search.ErrBadRequest, "a)": search.ErrBadRequest, "*a": search.ErrBadRequest, "[a": search.ErrBadRequest, `"a`: search.ErrBadRequest,
		"[b-a]": search.ErrBadRequest, "a{1001}": search.ErrBadRequest, "((a{100}){100}){100}": search.ErrBadRequest,
		strings.Repeat("(", 500): search.ErrBadRequest, "a" + strings.Repeat("?", 500): search.ErrBadRequest,
		"~a": search.ErrUnsupported, "a&b": search.ErrUnsupported, "<1-9>": search.ErrUnsupported, "@": search.ErrUnsupported,
	} {
		if _, err := lucene.Parse("/"+pattern+"/", lucene.Options{Full: true}); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", pattern, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, test := range simpleQueries {
		f.Add(test.text, false)
	}
	for _, test := range fullQueries {
		f.Add(test.text, true)
	}
	for _, test := range badFull {
		f.Add(test.text, true)
	}
	f.Fuzz(func(t *testing.T, text string, full bool) {
		for _, all := range []bool{false, true} {
			q, err := lucene.Parse(text, lucene.Options{Full: full, All: all})
			if err == nil {
				show(q)
				continue
			}
			if !errors.Is(err, search.ErrBadRequest) && !errors.Is(err, search.ErrUnsupported) {
				t.Errorf("got %v, want 400 or 501", err)
			}
		}
	})
}
