package analysis

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// whole makes one token of a text, unless it is empty.
func whole(tokens []Token, text string) []Token {
	if text == "" {
		return tokens
	}
	return append(tokens, Token{Term: text, End: len(text)})
}

// runs makes a token of each longest run of characters that belong.
func runs(belongs func(rune) bool) tokenizer {
	return func(tokens []Token, text string) []Token {
		c := cutter{tokens: tokens, text: text, max: maxTokenLength}
		start := -1
		for i, r := range text {
			switch in := belongs(r); {
			case in && start < 0:
				start = i
			case !in && start >= 0:
				c.add(start, i)
				start = -1
			}
		}
		if start >= 0 {
			c.add(start, len(text))
		}
		return c.tokens
	}
}

func notBlank(r rune) bool { return !unicode.IsSpace(r) }

// between makes a token of what stands between matches of a pattern; of the n-th group of each match where n >= 0.
func between(pattern *regexp.Regexp, group int) tokenizer {
	return func(tokens []Token, text string) []Token {
		position, start := 0, 0
		add := func(from, to int) {
			if from < to {
				tokens = append(tokens, Token{Term: text[from:to], Start: from, End: to, Position: position})
				position++
			}
		}
		for _, m := range pattern.FindAllStringSubmatchIndex(text, -1) {
			if group >= 0 {
				add(m[2*group], m[2*group+1])
				continue
			}
			add(start, m[0])
			start = m[1]
		}
		if group < 0 {
			add(start, len(text))
		}
		return tokens
	}
}

// grams makes a token of each run of least to most characters that all belong: of those at the beginning of such runs
// alone where edge is set.
func grams(least, most int, edge bool, belongs func(rune) bool) tokenizer {
	return func(tokens []Token, text string) []Token {
		position := 0
		for start := 0; start < len(text); {
			r, size := utf8.DecodeRuneInString(text[start:])
			if !belongs(r) {
				start += size
				continue
			}
			for n, end := 1, start; n <= most && end < len(text); n++ {
				r, runeSize := utf8.DecodeRuneInString(text[end:])
				if !belongs(r) {
					break
				}
				if end += runeSize; n >= least {
					tokens = append(tokens, Token{Term: text[start:end], Start: start, End: end, Position: position})
					position++
				}
			}
			start += size
			for edge && start < len(text) {
				r, runeSize := utf8.DecodeRuneInString(text[start:])
				if !belongs(r) {
					break
				}
				start += runeSize
			}
		}
		return tokens
	}
}

// longestPath is how many bytes of a path count: Lucene takes no longer term, and all tokens of a path of n bytes have up
// to n² in all.
const longestPath = 32_766

// paths makes of a/b/c the tokens a, a/b and a/b/c, all of one position.
func paths(delimiter, replacement string, skip int) tokenizer {
	return func(tokens []Token, text string) []Token {
		start := 0
		for range skip {
			i := strings.Index(text[start:], delimiter)
			if i < 0 {
				return tokens
			}
			start += i + len(delimiter)
		}
		for end := start; end < len(text); end += len(delimiter) {
			i := strings.Index(text[end:], delimiter)
			if i < 0 {
				i = len(text) - end
			}
			if end += i; end-start > longestPath {
				return tokens
			}
			if end > start {
				term := text[start:end]
				if replacement != delimiter {
					term = strings.ReplaceAll(term, delimiter, replacement)
				}
				tokens = append(tokens, Token{Term: term, Start: start, End: end})
			}
		}
		return tokens
	}
}
