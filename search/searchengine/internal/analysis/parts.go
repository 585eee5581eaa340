package analysis

import (
	"strings"
	"unicode"

	"github.com/blevesearch/bleve/v2/registry"
)

// tokenizer finds a tokenizer by name.
func (s *Set) tokenizer(name string) (tokenizer, error) {
	if t, ok := s.parts.tokenizers[name]; ok {
		return t, nil
	}
	switch name {
	case "standard", "standard_v2":
		return standard(maxTokenLength), nil
	case "keyword", "keyword_v2":
		return whole, nil
	case "letter":
		return runs(unicode.IsLetter), nil
	case "lowercase":
		return lowered(runs(unicode.IsLetter)), nil
	case "whitespace":
		return runs(notBlank), nil
	case "pattern":
		return (&part{}).between()
	case "edgeNGram":
		return grams(1, 2, true, anyRune), nil
	case "nGram":
		return grams(1, 2, false, anyRune), nil
	case "path_hierarchy_v2":
		return paths("/", "/", 0), nil
	case "classic", "uax_url_email", "microsoft_language_tokenizer", "microsoft_language_stemming_tokenizer":
		return nil, unsupported("The tokenizer '" + name + "'")
	}
	return nil, badRequest("The tokenizer '" + name + "' is not known.")
}

// tokenizer makes the tokenizer of a definition.
func (p *part) tokenizer() (tokenizer, error) {
	switch p.kind() {
	case "StandardTokenizer", "StandardTokenizerV2":
		length, err := p.tokenLength()
		return standard(length), err
	case "KeywordTokenizer", "KeywordTokenizerV2":
		return whole, nil
	case "PatternTokenizer":
		return p.between()
	case "EdgeNGramTokenizer", "NGramTokenizer":
		least, most, err := p.gramSizes()
		if err != nil {
			return nil, err
		}
		belongs, err := p.tokenChars()
		return grams(least, most, p.kind() == "EdgeNGramTokenizer", belongs), err
	case "PathHierarchyTokenizerV2":
		if p.Reverse || p.Skip < 0 {
			return nil, p.refuse("tokenizer with reverse or a negative skip")
		}
		delimiter, replacement := p.Delimiter, p.Replacement
		if delimiter == "" {
			delimiter = "/"
		}
		if replacement == "" {
			replacement = delimiter
		}
		return paths(delimiter, replacement, p.Skip), nil
	}
	return nil, p.refuse("tokenizer")
}

func (p *part) between() (tokenizer, error) {
	re, err := p.regexp(`\W+`)
	if err != nil {
		return nil, err
	}
	group := -1
	if p.Group != nil {
		group = *p.Group
	}
	if group < -1 || group > re.NumSubexp() {
		return nil, badRequest("The pattern of '" + p.Name + "' has no such group.")
	}
	return between(re, group), nil
}

func lowered(t tokenizer) tokenizer {
	return func(tokens []Token, text string) []Token {
		n := len(tokens)
		tokens = t(tokens, text)
		for i := range tokens[n:] {
			tokens[n+i].Term = lower(tokens[n+i].Term)
		}
		return tokens
	}
}

func anyRune(rune) bool { return true }

// tokenChars are the classes of characters that a token may consist of; none are all.
func (p *part) tokenChars() (func(rune) bool, error) {
	var classes []func(rune) bool
	for _, name := range p.TokenChars {
		switch name {
		case "letter":
			classes = append(classes, unicode.IsLetter)
		case "digit":
			classes = append(classes, unicode.IsDigit)
		case "whitespace":
			classes = append(classes, unicode.IsSpace)
		case "punctuation":
			classes = append(classes, unicode.IsPunct)
		case "symbol":
			classes = append(classes, unicode.IsSymbol)
		default:
			return nil, badRequest("The tokenChars of '" + p.Name + "' hold '" + name + "', which is not known.")
		}
	}
	if len(classes) == 0 {
		return anyRune, nil
	}
	return func(r rune) bool {
		for _, is := range classes {
			if is(r) {
				return true
			}
		}
		return false
	}, nil
}

// filter finds a token filter by name.
func (s *Set) filter(name string) (filter, error) {
	if f, ok := s.parts.filters[name]; ok {
		return f, nil
	}
	switch name {
	case "lowercase":
		return each(lower), nil
	case "uppercase":
		return each(strings.ToUpper), nil
	case "asciifolding":
		return each(fold), nil
	case "apostrophe":
		return each(withoutApostrophe), nil
	case "elision":
		return elide(frenchArticles()), nil
	case "stopwords":
		return only(isNoStopWord), nil
	case "porter_stem":
		return each(stem), nil
	case "trim":
		return each(strings.TrimSpace), nil
	case "reverse":
		return each(reverse), nil
	case "unique":
		return unique(false), nil
	case "length":
		return lengths(0, 300), nil
	case "truncate":
		return truncate(300), nil
	case "limit":
		return limit(1), nil
	case "nGram_v2":
		return gramsOf(1, 2), nil
	case "edgeNGram_v2":
		return edgeGramsOf(1, 2, false), nil
	case "arabic_normalization", "german_normalization", "hindi_normalization", "indic_normalization", "persian_normalization":
		code := map[string]string{"arabic": "ar", "german": "de", "hindi": "hi", "indic": "in", "persian": "fa"}
		f, err := registry.NewCache().TokenFilterNamed("normalize_" + code[strings.TrimSuffix(name, "_normalization")])
		if err != nil {
			return nil, err
		}
		return fromBleve(f), nil
	case "cjk_bigram", "cjk_width", "classic", "common_grams", "delimited_payload", "dictionary_decompounder", "hunspell", "kstem",
		"keyword_marker", "keyword_repeat", "phonetic", "scandinavian_folding", "scandinavian_normalization", "shingle", "snowball",
		"sorani_normalization", "stemmer", "stemmer_override", "synonym", "word_delimiter":
		return nil, unsupported("The token filter '" + name + "'")
	}
	return nil, badRequest("The token filter '" + name + "' is not known.")
}

// filter makes the token filter of a definition.
func (p *part) filter() (filter, error) {
	switch p.kind() {
	case "AsciiFoldingTokenFilter":
		if p.PreserveOriginal {
			return foldBoth, nil
		}
		return each(fold), nil
	case "StopwordsTokenFilter":
		if len(p.StopWords) > 0 {
			return stopWords(p.StopWords, p.IgnoreCase), nil
		}
		if p.StopWordsList != "" && p.StopWordsList != "english" {
			return nil, p.refuse("token filter with the list '" + p.StopWordsList + "'")
		}
		return only(func(s string) bool { return isNoStopWord(s) && (!p.IgnoreCase || isNoStopWord(lower(s))) }), nil
	case "KeepTokenFilter":
		keep := setOf(p.KeepWords...)
		if p.KeepWordsCase {
			keep = map[string]bool{}
			for _, w := range p.KeepWords {
				keep[lower(w)] = true
			}
			return only(func(s string) bool { return keep[lower(s)] }), nil
		}
		return only(func(s string) bool { return keep[s] }), nil
	case "ElisionTokenFilter":
		if len(p.Articles) == 0 {
			return elide(frenchArticles()), nil
		}
		articles := map[string]bool{}
		for _, a := range p.Articles {
			articles[lower(a)] = true
		}
		return elide(articles), nil
	case "UniqueTokenFilter":
		return unique(p.OnlyOnSamePosition), nil
	case "PatternReplaceTokenFilter":
		re, err := p.regexp("")
		if err != nil {
			return nil, err
		}
		return replace(re, p.goReplacement()), nil
	}
	return p.sizedFilter()
}

// sizedFilter makes the filters that count.
func (p *part) sizedFilter() (filter, error) {
	switch p.kind() {
	case "LengthTokenFilter":
		most := p.Max
		if most == 0 {
			most = 300
		}
		return lengths(p.Min, most), nil
	case "TruncateTokenFilter":
		if p.Length == 0 {
			p.Length = 300
		}
		return truncate(p.Length), nil
	case "LimitTokenFilter":
		return limit(max(p.MaxTokenCount, 1)), nil
	case "NGramTokenFilter", "NGramTokenFilterV2":
		least, most, err := p.gramSizes()
		return gramsOf(least, most), err
	case "EdgeNGramTokenFilter", "EdgeNGramTokenFilterV2":
		least, most, err := p.gramSizes()
		return edgeGramsOf(least, most, p.Side == "back"), err
	}
	return nil, p.refuse("token filter")
}

// charFilter makes the char filter of a definition.
func (p *part) charFilter() (charFilter, error) {
	switch p.kind() {
	case "MappingCharFilter":
		var pairs []string
		for _, m := range p.Mappings {
			from, to, ok := strings.Cut(m, "=>")
			if !ok || from == "" {
				return nil, badRequest("The mapping '" + m + "' of '" + p.Name + "' is not of the form a=>b.")
			}
			pairs = append(pairs, from, to)
		}
		return mapping(pairs), nil
	case "PatternReplaceCharFilter":
		re, err := p.regexp("")
		if err != nil {
			return nil, err
		}
		return replacePattern(re, p.goReplacement()), nil
	}
	return nil, p.refuse("char filter")
}
