package search

import "encoding/json"

// Definition is an index definition in the service's JSON form. Members that this project does not act on are kept as
// they came, those without a name here in Other, so that a round trip loses nothing: a client that drops what it does
// not know would drop permissions.
//
// https://learn.microsoft.com/rest/api/searchservice/indexes/create-or-update
type Definition struct {
	ETag                   string          `json:"@odata.etag,omitempty"`
	Name                   string          `json:"name"`
	Description            string          `json:"description,omitempty"`
	Fields                 []Field         `json:"fields"`
	PermissionFilterOption string          `json:"permissionFilterOption,omitempty"` // "enabled" or "disabled"
	Similarity             *Similarity     `json:"similarity,omitempty"`
	Normalizers            json.RawMessage `json:"normalizers,omitempty"`
	Analyzers              json.RawMessage `json:"analyzers,omitempty"`
	Tokenizers             json.RawMessage `json:"tokenizers,omitempty"`
	TokenFilters           json.RawMessage `json:"tokenFilters,omitempty"`
	CharFilters            json.RawMessage `json:"charFilters,omitempty"`
	ScoringProfiles        json.RawMessage `json:"scoringProfiles,omitempty"`
	DefaultScoringProfile  *string         `json:"defaultScoringProfile,omitempty"`
	CORSOptions            json.RawMessage `json:"corsOptions,omitempty"`
	Suggesters             json.RawMessage `json:"suggesters,omitempty"`
	EncryptionKey          json.RawMessage `json:"encryptionKey,omitempty"`
	Semantic               json.RawMessage `json:"semantic,omitempty"`
	VectorSearch           json.RawMessage `json:"vectorSearch,omitempty"`

	// Other are members that have no name here, such as those of newer API versions.
	Other map[string]json.RawMessage `json:"-"`
}

// Field is a field of an index; attributes that are nil take the service's default.
type Field struct {
	Name             string   `json:"name"`
	Type             string   `json:"type"` // "Edm.String", "Collection(Edm.String)", "Edm.ComplexType", …
	Key              bool     `json:"key,omitempty"`
	Retrievable      *bool    `json:"retrievable,omitempty"`
	Searchable       *bool    `json:"searchable,omitempty"`
	Filterable       *bool    `json:"filterable,omitempty"`
	Sortable         *bool    `json:"sortable,omitempty"`
	Facetable        *bool    `json:"facetable,omitempty"`
	Analyzer         string   `json:"analyzer,omitempty"`
	SearchAnalyzer   string   `json:"searchAnalyzer,omitempty"`
	IndexAnalyzer    string   `json:"indexAnalyzer,omitempty"`
	Normalizer       string   `json:"normalizer,omitempty"`
	SynonymMaps      []string `json:"synonymMaps,omitempty"`
	PermissionFilter string   `json:"permissionFilter,omitempty"` // UserIDs, GroupIDs or RBACScope
	Fields           []Field  `json:"fields,omitempty"`           // of a complex type

	Dimensions          int    `json:"dimensions,omitempty"` // of vectors, which the local service refuses
	VectorSearchProfile string `json:"vectorSearchProfile,omitempty"`

	// Other are members that have no name here, such as those of newer API versions.
	Other map[string]json.RawMessage `json:"-"`
}

// The values of Field.PermissionFilter.
//
// https://learn.microsoft.com/azure/search/search-index-access-control-lists-and-rbac-push-api
const (
	UserIDs   = "userIds"
	GroupIDs  = "groupIds"
	RBACScope = "rbacScope"
)

// The values of Definition.PermissionFilterOption.
const (
	PermissionsEnabled  = "enabled"
	PermissionsDisabled = "disabled"
)

// Similarity is the ranking formula with its parameters; nil ones take the defaults k1 = 1.2 and b = 0.75.
type Similarity struct {
	Type string   `json:"@odata.type"` // "#Microsoft.Azure.Search.BM25Similarity"
	K1   *float64 `json:"k1"`
	B    *float64 `json:"b"`
}
