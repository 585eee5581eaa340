package lucene

import (
	"net/http"

	"github.com/onbehalf/onbehalf/search"
)

// Options choose the syntax and how terms without an operator between them combine.
type Options struct {
	Full bool // queryType: full; otherwise simple
	All  bool // searchMode: all; otherwise any
}

// Parse reads a query. A blank text and "*" are *[All]. Errors are *[search.Error] with status 400.
func Parse(text string, o Options) (Query, error) {
	_ = o
	return nil, &search.Error{Status: http.StatusNotImplemented, Message: "The local service does not support " + text + "."}
}
