package inverted

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/blevesearch/vellum/levenshtein"
	vellumregexp "github.com/blevesearch/vellum/regexp"
)

// A prefix, wildcard, regular expression or fuzzy term stands for all terms of a field that it matches. The terms lie in
// order, so that an automaton that can no longer match skips all terms with the same beginning.

// automaton is a finite automaton over bytes.
type automaton interface {
	Start() int
	IsMatch(state int) bool
	CanMatch(state int) bool
	Accept(state int, b byte) int
}

// Limits of what one query may cost.
const (
	maxFuzzyTerms  = 50      // of the service: https://learn.microsoft.com/azure/search/query-lucene-syntax#bkmk_fuzzy
	maxRegexpBytes = 4 << 20 // of a compiled regular expression
	maxFuzzyRunes  = 200     // longer terms have no neighbours worth finding
)

// Prefix returns the terms that begin with the text.
func (f *Field) Prefix(text string) []string {
	terms := f.terms.inOrder()
	from, _ := slices.BinarySearch(terms, text)
	n := sort.Search(len(terms)-from, func(i int) bool { return !strings.HasPrefix(terms[from+i], text) })
	return terms[from : from+n]
}

// Where returns the terms that begin with the text and for which the test holds. It stops when stop says so.
func (f *Field) Where(prefix string, test func(term string) bool, stop func() bool) []string {
	var out []string
	for i, term := range f.Prefix(prefix) {
		if i&1023 == 0 && stop() {
			break
		}
		if test(term) {
			out = append(out, term)
		}
	}
	return out
}

// Regexp returns the terms that a regular expression of package regexp's syntax matches as a whole.
func (f *Field) Regexp(pattern string, stop func() bool) ([]string, error) {
	a, err := vellumregexp.NewWithLimit(pattern, maxRegexpBytes)
	if err != nil {
		return nil, fmt.Errorf("the regular expression cannot be used: %w", err)
	}
	var out []string
	walk(f.terms.inOrder(), a, stop, func(term string, _ int) { out = append(out, term) })
	return out, nil
}

// Fuzzy finds terms by edit distance. Its zero value is ready, and is to be shared: its tables take time to make.
type Fuzzy struct {
	once     [2]sync.Once
	builders [2]*levenshtein.LevenshteinAutomatonBuilder
	errs     [2]error
}

// Terms returns the terms of a field within 1 or 2 edits of the text, where swapping neighbours is one edit: the 50
// nearest, then in order.
func (z *Fuzzy) Terms(f *Field, text string, edits int, stop func() bool) ([]string, error) {
	if utf8.RuneCountInString(text) > maxFuzzyRunes {
		return nil, fmt.Errorf("a fuzzy term may have %d characters at most", maxFuzzyRunes)
	}
	n := edits - 1
	z.once[n].Do(func() {
		z.builders[n], z.errs[n] = levenshtein.NewLevenshteinAutomatonBuilder(uint8(edits), true) //nolint:gosec // 1 or 2
	})
	if z.errs[n] != nil {
		return nil, z.errs[n]
	}
	a, err := z.builders[n].BuildDfa(text, uint8(edits)) //nolint:gosec // 1 or 2
	if err != nil {
		return nil, fmt.Errorf("the fuzzy term cannot be used: %w", err)
	}
	type near struct {
		term     string
		distance uint8
	}
	var found []near
	walk(f.terms.inOrder(), a, stop, func(term string, state int) {
		found = append(found, near{term, a.EditDistance(state)})
	})
	slices.SortStableFunc(found, func(a, b near) int { return cmp.Compare(a.distance, b.distance) })
	out := make([]string, 0, maxFuzzyTerms)
	for _, t := range found[:min(len(found), maxFuzzyTerms)] {
		out = append(out, t.term)
	}
	return out, nil
}

// walk calls match for each term that the automaton accepts, with the state it ends in.
func walk(terms []string, a automaton, stop func() bool, match func(term string, state int)) {
	states := []int{a.Start()} // after each byte of last
	last := ""
	for i, seen := 0, 0; i < len(terms); seen++ {
		if seen&1023 == 0 && stop() {
			return
		}
		term := terms[i]
		same := commonPrefix(term, last[:len(states)-1])
		states = states[:same+1]
		at := same
		for at < len(term) && a.CanMatch(states[at]) {
			states = append(states, a.Accept(states[at], term[at]))
			at++
		}
		last = term
		if !a.CanMatch(states[at]) && at > 0 {
			// No term that begins like this one can match.
			beginning := term[:at]
			i += sort.Search(len(terms)-i, func(k int) bool { return !strings.HasPrefix(terms[i+k], beginning) })
			continue
		}
		if at == len(term) && a.IsMatch(states[at]) {
			match(term, states[at])
		}
		i++
	}
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
