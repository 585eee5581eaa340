package analysis

import (
	"html"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// A charFilter returns the places of a text to be changed, in order and apart from each other.
type charFilter func(text string) []edit

// edit puts with in the place of text[start:end].
type edit struct {
	start, end int
	with       string
}

// places leads from a filtered text back to the text as it was given: the moves of each filter, in order.
type places [][]move

// move says that from at in the filtered text on, the given text is further by so many bytes.
type move struct {
	at, by  int
	deleted bool // what stood there is gone: it belongs to what follows it
}

// filterChars applies filters one after the other.
func filterChars(filters []charFilter, text string) (string, places) {
	var all places
	for _, f := range filters {
		if edits := f(text); len(edits) > 0 {
			var moves []move
			text, moves = apply(edits, text)
			all = append(all, moves)
		}
	}
	return text, all
}

func apply(edits []edit, text string) (string, []move) {
	var b strings.Builder
	var moves []move
	done := 0
	for _, e := range edits {
		b.WriteString(text[done:e.start])
		// What is put in beyond the length of what it replaces belongs to the end of that.
		for i := e.end - e.start; i < len(e.with); i++ {
			moves = append(moves, move{at: b.Len() + i, by: e.end - b.Len() - i})
		}
		b.WriteString(e.with)
		done = e.end
		moves = append(moves, move{at: b.Len(), by: done - b.Len(), deleted: e.with == ""})
	}
	b.WriteString(text[done:])
	return b.String(), moves
}

// start leads back from where a token begins.
func (p places) start(at int) int {
	for _, moves := range slices.Backward(p) {
		if i := sort.Search(len(moves), func(i int) bool { return moves[i].at > at }); i > 0 {
			at += moves[i-1].by
		}
	}
	return at
}

// end leads back from where a token ends.
func (p places) end(at int) int {
	for _, moves := range slices.Backward(p) {
		i := sort.Search(len(moves), func(i int) bool { return moves[i].at > at })
		for i > 0 && moves[i-1].at == at && moves[i-1].deleted {
			i--
		}
		if i > 0 {
			at += moves[i-1].by
		}
	}
	return at
}

// mapping replaces strings, the longest that fits first.
func mapping(pairs []string) charFilter {
	replacer := map[string]string{}
	longest := 0
	for i := 0; i < len(pairs); i += 2 {
		replacer[pairs[i]] = pairs[i+1]
		longest = max(longest, len(pairs[i]))
	}
	return func(text string) []edit {
		var edits []edit
		for i := 0; i < len(text); i++ {
			for n := min(longest, len(text)-i); n > 0; n-- {
				if with, ok := replacer[text[i:i+n]]; ok {
					edits = append(edits, edit{start: i, end: i + n, with: with})
					i += n - 1
					break
				}
			}
		}
		return edits
	}
}

// replacePattern replaces the matches of a pattern.
func replacePattern(pattern *regexp.Regexp, replacement string) charFilter {
	return func(text string) []edit {
		var edits []edit
		for _, m := range pattern.FindAllStringSubmatchIndex(text, -1) {
			edits = append(edits, edit{start: m[0], end: m[1], with: string(pattern.ExpandString(nil, replacement, text, m))})
		}
		return edits
	}
}

// stripHTML takes tags, comments, scripts and styles out and resolves references such as &amp;. A tag parts words unless
// it is one that stands inside of them.
func stripHTML(text string) []edit {
	var edits []edit
	markup := regexp.MustCompile(`(?is)<!--.*?-->|<script\b.*?</script\s*>|<style\b.*?</style\s*>|` +
		`</?([a-z][a-z0-9]*)\b[^<>]*>|<![^<>]*>|&(?:#[0-9]+|#x[0-9a-f]+|[a-z][a-z0-9]*);`)
	for _, m := range markup.FindAllStringSubmatchIndex(text, -1) {
		found, with := text[m[0]:m[1]], "\n"
		if found[0] == '&' {
			if with = html.UnescapeString(found); with == found {
				continue
			}
		} else if m[2] >= 0 && isInline(text[m[2]:m[3]]) {
			with = ""
		}
		edits = append(edits, edit{start: m[0], end: m[1], with: with})
	}
	return edits
}

// isInline tells the elements that part no words.
func isInline(element string) bool {
	switch strings.ToLower(element) {
	case "a", "abbr", "acronym", "b", "basefont", "bdo", "big", "cite", "code", "dfn", "em", "font", "i", "kbd", "label",
		"q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "var":
		return true
	}
	return false
}
