// Package odata reads the expressions of Azure AI Search's query parameters: filters, orderby, select and facets.
//
// [Filter], [OrderBy], [Select] and [ParseFacet] read and check at once and are what an engine calls; [Parse] and
// [Check] are the two steps of a filter. Errors are *[search.Error] in the service's words: 400 with the position where
// it gives one, 501 for what the local service leaves out (geography).
//
// It does not evaluate anything: package searchengine does.
//
// https://learn.microsoft.com/azure/search/search-query-odata-syntax-reference
package odata

// Filter parses a filter and checks it against the schema. A blank text is nil: no filter.
func Filter(text string, schema Schema) (Expr, error) {
	parsed, err := Parse(text)
	if err != nil || parsed == nil {
		return nil, err
	}
	return Check(parsed, schema)
}
