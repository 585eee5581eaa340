package searchclient

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// transport sends requests without following redirects and bounds every answer, errors too: azcore itself reads an
// error answer to its end.
type transport struct {
	client *http.Client
	most   int64
}

func newTransport(client *http.Client, most int64) *transport {
	own := &http.Client{}
	if client != nil {
		*own = *client
	}
	own.Jar = nil
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &transport{own, most}
}

// Do implements azcore's policy.Transporter.
func (t *transport) Do(r *http.Request) (*http.Response, error) {
	response, err := t.client.Do(r) //nolint:gosec // the host is that of Config.Endpoint
	if err != nil {
		return nil, err
	}
	response.Body = &boundedBody{ReadCloser: response.Body, left: t.most}
	return response, nil
}

// ErrTooLarge is an answer above Config.MaxAnswer.
var ErrTooLarge = errors.New("the answer is larger than allowed; ask for fewer documents or fields")

type boundedBody struct {
	io.ReadCloser
	left int64
}

// Read implements [io.Reader]; what is beyond the bound is an error, never a silent end.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, ErrTooLarge
	}
	return n, err
}

// withoutURL drops the URL that net/http puts into its errors: it may hold a document key.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("%s: %w", wrapped.Op, wrapped.Err)
	}
	return err
}
