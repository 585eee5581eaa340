package odata

import (
	"slices"
	"strings"
)

// maxOrderBy is the service's limit of clauses.
const maxOrderBy = 32

// Order is one clause of an orderby: ascending by the field, nulls first, or descending, nulls last. Strings are ordered by
// their bytes.
type Order struct {
	Path  string // "" for search.score()
	Score bool   // search.score()
	Desc  bool
}

// OrderBy parses the clauses of an orderby, one or more to each of the texts, and checks them. Blank texts count for
// nothing.
//
// https://learn.microsoft.com/azure/search/search-query-odata-orderby
func OrderBy(texts []string, schema Schema) ([]Order, error) {
	text := joined(texts)
	if text == "" {
		return nil, nil
	}
	l := &lexer{text: text, parameter: paramOrderBy}
	var orders []Order
	for more := true; more; {
		if err := l.next(); err != nil {
			return nil, err
		}
		o, err := order(l, schema)
		if err != nil {
			return nil, err
		}
		if orders = append(orders, o); len(orders) > maxOrderBy {
			return nil, invalid(paramOrderBy, "The $orderby expression has more than %d clauses.", maxOrderBy)
		}
		more = l.is(tokComma)
	}
	if !l.is(tokEnd) {
		return nil, l.syntaxError()
	}
	return orders, nil
}

// order reads one clause; it leaves the token after it.
func order(l *lexer, schema Schema) (Order, error) {
	name, err := l.expect(tokName)
	if err != nil {
		return Order{}, err
	}
	o := Order{Path: name.text}
	if l.is(tokOpen) {
		if name.text != "search.score" {
			return o, unsupported("The function '"+quotable(name.text)+"'", paramOrderBy)
		}
		if err = l.next(); err != nil {
			return o, err
		}
		if _, err = l.expect(tokClose); err != nil {
			return o, err
		}
		o = Order{Score: true}
	} else if err = sortable(name.text, schema); err != nil {
		return o, err
	}
	if o.Desc = l.isWord("desc"); o.Desc || l.isWord("asc") {
		err = l.next()
	}
	return o, err
}

func sortable(name string, schema Schema) error {
	f, err := findField(schema, name, 0, paramOrderBy, false)
	if err == nil && (!f.Sortable || f.Collection) {
		err = invalid(paramOrderBy, "%s is not a sortable field. Only sortable fields can be used in $orderby.", name)
	}
	return err
}

// Select checks the paths of a select, one or more to each of the texts, and returns them without repetitions: fields,
// or whole complex fields. "*" and no paths are nil: everything that is retrievable.
//
// https://learn.microsoft.com/azure/search/search-query-odata-select
func Select(texts []string, schema Schema) ([]string, error) {
	text := joined(texts)
	if text == "" || text == "*" {
		return nil, nil
	}
	var paths []string
	seen := map[string]bool{}
	for path := range strings.SplitSeq(text, ",") {
		path = strings.TrimSpace(path)
		if seen[path] {
			continue
		}
		seen[path] = true
		f, err := findField(schema, path, 0, paramSelect, true)
		if err != nil {
			return nil, err
		}
		if !f.Retrievable && f.Type != ComplexType {
			return nil, invalid(paramSelect, "%s is not a retrievable field. Only retrievable fields can be used in $select.", path)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func joined(texts []string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return strings.TrimSpace(s) == "" }), ",")
}
