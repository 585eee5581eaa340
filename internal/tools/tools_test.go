package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/tools"
	"github.com/onbehalf/onbehalf/obo"
	"github.com/onbehalf/onbehalf/search"
)

// index is a search.Index that remembers what it was asked, as whom, and answers as it is told.
type index struct {
	asked  []search.Query
	whom   []string
	answer *search.Result
	err    error
}

func (i *index) Search(_ context.Context, u search.User, q *search.Query) (*search.Result, error) {
	i.asked, i.whom = append(i.asked, *q), append(i.whom, u.SeesAs())
	if i.err != nil {
		return nil, i.err
	}
	return i.answer, nil
}

func (i *index) Lookup(context.Context, search.User, string, ...string) (search.Document, error) {
	return nil, errors.New("not asked for")
}

type bearing struct{ token identity.Secret }

func (b bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token.Reveal())
	return http.DefaultTransport.RoundTrip(r)
}

// alice connects alice to a server with our tools on the index.
func alice(t *testing.T, in *index) *mcp.ClientSession {
	t.Helper()
	local := entratest.Start(t, nil)
	tenant, err1 := identity.ParseTenantID(local.Tenant)
	client, err2 := identity.ParseClientID(local.API)
	cloud, err3 := entra.CloudOf(local.URL)
	if err := errors.Join(err1, err2); err != nil || !errors.Is(err3, entra.ErrUnknownCloud) {
		t.Fatal(err, err3)
	}
	exchanger, err := obo.New(obo.Config{Cloud: cloud, Tenant: tenant, Client: client, Credential: obo.Secret(local.Secret(local.API)), HTTPClient: local.Client()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exchanger.Close() })
	listener := httptest.NewUnstartedServer(nil)
	public, err := url.Parse("http://" + listener.Listener.Addr().String() + "/mcp")
	if err != nil {
		t.Fatal(err)
	}
	server, err := onbehalf.New(onbehalf.Config{
		URL: public, Cloud: cloud, Tenants: []identity.TenantID{tenant}, Client: client, Exchanger: exchanger, HTTPClient: local.Client(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err = errors.Join(tools.AddDocuments(server, in, cloud.SearchScope(), "oid", "group"), tools.AddWhoami(server)); err != nil {
		t.Fatal(err)
	}
	listener.Config.Handler = server.Handler()
	listener.Start()
	t.Cleanup(listener.Close)
	token := local.SignIn("alice", local.WebClient, server.Scope().String())
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test"}, nil).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: public.String(), HTTPClient: &http.Client{Transport: bearing{token}}, DisableStandaloneSSE: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

func call(t *testing.T, session *mcp.ClientSession, tool string, args map[string]any) (structured, text string, failed bool) {
	t.Helper()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		return "", err.Error(), true
	}
	var words strings.Builder
	for _, content := range result.Content {
		if c, ok := content.(*mcp.TextContent); ok {
			words.WriteString(c.Text)
		}
	}
	raw, err := json.Marshal(result.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw), words.String(), result.IsError
}

func TestWhatIsAskedOfTheIndex(t *testing.T) {
	fields := []string{"id", "name", "content"}
	for _, test := range []struct {
		desc string
		args map[string]any
		want search.Query
	}{
		{"nothing given", map[string]any{}, search.Query{Search: "*", Select: fields, Top: new(50), Count: true, OrderBy: []string{"id asc"}}},
		{"everything", map[string]any{"query": "*", "top": 5, "skip": 10}, search.Query{Search: "*", Select: fields, Top: new(5), Skip: 10, Count: true, OrderBy: []string{"id asc"}}},
		{"words, by score", map[string]any{"query": "road map"}, search.Query{Search: "road map", Select: fields, Top: new(50), Count: true}},
		{"a filter", map[string]any{"query": "x", "filter": "size gt 5"}, search.Query{Search: "x", Filter: "size gt 5", Select: fields, Top: new(50), Count: true}},
		{"a value that is called like a permission field", map[string]any{"query": "x", "filter": "name eq 'oid'' group'"}, search.Query{Search: "x", Filter: "name eq 'oid'' group'", Select: fields, Top: new(50), Count: true}},
	} {
		t.Run(test.desc, func(t *testing.T) {
			in := &index{answer: &search.Result{Count: new(int64(0))}}
			if _, text, failed := call(t, alice(t, in), "get_documents", test.args); failed {
				t.Fatal(text)
			}
			if diff := cmp.Diff([]search.Query{test.want}, in.asked, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("query (-want +got):\n%s", diff)
			}
			if want := "a11ce000-0000-4000-8000-00000000000a"; len(in.whom) != 1 || in.whom[0] != want {
				t.Errorf("asked as %v, want %s", in.whom, want)
			}
		})
	}
}

func TestArgumentsThatAreRefused(t *testing.T) {
	in := &index{answer: &search.Result{}}
	session := alice(t, in)
	for _, test := range []struct {
		desc string
		args map[string]any
		want string
	}{
		{"too many at once", map[string]any{"top": 51}, "top is 51; it has to be an integer from 1 to 50"},
		{"none at all", map[string]any{"top": 0}, "top"},
		{"too far", map[string]any{"skip": 100_001}, "skip"},
		{"unknown argument", map[string]any{"elevated": true}, "elevated is unknown (known: filter, query, skip, top)"},
		{"who else may read, by trial", map[string]any{"filter": "oid/any(o: o eq 'b0b00000-0000-4000-8000-00000000000b')"}, "permission field"},
		{"in another case", map[string]any{"filter": "GROUP/any()"}, "permission field"},
		{"after a literal with a quote", map[string]any{"filter": "name eq 'it''s' and group/any()"}, "permission field"},
		{"as a field of full-text search", map[string]any{"filter": "search.ismatch('b0b00000-0000-4000-8000-00000000000b', 'oid')"}, "permission field"},
		{"in Lucene's words", map[string]any{"filter": "search.ismatchscoring('name:x group:g', 'name', 'full', 'any')"}, "permission field"},
	} {
		if _, text, failed := call(t, session, "get_documents", test.args); !failed || !strings.Contains(text, test.want) {
			t.Errorf("%s: got %q, want a refusal that names %q", test.desc, text, test.want)
		}
	}
	if len(in.asked) != 0 {
		t.Errorf("the index was asked %d times", len(in.asked))
	}
}

func TestWhatComesBack(t *testing.T) {
	in := &index{answer: &search.Result{Count: new(int64(7)), Hits: []search.Hit{
		{Score: 1.5, Document: search.Document(`{"id":"1","name":"One","content":"words","oid":["all"],"group":[]}`)},
		{Score: 1, Document: search.Document(`{"id":"2","name":"Two","content":null}`)},
	}}}
	structured, _, failed := call(t, alice(t, in), "get_documents", map[string]any{"query": "words"})
	want := `{"count":7,"documents":[{"content":"words","id":"1","name":"One","score":1.5},{"id":"2","name":"Two","score":1}]}`
	if failed || structured != want {
		t.Errorf("got %s, want %s: no permission field, also where the index returns one", structured, want)
	}
}

func TestLongContentIsCutBetweenCharacters(t *testing.T) {
	raw, err := json.Marshal(map[string]string{"id": "1", "name": "n", "content": strings.Repeat("é", 20_000)})
	if err != nil {
		t.Fatal(err)
	}
	in := &index{answer: &search.Result{Hits: []search.Hit{{Document: raw}}}}
	structured, _, _ := call(t, alice(t, in), "get_documents", nil)
	if len(structured) > 20_000 || strings.Contains(structured, "\ufffd") || !strings.Contains(structured, "…") {
		t.Errorf("%d bytes, not cut as it should be", len(structured))
	}
}

func TestTheServicesRefusalsInWords(t *testing.T) {
	for _, test := range []struct {
		status int
		want   string
	}{
		{http.StatusBadRequest, "does not accept this query: bad filter"},
		{http.StatusUnauthorized, "sign in again"},
		{http.StatusForbidden, "Search Index Data Reader; the operator finds the reason"},
		{http.StatusNotFound, "no such index; the operator finds the reason"},
		{http.StatusTooManyRequests, "try again in a moment"},
		{http.StatusServiceUnavailable, "try again in a moment"},
	} {
		in := &index{err: &search.Error{Status: test.status, Message: "bad filter"}}
		_, text, failed := call(t, alice(t, in), "get_documents", nil)
		if !failed || !strings.Contains(text, test.want) || test.status != 400 && strings.Contains(text, "bad filter") {
			t.Errorf("HTTP %d: got %q, want %q", test.status, text, test.want)
		}
		if tries := len(in.asked); test.status == 401 && tries != 2 {
			t.Errorf("a rejected token was tried %d times, want a second one to be exchanged", tries)
		}
	}
	in := &index{err: errors.New("dial tcp: secret-host")}
	if _, text, _ := call(t, alice(t, in), "get_documents", nil); strings.Contains(text, "secret-host") {
		t.Errorf("an internal error is shown: %q", text)
	}
}

func TestWhoami(t *testing.T) {
	structured, _, _ := call(t, alice(t, &index{}), "whoami", nil)
	for _, want := range []string{`"name":"Alice Archer"`, `"oid":"a11ce000-`, `"scopes":["execute"]`, `"tenant":"c0de7e4a-`, `"client":"c11e4700-`} {
		if !strings.Contains(structured, want) {
			t.Errorf("%s lacks %s", structured, want)
		}
	}
}
