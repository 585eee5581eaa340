package analysis

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/onbehalf/onbehalf/search"
)

// parts are the tokenizers and filters by name.
type parts struct {
	tokenizers map[string]tokenizer
	filters    map[string]filter
	chars      map[string]charFilter
	growth     map[string]growth // by "tokenizer NAME" and "filter NAME"
}

// part is any of the analyzers, normalizers, tokenizers and filters of a definition. Which members count depends on
// the type.
//
// https://learn.microsoft.com/azure/search/index-add-custom-analyzers#built-in-analyzers
type part struct {
	Type string `json:"@odata.type"`
	Name string `json:"name"`

	Tokenizer    string   `json:"tokenizer"`
	TokenFilters []string `json:"tokenFilters"`
	CharFilters  []string `json:"charFilters"`

	MaxTokenLength int      `json:"maxTokenLength"`
	StopWords      []string `json:"stopwords"`
	StopWordsList  string   `json:"stopwordsList"`
	IgnoreCase     bool     `json:"ignoreCase"`
	LowerCase      *bool    `json:"lowercase"`
	Pattern        string   `json:"pattern"`
	Flags          string   `json:"flags"`
	Group          *int     `json:"group"`
	Replacement    string   `json:"replacement"`
	MinGram        int      `json:"minGram"`
	MaxGram        int      `json:"maxGram"`
	TokenChars     []string `json:"tokenChars"`
	Side           string   `json:"side"`
	Delimiter      string   `json:"delimiter"`
	Reverse        bool     `json:"reverse"`
	Skip           int      `json:"skip"`

	PreserveOriginal   bool     `json:"preserveOriginal"`
	Min                int      `json:"min"`
	Max                int      `json:"max"`
	Length             int      `json:"length"`
	MaxTokenCount      int      `json:"maxTokenCount"`
	OnlyOnSamePosition bool     `json:"onlyOnSamePosition"`
	KeepWords          []string `json:"keepWords"`
	KeepWordsCase      bool     `json:"keepWordsCase"`
	Articles           []string `json:"articles"`
	Mappings           []string `json:"mappings"`
}

const typePrefix = "#Microsoft.Azure.Search."

// kind is the type without the prefix that all have.
func (p *part) kind() string { return strings.TrimPrefix(p.Type, typePrefix) }

func (p *part) refuse(what string) error {
	return unsupported("The " + what + " '" + p.Name + "' of type '" + p.Type + "'")
}

// define reads the custom parts of a definition, then what is made of them.
func (s *Set) define(d *search.Definition) error {
	s.parts = parts{tokenizers: map[string]tokenizer{}, filters: map[string]filter{}, chars: map[string]charFilter{}, growth: map[string]growth{}}
	err := readParts(d.Tokenizers, "tokenizers", func(p *part) (err error) {
		s.parts.tokenizers[p.Name], err = p.tokenizer()
		s.parts.growth["tokenizer "+p.Name] = p.growth()
		return err
	})
	if err == nil {
		err = readParts(d.TokenFilters, "tokenFilters", func(p *part) (err error) {
			s.parts.filters[p.Name], err = p.filter()
			s.parts.growth["filter "+p.Name] = p.growth()
			return err
		})
	}
	if err == nil {
		err = readParts(d.CharFilters, "charFilters", func(p *part) (err error) {
			s.parts.chars[p.Name], err = p.charFilter()
			return err
		})
	}
	if err == nil {
		err = readParts(d.Analyzers, "analyzers", func(p *part) (err error) {
			s.analyzers[p.Name], err = s.custom(p)
			return err
		})
	}
	if err == nil {
		err = readParts(d.Normalizers, "normalizers", func(p *part) (err error) {
			s.normalizers[p.Name], err = s.customNormalizer(p)
			return err
		})
	}
	return err
}

func readParts(raw json.RawMessage, member string, read func(*part) error) error {
	var list []part
	if len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return badRequest("The member '" + member + "' of the index definition cannot be read: " + err.Error())
	}
	for i := range list {
		if list[i].Name == "" {
			return badRequest("A member of '" + member + "' of the index definition has no name.")
		}
		if err := read(&list[i]); err != nil {
			return err
		}
	}
	return nil
}

// custom makes an analyzer of a definition.
func (s *Set) custom(p *part) (*Analyzer, error) {
	switch p.kind() {
	case "CustomAnalyzer":
		return s.Chain(p.Tokenizer, p.TokenFilters, p.CharFilters)
	case "StandardAnalyzer":
		length, err := p.tokenLength()
		if err != nil {
			return nil, err
		}
		a := standardAnalyzer(length)
		if len(p.StopWords) > 0 {
			a.filters = append(a.filters, stopWords(p.StopWords, false))
		}
		return a, nil
	case "StopAnalyzer":
		a, err := s.Analyzer("stop")
		if err == nil && len(p.StopWords) > 0 {
			a.filters[1] = stopWords(p.StopWords, false)
		}
		return a, err
	case "PatternAnalyzer":
		re, err := p.regexp(`\W+`)
		if err != nil {
			return nil, err
		}
		a := &Analyzer{cut: between(re, -1)}
		if p.LowerCase == nil || *p.LowerCase {
			a.filters = append(a.filters, each(lower))
		}
		if len(p.StopWords) > 0 {
			a.filters = append(a.filters, stopWords(p.StopWords, false))
		}
		return a, nil
	}
	return nil, p.refuse("analyzer")
}

func (s *Set) customNormalizer(p *part) (*Normalizer, error) {
	if p.kind() != "CustomNormalizer" {
		return nil, p.refuse("normalizer")
	}
	filters, err := s.filters(p.TokenFilters)
	if err != nil {
		return nil, err
	}
	chars, err := s.charFilters(p.CharFilters)
	return &Normalizer{chars: chars, filters: filters}, err
}

// Chain makes an analyzer of parts by their names.
func (s *Set) Chain(tokenizer string, tokenFilters, charFilters []string) (*Analyzer, error) {
	a := &Analyzer{growth: s.growthOf(tokenizer, tokenFilters)}
	var err error
	if a.cut, err = s.tokenizer(tokenizer); err != nil {
		return nil, err
	}
	if a.filters, err = s.filters(tokenFilters); err != nil {
		return nil, err
	}
	a.chars, err = s.charFilters(charFilters)
	return a, err
}

func (s *Set) filters(names []string) ([]filter, error) {
	filters := make([]filter, len(names))
	for i, name := range names {
		var err error
		if filters[i], err = s.filter(name); err != nil {
			return nil, err
		}
	}
	return filters, nil
}

func (s *Set) charFilters(names []string) ([]charFilter, error) {
	chars := make([]charFilter, len(names))
	for i, name := range names {
		var ok bool
		if chars[i], ok = s.parts.chars[name]; !ok {
			if name != "html_strip" {
				return nil, badRequest("The char filter '" + name + "' is not known.")
			}
			chars[i] = stripHTML
		}
	}
	return chars, nil
}

// tokenLength is the longest token that is not split, 300 at most.
func (p *part) tokenLength() (int, error) {
	switch {
	case p.MaxTokenLength == 0:
		return maxTokenLength, nil
	case p.MaxTokenLength < 0 || p.MaxTokenLength > 300:
		return 0, badRequest("The maxTokenLength of '" + p.Name + "' must be from 1 to 300.")
	}
	return p.MaxTokenLength, nil
}

// regexp compiles the pattern with its flags. Patterns are those of Go, which lack what needs looking back.
func (p *part) regexp(fallback string) (*regexp.Regexp, error) {
	pattern := p.Pattern
	if pattern == "" {
		pattern = fallback
	}
	var flags []string
	if p.Flags != "" {
		for flag := range strings.SplitSeq(p.Flags, "|") {
			switch flag {
			case "CASE_INSENSITIVE", "UNICODE_CASE":
				flags = append(flags, "i")
			case "DOTALL":
				flags = append(flags, "s")
			case "MULTILINE":
				flags = append(flags, "m")
			case "LITERAL":
				pattern = regexp.QuoteMeta(pattern)
			default:
				return nil, unsupported("The flag '" + flag + "' of '" + p.Name + "'")
			}
		}
	}
	if len(flags) > 0 {
		pattern = "(?" + strings.Join(flags, "") + ")" + pattern
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, badRequest("The pattern of '" + p.Name + "' is not valid, or is beyond the local search service: " + err.Error())
	}
	return re, nil
}

// goReplacement is the replacement in Go's syntax, in which $1x would name a group 1x.
func (p *part) goReplacement() string {
	return regexp.MustCompile(`\$(\d)`).ReplaceAllString(p.Replacement, `$${$1}`)
}

// gramSizes are minGram and maxGram.
func (p *part) gramSizes() (least, most int, err error) {
	least, most = p.MinGram, p.MaxGram
	if least == 0 {
		least = 1
	}
	if most == 0 {
		most = 2
	}
	if least < 1 || most > 300 || least > most {
		return 0, 0, badRequest("The minGram and maxGram of '" + p.Name + "' must be from 1 to 300, minGram not above maxGram.")
	}
	return least, most, nil
}

func stopWords(words []string, ignoreCase bool) filter {
	stop := setOf(words...)
	if !ignoreCase {
		return only(func(s string) bool { return !stop[s] })
	}
	folded := make(map[string]bool, len(words))
	for _, w := range words {
		folded[strings.ToLower(w)] = true
	}
	return only(func(s string) bool { return !folded[strings.ToLower(s)] })
}
