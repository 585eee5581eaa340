package searchserver_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/search/searchserver"
)

// What may be done with which key, role or none of them.
func TestWhoMayDoWhat(t *testing.T) {
	s := startACL(t, nil)
	app := func(id string) string { return "Bearer " + s.sign(t, s.app(id)) }
	query, admin := s.QueryKey().Reveal(), s.AdminKey().Reveal()
	for _, test := range []struct {
		desc    string
		headers []string
		status  map[string]int // by operation, 0 for any that is not 401 and 403
	}{
		{"admin key", []string{"api-key", admin}, map[string]int{}},
		{"query key", []string{"api-key", query}, map[string]int{"list": 403, "get": 403, "put": 403, "stats": 403, "servicestats": 403, "analyze": 403, "write": 403, "elevated": 403}},
		{"wrong key", []string{"api-key", "wrong"}, all(403)},
		{"empty key", []string{"api-key", "", "Authorization", ""}, all(401)},
		{"key beside a token: the key wins", []string{"Authorization", app(writerApp), "api-key", query}, map[string]int{"list": 403, "get": 403, "put": 403, "stats": 403, "servicestats": 403, "analyze": 403, "write": 403, "elevated": 403}},
		{"Search Service Contributor", []string{"Authorization", app(ownerApp)}, map[string]int{"search": 403, "lookup": 403, "count": 403, "write": 403, "elevated": 403}},
		{"Search Index Data Contributor", []string{"Authorization", app(writerApp)}, map[string]int{"list": 403, "get": 403, "put": 403, "stats": 403, "servicestats": 403, "analyze": 403}},
		{"Search Index Data Reader", []string{"Authorization", app(readerApp)}, map[string]int{"list": 403, "get": 403, "put": 403, "stats": 403, "servicestats": 403, "analyze": 403, "write": 403, "elevated": 403}},
		{"a person with a role", []string{"Authorization", "Bearer " + s.sign(t, s.person(alice))}, map[string]int{"list": 403, "get": 403, "put": 403, "stats": 403, "servicestats": 403, "analyze": 403, "write": 403, "elevated": 403}},
		{"a person without a role, through an application that has one", []string{"Authorization", "Bearer " + s.sign(t, s.person(bob))}, all(403)},
		{"an application without a role", []string{"Authorization", app(tenant)}, all(403)},
		{"Basic", []string{"Authorization", "Basic eDp5"}, all(401)},
		{"nonsense", []string{"Authorization", "Bearer x"}, all(401)},
	} {
		for name, request := range map[string][3]string{
			"list": {"GET", "/indexes"}, "get": {"GET", "/indexes/acl"}, "put": {"PUT", "/indexes/acl", aclIndex}, "stats": {"GET", "/indexes/acl/stats"},
			"servicestats": {"GET", "/servicestats"}, "analyze": {"POST", "/indexes/acl/analyze", `{"text":"a","analyzer":"keyword"}`},
			"write":  {"POST", "/indexes/acl/docs/index", `{"value":[{"id":"1","@search.action":"delete"}]}`},
			"search": {"POST", "/indexes/acl/docs/search", `{}`}, "lookup": {"GET", "/indexes/acl/docs/1"}, "count": {"GET", "/indexes/acl/docs/$count"},
			"elevated": {"POST", "/indexes/acl/docs/search", `{}`},
		} {
			headers := test.headers
			if name == "elevated" {
				headers = append([]string{"x-ms-enable-elevated-read", "true"}, headers...)
			}
			answer := s.do(t, request[0], request[1], request[2], headers...)
			want, named := test.status[name]
			denied := answer.status == http.StatusUnauthorized || answer.status == http.StatusForbidden
			if named && answer.status != want || !named && denied {
				t.Errorf("%s, %s: HTTP %d %s, want %d", test.desc, name, answer.status, answer.body, want)
			}
		}
	}
	inURL := s.do(t, "GET", "/indexes?api-key="+admin, "", "api-key", "", "Authorization", "")
	if inURL.status != 403 || !strings.Contains(inURL.body, "The given API key is not permitted in the URI query string.") {
		t.Errorf("key in the URL: HTTP %d %s", inURL.status, inURL.body)
	}
}

func all(status int) map[string]int {
	statuses := map[string]int{}
	for _, name := range []string{"list", "get", "put", "stats", "servicestats", "analyze", "write", "search", "lookup", "count", "elevated"} {
		statuses[name] = status
	}
	return statuses
}

// The service says nothing in the body of 401 and 403; whoever wants that may have it.
func TestAuthErrorsWithoutBody(t *testing.T) {
	s := start(t, func(c *searchserver.Config) { c.JSONAuthErrors = false })
	for _, headers := range [][]string{{"api-key", "wrong"}, {"api-key", ""}} {
		answer := s.do(t, "GET", "/indexes", "", headers...)
		if answer.body != "" || answer.status != 401 && answer.status != 403 {
			t.Errorf("%v: HTTP %d %q, want no body", headers, answer.status, answer.body)
		}
	}
}

func TestIndexLifeCycle(t *testing.T) {
	s := start(t, nil)
	created := s.do(t, "POST", "/indexes", aclIndex)
	etag := created.header.Get("ETag")
	if created.status != 201 || !regexp.MustCompile(`^W/"0x[0-9A-F]+"$`).MatchString(etag) || !strings.HasSuffix(created.header.Get("Location"), "/indexes('acl')?"+preview) {
		t.Errorf("create: HTTP %d, ETag %s, Location %s", created.status, etag, created.header.Get("Location"))
	}
	var definition struct {
		ETag       string           `json:"@odata.etag"`
		Option     string           `json:"permissionFilterOption"`
		Suggesters []any            `json:"suggesters"`
		Fields     []map[string]any `json:"fields"`
	}
	if err := json.Unmarshal([]byte(created.body), &definition); err != nil {
		t.Fatal(err)
	}
	if "W/"+definition.ETag != etag || definition.Option != "enabled" || definition.Suggesters == nil {
		t.Errorf("definition %s", created.body)
	}
	wantID := map[string]any{
		"name": "id", "type": "Edm.String", "searchable": false, "filterable": true, "retrievable": true, "stored": true, "sortable": true, "facetable": true, "key": true,
		"indexAnalyzer": nil, "searchAnalyzer": nil, "analyzer": nil, "normalizer": nil, "dimensions": nil, "vectorSearchProfile": nil, "vectorEncoding": nil,
		"synonymMaps": []any{}, "permissionFilter": nil, "sensitivityLabel": false,
	}
	if diff := cmp.Diff(wantID, definition.Fields[0]); diff != "" {
		t.Errorf("field (-want +got):\n%s", diff)
	}
	if again := s.do(t, "POST", "/indexes", aclIndex); again.status != 409 || !strings.Contains(again.body, "ResourceNameAlreadyInUse") {
		t.Errorf("create again: HTTP %d %s", again.status, again.body)
	}

	strong := strings.TrimPrefix(etag, "W/")
	wider := strings.Replace(aclIndex, `"fields":[`, `"fields":[{"name":"extra","type":"Edm.Boolean"},`, 1)
	for _, test := range []struct {
		desc    string
		method  string
		body    string
		headers []string
		want    int
	}{
		{"other tag", "PUT", aclIndex, []string{"If-Match", `"0x1"`}, 412},
		{"must not exist", "PUT", aclIndex, []string{"If-None-Match", "*"}, 412},
		{"delete with other tag", "DELETE", "", []string{"If-Match", `W/"0x1"`}, 412},
		{"unchanged, silent", "PUT", aclIndex, []string{"If-Match", strong}, 204},
		{"old tag", "PUT", wider, []string{"If-Match", etag}, 412},
		{"what came back", "PUT", created.body, []string{"Prefer", "return=representation"}, 200},
		{"a new field", "PUT", wider, []string{"If-Match", "*", "Prefer", "return=representation"}, 200},
		{"changed field", "PUT", strings.Replace(wider, `Edm.Int64`, `Edm.Int32`, 1), nil, 400},
		{"permissions dropped", "PUT", strings.Replace(wider, `"permissionFilterOption":"enabled",`, ``, 1), nil, 400},
		{"permissions off", "PUT", strings.Replace(wider, `"enabled"`, `"disabled"`, 1), []string{"Prefer", "return=representation"}, 200},
		{"other name", "PUT", strings.Replace(wider, `"acl"`, `"other"`, 1), nil, 400},
		{"unknown property", "PUT", strings.Replace(wider, `"name":"acl"`, `"name":"acl","colour":1`, 1), nil, 400},
		{"unknown property of a field", "PUT", strings.Replace(wider, `"name":"extra"`, `"name":"extra","colour":1`, 1), nil, 400},
		{"suggesters", "PUT", strings.Replace(wider, `"name":"acl"`, `"name":"acl","suggesters":[{"name":"sg","searchMode":"analyzingInfixMatching","sourceFields":["name"]}]`, 1), nil, 501},
		{"Purview", "PUT", strings.Replace(wider, `"name":"acl"`, `"name":"acl","purviewEnabled":true`, 1), nil, 501},
		{"no JSON", "PUT", `{"name":`, nil, 400},
		{"a list", "PUT", `[]`, nil, 400},
		{"wrong type", "PUT", `{"name":1}`, nil, 400},
		{"fields of no list", "PUT", `{"name":"acl","fields":{"a":1}}`, nil, 400},
		{"delete", "DELETE", "", []string{"If-Match", "*"}, 204},
		{"delete again", "DELETE", "", nil, 404},
		{"must exist", "PUT", aclIndex, []string{"If-Match", "*"}, 412},
		{"new by put", "PUT", aclIndex, []string{"If-None-Match", "*"}, 201},
	} {
		answer := s.do(t, test.method, "/indexes('acl')", test.body, test.headers...)
		if answer.status != test.want {
			t.Errorf("%s: HTTP %d %s, want %d", test.desc, answer.status, answer.body, test.want)
		}
		if answer.status == 412 && !strings.Contains(answer.body, "The precondition given in one of the request headers evaluated to false.") {
			t.Errorf("%s: %s", test.desc, answer.body)
		}
	}
	if list := s.do(t, "GET", "/indexes?$select=name", ""); list.body != `{"@odata.context":"`+s.web.URL+`/$metadata#indexes","value":[{"name":"acl"}]}` {
		t.Errorf("list: %s", list.body)
	}
}

func TestMissingThings(t *testing.T) {
	s := startACL(t, nil)
	for _, test := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/indexes('no')", "", 404, `{"error":{"code":"","message":"No index with the name 'no' was found in the service '127'."}}`},
		{"DELETE", "/indexes('no')", "", 404, `{"error":{"code":"","message":"No index with the name 'no' was found in the service '127'."}}`},
		{"POST", "/indexes('no')/docs/search.post.search", "{}", 404, `{"error":{"code":"","message":"The index 'no' for service '127' was not found."}}`},
		{"POST", "/indexes('no')/docs/search.index", `{"value":[{"id":"1"}]}`, 404, `{"error":{"code":"","message":"The index 'no' for service '127' was not found."}}`},
		{"GET", "/indexes('no')/docs/$count", "", 404, `{"error":{"code":"","message":"The index 'no' for service '127' was not found."}}`},
		{"GET", "/indexes('no')/docs('1')", "", 404, `{"error":{"code":"","message":"The index 'no' for service '127' was not found."}}`},
		{"GET", "/indexes('acl')/docs('99')", "", 404, ``},
		{"GET", "/indexes('acl')/docs('1')?$select=nothing", "", 400, `Could not find a property named 'nothing' on type 'search.document'`},
		{"GET", "/nothing", "", 404, `No HTTP resource`},
		{"PATCH", "/indexes('acl')", "{}", 405, `'PATCH'`},
		{"GET", "/synonymmaps", "", 501, `'synonymmaps'`},
		{"GET", "/indexers", "", 501, `'indexers'`},
		{"POST", "/indexes('acl')/docs/search.post.suggest", `{"search":"a"}`, 501, `'suggest'`},
		{"GET", "/indexes?api-version=", "", 400, `api-version`},
		{"GET", "/indexes?api-version=2019-05-06", "", 400, `2019-05-06`},
		{"GET", "/indexes?api-version=2025-11-01-Preview", "", 200, `"acl"`},
	} {
		answer := s.do(t, test.method, test.path, test.body)
		if answer.status != test.status || !strings.Contains(answer.body, test.want) || test.want == "" && answer.body != "" {
			t.Errorf("%s %s: HTTP %d %s, want %d %s", test.method, test.path, answer.status, answer.body, test.status, test.want)
		}
	}
}

func TestHeaders(t *testing.T) {
	s := startACL(t, nil)
	answer := s.search(t, `{}`, "x-ms-client-request-id", "D3B07384-D9A0-4C3D-8B5A-000000000001")
	id := "d3b07384-d9a0-4c3d-8b5a-000000000001"
	for name, want := range map[string]string{
		"Content-Type": "application/json; odata.metadata=none", "OData-Version": "4.0", "Preference-Applied": `odata.include-annotations="*"`,
		"request-id": id, "client-request-id": id, "x-ms-client-request-id": id, "Cache-Control": "no-cache", "Pragma": "no-cache", "Expires": "-1",
		"Strict-Transport-Security": "max-age=15724800; includeSubDomains",
	} {
		if got := answer.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if answer.header.Get("elapsed-time") == "" {
		t.Error("no elapsed-time")
	}
	if minimal := s.search(t, `{}`, "Accept", "application/json;odata.metadata=minimal"); !strings.HasPrefix(minimal.body, `{"@odata.context":"`+s.web.URL+`/indexes('acl')/$metadata#docs(*)",`) ||
		minimal.header.Get("Content-Type") != "application/json; odata.metadata=minimal" {
		t.Errorf("minimal: %s %s", minimal.header.Get("Content-Type"), minimal.body)
	}
	hostile := s.search(t, `{}`, "x-ms-client-request-id", "not a guid")
	if hostile.header.Get("x-ms-client-request-id") != "" {
		t.Error("an id that is no GUID is echoed")
	}
	if failed := s.search(t, `{"filter":"("}`); failed.header.Get("Content-Language") != "en" {
		t.Error("no Content-Language in an error")
	}
}

func TestSearchAnswers(t *testing.T) {
	s := startACL(t, nil)
	for _, test := range []struct{ desc, body, want string }{
		{
			"order of members", `{"count":true,"minimumCoverage":80,"top":2,"orderby":"size desc"}`,
			`{"@odata.count":6,"@search.coverage":100.0,"value":[{"@search.score":1.0,"id":"6","name":"without any","size":6},{"@search.score":1.0,"id":"5","name":"of a container","size":5}]}`,
		},
		{"select", `{"select":"size, id","filter":"size le 2","orderby":"size"}`, `{"value":[{"@search.score":1.0,"id":"1","size":1},{"@search.score":1.0,"id":"2","size":2}]}`},
		{"nulls", `{"search":null,"filter":null,"select":"id","top":1,"facets":null,"orderby":"id","vectorQueries":[]}`, `{"value":[{"@search.score":1.0,"id":"1"}]}`},
		{"empty strings", `{"search":"","filter":"","select":"","searchFields":"","orderby":"id","top":0}`, `{"value":[]}`},
	} {
		answer := s.search(t, test.body, "x-ms-enable-elevated-read", "true")
		if diff := cmp.Diff(test.want, answer.body); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.desc, diff)
		}
	}
	get := s.do(t, "GET", "/indexes/acl/docs?search=*&%24filter=size%20lt%203&$orderby=size%20desc&%2524select=id&$count=true&$top=1", "", "x-ms-enable-elevated-read", "true")
	if want := `{"@odata.count":2,"value":[{"@search.score":1.0,"id":"2"}]}`; get.body != want {
		t.Errorf("GET: %s, want %s", get.body, want)
	}
	if count := s.do(t, "GET", "/indexes/acl/docs/$count", ""); count.body != "\ufeff6" || count.header.Get("Content-Type") != "text/plain" {
		t.Errorf("count: %q %s", count.body, count.header.Get("Content-Type"))
	}
}

func TestPaging(t *testing.T) {
	s := startACL(t, nil)
	var batch []string
	for i := range 120 {
		batch = append(batch, fmt.Sprintf(`{"id":"p%03d","size":%d,"oid":["all"]}`, i, 1000+i))
	}
	if written := s.do(t, "POST", "/indexes/acl/docs/index", `{"value":[`+strings.Join(batch, ",")+`]}`); written.status != 200 {
		t.Fatal(written.body)
	}
	type page struct {
		Next  json.RawMessage `json:"@search.nextPageParameters"`
		Link  string          `json:"@odata.nextLink"`
		Value []struct{ ID string }
	}
	body, pages, seen := `{"search":"*","filter":"size ge 1000","orderby":"size","select":"id"}`, 0, 0
	for {
		var p page
		answer := s.search(t, body)
		if err := json.Unmarshal([]byte(answer.body), &p); err != nil || answer.status != 200 {
			t.Fatalf("%s: %v", answer.body, err)
		}
		pages++
		for _, d := range p.Value {
			if d.ID != fmt.Sprintf("p%03d", seen) {
				t.Fatalf("document %d is %s", seen, d.ID)
			}
			seen++
		}
		if p.Next == nil {
			break
		}
		if want := s.web.URL + "/indexes('acl')/docs/search.post.search?" + preview; p.Link != want {
			t.Errorf("next link %s, want %s", p.Link, want)
		}
		body = string(p.Next)
	}
	if pages != 3 || seen != 120 {
		t.Errorf("%d documents on %d pages, want 120 on 3", seen, pages)
	}
	var p page
	answer := s.do(t, "GET", "/indexes/acl/docs?$filter=size%20ge%201000&$orderby=size&$select=id", "")
	if err := json.Unmarshal([]byte(answer.body), &p); err != nil || p.Next != nil {
		t.Fatalf("GET: %s: %v", answer.body, err)
	}
	_, query, _ := strings.Cut(p.Link, "/docs?")
	second := s.do(t, "GET", "/indexes('acl')/docs?"+query, "")
	if first := strings.Fields(second.keys(t)); first[0] != "p050" {
		t.Errorf("the second page by GET begins with %s", first[0])
	}
}

func TestWrites(t *testing.T) {
	s := startACL(t, nil)
	mixed := s.do(t, "POST", "/indexes('acl')/docs/search.index", `{"value":[{"id":"1","size":10,"@search.action":"merge"},{"@search.action":"merge","id":"99","size":1},{"@search.action":"delete","id":"98"},{"id":"97"},{"@search.action":"mergeOrUpload","id":"1","name":null}]}`)
	want := `{"value":[{"key":"1","status":true,"errorMessage":null,"statusCode":200},{"key":"99","status":false,"errorMessage":"Document not found.","statusCode":404},` +
		`{"key":"98","status":true,"errorMessage":null,"statusCode":200},{"key":"97","status":true,"errorMessage":null,"statusCode":201},{"key":"1","status":true,"errorMessage":null,"statusCode":200}]}`
	if mixed.status != 207 || mixed.body != want {
		t.Errorf("HTTP %d %s, want 207 %s", mixed.status, mixed.body, want)
	}
	for _, test := range []struct {
		desc, body string
		status     int
		says       string
	}{
		{"no key", `{"value":[{"name":"x"}]}`, 400, `The request is invalid. Details: actions : 0: Document key cannot be missing or empty.\r\n`},
		{"bad key", `{"value":[{"id":"a.b"}]}`, 400, `Invalid document key: 'a.b'`},
		{"key with an underscore in front", `{"value":[{"id":"_a"}]}`, 400, `_a`},
		{"key of 1,025 characters", `{"value":[{"id":"` + strings.Repeat("k", 1025) + `"}]}`, 400, `ey`},
		{"unknown field", `{"value":[{"id":"1","colour":"red"}]}`, 400, `colour`},
		{"number that does not fit", `{"value":[{"id":"1","size":9223372036854775808}]}`, 400, `Edm.Int64`},
		{"text in a number", `{"value":[{"id":"1","size":"large"}]}`, 400, `Edm.Int64`},
		{"1,001 readers", `{"value":[{"id":"1","oid":[` + strings.Repeat(`"x",`, 1000) + `"x"]}]}`, 207, `Field 'oid' holds 1001 values`},
		{"unknown action", `{"value":[{"id":"1","@search.action":"replace"}]}`, 400, "mergeOrUpload"},
		{"two actions", `{"value":[{"id":"1","@search.action":"upload","@search.action":"delete"}]}`, 400, "once"},
		{"no list", `{"value":{}}`, 400, "actions"},
		{"null", `{"value":null}`, 400, "actions"},
		{"nothing", `{"value":[]}`, 400, "1 to 1000"},
		{"1,001", `{"value":[` + strings.Repeat(`{"id":"1"},`, 1000) + `{"id":"1"}]}`, 400, "1 to 1000"},
		{"no object", `{"value":[1]}`, 400, "0: A document must be a JSON object"},
		{"other members", `{"value":[],"x":1}`, 400, "'x'"},
		{"broken", `{"value":[{"id":"1"}`, 400, "not valid JSON"},
		{"empty", ``, 400, "not valid JSON"},
		{"17 MB", `{"value":[{"id":"1","name":"` + strings.Repeat("a", 17<<20) + `"}]}`, 413, "16 MB"},
	} {
		answer := s.do(t, "POST", "/indexes('acl')/docs/search.index", test.body)
		if answer.status != test.status || !strings.Contains(answer.body, test.says) {
			t.Errorf("%s: HTTP %d %.300s, want %d with %q", test.desc, answer.status, answer.body, test.status, test.says)
		}
	}
	if text := s.do(t, "POST", "/indexes('acl')/docs/search.index", `{"value":[{"id":"1"}]}`, "Content-Type", "text/plain"); text.status != 415 {
		t.Errorf("text/plain: HTTP %d, want 415", text.status)
	}
	if zipped := s.do(t, "POST", "/indexes('acl')/docs/search.index", `{"value":[{"id":"1"}]}`, "Content-Encoding", "gzip"); zipped.status != 415 {
		t.Errorf("gzip: HTTP %d, want 415", zipped.status)
	}
}

// What a query asks for and is not there is refused by name, never left out.
func TestBadQueries(t *testing.T) {
	s := startACL(t, nil)
	for _, test := range []struct {
		body   string
		status int
		says   string
	}{
		{`{"filter":"This is not a valid filter."}`, 400, `Invalid expression: Syntax error at position 7 in 'This is not a valid filter.'.\r\nParameter name: $filter`},
		{`{"filter":"nothing eq 1"}`, 400, `Could not find a property named 'nothing' on type 'search.document'.\r\nParameter name: $filter`},
		{`{"select":"nothing"}`, 400, `Could not find a property named 'nothing' on type 'search.document'.\r\nParameter name: $select`},
		{`{"orderby":"nothing"}`, 400, `Parameter name: $orderby`},
		{`{"skip":100001}`, 400, `Value must be between 0 and 100000.\r\nParameter name: $skip`},
		{`{"skip":-1}`, 400, `InvalidRequestParameter`},
		{`{"top":-1}`, 400, `$top`},
		{`{"top":"many"}`, 400, `'top'`},
		{`{"top":1.5}`, 400, `'top'`},
		{`{"count":"yes"}`, 400, `'count'`},
		{`{"facets":"name"}`, 400, `'facets'`},
		{`{"queryType":"semantic"}`, 501, `queryType=semantic`},
		{`{"semanticConfiguration":"x"}`, 501, `'semanticConfiguration'`},
		{`{"scoringProfile":"x"}`, 501, `'scoringProfile'`},
		{`{"vectorQueries":[{"kind":"vector","vector":[1],"fields":"v","k":1}]}`, 501, `'vectorQueries'`},
		{`{"speller":"lexicon"}`, 501, `'speller'`},
		{`{"colour":"red"}`, 400, `'colour'`},
		{`{"top":1,"top":2}`, 400, `more than once`},
		{`{"search":`, 400, `not valid JSON`},
		{`[]`, 400, `JSON object`},
		{`"x"`, 400, `JSON object`},
		{`{"search":"a"} {}`, 400, `not valid JSON`},
	} {
		answer := s.search(t, test.body)
		if answer.status != test.status || !strings.Contains(answer.body, test.says) {
			t.Errorf("%s: HTTP %d %s, want %d with %q", test.body, answer.status, answer.body, test.status, test.says)
		}
	}
	for query, says := range map[string]string{
		"search=a&colour=red": "colour", "$top=x": "$top", "$top=1&$top=2": "$top", "$count=maybe": "$count", "queryType=semantic": "semantic",
		"scoringProfile=x": "scoringProfile", "$skip=100001": "$skip", "$filter=(": "$filter", "speller=lexicon": "speller",
	} {
		answer := s.do(t, "GET", "/indexes/acl/docs?"+query, "")
		if answer.status != 400 && answer.status != 501 || !strings.Contains(answer.body, says) {
			t.Errorf("GET %s: HTTP %d %s, want 400 or 501 with %q", query, answer.status, answer.body, says)
		}
	}
	for path, says := range map[string]string{"/indexes/acl/docs/1?colour=red": "colour"} {
		if answer := s.do(t, "GET", path, ""); answer.status != 400 || !strings.Contains(answer.body, says) {
			t.Errorf("GET %s: HTTP %d %s", path, answer.status, answer.body)
		}
	}
}

func TestStats(t *testing.T) {
	s := startACL(t, nil)
	if stats := s.do(t, "GET", "/indexes/acl/stats", ""); stats.status != 200 || !strings.Contains(stats.body, `"documentCount":6,`) {
		t.Errorf("stats: HTTP %d %s", stats.status, stats.body)
	}
	if stats := s.do(t, "GET", "/servicestats", ""); stats.status != 200 || !strings.Contains(stats.body, `"documentCount":{"usage":6,"quota":null}`) {
		t.Errorf("service statistics: HTTP %d %s", stats.status, stats.body)
	}
}

func TestAnalyze(t *testing.T) {
	s := startACL(t, nil)
	answer := s.do(t, "POST", "/indexes('acl')/search.analyze", `{"text":"The Quick","analyzer":"standard.lucene"}`)
	want := `"tokens":[{"token":"the","startOffset":0,"endOffset":3,"position":0},{"token":"quick","startOffset":4,"endOffset":9,"position":1}]`
	if answer.status != 200 || !strings.Contains(answer.body, want) {
		t.Errorf("HTTP %d %s", answer.status, answer.body)
	}
	for body, status := range map[string]int{
		`{"text":"a"}`: 400, `{"analyzer":"keyword"}`: 400, `{"text":1,"analyzer":"keyword"}`: 400, `{"text":"a","analyzer":"keyword","x":1}`: 400,
		`{"text":"a","tokenizer":"keyword_v2","tokenFilters":["lowercase"]}`: 200, `{"text":"a","normalizer":"lowercase"}`: 200, `{"text":"a","analyzer":"nobody's"}`: 400,
	} {
		if answer := s.do(t, "POST", "/indexes('acl')/search.analyze", body); answer.status != status {
			t.Errorf("%s: HTTP %d %s, want %d", body, answer.status, answer.body, status)
		}
	}
}

func TestControl(t *testing.T) {
	s := startACL(t, nil)
	if queued := s.do(t, "POST", "/_local/faults", `{"endpoint":"docs.search","status":429,"retry_after":7,"error":"Busy","description":"slow down"}`); queued.status != 204 {
		t.Fatalf("HTTP %d %s", queued.status, queued.body)
	}
	spoiled := s.search(t, byID)
	if spoiled.status != 429 || spoiled.header.Get("Retry-After") != "7" || spoiled.body != `{"error":{"code":"Busy","message":"slow down"}}` {
		t.Errorf("HTTP %d %v %s", spoiled.status, spoiled.header, spoiled.body)
	}
	s.do(t, "POST", "/_local/faults", `{"endpoint":"docs.lookup","status":401,"claims":"{\"a\":1}"}`)
	if challenged := s.do(t, "GET", "/indexes/acl/docs/1", ""); challenged.header.Get("WWW-Authenticate") != `Bearer realm="", error="insufficient_claims", claims="eyJhIjoxfQ=="` {
		t.Errorf("WWW-Authenticate: %s", challenged.header.Get("WWW-Authenticate"))
	}
	if keys := s.search(t, byID).keys(t); keys != "1" {
		t.Errorf("after the fault: %q", keys)
	}
	counted := s.do(t, "GET", "/_local/requests", "")
	if !strings.Contains(counted.body, `{"endpoint":"docs.search","outcome":"200","requests":1}`) || !strings.Contains(counted.body, `"docs.search","detail":"fault","outcome":"429"`) {
		t.Errorf("requests: %s", counted.body)
	}
	if foreign := s.do(t, "GET", "/_local/requests", "", "Origin", "https://evil.example"); foreign.status != 403 {
		t.Errorf("a foreign page reads the counts: HTTP %d", foreign.status)
	}
}

func TestConfigSaysAllThatIsWrong(t *testing.T) {
	_, err := searchserver.New(searchserver.Config{
		URL: "http://x", Authority: "https://x/", Roles: map[string][]searchserver.Role{"x": {"King"}},
	})
	for _, says := range []string{"no engine", "URL", "go together", "authority", "King"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want the word %q", err, says)
		}
	}
}
