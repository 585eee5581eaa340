package signin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/onbehalf/onbehalf/entra"
)

// maxAnswer bounds an answer of Entra.
const maxAnswer = 1 << 20

// exchange is what one call of [Client.Token] adds to MSAL's requests and learns from the answers beside MSAL.
type exchange struct {
	resource string       // RFC 8707, which MSAL cannot send
	fresh    bool         // see Request.Fresh
	refusal  *entra.Error // the last error answer
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

func isFresh(ctx context.Context) bool {
	x := exchangeOf(ctx)
	return x != nil && x.fresh
}

// wire is MSAL's HTTP client. It adds the parameter resource, bounds answers, follows no redirect, and keeps Entra's
// error answers, of which MSAL's own errors hold the text only.
type wire struct{ client *http.Client }

func newWire(client *http.Client) wire {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return wire{&own}
}

// Do implements MSAL's HTTPClient.
func (w wire) Do(req *http.Request) (*http.Response, error) {
	x := exchangeOf(req.Context())
	if x != nil && x.resource != "" && req.Method == http.MethodPost {
		if err := addParameter(req, "resource", x.resource); err != nil {
			return nil, err
		}
	}
	resp, err := w.client.Do(req) //nolint:gosec // to the authority that the person configured or that is Microsoft's own
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	closeErr := resp.Body.Close()
	if err = errors.Join(err, closeErr); err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, errors.New("entra: an answer of more than 1 MiB")
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if x != nil && resp.StatusCode >= http.StatusMultipleChoices {
		x.refusal = entra.ParseError(resp.StatusCode, resp.Header, bytes.NewReader(body))
	}
	return resp, nil
}

// CloseIdleConnections implements MSAL's HTTPClient.
func (w wire) CloseIdleConnections() { w.client.CloseIdleConnections() }

func addParameter(req *http.Request, name, value string) error {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return err
	}
	form.Set(name, value)
	encoded := form.Encode()
	req.Body = io.NopCloser(strings.NewReader(encoded))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(encoded)), nil }
	req.ContentLength = int64(len(encoded))
	return nil
}
