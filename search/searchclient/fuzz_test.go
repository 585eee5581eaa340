package searchclient_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient"
)

// FuzzAnswers gives the client whatever a service, or something in its place, may answer.
func FuzzAnswers(f *testing.F) {
	f.Add(200, "application/json", "", []byte(`{"@odata.count":1,"@search.facets":{"a":[{"count":1,"value":"x"}]},"value":[{"@search.score":1.0,"a":{"b":[1]}}]}`))
	f.Add(200, "application/json", "", []byte(`{"value":[{"a":1,"@search.score":"NaN"}]}`))
	f.Add(200, "application/json", "", []byte(`{"@search.nextPageParameters":{"skip":-1},"value":[]}`))
	f.Add(200, "application/json", "", []byte(`{"value":[1]}`))
	f.Add(401, "application/json", `Bearer realm="", error="insufficient_claims", claims="eyJhIjoxfQ=="`, []byte(`{"error":{"code":"a","message":"b","details":[{}]}}`))
	f.Add(503, "text/html", "", []byte(`<html>`))
	f.Add(404, "application/json; charset=utf-8", "", []byte("\xef\xbb\xbf{}"))
	token := jwt(f, map[string]any{"aud": "https://search.azure.com", "oid": alice, "tid": tenant})
	f.Fuzz(func(t *testing.T, status int, contentType, challenge string, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		transport := roundTrip(func(*http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			w.Code = status
			return &http.Response{
				StatusCode: status, Body: io.NopCloser(strings.NewReader(string(body))),
				Header: http.Header{"Content-Type": {contentType}, "Www-Authenticate": {challenge}, "Retry-After": {"0"}},
			}, nil
		})
		client, err := searchclient.New(searchclient.Config{
			Endpoint: "https://search.example", Key: identity.NewSecret(testKey), MaxRetries: -1, HTTPClient: &http.Client{Transport: transport},
		})
		if err != nil {
			t.Fatal(err)
		}
		result, err := client.Index("x").Search(t.Context(), byToken(t, token), &search.Query{Skip: 5})
		if (err == nil) == (result == nil) {
			t.Fatalf("result %v and error %v", result, err)
		}
		if refused, ok := errors.AsType[*search.Error](err); ok && refused.Claims != "" && !json.Valid([]byte(refused.Claims)) {
			t.Errorf("claims %q", refused.Claims)
		}
		if result == nil {
			return
		}
		if result.Next != nil && result.Next.Skip <= 5 {
			t.Errorf("next page %+v", result.Next)
		}
		for _, hit := range result.Hits {
			if !json.Valid(hit.Document) || !utf8.Valid(hit.Document) || hit.Document[0] != '{' {
				t.Errorf("document %q", hit.Document)
			}
		}
	})
}
