package signin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
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
	claims   string       // a claims challenge, for MSAL's confidential client, which sends none from its cache
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
	if x != nil && x.claims != "" && req.Method == http.MethodPost {
		if err := addClaims(req, x.claims); err != nil {
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
	return changeForm(req, func(form url.Values) error {
		form.Set(name, value)
		return nil
	})
}

// addClaims joins a challenge with the claims that MSAL sends, which hold our capabilities. What the challenge demands
// of one claim wins.
func addClaims(req *http.Request, challenge string) error {
	return changeForm(req, func(form url.Values) error {
		joined := map[string]map[string]json.RawMessage{}
		for _, text := range []string{form.Get("claims"), challenge} {
			var parts map[string]map[string]json.RawMessage
			if text == "" {
				continue
			}
			if err := json.Unmarshal([]byte(text), &parts); err != nil {
				return errors.New("a claims parameter is not an object of objects")
			}
			for part, claims := range parts {
				if joined[part] == nil {
					joined[part] = map[string]json.RawMessage{}
				}
				maps.Copy(joined[part], claims)
			}
		}
		text, err := json.Marshal(joined)
		form.Set("claims", string(text))
		return err
	})
}

func changeForm(req *http.Request, change func(url.Values) error) error {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return err
	}
	if err = change(form); err != nil {
		return err
	}
	encoded := form.Encode()
	req.Body = io.NopCloser(strings.NewReader(encoded))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(encoded)), nil }
	req.ContentLength = int64(len(encoded))
	return nil
}
