package searchengine

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/analysis"
)

// Limits on highlights.
const (
	maxFragment     = 1000     // bytes of a sentence; longer ones are cut at a blank
	maxHighlighted  = 100_000  // bytes of a value: what lies beyond is not looked at
	maxMarkedPhrase = 100      // terms of a phrase: longer ones are not marked
	maxTag          = 1000     // bytes of what is put before or behind a word
	maxHighlights   = 16 << 20 // bytes of all highlights of a page, with their tags
)

// span is a part of a text, in bytes.
type span struct{ start, end int }

// fragment is a sentence with what to mark in it.
type fragment struct {
	text  string // of the value
	at    span
	marks []span
	terms int // how many different terms are marked
}

// fragments returns the sentences in which the query matched, those with most of its terms, in the order of the text.
func (r *run) fragments(h *highlighted, texts []string) []string {
	var found []fragment
	for _, text := range texts {
		found = append(found, r.fragmentsOf(h, cut(text, maxHighlighted))...)
	}
	order := make([]int, len(found))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(found[b].terms, found[a].terms), cmp.Compare(len(found[b].marks), len(found[a].marks)))
	})
	order = order[:min(len(order), h.fragments)]
	slices.Sort(order)
	out := make([]string, len(order))
	for i, n := range order {
		out[i] = found[n].mark(r.highlights.pre, r.highlights.post)
	}
	return out
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func (r *run) fragmentsOf(h *highlighted, text string) []fragment {
	h.tokens = r.searchable[h.number].ofText.Append(h.tokens[:0], text)
	tokens := h.tokens
	marked := h.marks.find(tokens, r.stopped)
	if len(marked) == 0 {
		return nil
	}
	var out []fragment
	for s := range sentences(text) {
		f := fragment{text: text, at: s}
		terms := map[string]bool{}
		for len(marked) > 0 && tokens[marked[0]].Start < s.end {
			t := &tokens[marked[0]]
			marked = marked[1:]
			if t.End > s.end { // over the end of what was cut
				continue
			}
			terms[t.Term] = true
			f.add(span{t.Start, t.End})
		}
		if f.terms = len(terms); f.terms > 0 {
			out = append(out, f)
		}
		if len(marked) == 0 {
			break
		}
	}
	return out
}

// add notes a mark; they come in the order of their beginnings. Those that overlap are one.
func (f *fragment) add(s span) {
	if n := len(f.marks); n > 0 && s.start < f.marks[n-1].end {
		f.marks[n-1].end = max(f.marks[n-1].end, s.end)
		return
	}
	if s.start < s.end {
		f.marks = append(f.marks, s)
	}
}

func (f *fragment) mark(pre, post string) string {
	var b strings.Builder
	done := f.at.start
	for _, m := range f.marks {
		b.WriteString(f.text[done:m.start])
		b.WriteString(pre)
		b.WriteString(f.text[m.start:m.end])
		b.WriteString(post)
		done = m.end
	}
	b.WriteString(f.text[done:f.at.end])
	return b.String()
}

// find returns which tokens match, in order. It stops when stop says so.
func (m *marks) find(tokens []analysis.Token, stop func() bool) []int {
	hit := make([]bool, len(tokens))
	for term := range m.rows {
		m.rows[term] = m.rows[term][:0]
	}
	for i := range tokens {
		term := tokens[i].Term
		hit[i] = m.terms[term] || m.test(term)
		if row, ok := m.rows[term]; ok {
			m.rows[term] = append(row, i)
		}
	}
	for i := range m.phrases {
		m.phrases[i].find(tokens, m.rows, hit, stop)
	}
	var found []int
	for i, is := range hit {
		if is {
			found = append(found, i)
		}
	}
	return found
}

func (m *marks) test(term string) bool {
	if len(m.tests) == 0 {
		return false
	}
	ok, known := m.tested[term]
	if !known {
		ok = slices.ContainsFunc(m.tests, func(test func(string) bool) bool { return test(term) })
		m.tested[strings.Clone(term)] = ok
	}
	return ok
}

// find marks the tokens of a phrase wherever it stands as a whole: where the positions of its terms, less their offsets
// in the phrase, lie at most slop apart. rows are the tokens that hold each term.
func (p *markedPhrase) find(tokens []analysis.Token, rows map[string][]int, hit []bool, stop func() bool) {
	shifted := func(k, i int) int { return tokens[i].Position - p.offsets[k] }
	chosen := make([]int, len(p.terms))
	for k, term := range p.terms {
	anchors:
		for n, i := range rows[term] { // the one that lies first, so shifted
			if n&63 == 0 && stop() {
				return
			}
			from := shifted(k, i)
			for other, term := range p.terms {
				row := rows[term]
				n, _ := slices.BinarySearchFunc(row, from, func(i, from int) int { return cmp.Compare(shifted(other, i), from) })
				if n == len(row) || shifted(other, row[n])-from > p.slop {
					continue anchors
				}
				chosen[other] = row[n]
			}
			for _, i := range chosen {
				hit[i] = true
			}
		}
		if p.slop == 0 {
			return // every term leads to the same places
		}
	}
}

// sentences iterates over the sentences of a text without the blanks around them: they end with a line, and with . ! or
// ? where what follows does not go on in lower case.
func sentences(text string) func(yield func(span) bool) {
	return func(yield func(span) bool) {
		for start := 0; start < len(text); {
			end := sentenceEnd(text, start)
			if end-start > maxFragment {
				end = wordEnd(text, start)
			}
			if s := trim(text, span{start, end}); s.start < s.end && !yield(s) {
				return
			}
			start = end
		}
	}
}

func sentenceEnd(text string, start int) int {
	stop := min(len(text), start+maxFragment+utf8.UTFMax) // beyond that it is cut anyhow
	for i := start; i < stop; {
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		switch r {
		case '\n', '\u2029', '。', '！', '？':
			return i
		case '.', '!', '?', '…':
			if closing, ends := endsSentence(text[i:]); ends {
				return i + closing
			}
		}
	}
	return stop
}

// endsSentence reports whether a full stop before rest ends a sentence, and how much of rest closes it.
func endsSentence(rest string) (closing int, ends bool) {
	behind := strings.TrimLeft(rest, `.!?…"')]}»”’`)
	closing = len(rest) - len(behind)
	next := strings.TrimLeftFunc(behind, unicode.IsSpace)
	r, _ := utf8.DecodeRuneInString(next)
	return closing, behind == "" || len(next) < len(behind) && !unicode.IsLower(r)
}

// wordEnd returns where to cut a sentence that is too long.
func wordEnd(text string, start int) int {
	head := cut(text[start:], maxFragment)
	if i := strings.LastIndexFunc(head, unicode.IsSpace); i > 0 {
		return start + i + 1
	}
	return start + max(len(head), 1)
}

func trim(text string, s span) span {
	body := strings.TrimRightFunc(text[s.start:s.end], unicode.IsSpace)
	s.end = s.start + len(body)
	s.start = s.end - len(strings.TrimLeftFunc(body, unicode.IsSpace))
	return s
}
