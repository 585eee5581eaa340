package graph_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/graph"
)

const person = "00000000-0000-0000-0000-00000000a11c"

func guid(n int) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", n) }

func token(context.Context) (identity.Secret, error) { return identity.NewSecret("the-token"), nil }

// serve starts a Graph that answers with handler, and a client of it.
func serve(t *testing.T, handler http.HandlerFunc) (*graph.Client, *httptest.Server) {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	client, err := graph.New(graph.Config{Endpoint: server.URL + "/", HTTPClient: server.Client(), Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

func object(t *testing.T, s string) identity.ObjectID {
	t.Helper()
	id, err := identity.ParseObjectID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestNewSaysAllThatIsWrong(t *testing.T) {
	_, err := graph.New(graph.Config{Endpoint: "http://graph.example/x", MaxGroups: -1})
	for _, want := range []string{"want https://HOST", "HTTPClient", "Token", "negative"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to mention %q", err, want)
		}
	}
}

func TestTransitiveGroups(t *testing.T) {
	many := func(from, to int) string {
		ids := []string{}
		for n := from; n < to; n++ {
			ids = append(ids, guid(n))
		}
		text, _ := json.Marshal(ids)
		return string(text)
	}
	for _, test := range []struct {
		desc  string
		pages []string // HOST stands for the server's address; a page that begins with a digit is a status
		want  int
		err   string
	}{
		{"none", []string{`{"value":[]}`}, 0, ""},
		{"one page", []string{`{"value":` + many(0, 250) + `}`}, 250, ""},
		{"three pages", []string{`{"value":` + many(0, 5) + `,"@odata.nextLink":"HOST/v1.0/p?$skiptoken=1"}`, `{"value":` + many(5, 9) + `,"@odata.nextLink":"HOST/v1.0/p?$skiptoken=2"}`, `{"value":` + many(9, 10) + `}`}, 10, ""},
		{"as many as allowed", []string{`{"value":` + many(0, 11000) + `}`}, 11000, ""},
		{"one too many", []string{`{"value":` + many(0, 11001) + `}`}, 0, "too many"},
		{"the second page fails", []string{`{"value":` + many(0, 5) + `,"@odata.nextLink":"HOST/v1.0/p"}`, "403"}, 0, "HTTP 403"},
		{"the next page is elsewhere", []string{`{"value":` + many(0, 5) + `,"@odata.nextLink":"https://evil.example/v1.0/p"}`}, 0, "another place"},
		{"the next page is elsewhere, by user name", []string{`{"value":[],"@odata.nextLink":"HOST@evil.example/v1.0/p"}`}, 0, "another place"},
		{"the next page is outside v1.0", []string{`{"value":[],"@odata.nextLink":"HOST/other"}`}, 0, "another place"},
		{"links without end", []string{`{"value":[],"@odata.nextLink":"HOST/v1.0/p"}`}, 0, "pages"},
		{"no list", []string{`{}`}, 0, "no list"},
		{"null", []string{`null`}, 0, "no list"},
		{"not ids", []string{`{"value":["engineering"]}`}, 0, "GUID"},
		{"an empty id", []string{`{"value":[""]}`}, 0, "empty id"},
		{"not JSON", []string{`<html>`}, 0, "not what was asked for"},
		{"nothing", []string{``}, 0, "no list"},
		{"the person is unknown", []string{"404"}, 0, "HTTP 404"},
		{"a redirect", []string{"302"}, 0, "HTTP 302"},
	} {
		t.Run(test.desc, func(t *testing.T) {
			var calls atomic.Int32
			var server *httptest.Server
			client, server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				n := int(calls.Add(1))
				if n == 1 {
					body, _ := io.ReadAll(r.Body)
					got := r.Method + " " + r.URL.Path + " " + string(body) + " " + r.Header.Get("Authorization")
					if want := "POST /v1.0/users/" + person + `/getMemberGroups {"securityEnabledOnly":false} Bearer the-token`; got != want {
						t.Errorf("got %s, want %s", got, want)
					}
				}
				page := test.pages[min(n, len(test.pages))-1]
				if len(page) == 3 {
					w.Header().Set("Location", "https://evil.example/")
					w.WriteHeader(map[string]int{"302": 302, "403": 403, "404": 404}[page])
					return
				}
				_, _ = io.WriteString(w, strings.ReplaceAll(page, "HOST", server.URL))
			})
			got, err := client.TransitiveGroups(t.Context(), object(t, person))
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Fatalf("got error %v, want %q", err, test.err)
			}
			if len(got) != test.want || test.err != "" && got != nil {
				t.Errorf("got %d groups, want %d", len(got), test.want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct {
		desc   string
		status int
		body   string
		is     error
		want   graph.Error
	}{
		{
			"as Graph sends it", 404,
			`{"error":{"code":"Request_ResourceNotFound","message":"Resource 'x' does not exist.","innerError":{"date":"2026-01-01T00:00:00","request-id":"r-1","client-request-id":"c-1"}}}`,
			graph.ErrNotFound,
			graph.Error{Status: 404, Code: "Request_ResourceNotFound", Message: "Resource 'x' does not exist.", RequestID: "r-1"},
		},
		{"no permission", 403, `{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges to complete the operation."}}`, graph.ErrForbidden, graph.Error{Status: 403, Code: "Authorization_RequestDenied", Message: "Insufficient privileges to complete the operation."}},
		{"a second one", 400, `{"error":{"code":"Request_MultipleObjectsWithSameKeyValue","message":"the message"}}`, graph.ErrConflict, graph.Error{Status: 400, Code: "Request_MultipleObjectsWithSameKeyValue", Message: "the message"}},
		{"too many groups", 400, `{"error":{"code":"Directory_ResultSizeLimitExceeded","message":"the message"}}`, graph.ErrTooMany, graph.Error{Status: 400, Code: "Directory_ResultSizeLimitExceeded", Message: "the message"}},
		{"a proxy's page", 404, `<html>not here</html>`, graph.ErrNotFound, graph.Error{Status: 404}},
		{"another shape", 404, `{"error":"invalid"}`, graph.ErrNotFound, graph.Error{Status: 404}},
		{"lines in the message", 409, `{"error":{"code":"a\nb","message":"c\r\nd"}}`, graph.ErrConflict, graph.Error{Status: 409, Code: "a b", Message: "c  d"}},
	} {
		t.Run(test.desc, func(t *testing.T) {
			client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			_, err := graph.Get[graph.User](t.Context(), client, "/me", nil)
			var got *graph.Error
			if !errors.As(err, &got) {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(test.want, *got); diff != "" {
				t.Error(diff)
			}
			if !errors.Is(err, test.is) {
				t.Errorf("%v is not %v", err, test.is)
			}
			if got.Message != "" && strings.Contains(err.Error(), got.Message) {
				t.Errorf("%q holds the foreign message", err)
			}
		})
	}
}

// roundTrip is a Graph without a network, for tests with a clock of their own.
type roundTrip func(*http.Request) answer

type answer struct {
	status           int
	retryAfter, body string
}

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	a := f(r)
	header := http.Header{}
	if a.retryAfter != "" {
		header.Set("Retry-After", a.retryAfter)
	}
	return &http.Response{StatusCode: a.status, Header: header, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

func TestWaitsWhenAskedTo(t *testing.T) {
	for _, test := range []struct {
		desc    string
		answers []answer
		waited  time.Duration
		calls   int
		status  int // 0: success
	}{
		{"at once", []answer{{200, "", `{}`}}, 0, 1, 0},
		{"as long as Graph says", []answer{{429, "7", ""}, {503, "3", ""}, {200, "", `{}`}}, 10 * time.Second, 3, 0},
		{"longer each time when it does not say", []answer{{503, "", ""}, {503, "soon", ""}, {200, "", `{}`}}, 3 * time.Second, 3, 0},
		{"not for ever", []answer{{429, "1", ""}, {429, "1", ""}, {429, "1", ""}, {429, "1", ""}, {200, "", `{}`}}, 3 * time.Second, 4, 429},
		{"not for an hour", []answer{{429, "3600", ""}}, 0, 1, 429},
		{"not after a refusal", []answer{{400, "1", ""}}, 0, 1, 400},
		{"not when it may have been done", []answer{{504, "1", ""}}, 0, 1, 504},
		{"not after a failure", []answer{{500, "1", ""}}, 0, 1, 500},
	} {
		t.Run(test.desc, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				transport := roundTrip(func(*http.Request) answer { calls++; return test.answers[calls-1] })
				client, err := graph.New(graph.Config{Endpoint: "https://graph.example", HTTPClient: &http.Client{Transport: transport}, Token: token})
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				_, err = graph.Post[graph.User](t.Context(), client, "/users", map[string]string{"a": "b"})
				status := 0
				if refused, ok := errors.AsType[*graph.Error](err); ok {
					status = refused.Status
				}
				if waited := time.Since(start); waited != test.waited || calls != test.calls || status != test.status {
					t.Errorf("got %v, %d calls, status %d; want %v, %d, %d", waited, calls, status, test.waited, test.calls, test.status)
				}
			})
		})
	}
}

func TestStopsWaitingWhenTheCallerGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := roundTrip(func(*http.Request) answer { return answer{503, "15", ""} })
		client, err := graph.New(graph.Config{Endpoint: "https://graph.example", HTTPClient: &http.Client{Transport: transport}, Token: token})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		if err := client.Delete(ctx, "/applications/x"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 2*time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

func TestRequests(t *testing.T) {
	var got string
	client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.RequestURI() + " " + string(body)
		if strings.HasSuffix(r.URL.Path, "/addPassword") {
			_, _ = io.WriteString(w, `{"keyId":"k","secretText":"s3cret","hint":"s3c","endDateTime":"2027-05-23T00:00:00Z"}`)
			return
		}
		if r.Method != http.MethodGet {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = io.WriteString(w, `{"value":[{"id":"1"}]}`)
	})
	public := true
	for _, test := range []struct {
		want string
		do   func(ctx context.Context) error
	}{
		{"GET /v1.0/servicePrincipals(appId=%27a%27%27b%27)?%24select=id%2CappId ", func(ctx context.Context) error {
			_, err := graph.Get[graph.ServicePrincipal](ctx, client, graph.ByAppID("servicePrincipals", "a'b"), url.Values{"$select": {"id,appId"}})
			return err
		}},
		{"GET /v1.0/applications?%24filter=displayName%20eq%20%27x%27 ", func(ctx context.Context) error {
			apps, err := graph.List[graph.Application](ctx, client, "/applications", url.Values{"$filter": {"displayName eq " + graph.Quote("x")}}, 10)
			if err == nil && len(apps) != 1 {
				t.Errorf("got %d applications", len(apps))
			}
			return err
		}},
		{`PATCH /v1.0/applications/1 {"isFallbackPublicClient":true,"publicClient":{"redirectUris":["http://localhost"]}}`, func(ctx context.Context) error {
			return client.Patch(ctx, "/applications/1", graph.Application{IsFallbackPublicClient: &public, PublicClient: &graph.RedirectSettings{RedirectURIs: []string{"http://localhost"}}})
		}},
		{`POST /v1.0/applications/1%2F2/addPassword {"passwordCredential":{"displayName":"dev","endDateTime":"2027-05-23T00:00:00Z"}}`, func(ctx context.Context) error {
			made, err := client.AddPassword(ctx, "1/2", "dev", time.Date(2027, 5, 23, 0, 0, 0, 0, time.UTC))
			if made.Secret.Reveal() != "s3cret" || strings.Contains(fmt.Sprintf("%+v", made), "s3cret") {
				t.Errorf("got %+v", made)
			}
			return err
		}},
		{`POST /v1.0/applications/1/removePassword {"keyId":"k"}`, func(ctx context.Context) error { return client.RemovePassword(ctx, "1", "k") }},
		{`DELETE /v1.0/applications/1 `, func(ctx context.Context) error { return client.Delete(ctx, "/applications/1") }},
	} {
		if err := test.do(t.Context()); err != nil || got != test.want {
			t.Errorf("got %s, %v; want %s", got, err, test.want)
		}
	}
}

func TestTokenTroubleReachesNobody(t *testing.T) {
	calls := 0
	transport := roundTrip(func(*http.Request) answer { calls++; return answer{200, "", `{}`} })
	trouble := errors.New("no credential")
	client, err := graph.New(graph.Config{
		Endpoint: "https://graph.example", HTTPClient: &http.Client{Transport: transport},
		Token: func(context.Context) (identity.Secret, error) { return identity.Secret{}, trouble },
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.MyGroups(t.Context()); !errors.Is(err, trouble) || calls != 0 {
		t.Errorf("got %v after %d calls", err, calls)
	}
}

func TestAnswerIsBounded(t *testing.T) {
	client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		chunk := strings.Repeat(" ", 1<<20)
		for range 10 {
			_, _ = io.WriteString(w, chunk)
		}
	})
	if _, err := graph.Get[graph.User](t.Context(), client, "/me", nil); !errors.Is(err, graph.ErrTooMany) {
		t.Errorf("got %v", err)
	}
}
