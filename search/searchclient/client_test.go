package searchclient_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient"
	"github.com/onbehalf/onbehalf/search/searchclient/elevated"
)

func TestSearchOnTheWire(t *testing.T) {
	f := newFake(t, says(200, `{"@odata.count":2,"@search.facets":{"tag":[{"count":2,"value":"a"}]},
		"@search.nextPageParameters":{"search":"*","skip":50,"filter":"true"},
		"value":[{"@search.score":1.5,"@search.highlights":{"name":["<em>x</em>"]},"z":9007199254740993,"a":[1.50,null]},{"@search.score":1,"z":2}],
		"@odata.nextLink":"https://evil.example/"}`))
	ctx, call := chain.Begin(t.Context())
	u := asAlice(t)
	query := &search.Query{
		Search: "hotel", Filter: "z gt 1", OrderBy: []string{"z desc", "a"}, Select: []string{"z", "a"}, Count: true,
		Facets: []string{"tag,count:2"}, SearchFields: []string{"name", "text"}, Highlight: []string{"name-2"}, QueryType: "full",
	}
	got, err := f.client(t, nil).Index("it's").Search(ctx, u, query)
	if err != nil {
		t.Fatal(err)
	}
	two, next := int64(2), *query
	next.Skip = 50
	want := &search.Result{
		Count: &two, RequestID: "r-1", Next: &next, Facets: map[string][]search.Facet{"tag": {{Count: 2, Value: []byte(`"a"`)}}},
		Hits: []search.Hit{
			{Score: 1.5, Highlights: map[string][]string{"name": {"<em>x</em>"}}, Document: []byte(`{"z":9007199254740993,"a":[1.50,null]}`)},
			{Score: 1, Document: []byte(`{"z":2}`)},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}

	sent := f.requests()[0]
	if want := "/indexes('it%27%27s')/docs/search.post.search?api-version=2025-11-01-preview"; sent.uri != want {
		t.Errorf("URI %s, want %s", sent.uri, want)
	}
	wantBody := `{"search":"hotel","queryType":"full","searchFields":"name,text","filter":"z gt 1","orderby":"z desc,a","select":"z,a","count":true,"facets":["tag,count:2"],"highlight":"name-2"}`
	if diff := cmp.Diff(wantBody, sent.body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	if got := sent.header.Get("x-ms-query-source-authorization"); got != u.Token.Value.Reveal() {
		t.Errorf("the user's token is sent as %q, want it bare", got)
	}
	if sent.header.Get("api-key") != testKey || sent.header.Get("x-ms-client-request-id") == "" || sent.header.Get("x-ms-enable-elevated-read") != "" {
		t.Errorf("headers %v", sent.header)
	}

	hops, _ := call.Hops()
	wantHops := []chain.Hop{{
		Station: chain.Search, Decision: chain.Allowed, Audience: "https://search.azure.com",
		Subject: alice, Tenant: tenant, Name: "it's", RequestID: "r-1", Status: 200, Count: 2,
	}}
	if diff := cmp.Diff(wantHops, hops, cmpopts.IgnoreFields(chain.Hop{}, "Start", "Took")); diff != "" {
		t.Errorf("hops (-want +got):\n%s", diff)
	}
}

// Nothing leaves the machine when it is not clear whose eyes the query has.
func TestUsersThatAreNotSent(t *testing.T) {
	f := newFake(t, says(200, `{"value":[]}`))
	index := f.client(t, nil).Index("x")
	claims := func(aud any, oid string) search.User {
		return byToken(t, jwt(t, map[string]any{"aud": aud, "oid": oid, "tid": tenant}))
	}
	for _, test := range []struct {
		desc   string
		user   search.User
		reason string // of the TokenError, "" for ErrNoUser
		says   string
	}{
		{"nobody", nil, "", "DangerouslyPublicOnly"},
		{"principals", search.ByPrincipals{}, "", "search.ByToken"},
		{"Graph's token", claims("00000003-0000-0000-c000-000000000000", alice), "audience", `"00000003-0000-0000-c000-000000000000"`},
		{"the API's own token", claims("api://x", alice), "audience", "https://search.azure.com/.default"},
		{"two audiences", claims([]string{"https://search.azure.com", "api://x"}, alice), "audience", "api://x"},
		{"another cloud", claims("https://search.azure.us", alice), "audience", "search.azure.us"},
		{"somebody else's", claims("https://search.azure.com", tenant), "subject", tenant},
		{"no audience", byToken(t, jwt(t, map[string]any{"oid": alice})), "format", "no JWT"},
		{"no JWT", byToken(t, "opaque"), "format", "no JWT"},
		{"no token", byToken(t, ""), "format", "no JWT"},
		{"line break", byToken(t, "a.b.c\r\nx: y"), "format", "no JWT"},
		{"huge", byToken(t, strings.Repeat("a", 20<<10)), "format", "no JWT"},
	} {
		ctx, call := chain.Begin(t.Context())
		_, err := index.Search(ctx, test.user, nil)
		var token *searchclient.TokenError
		switch {
		case test.reason == "" && !errors.Is(err, searchclient.ErrNoUser),
			test.reason != "" && (!errors.As(err, &token) || token.Reason != test.reason),
			err != nil && !strings.Contains(err.Error(), test.says):
			t.Errorf("%s: error %v, want reason %q and the words %q", test.desc, err, test.reason, test.says)
		}
		if hops, _ := call.Hops(); len(hops) != 1 || hops[0].Decision != chain.Refused {
			t.Errorf("%s: hops %+v, want one refusal", test.desc, hops)
		}
		if _, err := index.Lookup(ctx, test.user, "1"); err == nil {
			t.Errorf("%s: lookup was sent", test.desc)
		}
	}
	if n := len(f.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestUsersThatAreSent(t *testing.T) {
	f := newFake(t, says(200, `{"value":[]}`))
	for _, test := range []struct {
		desc        string
		user        search.User
		token, read string
	}{
		{"public", search.DangerouslyPublicOnly(), "", ""},
		{"elevated", elevated.DangerouslyReadEverything(), "", "true"},
		{"application id as audience", byToken(t, jwt(t, map[string]any{"aud": "880da380-985e-4198-81b9-e05b1cc53158", "oid": alice, "tid": tenant})), "sent", ""},
	} {
		if _, err := f.client(t, nil).Index("x").Search(t.Context(), test.user, nil); err != nil {
			t.Errorf("%s: %v", test.desc, err)
			continue
		}
		all := f.requests()
		header := all[len(all)-1].header
		if (header.Get("x-ms-query-source-authorization") != "") != (test.token != "") || header.Get("x-ms-enable-elevated-read") != test.read {
			t.Errorf("%s: headers %v", test.desc, header)
		}
	}
}

func TestErrors(t *testing.T) {
	claims := `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`
	challenge := `Bearer realm="", authorization_uri="https://login.example/", error="insufficient_claims", claims="` +
		base64.StdEncoding.EncodeToString([]byte(claims)) + `"`
	for _, test := range []struct {
		desc   string
		answer http.HandlerFunc
		is     error
		want   *search.Error
	}{
		{
			"filter", says(400, `{"error":{"code":"","message":"Invalid expression: Syntax error at position 7","details":[{"code":"A","message":"b"}]}}`), search.ErrBadRequest,
			&search.Error{Status: 400, Message: "Invalid expression: Syntax error at position 7", Details: []search.ErrorDetail{{Code: "A", Message: "b"}}, RequestID: "r-1"},
		},
		{"BOM", says(404, "\ufeff"+`{"error":{"code":"X","message":"m"}}`), search.ErrNotFound, &search.Error{Status: 404, Code: "X", Message: "m", RequestID: "r-1"}},
		{"empty 404", says(404, ``), search.ErrNotFound, &search.Error{Status: 404, Message: "not found", RequestID: "r-1"}},
		{"challenge", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", challenge)
			says(401, `{"error":{"code":"c","message":"m"}}`)(w, r)
		}, search.ErrUnauthorized, &search.Error{Status: 401, Code: "c", Message: "m", RequestID: "r-1", Claims: claims}},
		{"throttled", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "7")
			says(429, `{"error":{"code":"","message":"m"}}`)(w, r)
		}, search.ErrThrottled, &search.Error{Status: 429, Message: "m", RequestID: "r-1", RetryAfter: 7 * time.Second}},
		{"a proxy's page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, `<b>proxy</b>`)
		}, search.ErrUnavailable, &search.Error{Status: 502, Message: "bad gateway"}},
	} {
		f := newFake(t, test.answer)
		_, err := f.client(t, nil).Index("x").Search(t.Context(), asAlice(t), nil)
		var got *search.Error
		if !errors.As(err, &got) || !errors.Is(err, test.is) {
			t.Errorf("%s: error %v is not %v", test.desc, err, test.is)
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.desc, diff)
		}
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	elsewhere := newFake(t, says(200, `{"value":[]}`))
	f := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	_, err := f.client(t, nil).Index("x").Search(t.Context(), asAlice(t), nil)
	if !errors.Is(err, searchclient.ErrRedirect) {
		t.Errorf("error %v, want ErrRedirect", err)
	}
	if n := len(elsewhere.requests()); n != 0 {
		t.Errorf("the other host got %d requests", n)
	}
}

func TestAnswerIsBounded(t *testing.T) {
	for _, status := range []int{200, 400} {
		f := newFake(t, says(status, `{"value":[{"x":"`+strings.Repeat("a", 4000)+`"}]}`))
		client := f.client(t, func(c *searchclient.Config) { c.MaxAnswer = 1000 })
		if _, err := client.Index("x").Search(t.Context(), asAlice(t), nil); !errors.Is(err, searchclient.ErrTooLarge) {
			t.Errorf("HTTP %d: error %v, want ErrTooLarge", status, err)
		}
	}
}

func TestNothingLeaksIntoLogsAndErrors(t *testing.T) {
	var log bytes.Buffer
	var azcores bytes.Buffer // what azcore logs where somebody switches that on: URLs too
	azlog.SetListener(func(event azlog.Event, text string) { fmt.Fprintln(&azcores, event, text) })
	t.Cleanup(func() { azlog.SetListener(nil) })
	f := newFake(t, says(400, `{"error":{"code":"","message":"no"}}`))
	client := f.client(t, func(c *searchclient.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	u := asAlice(t)
	query := &search.Query{Search: "very private"}
	_, err := client.Index("x").Search(t.Context(), u, query)
	text := log.String() + fmt.Sprintf("%v %+v %#v %v %+v", err, err, u, client, query.Filter)
	f.Close()
	_, err = client.Index("x").Lookup(t.Context(), u, "private-key-1")
	text += log.String() + fmt.Sprint(err)
	for _, secret := range []string{u.Token.Value.Reveal(), testKey, "very private", "private-key-1"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q leaks:\n%s", secret, text)
		}
		if secret != "private-key-1" && strings.Contains(azcores.String(), secret) {
			t.Errorf("%q leaks through azcore:\n%s", secret, azcores.String())
		}
	}
	if azcores.Len() == 0 {
		t.Error("azcore logged nothing: the test sees nothing")
	}
	if !strings.Contains(log.String(), "status=400") {
		t.Errorf("log %q, want one line for each request", log.String())
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The service is asked again after the time that it asked for, with the same user, and not beyond the bounds.
func TestRetries(t *testing.T) {
	for _, test := range []struct {
		desc  string
		after string
		fails int
		want  int // requests
		waits time.Duration
		is    error
	}{
		{"twice", "3", 2, 3, 6 * time.Second, nil},
		{"for ever", "1", 99, 4, 3 * time.Second, search.ErrUnavailable},
		{"longer than we wait", "60", 99, 1, 0, search.ErrUnavailable},
	} {
		synctest.Test(t, func(t *testing.T) {
			requests := 0
			transport := roundTrip(func(r *http.Request) (*http.Response, error) {
				requests++
				if r.Header.Get("x-ms-query-source-authorization") == "" {
					t.Errorf("%s: request %d has no user", test.desc, requests)
				}
				w := httptest.NewRecorder()
				if requests <= test.fails {
					w.Header().Set("Retry-After", test.after)
					w.WriteHeader(http.StatusServiceUnavailable)
				} else {
					says(200, `{"value":[]}`)(w, r)
				}
				return w.Result(), nil
			})
			client, err := searchclient.New(searchclient.Config{
				Endpoint: "https://search.example", Key: identity.NewSecret(testKey), HTTPClient: &http.Client{Transport: transport},
			})
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, err = client.Index("x").Search(t.Context(), asAlice(t), nil)
			if !errors.Is(err, test.is) {
				t.Errorf("%s: error %v, want %v", test.desc, err, test.is)
			}
			if took := time.Since(start); requests != test.want || took != test.waits {
				t.Errorf("%s: %d requests in %v, want %d in %v", test.desc, requests, took, test.want, test.waits)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := newFake(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	ctx, call := chain.Begin(ctx)
	if _, err := f.client(t, nil).Index("x").Search(ctx, asAlice(t), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if hops, _ := call.Hops(); len(hops) != 1 || hops[0].Decision != chain.Failed || hops[0].Reason != "cancelled" {
		t.Errorf("hops %+v", hops)
	}
}

func TestConfigSaysAllThatIsWrong(t *testing.T) {
	key := identity.NewSecret(testKey)
	for _, test := range []struct {
		desc   string
		config searchclient.Config
		says   []string
	}{
		{"nothing", searchclient.Config{}, []string{"no endpoint", "no credential"}},
		{"http", searchclient.Config{Endpoint: "http://localhost:1", Key: key}, []string{"never travel over http"}},
		{"path", searchclient.Config{Endpoint: "https://x/indexes", Key: key}, []string{"nothing but https and a host"}},
		{"user", searchclient.Config{Endpoint: "https://u:p@x/", Key: key}, []string{"nothing but https and a host"}},
		{"a version without permissions", searchclient.Config{Endpoint: "https://x", Key: key, APIVersion: "2026-04-01"}, []string{"only preview versions"}},
		{"a version that shows all", searchclient.Config{Endpoint: "https://x", Key: key, APIVersion: "2025-08-01-preview"}, []string{"sees every document"}},
	} {
		_, err := searchclient.New(test.config)
		for _, says := range test.says {
			if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), testKey) {
				t.Errorf("%s: error %v, want the words %q", test.desc, err, says)
			}
		}
	}
	for _, version := range []string{"", "2025-11-01-Preview", "2026-08-01-preview"} {
		if _, err := searchclient.New(searchclient.Config{Endpoint: "https://x/", Key: key, APIVersion: version}); err != nil {
			t.Errorf("version %q: %v", version, err)
		}
	}
}
