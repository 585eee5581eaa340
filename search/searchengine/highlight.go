package searchengine

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/analysis"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/lucene"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/schema"
)

// Highlights show, for each hit, the sentences of a field in which the query matched, with tags around each word that
// did: of a phrase only where it stands as a whole. Texts and tags are put together as they are, as the service does:
// whoever shows them in a page escapes them.
//
// https://learn.microsoft.com/azure/search/search-pagination-page-layout#hit-highlighting

// defaultFragments is how many sentences of a field are shown unless the query says otherwise.
const defaultFragments = 5

// highlighter is what a query says about highlights, checked. Its zero value makes none.
type highlighter struct {
	fields    []highlighted
	pre, post string
}

type highlighted struct {
	field     *schema.Field
	number    int // of the field among those that are searchable
	fragments int // at most
	marks     *marks
	tokens    []analysis.Token // of the text at hand
}

// planHighlights reads the fields: "title" or "title-3", one or more to each text.
func (s *state) planHighlights(q *search.Query) (highlighter, error) {
	h := highlighter{pre: q.HighlightPreTag, post: q.HighlightPostTag}
	if h.pre == "" {
		h.pre = "<em>"
	}
	if h.post == "" {
		h.post = "</em>"
	}
	if len(h.pre) > maxTag || len(h.post) > maxTag {
		return h, badParameter("highlight", "The tags around highlights may have at most %d bytes.", maxTag)
	}
	for _, list := range q.Highlight {
		for item := range strings.SplitSeq(list, ",") {
			item = strings.TrimSpace(item)
			if item == "" {
				continue
			}
			f, err := s.planHighlight(item)
			if err != nil {
				return h, err
			}
			if !slices.ContainsFunc(h.fields, func(o highlighted) bool { return o.field == f.field }) {
				h.fields = append(h.fields, f)
			}
		}
	}
	return h, nil
}

func (s *state) planHighlight(item string) (highlighted, error) {
	path, number, numbered := strings.Cut(item, "-")
	h := highlighted{field: s.schema.Lookup(path), fragments: defaultFragments}
	if numbered {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil || n == 0 {
			return h, badParameter("highlight", "The number of highlights in '%s' must be a positive integer.", item)
		}
		h.fragments = int(n)
	}
	switch {
	case h.field == nil:
		return h, badParameter("highlight", "Could not find a property named '%s' on type 'search.document'.", path)
	case !h.field.Searchable:
		return h, badParameter("highlight", "The field '%s' in the highlight list is not searchable.", path)
	case !h.field.Retrievable:
		return h, badParameter("highlight", "The field '%s' in the highlight list is not retrievable.", path)
	}
	h.number = s.searchableOf[path]
	return h, nil
}

// marks says which tokens of a field a query is after.
type marks struct {
	terms   map[string]bool
	tests   []func(term string) bool
	tested  map[string]bool // what the tests said
	phrases []markedPhrase
	rows    map[string][]int // the terms of phrases, with the tokens of the text at hand that hold them
}

// markedPhrase is a row of terms at their positions, with up to slop moves.
type markedPhrase struct {
	terms   []string
	offsets []int
	slop    int
}

func (m *marks) empty() bool { return len(m.terms)+len(m.tests)+len(m.phrases) == 0 }

// markTerms collects what the query looks for in the fields to highlight.
func (r *run) markTerms() error {
	for i := range r.highlights.fields {
		h := &r.highlights.fields[i]
		h.marks = &marks{terms: map[string]bool{}, tested: map[string]bool{}, rows: map[string][]int{}}
		if err := r.mark(r.text, h, slices.Contains(r.lookIn, h.number)); err != nil {
			return err
		}
	}
	return nil
}

// mark collects what a part of the query looks for; asked says whether parts without a field of their own look into this
// one.
func (r *run) mark(q lucene.Query, h *highlighted, asked bool) error {
	switch q := q.(type) {
	case *lucene.Bool:
		for _, c := range q.Clauses {
			if c.Occur != lucene.MustNot {
				if err := r.mark(c.Query, h, asked); err != nil {
					return err
				}
			}
		}
	case *lucene.Boost:
		return r.mark(q.Of, h, asked)
	case *lucene.Term:
		if h.concerns(q.Field, asked) {
			for _, t := range r.searchable[h.number].ofQuery.Append(nil, q.Text) {
				h.marks.terms[t.Term] = true
			}
		}
	case *lucene.Phrase:
		if h.concerns(q.Field, asked) {
			r.markPhrase(q, h)
		}
	default:
		return r.markPattern(q, h, asked)
	}
	return nil
}

func (h *highlighted) concerns(own string, asked bool) bool {
	return own == h.field.Path || own == "" && asked
}

func (r *run) markPhrase(q *lucene.Phrase, h *highlighted) {
	p := markedPhrase{slop: q.Slop}
	for _, t := range r.searchable[h.number].ofQuery.Append(nil, q.Text) {
		p.terms = append(p.terms, t.Term)
		p.offsets = append(p.offsets, t.Position)
	}
	switch n := len(p.terms); {
	case n == 1:
		h.marks.terms[p.terms[0]] = true
	case n > 1 && n <= maxMarkedPhrase:
		h.marks.phrases = append(h.marks.phrases, p)
		for _, term := range p.terms {
			h.marks.rows[term] = nil
		}
	}
}

func (r *run) markPattern(q lucene.Query, h *highlighted, asked bool) error {
	var test func(term string) bool
	switch q := q.(type) {
	case *lucene.Prefix:
		if h.concerns(q.Field, asked) {
			test = func(term string) bool { return strings.HasPrefix(term, q.Text) }
		}
	case *lucene.Wildcard:
		if h.concerns(q.Field, asked) {
			test = func(term string) bool { return matchWildcard(q.Pattern, term) }
		}
	case *lucene.Regexp:
		if h.concerns(q.Field, asked) {
			re, err := regexp.Compile("^(?:" + q.Pattern + ")$")
			if err != nil {
				return badParameter("search", "The regular expression is not valid: %s.", err)
			}
			test = re.MatchString
		}
	case *lucene.Fuzzy:
		if h.concerns(q.Field, asked) {
			terms, err := r.expand(r.fields[h.number], q)
			for _, term := range terms {
				h.marks.terms[term] = true
			}
			return err
		}
	}
	if test != nil {
		h.marks.tests = append(h.marks.tests, test)
	}
	return nil
}

// highlight makes the highlights of one hit; nil where there are none.
func (r *run) highlight(parts [][]byte) (map[string][]string, error) {
	var out map[string][]string
	for i := range r.highlights.fields {
		h := &r.highlights.fields[i]
		if h.marks.empty() {
			continue
		}
		if err := r.ctx.Err(); err != nil {
			return nil, err
		}
		texts, err := r.textsOf(parts, h.field)
		if err != nil {
			return nil, err
		}
		fragments := r.fragments(h, texts)
		if err := r.ctx.Err(); err != nil { // they may be cut short
			return nil, err
		}
		for _, f := range fragments {
			r.highlighted += len(f)
		}
		if r.highlighted > maxHighlights {
			return nil, badParameter("highlight", "The highlights of the page have more than %d bytes. Ask for fewer documents or fragments.", maxHighlights)
		}
		if len(fragments) > 0 {
			if out == nil {
				out = map[string][]string{}
			}
			out[h.field.Path] = fragments
		}
	}
	return out, nil
}

// textsOf reads the values that a stored document has in a field of strings.
func (s *state) textsOf(parts [][]byte, f *schema.Field) ([]string, error) {
	line := lineage(f)
	slot := s.slotOf[line[0].Name]
	if slot >= len(parts) {
		return nil, nil // stored before the field was added
	}
	return appendTexts(nil, parts[slot], line)
}

func appendTexts(texts []string, raw []byte, line []*schema.Field) ([]string, error) {
	if isNull(raw) {
		return texts, nil
	}
	if !line[0].Collection {
		return appendText(texts, raw, line)
	}
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return nil, errDamaged
	}
	for _, item := range items {
		var err error
		if texts, err = appendText(texts, item, line); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

func appendText(texts []string, raw []byte, line []*schema.Field) ([]string, error) {
	if len(line) > 1 {
		var members map[string]json.RawMessage
		if json.Unmarshal(raw, &members) != nil {
			return nil, errDamaged
		}
		return appendTexts(texts, members[line[1].Name], line[1:])
	}
	text, _, ok := readString(raw)
	if !ok {
		return nil, errDamaged
	}
	return append(texts, text), nil
}
