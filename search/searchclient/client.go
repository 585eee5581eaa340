// Package searchclient is a client of Azure AI Search for tools that act as a person: every query names the [search.User]
// whose eyes it has, and a query without one is an error, never a look at the public documents.
//
// It speaks the data plane's preview REST API, because only that knows document permissions, and there is no official
// Go client of it. It runs on azcore: retries, request ids and the application's credentials are Microsoft's code. The
// person's token goes into x-ms-query-source-authorization of that one request and is kept nowhere.
//
// https://learn.microsoft.com/azure/search/search-query-access-control-rbac-enforcement
package searchclient

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/search"
)

// The headers of the service.
const (
	headerUser      = "x-ms-query-source-authorization"
	headerElevated  = "x-ms-enable-elevated-read"
	headerRequestID = "request-id"
)

// Client is one search service, called as one application. It is safe for concurrent use and keeps nothing of the
// people it is used for.
type Client struct {
	endpoint string
	version  string
	audience string
	pipeline runtime.Pipeline
	now      func() time.Time
	logger   *slog.Logger
}

var _ search.Service = (*Client)(nil)

// request is one call of the service.
type request struct {
	name   string // for the log: "search", "lookup", …
	index  string // "" for calls on the service
	method string
	path   string // below the endpoint, escaped
	query  url.Values
	header http.Header
	body   []byte // JSON, or nil
}

// answer is what came back, whole.
type answer struct {
	status    int
	header    http.Header
	body      []byte
	requestID string
}

// do sends the request and returns the answer if its status is one of those wanted, else *[search.Error].
func (c *Client) do(ctx context.Context, call *request, want ...int) (*answer, error) {
	req, err := c.newRequest(ctx, call)
	if err != nil {
		return nil, err
	}
	start := c.now()
	response, err := c.pipeline.Do(req)
	if err != nil {
		c.logger.LogAttrs(ctx, slog.LevelDebug, "search request failed",
			slog.String("call", call.name), slog.String("index", call.index), slog.Duration("took", c.now().Sub(start)))
		return nil, fmt.Errorf("search client: %s: %w", call.name, withoutURL(err))
	}
	defer response.Body.Close()
	got := &answer{status: response.StatusCode, header: response.Header, requestID: requestIDOf(response.Header)}
	got.body, err = readAll(response)
	c.logger.LogAttrs(ctx, slog.LevelDebug, "search request",
		slog.String("call", call.name), slog.String("index", call.index), slog.Int("status", got.status),
		slog.String("requestId", got.requestID), slog.Duration("took", c.now().Sub(start)))
	if err != nil {
		return nil, fmt.Errorf("search client: %s: reading the answer: %w", call.name, withoutURL(err))
	}
	if slices.Contains(want, got.status) {
		return got, nil
	}
	return got, refusal(got)
}

func (c *Client) newRequest(ctx context.Context, call *request) (*policy.Request, error) {
	query := url.Values{"api-version": {c.version}}
	maps.Copy(query, call.query)
	req, err := runtime.NewRequest(ctx, call.method, c.endpoint+call.path+"?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("search client: %s: %w", call.name, err)
	}
	if call.body != nil {
		body := streaming.NopCloser(bytes.NewReader(call.body))
		if err := req.SetBody(body, "application/json"); err != nil {
			return nil, fmt.Errorf("search client: %s: %w", call.name, err)
		}
	}
	maps.Copy(req.Raw().Header, call.header)
	req.Raw().Header.Set("Accept", "application/json;odata.metadata=none")
	req.Raw().Header.Set("User-Agent", "onbehalf-search")
	runtime.SkipBodyDownload(req)
	return req, nil
}

// readAll reads the answer, which the transport bounds, into a buffer that mostly fits at once.
func readAll(response *http.Response) ([]byte, error) {
	const trusted = 4 << 20 // of what the header claims
	var body bytes.Buffer
	if response.ContentLength > 0 {
		body.Grow(int(min(response.ContentLength, trusted)) + bytes.MinRead)
	}
	_, err := body.ReadFrom(response.Body)
	return body.Bytes(), err
}

// asUser sends the request with the user's rights and leaves a hop in the chain of the call.
func (c *Client) asUser(ctx context.Context, u search.User, call *request, count func(*answer) (int, error)) error {
	hop := chain.Hop{Station: chain.Search, Decision: chain.Allowed, Audience: c.audience, Name: call.index, Start: c.now()}
	err := c.setUser(call, u, &hop)
	var got *answer
	if err == nil {
		got, err = c.do(ctx, call, http.StatusOK, http.StatusPartialContent)
	}
	if got != nil {
		hop.Status, hop.RequestID = got.status, got.requestID
	}
	if err == nil {
		hop.Count, err = count(got)
	}
	hop.Decision, hop.Reason = decision(err)
	hop.Took = c.now().Sub(hop.Start)
	chain.Add(ctx, hop)
	return err
}

// indexPath is the path of an index, in the form that Microsoft's clients use.
func indexPath(name string) string { return "/indexes('" + escapeKey(name) + "')" }

// escapeKey writes an OData string literal into a path: quotes doubled, then escaped.
func escapeKey(s string) string { return url.PathEscape(strings.ReplaceAll(s, "'", "''")) }

func requestIDOf(header http.Header) string {
	const most = 128
	id := header.Get(headerRequestID)
	if len(id) > most {
		id = id[:most]
	}
	return id
}
