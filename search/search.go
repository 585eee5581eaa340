// Package search holds the words of Azure AI Search that client, engine and local service share: [Index] is what a tool
// sees, [Service] what set-up and uploads see, [User] whose eyes a query has, [Error] what can come back.
//
// Three things implement them: package searchclient over HTTP, package searchengine in memory, and both together with
// package searchserver between them. Package searchtest holds one suite that all of them pass.
package search

import (
	"context"
	"encoding/json"

	"github.com/onbehalf/onbehalf/identity"
)

// Index is one index, seen through the eyes of a [User]. Every method returns *[Error] for an answer of the service,
// which matches [ErrUnauthorized], [ErrForbidden], [ErrNotFound], [ErrBadRequest], [ErrThrottled] or [ErrUnavailable]; anything else (network,
// cancellation, a malformed token) is another error. No method ever returns a document that u may not see.
type Index interface {
	// Search returns one page. It never falls back to public documents when u cannot be established.
	Search(ctx context.Context, u User, q *Query) (*Result, error)
	// Lookup returns the document with the key, or ErrNotFound, also when it exists but u may not see it. Without
	// fields it returns all retrievable ones; complex paths are written "Address/City".
	Lookup(ctx context.Context, u User, key string, fields ...string) (Document, error)
}

// Service is a search service as set-up and uploads see it. It needs rights of the application, not of a person.
type Service interface {
	// Index returns the index by name; it asks nobody, so a missing index shows at the first call.
	Index(name string) Index
	// Definition returns the definition of an index, or ErrNotFound.
	Definition(ctx context.Context, name string) (*Definition, error)
	// Put creates or changes an index. ifMatch is an ETag, "*" (must exist), or "" (no condition); a failed condition
	// is ErrPrecondition.
	Put(ctx context.Context, d *Definition, ifMatch string) (*Definition, error)
	// Delete removes an index and all its documents.
	Delete(ctx context.Context, name, ifMatch string) error
	// Write applies at most 1,000 actions in order. A nil error means that each action has its Status, not that each
	// succeeded.
	Write(ctx context.Context, index string, batch []Action) ([]Status, error)
}

// User is whose eyes a query has. A client takes [ByToken], an engine [ByPrincipals]; [PublicOnly] is for both. Packages
// refuse kinds that they do not know.
type User interface {
	// SeesAs names the user for logs and the chain: an object id, "public", or "elevated".
	SeesAs() string
}

// ByToken is the person whose token for the search service this is. The service learns the groups itself.
type ByToken struct{ Token identity.Token }

// SeesAs implements [User].
func (u ByToken) SeesAs() string { return u.Token.Object.String() }

// ByPrincipals is a person by object id, with all the groups (transitive) and role scopes that count. It is for an engine whose
// caller has verified all of that.
type ByPrincipals struct {
	Object identity.ObjectID
	Groups []string // object ids
	Scopes []string // resource ids on which the person holds a data reader role
}

// SeesAs implements [User].
func (u ByPrincipals) SeesAs() string { return u.Object.String() }

type publicOnly struct{}

func (publicOnly) SeesAs() string { return "public" }

// DangerouslyPublicOnly is a caller without a person: only documents that are open to all. The name is frightening
// because the absence of a person is mostly a mistake, and public results hide it.
func DangerouslyPublicOnly() User { return publicOnly{} }

// IsPublicOnly reports whether u is [DangerouslyPublicOnly].
func IsPublicOnly(u User) bool {
	_, ok := u.(publicOnly)
	return ok
}

// Document is one document as the service's JSON: numbers keep all their digits, fields keep their order.
type Document = json.RawMessage

// Query is a search request. Names and meaning are those of the service's REST API ("Search Documents"); the zero
// Query matches everything. List-valued fields are lists here, joined by commas on the wire.
//
// https://learn.microsoft.com/rest/api/searchservice/documents/search-post
type Query struct {
	Search                       string   // "" and "*" match all documents
	QueryType                    string   // "simple" (default) or "full"
	SearchMode                   string   // "any" (default) or "all"
	SearchFields                 []string // default: all searchable fields
	Filter                       string   // OData
	OrderBy                      []string // "size desc", "search.score()"; at most 32
	Select                       []string // default: all retrievable fields
	Top                          *int     // default 50; at most 1,000 a page
	Skip                         int      // at most 100,000
	Count                        bool     // also count all matches
	Facets                       []string // "category,count:5"
	Highlight                    []string // "content-3"
	HighlightPreTag              string   // default "<em>"
	HighlightPostTag             string   // default "</em>"
	MinimumCoverage              *float64 // percent
	ScoringStatistics, SessionID string
}

// Result is one page of a search.
type Result struct {
	Count     *int64             // of all matches, when the query asked for it
	Coverage  *float64           // percent, when the query had MinimumCoverage
	Facets    map[string][]Facet // by field
	Hits      []Hit
	Next      *Query // what asks for the next page, nil on the last
	RequestID string // of the service's answer, for support; "" in an engine
}

// Hit is a document that matched.
type Hit struct {
	Score      float64 // a float32 of the service; 1 where nothing was scored
	Highlights map[string][]string
	Document   Document
}

// Facet is one bucket: a value, or a range from (inclusive) to (exclusive) of which either end may be open. The
// members are JSON scalars.
type Facet struct {
	Count int64           `json:"count"`
	Value json.RawMessage `json:"value,omitempty"`
	From  json.RawMessage `json:"from,omitempty"`
	To    json.RawMessage `json:"to,omitempty"`
}

// ActionKind is what a write does to a document.
type ActionKind string

// The kinds of action; "" is an upload.
const (
	Upload        ActionKind = "upload"        // put, replacing the whole document
	Merge         ActionKind = "merge"         // change the given fields of an existing document
	MergeOrUpload ActionKind = "mergeOrUpload" // merge if it exists, else upload
	Delete        ActionKind = "delete"        // remove; a missing document is no error
)

// Action is one write. Document holds the key, and for all but Delete the fields.
type Action struct {
	Kind     ActionKind
	Document Document
	// Checked says that Document is known to be one JSON object, without members of the service's own ("@search.…"): a
	// client need not read it again.
	Checked bool
}

// Status is what became of one action.
type Status struct {
	Key     string
	OK      bool
	Code    int    // HTTP: 200, 201, 400, 404, 409, 422, 429, 503
	Message string // "" when OK
}
