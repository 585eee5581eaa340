package analysis_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/analysis"
)

func named(tb testing.TB, name string) *analysis.Analyzer {
	tb.Helper()
	set, err := analysis.New(nil, analysis.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	a, err := set.Analyzer(name)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// show writes tokens as term[start:end]@position, leaving out what is as one expects.
func show(text string, tokens []analysis.Token) string {
	var b strings.Builder
	for i, token := range tokens {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(token.Term)
		if from := text[token.Start:token.End]; from != token.Term {
			fmt.Fprintf(&b, "[%s]", from)
		}
		if token.Position != i {
			fmt.Fprintf(&b, "@%d", token.Position)
		}
	}
	return b.String()
}

var analyzerTests = []struct{ analyzer, text, want string }{
	{"standard.lucene", "The QUICK brown-fox, isn't it?", "the[The] quick[QUICK] brown fox isn't it"},
	{"standard.lucene", "a.b.c 1.5 1,000 x:y a_b __ _a 3a", "a.b.c 1.5 1,000 x:y a_b _a 3a"},
	{"standard.lucene", "a. .b 1. ,5 a,b 1:2 'tis dogs'", "a b 1 5 a b 1 2 tis dogs"},
	{"standard.lucene", "user@example.org http://x.org/y?z=1", "user example.org http x.org y z 1"},
	{"standard.lucene", "Ärger über Größe", "ärger[Ärger] über größe[Größe]"},
	{"standard.lucene", "東京 ひらがな カタカナ", "東 京 ひ ら が な カタカナ"},
	{"standard.lucene", "e\u0301te \u0301x", "e\u0301te x"},
	{"standard.lucene", "👍 ok", "ok"},
	{"standard.lucene", " \t\n", ""},
	{"", "Default", "default[Default]"},
	{"standardasciifolding.lucene", "Crème Brûlée Straße ÆØ", "creme[Crème] brulee[Brûlée] strasse[Straße] aeo[ÆØ]"},
	{"keyword", "New York", "New York"},
	{"keyword", "", ""},
	{"simple", "It's 4 O'Clock", "it[It] s o[O] clock[Clock]"},
	{"whitespace", "It's  4,5\tO'Clock ", "It's 4,5 O'Clock"},
	{"stop", "The cat and THE dog", "cat@1 dog@4"},
	{"pattern", "A-b, c_d", "a[A] b c_d"},
	{
		"en.lucene", "The hotel's rooms are running, hopping and possibly relational",
		"hotel[hotel's]@1 room[rooms]@2 run[running]@4 hop[hopping]@5 possibl[possibly]@7 relat[relational]@8",
	},
	{"en.lucene", "Guests’ CARS’S ponies archaeology", "guest[Guests] car[CARS’S] poni[ponies] archaeolog[archaeology]"},
	{"fr.lucene", "L'avion des hôtels, les chevaux à Paris", "avion[L'avion] hotel[hôtels]@2 cheval[chevaux]@4 pari[Paris]@6"},
	{"de.lucene", "Die Häuser der Straße", "haus[Häuser]@1 strass[Straße]@3"},
	{"es.lucene", "Las casas y los niños", "cas[casas]@1 niñ[niños]@4"},
	{"it.lucene", "L'albergo delle amiche", "alberg[L'albergo] amic[amiche]@2"},
	{"pt-PT.lucene", "as meninas", "menin[meninas]@1"},
	{"tr.lucene", "Istanbul'un IŞIK", "ıstanbul[Istanbul'un] ışık[IŞIK]"},
	{"ru.lucene", "в большие дома", "больш[большие]@1 дом[дома]@2"},
	{"sv.lucene", "och hundarna", "hund[hundarna]@1"},
}

func TestAnalyzers(t *testing.T) {
	for _, test := range analyzerTests {
		got := show(test.text, named(t, test.analyzer).Append(nil, test.text))
		if got != test.want {
			t.Errorf("%s: %q:\n got %s\nwant %s", test.analyzer, test.text, got, test.want)
		}
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	a := named(t, "en.lucene")
	tokens := a.Append(nil, "first things")
	tokens = a.Append(tokens, "the second")
	want := []analysis.Token{
		{Term: "first", Start: 0, End: 5, Position: 0},
		{Term: "thing", Start: 6, End: 12, Position: 1},
		{Term: "second", Start: 4, End: 10, Position: 1},
	}
	if diff := cmp.Diff(want, tokens); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLongTokensAreSplit(t *testing.T) {
	for _, analyzer := range []string{"standard.lucene", "whitespace"} {
		for _, letter := range []string{"a", "ä"} {
			tokens := named(t, analyzer).Append(nil, strings.Repeat(letter, 600))
			if len(tokens) != 3 || utf8.RuneCountInString(tokens[1].Term) != 255 || tokens[2].End != 600*len(letter) || tokens[2].Position != 2 {
				t.Errorf("%s, %s: got %d tokens", analyzer, letter, len(tokens))
			}
		}
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	set, err := analysis.New(nil, analysis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{
		"en.microsoft": search.ErrUnsupported, "ja.lucene": search.ErrUnsupported, "zh-Hans.lucene": search.ErrUnsupported,
		"pl.lucene": search.ErrUnsupported, "pt-BR.lucene": search.ErrUnsupported, "english": search.ErrBadRequest, "Keyword": search.ErrBadRequest,
	} {
		if _, err := set.Analyzer(name); !errors.Is(err, want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
}

func TestMapMicrosoft(t *testing.T) {
	set, err := analysis.New(nil, analysis.Options{MapMicrosoft: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"en.microsoft": "en.lucene", "fr.microsoft": "fr.lucene", "nb.microsoft": "no.lucene", "pt-PT.microsoft": "pt-pt.lucene",
		"ja.microsoft": "standard.lucene",
	} {
		if got, ok := set.Nearest(name); !ok || got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
		if _, err := set.Analyzer(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, ok := set.Nearest("en.lucene"); ok {
		t.Errorf("en.lucene: got %s", got)
	}
}

func TestNormalizers(t *testing.T) {
	d := &search.Definition{
		Normalizers: json.RawMessage(`[{"name": "mine", "@odata.type": "#Microsoft.Azure.Search.CustomNormalizer", "tokenFilters": ["lowercase", "trim"], "charFilters": ["dashes"]}]`),
		CharFilters: json.RawMessage(`[{"name": "dashes", "@odata.type": "#Microsoft.Azure.Search.MappingCharFilter", "mappings": ["-=>_", "–=>_"]}]`),
	}
	set, err := analysis.New(d, analysis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, value, want string }{
		{"lowercase", "Las VEGAS", "las vegas"},
		{"uppercase", "straße", "STRAßE"},
		{"standard", "Éclair", "eclair"},
		{"asciifolding", "Éclair", "Eclair"},
		{"elision", "l'Avion", "Avion"},
		{"mine", " A–B-C ", "a_b_c"},
		{"lowercase", "", ""},
	} {
		n, err := set.Normalizer(test.name)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if got := n.Normalize(test.value); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
	if _, err := set.Normalizer("unknown"); !errors.Is(err, search.ErrBadRequest) {
		t.Errorf("got %v, want 400", err)
	}
	if n, err := set.Normalizer(""); n != nil || err != nil {
		t.Errorf("got %v, %v, want none", n, err)
	}
}

// FuzzAnalyzers checks that nothing panics and that tokens stand where they say.
func FuzzAnalyzers(f *testing.F) {
	for _, test := range analyzerTests {
		f.Add(test.text)
	}
	names := []string{"standard.lucene", "standardasciifolding.lucene", "keyword", "simple", "whitespace", "stop", "pattern"}
	for lang := range strings.FieldsSeq("ar da de en es fa fi fr hi hu it nl no pt-PT ro ru sv tr") {
		names = append(names, lang+".lucene")
	}
	var analyzers []*analysis.Analyzer
	for _, name := range names {
		analyzers = append(analyzers, named(f, name))
	}
	f.Fuzz(func(t *testing.T, text string) {
		for i, a := range analyzers {
			last := analysis.Token{Position: -1}
			for _, token := range a.Append(nil, text) {
				if token.Start < last.Start || token.End < token.Start || token.End > len(text) || token.Position <= last.Position {
					t.Errorf("%s: %+v after %+v", names[i], token, last)
				}
				last = token
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	words := strings.Fields("The quick brown fox jumps over the lazy dog and Runs through connected forests")
	var text strings.Builder
	for i := range 100 {
		text.WriteString(words[i%len(words)] + " ")
	}
	for _, name := range []string{"standard.lucene", "en.lucene", "fr.lucene"} {
		b.Run(name, func(b *testing.B) {
			a := named(b, name)
			var tokens []analysis.Token
			b.ReportAllocs()
			for b.Loop() {
				tokens = a.Append(tokens[:0], text.String())
			}
		})
	}
}

// What takes quadratic time or memory of a long text would not end here.
func TestLongTexts(t *testing.T) {
	const size = 4 << 20
	for _, name := range []string{"standard.lucene", "simple", "en.lucene"} {
		if got, want := len(named(t, name).Append(nil, strings.Repeat("a", size))), (size+254)/255; got != want {
			t.Errorf("%s: %d tokens, want %d", name, got, want)
		}
	}
	d := &search.Definition{}
	if err := json.Unmarshal([]byte(`{"name":"paths","analyzers":[{"name":"p","@odata.type":"#Microsoft.Azure.Search.CustomAnalyzer","tokenizer":"path_hierarchy_v2"}]}`), d); err != nil {
		t.Fatal(err)
	}
	set, err := analysis.New(d, analysis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := set.Analyzer("p")
	if err != nil {
		t.Fatal(err)
	}
	tokens := a.Append(nil, strings.Repeat("/a", size))
	if last := tokens[len(tokens)-1]; len(last.Term) != 32_766 {
		t.Errorf("the longest path has %d bytes", len(last.Term))
	}
}
