package entra_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/entra"
)

var errorTable = []struct {
	desc   string
	status int
	retry  string
	body   string
	want   entra.Error
}{
	{
		desc: "a claims challenge, verbatim", status: 400,
		body: `{"error":"interaction_required","error_description":"AADSTS50079: …","error_codes":[50079],"suberror":"basic_action","correlation_id":"c","trace_id":"t","claims":"{ \"access_token\" : {\"capolids\":{\"essential\":true,\"values\":[\"x\"]}}}"}`,
		want: entra.Error{Status: 400, Code: "interaction_required", Sub: "basic_action", AADSTS: []int{50079}, Description: "AADSTS50079: …", Correlation: "c", Trace: "t", Claims: `{ "access_token" : {"capolids":{"essential":true,"values":["x"]}}}`},
	},
	{
		desc: "codes from the description", status: 400,
		body: `{"error":"invalid_grant","error_description":"AADSTS70008: expired.\r\nTrace ID: x, see AADSTS700082"}`,
		want: entra.Error{Status: 400, Code: "invalid_grant", AADSTS: []int{70008, 700082}, Description: "AADSTS70008: expired.\r\nTrace ID: x, see AADSTS700082"},
	},
	{
		desc: "claims that are not JSON are dropped", status: 400, body: `{"error":"invalid_grant","claims":"not json"}`,
		want: entra.Error{Status: 400, Code: "invalid_grant"},
	},
	{
		desc: "claims that are too long are dropped", status: 400, body: `{"error":"invalid_grant","claims":"\"` + strings.Repeat("x", 9000) + `\""}`,
		want: entra.Error{Status: 400, Code: "invalid_grant"},
	},
	{
		desc: "throttling", status: 429, retry: "7", body: `{"error":"temporarily_unavailable","error_codes":[90055]}`,
		want: entra.Error{Status: 429, Code: "temporarily_unavailable", AADSTS: []int{90055}, RetryAfter: 7 * time.Second},
	},
	{desc: "a wait without end is bounded", status: 503, retry: "999999", body: "", want: entra.Error{Status: 503, Code: "temporarily_unavailable", RetryAfter: 10 * time.Minute}},
	{desc: "a wait that is nonsense", status: 503, retry: "-3", body: "", want: entra.Error{Status: 503, Code: "temporarily_unavailable"}},
	{desc: "a proxy's page", status: 502, body: "<html>", want: entra.Error{Status: 502, Code: "server_error"}},
	{desc: "an error name that is none", status: 400, body: `{"error":"<script>alert(1)</script>"}`, want: entra.Error{Status: 400, Code: "server_error"}},
	{desc: "JSON of another shape", status: 400, body: `{"error":{"code":"x"}}`, want: entra.Error{Status: 400, Code: "server_error"}},
	{desc: "an endless body", status: 400, body: `{"error":"` + strings.Repeat("a", 70<<10), want: entra.Error{Status: 400, Code: "server_error"}},
}

func TestParseError(t *testing.T) {
	for _, tt := range errorTable {
		t.Run(tt.desc, func(t *testing.T) {
			got := entra.ParseError(tt.status, http.Header{"Retry-After": {tt.retry}}, strings.NewReader(tt.body))
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(got.Error(), "Trace ID") {
				t.Errorf("the error's text quotes the description: %v", got)
			}
		})
	}
}

func FuzzParseError(f *testing.F) {
	for _, tt := range errorTable {
		f.Add(tt.status, tt.retry, tt.body)
	}
	f.Fuzz(func(t *testing.T, status int, retry, body string) {
		e := entra.ParseError(status, http.Header{"Retry-After": {retry}}, strings.NewReader(body))
		if e.Code == "" || e.RetryAfter < 0 || e.RetryAfter > 10*time.Minute || len(e.Claims) > 8<<10 {
			t.Errorf("got %+v", e)
		}
		if a := e.Advice(); a.Kind.String() == "unknown" || a.Fix == "" {
			t.Errorf("no advice for %+v", e)
		}
	})
}
