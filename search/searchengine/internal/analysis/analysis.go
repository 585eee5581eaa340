// Package analysis turns text into the tokens that full-text search works with, by the names of analyzers and
// normalizers that the service knows. [New] reads those of an index definition; [Set.Analyzer] finds one by name.
//
// The work is done by parts: characters are filtered, the text is cut into tokens, tokens are filtered. The parts for
// single languages are those of Bleve.
//
// https://learn.microsoft.com/azure/search/index-add-custom-analyzers
package analysis

// Token is a term with its place in a text.
type Token struct {
	// Term may be a part of the text: whoever keeps it longer than the text should keep a clone.
	Term string
	// Start and End are where it stood in the text, in bytes. A token may be shorter or longer than that.
	Start, End int
	// Position counts from 0. Where a token was left out (a stop word), its position is left out, too; tokens of one
	// position are alternatives.
	Position int
}

// Analyzer cuts texts into tokens. It is immutable: any number of goroutines may use it.
type Analyzer struct {
	chars   []charFilter
	cut     tokenizer
	filters []filter
	growth  growth
}

// A tokenizer appends the tokens of a text.
type tokenizer func(tokens []Token, text string) []Token

// A filter changes tokens, mostly in place. It may be given tokens that all have one position.
type filter func(tokens []Token) []Token

// Append appends the tokens of a text.
func (a *Analyzer) Append(tokens []Token, text string) []Token {
	if len(a.chars) > 0 {
		return a.appendFiltered(tokens, text)
	}
	n := len(tokens)
	tokens = a.cut(tokens, text)
	return append(tokens[:n], a.filter(tokens[n:])...)
}

// appendFiltered filters the characters first and brings the tokens' places back to the text as it was given.
func (a *Analyzer) appendFiltered(tokens []Token, text string) []Token {
	filtered, places := filterChars(a.chars, text)
	n := len(tokens)
	tokens = a.cut(tokens, filtered)
	tokens = append(tokens[:n], a.filter(tokens[n:])...)
	for i := range tokens[n:] {
		t := &tokens[n+i]
		t.Start, t.End = places.start(t.Start), places.end(t.End)
	}
	return tokens
}

func (a *Analyzer) filter(tokens []Token) []Token {
	for _, f := range a.filters {
		tokens = f(tokens)
	}
	return tokens
}

// Normalizer changes whole values, for filters, facets and orderby. It is immutable.
type Normalizer struct {
	chars   []charFilter
	filters []filter
}

// Normalize changes a value.
func (n *Normalizer) Normalize(value string) string {
	if len(n.chars) > 0 {
		value, _ = filterChars(n.chars, value)
	}
	one := [1]Token{{Term: value, End: len(value)}}
	tokens := one[:]
	for _, f := range n.filters {
		tokens = f(tokens)
	}
	if len(tokens) == 0 {
		return ""
	}
	return tokens[0].Term
}
