package agent

import (
	"errors"
	"io"
	"net/http"
)

// BoundBodies bounds the bodies of answers: reading more is an error. What a server sends without end costs no memory.
func BoundBodies(base http.RoundTripper, most int64) http.RoundTripper { return bounded{base, most} }

// ErrTooLarge says that an answer was larger than is accepted.
var ErrTooLarge = errors.New("the server's answer is larger than is accepted")

type bounded struct {
	base http.RoundTripper
	most int64
}

// RoundTrip implements [http.RoundTripper].
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.base.RoundTrip(r)
	if err == nil {
		response.Body = &boundedBody{response.Body, b.most}
	}
	return response, err
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

// Read implements [io.Reader].
func (b *boundedBody) Read(into []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrTooLarge
	}
	n, err := b.ReadCloser.Read(into[:min(int64(len(into)), b.left)])
	b.left -= int64(n)
	return n, err
}
