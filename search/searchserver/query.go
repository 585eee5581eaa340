package searchserver

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/onbehalf/onbehalf/internal/jsonscan"
	"github.com/onbehalf/onbehalf/search"
)

// parameter is one of a search: what POST and GET call it, and how it is read.
//
// https://learn.microsoft.com/rest/api/searchservice/documents/search-post
type parameter struct {
	post, get string
	kind      kind
	set       func(*search.Query, value)
	since     string // the preview it came with; "" for all versions
}

type kind int

const (
	text kind = iota
	number
	boolean
	texts
	double
	absent // known to the service, not here
)

// value is a parameter's value, by its kind.
type value struct {
	text    string
	texts   []string
	number  int
	double  float64
	boolean bool
}

func queryParameters() []parameter {
	list := func(set func(*search.Query, []string)) func(*search.Query, value) {
		return func(q *search.Query, v value) { set(q, splitList(v.text)) }
	}
	served := []parameter{
		{post: "search", get: "search", set: func(q *search.Query, v value) { q.Search = v.text }},
		{post: "queryType", get: "queryType", set: func(q *search.Query, v value) { q.QueryType = v.text }},
		{post: "searchMode", get: "searchMode", set: func(q *search.Query, v value) { q.SearchMode = v.text }},
		{post: "searchFields", get: "searchFields", set: list(func(q *search.Query, l []string) { q.SearchFields = l })},
		{post: "filter", get: "$filter", set: func(q *search.Query, v value) { q.Filter = v.text }},
		{post: "orderby", get: "$orderby", set: func(q *search.Query, v value) { q.OrderBy = splitOrderBy(v.text) }},
		{post: "select", get: "$select", set: list(func(q *search.Query, l []string) { q.Select = l })},
		{post: "top", get: "$top", kind: number, set: func(q *search.Query, v value) { q.Top = &v.number }},
		{post: "skip", get: "$skip", kind: number, set: func(q *search.Query, v value) { q.Skip = v.number }},
		{post: "count", get: "$count", kind: boolean, set: func(q *search.Query, v value) { q.Count = v.boolean }},
		{post: "facets", get: "facet", kind: texts, set: func(q *search.Query, v value) { q.Facets = v.texts }},
		{post: "highlight", get: "highlight", set: list(func(q *search.Query, l []string) { q.Highlight = l })},
		{post: "highlightPreTag", get: "highlightPreTag", set: func(q *search.Query, v value) { q.HighlightPreTag = v.text }},
		{post: "highlightPostTag", get: "highlightPostTag", set: func(q *search.Query, v value) { q.HighlightPostTag = v.text }},
		{post: "minimumCoverage", get: "minimumCoverage", kind: double, set: func(q *search.Query, v value) { q.MinimumCoverage = &v.double }},
		{post: "scoringStatistics", get: "scoringStatistics", set: func(q *search.Query, v value) { q.ScoringStatistics = v.text }},
		{post: "sessionId", get: "sessionId", set: func(q *search.Query, v value) { q.SessionID = v.text }},
	}
	for _, name := range []string{
		"scoringProfile", "scoringParameters", "semanticConfiguration", "semanticQuery", "semanticErrorHandling",
		"semanticMaxWaitInMilliseconds", "answers", "captions", "vectorQueries", "vectorFilterMode",
	} {
		served = append(served, parameter{post: name, get: strings.Replace(name, "scoringParameters", "scoringParameter", 1), kind: absent})
	}
	for _, name := range []string{"queryLanguage", "speller", "queryRewrites", "semanticFields", "hybridSearch", "debug"} {
		served = append(served, parameter{post: name, get: name, kind: absent, since: firstPermissions})
	}
	return served
}

// parsePost reads the body of a search. The members come back too: a continuation repeats them.
func parsePost(c *call) (*search.Query, []member, error) {
	body, err := readBody(c)
	if err != nil {
		return nil, nil, err
	}
	members, err := readMembers(body)
	if err != nil {
		return nil, nil, err
	}
	q := &search.Query{}
	known := queryParameters()
	for _, m := range members {
		i := slices.IndexFunc(known, func(p parameter) bool { return p.post == m.name })
		if i < 0 || known[i].since != "" && !c.version.atLeast(known[i].since) {
			return nil, nil, invalid("parameters : The property '" + clip(m.name) + "' does not exist on type 'Microsoft.Azure.Search.Documents.SearchRequest' in api-version " + string(c.version) + ".\r\n")
		}
		if err := known[i].fromJSON(q, m.value); err != nil {
			return nil, nil, err
		}
	}
	return q, members, nil
}

// fromJSON sets the parameter from JSON; null counts as absent.
func (p *parameter) fromJSON(q *search.Query, raw json.RawMessage) error {
	if string(raw) == "null" {
		return nil
	}
	var v value
	var into any
	switch p.kind {
	case text:
		into = &v.text
	case number:
		into = &v.number
	case boolean:
		into = &v.boolean
	case texts:
		into = &v.texts
	case double:
		into = &v.double
	case absent:
		if isEmpty(raw) {
			return nil
		}
		return notHere(p.post)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return invalid("parameters : The value of '" + p.post + "' cannot be read: " + clip(err.Error()) + ".\r\n")
	}
	return p.apply(q, v)
}

func (p *parameter) apply(q *search.Query, v value) error {
	if p.post == "queryType" && strings.EqualFold(v.text, "semantic") {
		return notHere("queryType=semantic")
	}
	p.set(q, v)
	return nil
}

// isEmpty reports what says nothing: clients send empty lists, and "none" or "disabled" for what is switched off.
func isEmpty(raw json.RawMessage) bool {
	switch strings.ToLower(string(raw)) {
	case `""`, "[]", `"none"`, `"disabled"`:
		return true
	}
	return false
}

func notHere(name string) error {
	return &search.Error{Status: http.StatusNotImplemented, Code: "NotImplemented", Message: "The local search service does not support '" + name + "'."}
}

// parseGet reads a search from the query string.
//
// https://learn.microsoft.com/rest/api/searchservice/documents/search-get
func parseGet(c *call) (*search.Query, error) {
	q := &search.Query{}
	known := queryParameters()
	for name, values := range c.query {
		if name == "api-version" {
			continue
		}
		i := slices.IndexFunc(known, func(p parameter) bool { return p.get == name })
		if i < 0 || known[i].since != "" && !c.version.atLeast(known[i].since) {
			return nil, badRequest("InvalidRequestParameter", "The query parameter '"+clip(name)+"' is not supported by this operation in api-version "+string(c.version)+".")
		}
		if err := known[i].fromText(q, values); err != nil {
			return nil, err
		}
	}
	return q, nil
}

func (p *parameter) fromText(q *search.Query, values []string) error {
	v := value{text: values[0], texts: values}
	var err error
	switch p.kind {
	case text, texts:
	case number:
		v.number, err = strconv.Atoi(v.text)
	case boolean:
		v.boolean, err = strconv.ParseBool(strings.ToLower(v.text))
	case double:
		v.double, err = strconv.ParseFloat(v.text, 64)
	case absent:
		if isEmpty(json.RawMessage(strconv.Quote(v.text))) {
			return nil
		}
		return notHere(p.get)
	}
	if err != nil || len(values) > 1 && p.kind != texts {
		return badRequest("InvalidRequestParameter", "The value '"+clip(v.text)+"' is not accepted.\r\nParameter name: "+p.get)
	}
	return p.apply(q, v)
}

// splitOrderBy splits at the commas outside of parentheses: "geo.distance(a, b) desc, c".
func splitOrderBy(list string) []string {
	var clauses []string
	depth, start := 0, 0
	add := func(clause string) {
		if clause = strings.TrimSpace(clause); clause != "" {
			clauses = append(clauses, clause)
		}
	}
	for i := range len(list) {
		switch list[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth <= 0 {
				add(list[start:i])
				start = i + 1
			}
		}
	}
	add(list[start:])
	return clauses
}

// member is one of a JSON object, in order.
type member struct {
	name  string
	value json.RawMessage
}

// readMembers reads a JSON object; a name may occur once.
func readMembers(body []byte) ([]member, error) {
	const mostMembers = 200
	var members []member
	scan := jsonscan.New(body)
	err := scan.Object(func(name string, _ int) error {
		if slices.ContainsFunc(members, func(other member) bool { return other.name == name }) {
			return invalid("parameters : The property '" + clip(name) + "' occurs more than once.\r\n")
		}
		if len(members) == mostMembers {
			return invalid("parameters : The body has too many properties.\r\n")
		}
		value, err := scan.Value()
		members = append(members, member{name, value})
		return err
	})
	if err = cmp.Or(err, scan.End()); err != nil {
		return nil, malformed(err)
	}
	return members, nil
}

// continuation is the query string of the next page of a search by GET.
func continuation(query url.Values, next *search.Query) string {
	values := maps.Clone(query)
	values.Set("$skip", strconv.Itoa(next.Skip))
	if next.Top != nil {
		values.Set("$top", strconv.Itoa(*next.Top))
	}
	return values.Encode()
}
