// Package lucene reads full-text queries in the service's two syntaxes, simple and full. It neither analyses text nor
// knows fields: package searchengine gives each [Term] and [Phrase] to the analyzer of each field.
//
// https://learn.microsoft.com/azure/search/query-simple-syntax
// https://learn.microsoft.com/azure/search/query-lucene-syntax
package lucene

// Query is a node of a query: *[All], *[Bool], *[Boost], *[Term], *[Phrase], *[Prefix], *[Wildcard], *[Regexp] or *[Fuzzy].
type Query interface{ query() }

// All matches every document with score 1.
type All struct{}

// Bool matches a document when every Must clause does, no MustNot clause does, and, where there is no Must clause, at
// least one Should clause does (so a Bool of MustNot alone matches nothing). Its score is the sum of the scores of the
// Must and Should clauses that match.
type Bool struct{ Clauses []Clause }

// Clause is one clause of a [Bool].
type Clause struct {
	Occur Occur
	Query Query
}

// Occur says how a clause counts.
type Occur uint8

// How a clause counts.
const (
	Should Occur = iota
	Must
	MustNot
)

// Boost multiplies the score of Of by By, which is at least 0 and finite.
type Boost struct {
	Of Query
	By float64
}

// Term is a run of text without blanks, escapes resolved, to be analysed for each field. Where the analyzer makes several
// tokens of it they are searched as separate terms: all must match when AllTokens is true, else any. Where it makes
// none (a stop word), the clause counts for nothing in that field; in no field, as if it were not there.
type Term struct {
	Field     string // "" for the fields of the request
	Text      string
	AllTokens bool
}

// Phrase is quoted text, to be analysed for each field; the tokens must follow each other in order, with up to Slop
// moves as Lucene counts them.
type Phrase struct {
	Field string
	Text  string
	Slop  int
}

// Prefix matches terms that begin with Text, which is lower-cased but not analysed. Its score is constant: 1.
type Prefix struct{ Field, Text string }

// Wildcard matches whole terms against Pattern, lower-cased but not analysed. Its score is constant: 1.
type Wildcard struct {
	Field   string
	Pattern []Piece
}

// Piece is a part of a [Wildcard]: the Literal, then what follows it.
type Piece struct {
	Literal string
	Then    rune // '*' any run, '?' any one rune, 0 the end
}

// Regexp matches whole terms against a regular expression, lower-cased but not analysed. Its score is constant: 1.
type Regexp struct {
	Field   string
	Pattern string // in the syntax of package regexp, made from Lucene's; it compiles
}

// Fuzzy matches terms within Edits (0 to 2) insertions, deletions, substitutions or transpositions of Text, which is
// lower-cased but not analysed; at most the 50 nearest terms.
type Fuzzy struct {
	Field string
	Text  string
	Edits int
}

func (*All) query()      {}
func (*Bool) query()     {}
func (*Boost) query()    {}
func (*Term) query()     {}
func (*Phrase) query()   {}
func (*Prefix) query()   {}
func (*Wildcard) query() {}
func (*Regexp) query()   {}
func (*Fuzzy) query()    {}
