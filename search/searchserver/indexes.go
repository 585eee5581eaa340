package searchserver

import (
	"cmp"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

// createIndex answers POST /indexes.
//
// https://learn.microsoft.com/rest/api/searchservice/indexes/create
func (s *Server) createIndex(w http.ResponseWriter, c *call) error {
	definition, err := s.readDefinition(c)
	if err != nil {
		return err
	}
	created, err := s.engine.Create(c.Context(), definition)
	if err != nil {
		return err
	}
	s.warnOfLeaks(c, created)
	return s.writeDefinition(w, c, http.StatusCreated, created)
}

// putIndex answers PUT /indexes('n'): 201 for a new index, 200 for a changed one, and 204 where the caller does not
// ask for it to be returned.
//
// https://learn.microsoft.com/rest/api/searchservice/indexes/create-or-update
func (s *Server) putIndex(w http.ResponseWriter, c *call) error {
	definition, err := s.readDefinition(c)
	if err != nil {
		return err
	}
	if definition.Name == "" {
		definition.Name = c.index
	}
	if definition.Name != c.index {
		return invalid("The name '" + clip(definition.Name) + "' of the definition does not match the name '" + clip(c.index) + "' in the URL.")
	}
	saved, created, err := s.engine.Save(c.Context(), definition, searchengine.Condition{
		IfMatch: c.Header.Get("If-Match"), IfNoneMatch: c.Header.Get("If-None-Match"),
	})
	if err != nil {
		return err
	}
	s.warnOfLeaks(c, saved)
	switch {
	case created:
		return s.writeDefinition(w, c, http.StatusCreated, saved)
	case !strings.Contains(strings.ToLower(c.Header.Get("Prefer")), "return=representation"):
		w.Header().Set("ETag", "W/"+saved.ETag)
		w.WriteHeader(http.StatusNoContent)
		return nil
	default:
		return s.writeDefinition(w, c, http.StatusOK, saved)
	}
}

func (s *Server) getIndex(w http.ResponseWriter, c *call) error {
	definition, err := s.engine.Definition(c.Context(), c.index)
	if err != nil {
		return s.noSuchIndex(c, err)
	}
	return s.writeDefinition(w, c, http.StatusOK, definition)
}

func (s *Server) deleteIndex(w http.ResponseWriter, c *call) error {
	if err := s.engine.Delete(c.Context(), c.index, c.Header.Get("If-Match")); err != nil {
		return s.noSuchIndex(c, err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

const (
	defaultListed = 50
	mostListed    = 1000
	firstPaged    = "2026-05-01-preview" // $top and $skip of a list of indexes
)

func (s *Server) listIndexes(w http.ResponseWriter, c *call) error {
	definitions, err := s.engine.Definitions(c.Context())
	if err != nil {
		return err
	}
	if c.version.atLeast(firstPaged) {
		skip, err1 := listNumber(c, "$skip", 0)
		top, err2 := listNumber(c, "$top", defaultListed)
		if err = cmp.Or(err1, err2); err != nil {
			return err
		}
		definitions = definitions[min(skip, len(definitions)):]
		definitions = definitions[:min(top, mostListed, len(definitions))]
	}
	selected := splitList(strings.Join(c.query["$select"], ","))
	values := make([]map[string]any, len(definitions))
	for i, definition := range definitions {
		if values[i], err = pick(normalize(definition, c.version), selected); err != nil {
			return err
		}
	}
	return writeValue(w, c, http.StatusOK, map[string]any{"@odata.context": s.base(c) + "/$metadata#indexes", "value": values})
}

func listNumber(c *call, name string, otherwise int) (int, error) {
	given := c.query.Get(name)
	if given == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 0 {
		return 0, badRequest("InvalidRequestParameter", "Value must be a number, not less than 0.\r\nParameter name: "+name)
	}
	return n, nil
}

// pick keeps the selected members of a definition.
func pick(definition map[string]any, selected []string) (map[string]any, error) {
	if len(selected) == 0 {
		return definition, nil
	}
	kept := map[string]any{}
	for _, name := range selected {
		value, ok := definition[name]
		if !ok {
			return nil, badRequest("", "Invalid expression: Could not find a property named '"+clip(name)+"' on type 'Microsoft.Azure.Search.V2020_06_30.IndexDefinition'.\r\nParameter name: $select")
		}
		kept[name] = value
	}
	return kept, nil
}

// warnOfLeaks says in the log which permission fields tell readers who else may read: through results, facets or search.
func (s *Server) warnOfLeaks(c *call, definition *search.Definition) {
	for i := range definition.Fields {
		field := &definition.Fields[i]
		if field.PermissionFilter == "" {
			continue
		}
		for name, set := range map[string]*bool{"retrievable": field.Retrievable, "searchable": field.Searchable, "facetable": field.Facetable} {
			if set != nil && *set {
				s.config.logger.LogAttrs(c.Context(), slog.LevelWarn, "a permission field can be read by those who query",
					slog.String("index", definition.Name), slog.String("field", field.Name), slog.String("attribute", name))
			}
		}
	}
}

func (s *Server) writeDefinition(w http.ResponseWriter, c *call, status int, definition *search.Definition) error {
	value := normalize(definition, c.version)
	value["@odata.context"] = s.base(c) + "/$metadata#indexes/$entity"
	w.Header().Set("ETag", "W/"+definition.ETag)
	if status == http.StatusCreated {
		w.Header().Set("Location", s.base(c)+"/indexes('"+definition.Name+"')?api-version="+c.query.Get("api-version"))
	}
	return writeValue(w, c, status, value)
}

// noSuchIndex gives the words that operations on definitions have for a missing index.
func (s *Server) noSuchIndex(c *call, err error) error {
	if !errors.Is(err, search.ErrNotFound) {
		return err
	}
	return &search.Error{Status: http.StatusNotFound, Message: "No index with the name '" + clip(c.index) + "' was found in the service '" + s.name(c) + "'."}
}

// name is the service's, as error texts have it: the first label of the host.
func (s *Server) name(c *call) string {
	host := c.Host
	if u, err := url.Parse(s.base(c)); err == nil {
		host = u.Hostname()
	}
	name, _, _ := strings.Cut(host, ".")
	return clip(name)
}

// indexStats answers GET search.stats.
func (s *Server) indexStats(w http.ResponseWriter, c *call) error {
	stats, err := s.engine.Stats(c.Context(), c.index)
	if err != nil {
		return s.noSuchIndex(c, err)
	}
	return writeValue(w, c, http.StatusOK, map[string]any{
		"@odata.context": s.base(c) + "/$metadata#Microsoft.Azure.Search.V2020_06_30.IndexStatistics",
		"documentCount":  stats.DocumentCount, "storageSize": stats.StorageSize, "vectorIndexSize": stats.VectorIndexSize,
	})
}

// serviceStats answers GET /servicestats, which some use to see whether the service is there.
func (s *Server) serviceStats(w http.ResponseWriter, c *call) error {
	definitions, err := s.engine.Definitions(c.Context())
	if err != nil {
		return err
	}
	var documents, storage int64
	for _, definition := range definitions {
		stats, err := s.engine.Stats(c.Context(), definition.Name)
		if err != nil {
			return err
		}
		documents += stats.DocumentCount
		storage += stats.StorageSize
	}
	type counter struct {
		Usage int64  `json:"usage"`
		Quota *int64 `json:"quota"`
	}
	return writeValue(w, c, http.StatusOK, map[string]any{
		"@odata.context": s.base(c) + "/$metadata#Microsoft.Azure.Search.V2020_06_30.ServiceStatistics",
		"counters": map[string]counter{
			"documentCount": {Usage: documents}, "indexesCount": {Usage: int64(len(definitions))}, "storageSize": {Usage: storage},
			"indexersCount": {}, "dataSourcesCount": {}, "synonymMaps": {}, "skillsetCount": {}, "aliasesCount": {}, "vectorIndexSize": {},
		},
		"limits": map[string]any{
			"maxStoragePerIndex": nil, "maxFieldsPerIndex": 1000, "maxFieldNestingDepthPerIndex": 10,
			"maxComplexCollectionFieldsPerIndex": 40, "maxComplexObjectsInCollectionsPerDocument": 3000,
		},
	})
}

// analyze answers POST search.analyze.
//
// https://learn.microsoft.com/rest/api/searchservice/indexes/analyze
func (s *Server) analyze(w http.ResponseWriter, c *call) error {
	body, err := readObject(c)
	if err != nil {
		return err
	}
	request := searchengine.AnalyzeRequest{}
	into := map[string]any{
		"text": &request.Text, "analyzer": &request.Analyzer, "normalizer": &request.Normalizer,
		"tokenizer": &request.Tokenizer, "tokenFilters": &request.TokenFilters, "charFilters": &request.CharFilters,
	}
	for name, raw := range body {
		value, known := into[name]
		if !known {
			return invalid("request : The property '" + clip(name) + "' does not exist.")
		}
		if json.Unmarshal(raw, value) != nil {
			return invalid("request : The value of '" + name + "' is of another type.")
		}
	}
	if body["text"] == nil {
		return invalid("request : 'text' is required.")
	}
	tokens, err := s.engine.Analyze(c.Context(), c.index, request)
	if err != nil {
		return s.noSuchIndex(c, err)
	}
	return writeValue(w, c, http.StatusOK, map[string]any{
		"@odata.context": s.base(c) + "/$metadata#Microsoft.Azure.Search.V2020_06_30.AnalyzeResult", "tokens": tokens,
	})
}
