package odata

import (
	"net/http"

	"github.com/onbehalf/onbehalf/search"
)

// Parse reads a filter without knowing the fields. A blank text is nil.
func Parse(text string) (Expr, error) { return nil, unsupported(text) }

// Check tells whether the fields of a parsed filter exist, are filterable and have the types that the filter takes
// them for, and returns the filter in the form that [Compare] and [Lambda] describe.
func Check(e Expr, schema Schema) (Expr, error) {
	if _, ok := schema.Field(""); ok {
		return e, nil
	}
	return nil, unsupported("$filter")
}

// OrderBy parses the clauses of an orderby, one or more to each of the texts, and checks them. search.score() may be among them; no
// clauses are nil.
func OrderBy(texts []string, schema Schema) ([]Order, error) {
	_ = schema
	return nil, unsupported(texts[0])
}

// Select checks the paths of a select and returns them without repetitions: fields, or whole complex fields. "*" and no
// paths are nil: everything that is retrievable.
func Select(texts []string, schema Schema) ([]string, error) {
	_ = schema
	return nil, unsupported(texts[0])
}

// ParseFacet parses a facet expression and checks it.
func ParseFacet(text string, schema Schema) (*Facet, error) {
	_ = schema
	return nil, unsupported(text)
}

func unsupported(what string) error {
	return &search.Error{Status: http.StatusNotImplemented, Message: "The local service does not support " + what + "."}
}
