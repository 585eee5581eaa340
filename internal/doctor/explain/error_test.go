package explain_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/doctor/explain"
)

const (
	entraAnswer = `{"error":"invalid_grant","error_description":"AADSTS50076: Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access '880da380-985e-4198-81b9-e05b1cc53158'. Trace ID: 36ca6b7e-6af2-4b19-835d-42fe2ce61a00 Correlation ID: 70623480-4a75-4831-828b-631ef847d0b2 Timestamp: 2024-06-20 11:53:16Z","error_codes":[50076],"timestamp":"2024-06-20 11:53:16Z","trace_id":"36ca6b7e-6af2-4b19-835d-42fe2ce61a00","correlation_id":"70623480-4a75-4831-828b-631ef847d0b2","suberror":"basic_action","claims":"{\"access_token\":{\"capolids\":{\"essential\":true,\"values\":[\"c1\"]}}}"}`
	capolids    = `{"access_token":{"capolids":{"essential":true,"values":["c1"]}}}`
)

// TestErrors tells what people paste, by whom it was written.
func TestErrors(t *testing.T) {
	quoted := strings.NewReplacer(`"`, `\"`).Replace(entraAnswer)
	for _, tt := range []struct {
		desc, text string
		codes      []int
		name       string // of the first finding, where there is no code
		known      bool
	}{
		{"Entra's answer", entraAnswer, []int{50076}, "", true},
		{"the same, quoted in a line of a log", `level=ERROR msg="exchange failed" body="` + quoted + `"`, []int{50076}, "", true},
		{"MSAL for .NET", "MsalUiRequiredException: ErrorCode: invalid_grant\nMicrosoft.Identity.Client.MsalUiRequiredException: AADSTS65001: The user or administrator has not consented to use the application with ID 'x' named 'y'.", []int{65001}, "", true},
		{"azidentity", "ClientSecretCredential authentication failed. \nPOST https://login.microsoftonline.com/t/oauth2/v2.0/token\n--------\nRESPONSE 401: 401 Unauthorized\n--------\n{\n  \"error\": \"invalid_client\",\n  \"error_description\": \"AADSTS7000215: Invalid client secret provided.\",\n  \"error_codes\": [\n    7000215\n  ]\n}", []int{7000215}, "", true},
		{"a redirect", "http://localhost/?error=access_denied&error_description=AADSTS65004%3a+User+declined&state=x", []int{65004}, "", true},
		{"Entra's page", "Sorry, but we're having trouble signing you in.\nAADSTS9010010: The resource parameter provided in the request doesn't match with the requested scopes.", []int{9010010}, "", true},
		{"a link alone", "https://login.microsoftonline.com/error?code=500133", []int{500133}, "", true},
		{"codes in a list alone", `"error_codes" : [ 700016 ]`, []int{700016}, "", true},
		{"two codes, one cause after another", "AADSTS70000: … AADSTS50076: …", []int{70000, 50076}, "", true},
		{"a code that nobody knows", `{"error":"invalid_client","error_description":"AADSTS7999999: new"}`, []int{7999999}, "", false},
		{"an error without a code", `{"error":"consent_required"}`, nil, "consent_required", true},
		{"our challenge", "HTTP/1.1 401 Unauthorized\nWWW-Authenticate: Bearer error=\"invalid_token\", error_description=\"the token was issued for another API\", scope=\"api://x/execute\"", nil, "token for another API", true},
		{"somebody's challenge", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer error=\"invalid_token\"", nil, "invalid_token", true},
		{"a challenge without a reason", "HTTP/2 401\nwww-authenticate: Bearer resource_metadata=\"https://mcp.contoso.com/.well-known/oauth-protected-resource/mcp\"", nil, "HTTP 401", true},
		{"a status in a log", `{"msg":"request","status":403}`, nil, "HTTP 403", true},
		{"Azure AI Search, wrong audience", `{"error":{"code":"","message":"Audience claim is invalid in the JWT token."}}`, nil, "token for another API", true},
		{"our tool's words", "call: the tool says: the search service refuses: this server or you lack a role such as Search Index Data Reader; the operator finds the reason under the reference 3f", nil, "search service: HTTP 403", true},
		{"our audit log", `{"hops":[{"station":"exchange","decision":"allowed","status":200},{"station":"search","decision":"refused","reason":"HTTP 404","status":404}]}`, nil, "search service: HTTP 404", true},
		{"another log, after what went well", `{"status":200} {"status":503}`, nil, "HTTP 503", true},
		{"Graph", `{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges to complete the operation."}}`, nil, "Authorization_RequestDenied", true},
		{"Go without the CA", `Get "https://localhost:8443/": tls: failed to verify certificate: x509: certificate signed by unknown authority`, nil, "certificate not trusted", true},
		{"Node without the CA", "TypeError: fetch failed { cause: Error: self-signed certificate in certificate chain, code: 'SELF_SIGNED_CERT_IN_CHAIN' }", nil, "certificate not trusted", true},
		{"Python without a name", "socket.gaierror: [Errno -2] Name or service not known", nil, "name not found", true},
		{"a server that is down", "dial tcp 127.0.0.1:8000: connect: connection refused", nil, "connection refused", true},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			got := explain.Error(tt.text)
			if len(got.Findings) == 0 || got.Known() != tt.known {
				t.Fatalf("got %+v, known %t", got.Findings, got.Known())
			}
			var codes []int
			for _, f := range got.Findings {
				if f.AADSTS != 0 {
					codes = append(codes, f.AADSTS)
				}
				if f.Cause == "" || f.Fix == "" {
					t.Errorf("without cause or fix: %+v", f)
				}
			}
			if diff := cmp.Diff(tt.codes, codes); diff != "" {
				t.Error(diff)
			}
			if tt.name != "" && got.Findings[0].Name != tt.name {
				t.Errorf("got %q, want %q", got.Findings[0].Name, tt.name)
			}
		})
	}
}

func TestErrorKeepsWhatAnAdministratorNeeds(t *testing.T) {
	got := explain.Error(entraAnswer)
	if got.Correlation != "70623480-4a75-4831-828b-631ef847d0b2" || got.Trace != "36ca6b7e-6af2-4b19-835d-42fe2ce61a00" || got.Timestamp != "2024-06-20 11:53:16Z" {
		t.Errorf("got %+v", got)
	}
	if got.Claims != capolids {
		t.Errorf("claims: got %s", got.Claims)
	}
	header := `WWW-Authenticate: Bearer realm="", authorization_uri="https://login.microsoftonline.com/t/oauth2/v2.0/authorize", error="insufficient_claims", claims="` + base64.StdEncoding.EncodeToString([]byte(capolids)) + `"`
	got = explain.Error(header)
	if got.Claims != capolids || !strings.Contains(got.Challenge, "people sign in at https://login") {
		t.Errorf("got %+v", got)
	}
	var text strings.Builder
	got.WriteText(&text)
	for _, want := range []string{"insufficient_claims", "claims challenge: {", "fix "} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, &text)
		}
	}
}

// Each code of the catalogue is recognized, by number and by nothing else.
func TestEveryCodeIsExplained(t *testing.T) {
	for _, advice := range entra.Catalogue() {
		got := explain.Error((&entra.Error{Code: "invalid_grant", AADSTS: []int{advice.Code}}).Error())
		if len(got.Findings) != 1 || got.Findings[0].Cause != advice.Cause || got.Findings[0].Seen == "" || !got.Known() {
			t.Errorf("AADSTS%d: got %+v", advice.Code, got.Findings)
		}
	}
}

func TestNothingIsMadeUp(t *testing.T) {
	for _, text := range []string{"", "all is well", "AADSTS", "error=none", "HTTP 200 OK", strings.Repeat("x", explain.MaxText+10)} {
		if got := explain.Error(text); len(got.Findings) != 0 {
			t.Errorf("%.40q: got %+v", text, got.Findings)
		}
	}
	if _, err := explain.Read(strings.NewReader(strings.Repeat("x", explain.MaxText+1))); err == nil {
		t.Error("a text above the limit was read")
	}
}

func FuzzError(f *testing.F) {
	f.Add(entraAnswer)
	f.Add("WWW-Authenticate: Bearer error=\"invalid_token\", claims=\"eyJhIjoxfQ==\"")
	f.Add(`claims="{"a":{"b":"}` + "\x00" + `AADSTS50076`)
	f.Fuzz(func(t *testing.T, text string) {
		got := explain.Error(text)
		if len(got.Findings) > 8 {
			t.Errorf("%d findings", len(got.Findings))
		}
		for _, finding := range got.Findings {
			if finding.Cause == "" || finding.Fix == "" {
				t.Errorf("without cause or fix: %+v", finding)
			}
		}
	})
}
