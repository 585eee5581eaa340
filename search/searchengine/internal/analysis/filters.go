package analysis

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2/analysis/char/asciifolding"
	porter "github.com/blevesearch/go-porterstemmer"
)

// each is the filter that changes terms one by one.
func each(change func(string) string) filter {
	return func(tokens []Token) []Token {
		for i := range tokens {
			tokens[i].Term = change(tokens[i].Term)
		}
		return tokens
	}
}

// only is the filter that keeps terms.
func only(keep func(string) bool) filter {
	return func(tokens []Token) []Token {
		kept := tokens[:0]
		for _, t := range tokens {
			if keep(t.Term) {
				kept = append(kept, t)
			}
		}
		return kept
	}
}

// fold brings characters to ASCII where there is something like them: é, ß, Ø.
func fold(s string) string {
	if isASCII(s) {
		return s
	}
	return string(asciifolding.New().Filter([]byte(s)))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// foldBoth folds, and where that changes a term keeps the original beside it.
func foldBoth(tokens []Token) []Token {
	return alternatives(tokens, func(add func(string), term string) {
		folded := fold(term)
		add(folded)
		if folded != term {
			add(term)
		}
	})
}

// alternatives replaces each token by any number of tokens of its position.
func alternatives(tokens []Token, replace func(add func(string), term string)) []Token {
	out := make([]Token, 0, len(tokens)+1)
	for _, t := range tokens {
		replace(func(term string) {
			out = append(out, Token{Term: term, Start: t.Start, End: t.End, Position: t.Position})
		}, t.Term)
	}
	return out
}

// possessive takes 's from the end.
func possessive(s string) string {
	n := len(s)
	if n < 2 || s[n-1] != 's' && s[n-1] != 'S' {
		return s
	}
	for _, apostrophe := range [...]string{"'", "\u2019", "\uff07"} {
		if strings.HasSuffix(s[:n-1], apostrophe) {
			return s[:n-1-len(apostrophe)]
		}
	}
	return s
}

// stem is Porter's stemmer for English.
func stem(s string) string {
	if len(s) < 3 {
		return s
	}
	var array [32]rune
	runes := array[:0]
	for _, r := range s {
		runes = append(runes, r)
	}
	stemmed := porter.StemWithoutLowerCasing(runes)
	n := 0
	for _, r := range stemmed {
		if !strings.HasPrefix(s[n:], string(r)) {
			return string(stemmed)
		}
		n += utf8.RuneLen(r)
	}
	return s[:n]
}

// elide takes an article with its apostrophe from the beginning: l'avion.
func elide(articles map[string]bool) filter {
	return each(func(s string) string {
		i := strings.IndexAny(s, "'\u2019")
		if i < 0 || !articles[strings.ToLower(s[:i])] {
			return s
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		return s[i+size:]
	})
}

// withoutApostrophe takes an apostrophe and all behind it away.
func withoutApostrophe(s string) string {
	if i := strings.IndexAny(s, "'\u2019"); i >= 0 {
		return s[:i]
	}
	return s
}

func lowerTurkish(s string) string { return strings.ToLowerSpecial(unicode.TurkishCase, s) }

func reverse(s string) string {
	runes := []rune(s)
	for i, j := 0, len(runes)-1; i < j; i, j = i+1, j-1 {
		runes[i], runes[j] = runes[j], runes[i]
	}
	return string(runes)
}

// lengths keeps terms of least to most characters.
func lengths(least, most int) filter {
	return only(func(s string) bool {
		n := utf8.RuneCountInString(s)
		return n >= least && n <= most
	})
}

// truncate shortens terms to n characters.
func truncate(n int) filter {
	return each(func(s string) string {
		for i := range s {
			if n == utf8.RuneCountInString(s[:i]) {
				return s[:i]
			}
		}
		return s
	})
}

// limit keeps the first n tokens.
func limit(n int) filter {
	return func(tokens []Token) []Token { return tokens[:min(n, len(tokens))] }
}

// unique keeps the first token of each term, at the same position alone where that is asked.
func unique(samePosition bool) filter {
	type key struct {
		term     string
		position int
	}
	return func(tokens []Token) []Token {
		seen := map[key]bool{}
		kept := tokens[:0]
		for _, t := range tokens {
			k := key{term: t.Term}
			if samePosition {
				k.position = t.Position
			}
			if !seen[k] {
				seen[k] = true
				kept = append(kept, t)
			}
		}
		return kept
	}
}

// replace replaces the matches of a pattern, in which $1 stands for the first group.
func replace(pattern *regexp.Regexp, replacement string) filter {
	return each(func(s string) string { return pattern.ReplaceAllString(s, replacement) })
}

// edgeGramsOf makes of each token those of its least to most first characters, or last ones.
func edgeGramsOf(least, most int, back bool) filter {
	return func(tokens []Token) []Token {
		return alternatives(tokens, func(add func(string), term string) {
			ends := boundaries(term)
			for n := least; n <= most && n < len(ends); n++ {
				if back {
					add(term[ends[len(ends)-1-n]:])
				} else {
					add(term[:ends[n]])
				}
			}
		})
	}
}

// gramsOf makes of each token those of its runs of least to most characters.
func gramsOf(least, most int) filter {
	return func(tokens []Token) []Token {
		return alternatives(tokens, func(add func(string), term string) {
			ends := boundaries(term)
			for start := range ends {
				for n := least; n <= most && start+n < len(ends); n++ {
					add(term[ends[start]:ends[start+n]])
				}
			}
		})
	}
}

// boundaries are the places between the characters of a term, with those before the first and behind the last.
func boundaries(s string) []int {
	ends := make([]int, 0, len(s)+1)
	for i := range s {
		ends = append(ends, i)
	}
	return append(ends, len(s))
}
