package signin

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// metadataLife is how long the authority's metadata is kept. It names endpoints, which do not change.
const metadataLife = time.Hour

// metadataCache is MSAL's HTTP client with a memory for the authority's OpenID Connect metadata, which each client of
// MSAL's would otherwise fetch for itself.
type metadataCache struct {
	wire wire
	now  func() time.Time

	mu      sync.Mutex
	address string
	body    []byte
	header  http.Header
	until   time.Time
}

func newMetadataCache(w wire, now func() time.Time) *metadataCache {
	return &metadataCache{wire: w, now: now}
}

// Do implements MSAL's HTTPClient.
func (m *metadataCache) Do(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet || !strings.HasSuffix(req.URL.Path, "/.well-known/openid-configuration") {
		return m.wire.Do(req)
	}
	address := req.URL.String()
	if resp := m.known(req, address); resp != nil {
		return resp, nil
	}
	resp, err := m.wire.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body) // the wire has read and bounded it
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.address, m.body, m.header, m.until = address, body, resp.Header.Clone(), m.now().Add(metadataLife)
	return resp, nil
}

func (m *metadataCache) known(req *http.Request, address string) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.address != address || !m.now().Before(m.until) {
		return nil
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: m.header.Clone(),
		ContentLength: int64(len(m.body)), Body: io.NopCloser(bytes.NewReader(m.body)), Request: req,
	}
}

// CloseIdleConnections implements MSAL's HTTPClient.
func (m *metadataCache) CloseIdleConnections() { m.wire.CloseIdleConnections() }
