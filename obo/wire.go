package obo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	maxAnswer    = 1 << 20 // bytes of one answer; a token with 200 groups has some 10 KiB
	maxDocuments = 1024    // tenants whose discovery document is kept
	documentLife = time.Hour
)

// wire is the HTTP client of one exchange. It lets requests go to the authority alone, bounds the answers, serves
// discovery documents from memory, and notes under which ids Entra logged the exchange.
type wire struct {
	http      *http.Client
	host      string
	documents *documents

	status             int
	correlation, trace string
}

// Do implements the HTTP client that MSAL asks for.
func (w *wire) Do(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" || req.URL.Host != w.host {
		return nil, errors.New("a request to another host than the authority was stopped")
	}
	if req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, "/.well-known/openid-configuration") {
		return w.documents.get(req, w.fetch)
	}
	return w.fetch(req)
}

// CloseIdleConnections implements the HTTP client that MSAL asks for; the connections are shared.
func (w *wire) CloseIdleConnections() {}

func (w *wire) fetch(req *http.Request) (*http.Response, error) {
	w.correlation = printable(req.Header.Get("client-request-id"))
	resp, err := w.http.Do(req) //nolint:gosec // Do has compared the host with the configured authority's
	if err != nil {
		return nil, err
	}
	w.status, w.trace = resp.StatusCode, printable(resp.Header.Get("x-ms-request-id"))
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

func printable(id string) string {
	if len(id) > 64 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return ""
	}
	return id
}

// documents keeps the openid-configuration of every tenant in use, so that an exchange costs one request.
type documents struct {
	now   func() time.Time
	fetch chan struct{} // holds one value while somebody fetches

	mu    sync.Mutex
	known map[string]document
}

type document struct {
	body  []byte
	until time.Time
}

func newDocuments(now func() time.Time) *documents {
	return &documents{now: now, fetch: make(chan struct{}, 1), known: map[string]document{}}
}

func (d *documents) get(req *http.Request, fetch func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	name := strings.ToLower(req.URL.Path)
	if body, ok := d.lookup(name); ok {
		return respond(req, body), nil
	}
	if err := d.acquire(req.Context()); err != nil {
		return nil, err
	}
	defer func() { <-d.fetch }()
	if body, ok := d.lookup(name); ok { // fetched by somebody else in the meantime
		return respond(req, body), nil
	}
	resp, err := fetch(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("discovery document: %w", err)
	}
	if bytes.Contains(body, []byte("token_endpoint")) { // a proxy's page is not worth keeping
		d.keep(name, body)
	}
	return respond(req, body), nil
}

func (d *documents) acquire(ctx context.Context) error {
	select {
	case d.fetch <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *documents) lookup(name string) ([]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	doc, ok := d.known[name]
	return doc.body, ok && d.now().Before(doc.until)
}

func (d *documents) keep(name string, body []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) >= maxDocuments {
		clear(d.known)
	}
	d.known[name] = document{body, d.now().Add(documentLife)}
}

func respond(req *http.Request, body []byte) *http.Response {
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
	}
}
