package lucene

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/search"
)

// The service's limits.
//
// https://learn.microsoft.com/azure/search/query-simple-syntax#query-size-limits
const (
	maxText    = 100_000 // characters
	maxClauses = 1024
	maxPattern = 1000   // characters of a prefix, wildcard or regular expression
	maxTerm    = 32_766 // bytes
	maxDepth   = 100    // of parentheses; the service's is not published
)

// Options choose the syntax and how terms without an operator between them combine.
type Options struct {
	Full bool // queryType: full; otherwise simple
	All  bool // searchMode: all; otherwise any
}

// Parse reads a query. A blank text and "*" are *[All]. Errors are *[search.Error] with status 400, or 501 for regular
// expressions that the local service leaves out.
func Parse(text string, o Options) (Query, error) {
	if n := utf8.RuneCountInString(text); n > maxText {
		return nil, badRequest(fmt.Sprintf("The search text has %d characters; at most %d are allowed.", n, maxText))
	}
	if trimmed := strings.TrimSpace(text); trimmed == "" || trimmed == "*" {
		return &All{}, nil
	}
	if o.Full {
		return parseFull(text, o.All)
	}
	return parseSimple(text, o.All)
}

func badRequest(message string) error {
	return &search.Error{Status: http.StatusBadRequest, Message: message + "\r\nParameter name: search"}
}

// failedAt is the service's answer to a query that it cannot read. The column counts from 0 in UTF-16 code units.
func failedAt(text string, pos int) error {
	return failedAtColumn(utf16Len(text[:pos]))
}

func utf16Len(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

func failedAtColumn(column int) error {
	return &search.Error{
		Status: http.StatusBadRequest,
		Message: fmt.Sprintf("Failed to parse query string at line 1, column %d. "+
			"See https://aka.ms/azure-search-full-query for supported syntax.", column),
	}
}

// budget counts what a query costs.
type budget struct{ clauses int }

func (b *budget) clause() error {
	if b.clauses++; b.clauses > maxClauses {
		return badRequest(fmt.Sprintf("The search text has more than %d clauses.", maxClauses))
	}
	return nil
}

func checkTerm(s string) error {
	if len(s) > maxTerm {
		return badRequest(fmt.Sprintf("A term of the search text has %d bytes; at most %d are allowed.", len(s), maxTerm))
	}
	return nil
}

// checkPhrase bounds what one phrase costs: the service gives no number.
func checkPhrase(s string) error {
	words := 0
	for range strings.FieldsSeq(s) {
		words++
	}
	if words > maxClauses {
		return badRequest(fmt.Sprintf("A phrase of the search text has %d words; at most %d are allowed.", words, maxClauses))
	}
	return nil
}

func checkPattern(s string) error {
	if n := utf8.RuneCountInString(s); n > maxPattern {
		return badRequest(fmt.Sprintf("A prefix, wildcard or regular expression of the search text has %d characters; at most %d are allowed.", n, maxPattern))
	}
	return nil
}
