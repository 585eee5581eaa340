package entraserver

import (
	"slices"
	"strings"
)

// graphFilter is a $filter that this Graph understands: comparisons with eq and in, startswith(property,'text'), and
// collection/any(x:x eq 'text'), joined by and. Anything else is refused by name.
//
// https://learn.microsoft.com/graph/filter-query-parameter
type graphFilter []graphTerm

type graphTerm struct {
	property string
	value    any   // string, bool or nil (null)
	among    []any // of the operator in; nil without it
	prefix   bool
	any      bool
}

// Bounds of a filter.
const (
	maxFilterLength = 4096
	maxFilterTerms  = 20
	maxFilterIn     = 15 // values of the operator in
)

func parseGraphFilter(text string) (graphFilter, error) {
	if len(text) > maxFilterLength {
		return nil, errGraphQuery("The $filter is too long.")
	}
	p := filterParser{rest: text}
	var filter graphFilter
	for {
		term, ok := p.term()
		if !ok {
			return nil, errGraphQuery("Unsupported or invalid query filter clause: the local Microsoft Graph has property eq 'value', property in ('value', …) of up to 15, startswith(property,'value') and collection/any(x:x eq 'value'), joined by and.")
		}
		if filter = append(filter, term); len(filter) > maxFilterTerms {
			return nil, errGraphQuery("The $filter has too many clauses.")
		}
		if p.skipSpace(); p.rest == "" {
			return filter, nil
		}
		if !p.keyword("and") {
			return nil, errGraphQuery("Unsupported or invalid query filter clause after '" + clipText(filter[len(filter)-1].property, 40) + "': only and joins clauses here.")
		}
	}
}

type filterParser struct{ rest string }

func (p *filterParser) skipSpace() { p.rest = strings.TrimLeft(p.rest, " \t") }

// term reads one comparison.
func (p *filterParser) term() (graphTerm, bool) {
	name := p.name()
	if name == "" {
		return graphTerm{}, false
	}
	if strings.EqualFold(name, "startswith") && p.symbol("(") {
		property := p.name()
		if property == "" || !p.symbol(",") {
			return graphTerm{}, false
		}
		value, ok := p.literal()
		_, isText := value.(string)
		return graphTerm{property: property, value: value, prefix: true}, ok && isText && p.symbol(")")
	}
	if collection, ok := strings.CutSuffix(name, "/any"); ok && p.symbol("(") {
		variable := p.name()
		if variable == "" || !p.symbol(":") || p.name() != variable || !p.keyword("eq") {
			return graphTerm{}, false
		}
		value, ok := p.literal()
		return graphTerm{property: collection, value: value, any: true}, ok && p.symbol(")")
	}
	if p.keyword("in") {
		values, ok := p.list()
		return graphTerm{property: name, among: values}, ok
	}
	if !p.keyword("eq") {
		return graphTerm{}, false
	}
	value, ok := p.literal()
	return graphTerm{property: name, value: value}, ok
}

// list reads ('a','b').
func (p *filterParser) list() ([]any, bool) {
	if !p.symbol("(") {
		return nil, false
	}
	var values []any
	for {
		value, ok := p.literal()
		if values = append(values, value); !ok || len(values) > maxFilterIn {
			return nil, false
		}
		if p.symbol(")") {
			return values, true
		}
		if !p.symbol(",") {
			return nil, false
		}
	}
}

// name reads a property path such as api/requestedAccessTokenVersion.
func (p *filterParser) name() string {
	p.skipSpace()
	end := 0
	for end < len(p.rest) && (isWordByte(p.rest[end]) || p.rest[end] == '/') {
		end++
	}
	name := p.rest[:end]
	p.rest = p.rest[end:]
	return name
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

func (p *filterParser) symbol(s string) bool {
	p.skipSpace()
	rest, ok := strings.CutPrefix(p.rest, s)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *filterParser) keyword(word string) bool {
	before := p.rest
	if strings.EqualFold(p.name(), word) {
		return true
	}
	p.rest = before
	return false
}

// literal reads 'text', a GUID without quotes, true, false or null.
func (p *filterParser) literal() (any, bool) {
	p.skipSpace()
	if !strings.HasPrefix(p.rest, "'") {
		end := 0
		for end < len(p.rest) && (isWordByte(p.rest[end]) || p.rest[end] == '-') {
			end++
		}
		word := p.rest[:end]
		p.rest = p.rest[end:]
		switch strings.ToLower(word) {
		case "":
			return nil, false
		case "null":
			return nil, true
		case "true", "false":
			return strings.EqualFold(word, "true"), true
		}
		return word, len(word) == 36
	}
	for i := 1; i < len(p.rest); i++ {
		if p.rest[i] != '\'' {
			continue
		}
		if i+1 < len(p.rest) && p.rest[i+1] == '\'' {
			i++
			continue
		}
		text, _ := unquote(p.rest[:i+1])
		p.rest = p.rest[i+1:]
		return text, true
	}
	return nil, false
}

// matches compares text without regard to case, as the directory does. A property that no object of the collection has
// is an error.
func (f graphFilter) matches(properties map[string]any) (bool, error) {
	for _, term := range f {
		value, ok := lookup(properties, term.property)
		if !ok {
			return false, errGraphBad("Invalid filter clause: Could not find a property named '" + clipText(term.property, 60) + "'.")
		}
		if !term.matches(value) {
			return false, nil
		}
	}
	return true, nil
}

func (t graphTerm) matches(value any) bool {
	if t.among != nil {
		return slices.ContainsFunc(t.among, func(one any) bool { return graphTerm{value: one}.equals(value) })
	}
	if !t.any {
		return t.equals(value)
	}
	items, _ := value.([]any)
	return slices.ContainsFunc(items, t.equals)
}

func (t graphTerm) equals(value any) bool {
	text, isText := value.(string)
	want, wantText := t.value.(string)
	switch {
	case isText && wantText && t.prefix:
		return len(text) >= len(want) && strings.EqualFold(text[:len(want)], want)
	case isText && wantText:
		return strings.EqualFold(text, want)
	case t.value == nil:
		return value == nil
	default:
		flag, isFlag := value.(bool)
		wantFlag, wantsFlag := t.value.(bool)
		return isFlag && wantsFlag && flag == wantFlag
	}
}

// lookup finds a property by its path, without regard to case.
func lookup(properties map[string]any, path string) (any, bool) {
	name, rest, nested := strings.Cut(path, "/")
	for key, value := range properties {
		if !strings.EqualFold(key, name) {
			continue
		}
		if !nested {
			return value, true
		}
		inner, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		return lookup(inner, rest)
	}
	return nil, false
}
