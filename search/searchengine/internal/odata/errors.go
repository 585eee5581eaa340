package odata

import (
	"fmt"
	"net/http"

	"github.com/onbehalf/onbehalf/search"
)

// The parameters that an error names.
const (
	paramFilter  = "$filter"
	paramOrderBy = "$orderby"
	paramSelect  = "$select"
	paramFacet   = "facet"
)

// quotedInErrors bounds how much of a text an error repeats, in bytes.
const quotedInErrors = 8 << 10

// invalid is the answer to an expression that cannot be read or does not fit the index.
func invalid(parameter, format string, args ...any) error {
	return badRequest(parameter, "Invalid expression: "+fmt.Sprintf(format, args...))
}

func badRequest(parameter, message string) error {
	return &search.Error{Status: http.StatusBadRequest, Message: message + "\r\nParameter name: " + parameter}
}

func unsupported(what, parameter string) error {
	return &search.Error{
		Status:  http.StatusNotImplemented,
		Message: what + " is not supported by the local search service.\r\nParameter name: " + parameter,
	}
}

// utf16Len is the length of s as the service counts positions: in UTF-16 code units.
func utf16Len(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}

// quotable is s, cut where it is too long to be repeated.
func quotable(s string) string {
	if len(s) <= quotedInErrors {
		return s
	}
	return s[:quotedInErrors] + "…"
}
