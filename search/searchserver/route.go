package searchserver

import (
	"net/http"
	"net/url"
	"strings"
)

// operation is what a request asks for, by the name that the control API and the log show.
type operation string

// The operations.
const (
	opListIndexes  operation = "indexes.list"
	opCreateIndex  operation = "indexes.create"
	opGetIndex     operation = "indexes.get"
	opPutIndex     operation = "indexes.put"
	opDeleteIndex  operation = "indexes.delete"
	opIndexStats   operation = "indexes.stats"
	opAnalyze      operation = "indexes.analyze"
	opServiceStats operation = "service.stats"
	opWrite        operation = "docs.index"
	opSearch       operation = "docs.search"
	opLookup       operation = "docs.lookup"
	opCount        operation = "docs.count"
	opUnsupported  operation = "unsupported"
	opUnknown      operation = "unknown"
)

// route is a request's path and method, understood.
type route struct {
	op     operation
	index  string
	key    string // of a lookup
	allow  string // of a path that is known while the method is not
	absent string // what the service has and this one does not
}

// routeOf understands the two forms of each path: "/indexes('n')/docs/search.post.search" of Microsoft's clients and
// "/indexes/n/docs/search" of its documentation.
//
// https://learn.microsoft.com/rest/api/searchservice/
func routeOf(method, escapedPath string) route {
	path := "/" + strings.Trim(escapedPath, "/")
	switch {
	case path == "/servicestats":
		return byMethod(method, route{}, map[string]operation{http.MethodGet: opServiceStats})
	case path == "/indexes":
		return byMethod(method, route{}, map[string]operation{http.MethodGet: opListIndexes, http.MethodPost: opCreateIndex})
	case strings.HasPrefix(path, "/indexes('"), strings.HasPrefix(path, "/indexes/"):
		return indexRoute(method, strings.TrimPrefix(path, "/indexes"))
	}
	collection, _, _ := strings.Cut(path[1:], "/")
	collection, _, _ = strings.Cut(collection, "(")
	switch strings.ToLower(collection) {
	case "synonymmaps", "aliases", "datasources", "indexers", "skillsets", "agents", "knowledgebases", "knowledgesources", "indexstats":
		return route{op: opUnsupported, absent: collection}
	}
	return route{op: opUnknown}
}

// indexRoute understands what follows "/indexes": "('n')…" or "/n…".
func indexRoute(method, rest string) route {
	var name, below string
	if quoted, found := strings.CutPrefix(rest, "('"); found {
		var closed bool
		if name, below, closed = strings.Cut(quoted, "')"); !closed || below != "" && below[0] != '/' {
			return route{op: opUnknown}
		}
	} else {
		name, below, _ = strings.Cut(rest[1:], "/")
		if below != "" {
			below = "/" + below
		}
	}
	name, err := url.PathUnescape(name)
	if err != nil || name == "" {
		return route{op: opUnknown}
	}
	r := route{index: name}
	switch below {
	case "":
		return byMethod(method, r, map[string]operation{http.MethodGet: opGetIndex, http.MethodPut: opPutIndex, http.MethodDelete: opDeleteIndex})
	case "/search.stats", "/stats":
		return byMethod(method, r, map[string]operation{http.MethodGet: opIndexStats})
	case "/search.analyze", "/analyze":
		return byMethod(method, r, map[string]operation{http.MethodPost: opAnalyze})
	case "/docs":
		return byMethod(method, r, map[string]operation{http.MethodGet: opSearch})
	}
	return docsRoute(method, r, below)
}

// docsRoute understands what is below an index: an operation on its documents, or a document's key. A key in quotes
// reaches to the last quote, because older clients do not escape the quotes in it.
func docsRoute(method string, r route, below string) route {
	if quoted, found := strings.CutPrefix(below, "/docs('"); found {
		key, closed := strings.CutSuffix(quoted, "')")
		return lookupRoute(method, r, key, closed)
	}
	name, found := strings.CutPrefix(below, "/docs/")
	if !found {
		return route{op: opUnknown}
	}
	get, post := method == http.MethodGet, method == http.MethodPost
	switch {
	case name == "search.post.search", name == "search" && post:
		return byMethod(method, r, map[string]operation{http.MethodPost: opSearch})
	case name == "search.index", name == "index" && post:
		return byMethod(method, r, map[string]operation{http.MethodPost: opWrite})
	case name == "$count", name == "%24count":
		return byMethod(method, r, map[string]operation{http.MethodGet: opCount})
	case name == "search.post.suggest", name == "search.suggest", name == "suggest" && (get || post):
		return route{op: opUnsupported, index: r.index, absent: "suggest"}
	case name == "search.post.autocomplete", name == "search.autocomplete", name == "autocomplete" && (get || post):
		return route{op: opUnsupported, index: r.index, absent: "autocomplete"}
	}
	return lookupRoute(method, r, name, !strings.Contains(name, "/"))
}

func lookupRoute(method string, r route, escapedKey string, wellFormed bool) route {
	key, err := url.PathUnescape(escapedKey)
	if err != nil || !wellFormed {
		return route{op: opUnknown}
	}
	r.key = key
	return byMethod(method, r, map[string]operation{http.MethodGet: opLookup})
}

func byMethod(method string, r route, operations map[string]operation) route {
	if op, ok := operations[method]; ok {
		r.op = op
		return r
	}
	r.op = opUnknown
	for allowed := range operations {
		r.allow += allowed + " "
	}
	return r
}
