// Package tools holds the tools that the server ships with, written with nothing but the public API: what is possible
// here is possible in anybody's program.
package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/search"
)

const (
	maxTop     = 50       // documents an answer holds at most
	maxSkip    = 100_000  // the service's own limit
	maxQuery   = 2_000    // characters of query and filter
	maxContent = 16 << 10 // bytes of content per document
)

// DocumentsInput is what get_documents takes.
type DocumentsInput struct {
	Query  string `json:"query,omitempty" jsonschema:"words to look for; * for all documents"`
	Filter string `json:"filter,omitempty" jsonschema:"OData filter such as: section eq 'finance' and size gt 1000"`
	Top    int    `json:"top,omitempty" jsonschema:"how many documents to return"`
	Skip   int    `json:"skip,omitempty" jsonschema:"how many to leave out first, for the next page"`
}

// DocumentsOutput is what get_documents gives.
type DocumentsOutput struct {
	Documents []Document `json:"documents" jsonschema:"what the signed-in person may see, best first; by id when the query is *"`
	Count     int64      `json:"count" jsonschema:"how many documents match in all, of those that the person may see"`
}

// Document is one document of an answer. Who may read it is never part of it: that would tell every reader who else
// may, and helps no answer.
type Document struct {
	ID      string  `json:"id"`
	Name    string  `json:"name"`
	Content string  `json:"content,omitempty"`
	Score   float64 `json:"score"`
}

// AddDocuments adds the tool get_documents, which searches the index as the caller. Scope is that of the search
// service. The named permission fields of the index must not be filtered by: whose document it is would show by trial.
func AddDocuments(server *onbehalf.Server, index search.Index, scope entra.Scope, permissionFields ...string) error {
	schema, err := documentsSchema()
	if err != nil {
		return err
	}
	return onbehalf.AddTool(server, &onbehalf.Tool{
		Name:        "get_documents",
		Title:       "Search documents",
		Description: "Searches the company's documents as the signed-in person and returns those that this person may see.",
		ReadOnly:    true,
		InputSchema: schema,
	}, scope, func(ctx context.Context, _ *identity.Caller, token identity.Token, in DocumentsInput) (DocumentsOutput, error) {
		for _, field := range permissionFields {
			if mentions(in.Filter, field) {
				return DocumentsOutput{}, onbehalf.Say(fmt.Sprintf("the filter must not use the permission field %q", field), nil)
			}
		}
		result, err := index.Search(ctx, search.ByToken{Token: token}, query(in))
		if err != nil {
			return DocumentsOutput{}, explain(err)
		}
		return output(result)
	})
}

func documentsSchema() (*jsonschema.Schema, error) {
	schema, err := jsonschema.For[DocumentsInput](nil)
	if err != nil {
		return nil, fmt.Errorf("get_documents: %w", err)
	}
	limit := func(name string, least, most float64, fallback string) {
		p := schema.Properties[name]
		p.Minimum, p.Maximum, p.Default = &least, &most, json.RawMessage(fallback)
	}
	limit("top", 1, maxTop, "50")
	limit("skip", 0, maxSkip, "0")
	schema.Properties["query"].Default = json.RawMessage(`"*"`)
	schema.Properties["query"].MaxLength = new(maxQuery)
	schema.Properties["filter"].MaxLength = new(maxQuery)
	return schema, nil
}

func query(in DocumentsInput) *search.Query {
	q := &search.Query{
		Search: in.Query,
		Filter: in.Filter,
		Select: []string{"id", "name", "content"},
		Top:    new(in.Top),
		Skip:   in.Skip,
		Count:  true,
	}
	if in.Query == "" || in.Query == "*" {
		q.OrderBy = []string{"id asc"}
	}
	return q
}

func output(result *search.Result) (DocumentsOutput, error) {
	out := DocumentsOutput{Documents: make([]Document, 0, len(result.Hits))}
	for _, hit := range result.Hits {
		document := Document{Score: hit.Score}
		if err := json.Unmarshal(hit.Document, &document); err != nil {
			return DocumentsOutput{}, fmt.Errorf("get_documents: document of the search service: %w", err)
		}
		document.Content = shorten(document.Content)
		out.Documents = append(out.Documents, document)
	}
	if result.Count != nil {
		out.Count = *result.Count
	}
	return out, nil
}

// shorten cuts content at a character's boundary.
func shorten(content string) string {
	if len(content) <= maxContent {
		return content
	}
	cut := maxContent
	for cut > 0 && !utf8.RuneStart(content[cut]) {
		cut--
	}
	return content[:cut] + " …"
}

// explain says an answer of the search service in words that may leave the server. The error stays inside, so that a
// rejected token is exchanged anew.
func explain(err error) error {
	var failure *search.Error
	switch {
	case !errors.As(err, &failure):
		return err
	case errors.Is(err, search.ErrBadRequest):
		return onbehalf.Say("the search service does not accept this query: "+failure.Message, err)
	case errors.Is(err, search.ErrUnauthorized):
		return onbehalf.Report("the search service does not accept your token, also not a fresh one; sign in again", err)
	case errors.Is(err, search.ErrForbidden):
		return onbehalf.Report("the search service refuses: this server or you lack a role such as Search Index Data Reader", err)
	case errors.Is(err, search.ErrNotFound):
		return onbehalf.Report("the search service has no such index", err)
	case errors.Is(err, search.ErrThrottled), errors.Is(err, search.ErrUnavailable):
		return onbehalf.Say("the search service is busy or away; try again in a moment", err)
	default:
		return err
	}
}

// mentions reports whether an OData filter names the field. What stands in string literals is no name, but where
// full-text search is part of the filter: search.ismatch('…', 'oid') names its fields so, and Lucene's oid:… too.
//
// https://learn.microsoft.com/azure/search/search-query-odata-full-text-search-functions
func mentions(filter, field string) bool {
	var code strings.Builder
	for i, part := range strings.Split(filter, "'") {
		if i%2 == 0 {
			code.WriteString(part)
		}
		code.WriteByte(' ')
	}
	if names(code.String(), "ismatch") || names(code.String(), "ismatchscoring") {
		return names(filter, field)
	}
	return names(code.String(), field)
}

// names reports whether a text holds a word.
func names(text, word string) bool {
	for w := range strings.FieldsFuncSeq(text, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		if strings.EqualFold(w, word) {
			return true
		}
	}
	return false
}
