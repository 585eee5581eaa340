package msalerr_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	msal "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/msalerr"
)

const mfa = `{"error":"invalid_grant","error_description":"AADSTS50076: Due to a configuration change… Trace ID: t","error_codes":[50076],` +
	`"trace_id":"trace-1","correlation_id":"corr-1","suberror":"basic_action","claims":"{\"access_token\":{\"capolids\":{\"essential\":true}}}"}`

// callErr is an error as MSAL's comm.Client makes it.
func callErr(status int, body string, drained bool) error {
	resp := &http.Response{StatusCode: status, Header: http.Header{"X-Ms-Request-Id": {"trace-of-header"}}, Body: io.NopCloser(strings.NewReader(body))}
	if drained {
		_, _ = io.ReadAll(resp.Body)
	}
	req := &http.Request{Header: http.Header{"Client-Request-Id": {"corr-of-request"}}}
	text := fmt.Sprintf("http call(https://localhost/t/oauth2/v2.0/token)(POST) error: reply status code was %d:\n%s", status, body)
	return fmt.Errorf("acquiring: %w", msal.CallErr{Req: req, Resp: resp, Err: errors.New(text)})
}

func TestFrom(t *testing.T) {
	challenge := &entra.Error{
		Status: 400, Code: "invalid_grant", Sub: "basic_action", AADSTS: []int{50076}, Correlation: "corr-1", Trace: "trace-1",
		Claims: `{"access_token":{"capolids":{"essential":true}}}`, Description: "AADSTS50076: Due to a configuration change… Trace ID: t",
	}
	for _, tt := range []struct {
		desc string
		err  error
		want *entra.Error
	}{
		{"an answer", callErr(400, mfa, false), challenge},
		{"an answer whose body was read before", callErr(400, mfa, true), challenge},
		{"already translated", fmt.Errorf("again: %w", challenge), challenge},
		{
			"a proxy's page", callErr(503, "<html>Service unavailable</html>", false),
			&entra.Error{Status: 503, Code: "temporarily_unavailable", Correlation: "corr-of-request", Trace: "trace-of-header"},
		},
		{"an empty answer", callErr(500, "", false), &entra.Error{Status: 500, Code: "server_error", Correlation: "corr-of-request", Trace: "trace-of-header"}},
		{"no answer", errors.New("anything"), nil},
		{"nil", nil, nil},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, msalerr.From(tt.err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFromReadsTheSameErrorTwice(t *testing.T) {
	err := callErr(400, mfa, false)
	if diff := cmp.Diff(msalerr.From(err), msalerr.From(err)); diff != "" {
		t.Error(diff)
	}
}

func TestCleanLeaksNothing(t *testing.T) {
	const secret = "eyJhbGciOi.SECRET.token"
	for _, tt := range []struct {
		desc string
		err  error
		want error
	}{
		{"malformed answer", msal.InvalidJsonErr{Err: errors.New("json decode error: raw message was: " + secret)}, msalerr.ErrMalformed},
		{"timeout", fmt.Errorf("server response error: %s %w", secret, context.DeadlineExceeded), msalerr.ErrTimeout},
		{"cancelled", fmt.Errorf("server response error: %s %w", secret, context.Canceled), context.Canceled},
		{"refused connection", fmt.Errorf("x %s %w", secret, &net.OpError{Op: "dial", Err: errors.New("refused")}), msalerr.ErrConnection},
		{"closed connection", fmt.Errorf("x %s %w", secret, io.ErrUnexpectedEOF), msalerr.ErrConnection},
		{"nil", nil, nil},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			got := msalerr.Clean(tt.err)
			if !errors.Is(got, tt.want) || strings.Contains(fmt.Sprintf("%+v", got), "SECRET") {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	var answer *entra.Error
	if got := msalerr.Clean(callErr(400, mfa, false)); !errors.As(got, &answer) || strings.Contains(got.Error(), "configuration change") {
		t.Errorf("got %v, want Entra's answer without its description", got)
	}
}

// FuzzFrom gives it any answer, read before or not: it is Entra's answer all the same, and short.
func FuzzFrom(f *testing.F) {
	f.Add(400, mfa, true)
	f.Add(503, "<html>", false)
	f.Add(200, `{"access_token":"x"}`, true)
	f.Add(400, `{"error":"x","suberror":"y","claims":"{\"z\":1}"}`, false)
	f.Fuzz(func(t *testing.T, status int, body string, drained bool) {
		err := callErr(status, body, drained)
		if msalerr.From(err) == nil || msalerr.Clean(err) == nil {
			t.Error("an answer is lost")
		}
		if text := msalerr.Clean(err).Error(); len(text) > 10_000 {
			t.Errorf("%d characters", len(text))
		}
	})
}
