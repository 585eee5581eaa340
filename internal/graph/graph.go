// Package graph is a small client of Microsoft Graph v1.0: the calls that resolving groups, setting up applications and
// the doctor need, and no more. It never follows a link to another host, reads every answer within bounds, waits when
// Graph asks it to, and gives a list whole or not at all.
//
// For anything wider use Microsoft's own SDK, msgraph-sdk-go.
package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/identity"
)

// TokenFunc returns an access token for Microsoft Graph. It is called for every request and should keep what it has,
// as the one of [ClientCredentials] does.
type TokenFunc func(ctx context.Context) (identity.Secret, error)

// Config says where Graph is and who calls it.
type Config struct {
	Endpoint   string       // "https://graph.microsoft.com", with or without a trailing slash; https alone
	HTTPClient *http.Client // required: it decides which CAs are trusted and how long a request may take
	Token      TokenFunc    // required
	MaxGroups  int          // more groups than this are an error; 0 means 11,000, Graph's own limit

	// MaxWait is the longest wait before a request is tried again; when Retry-After asks for more, the error is returned
	// at once. 0 means 20 s.
	MaxWait time.Duration
}

// Bounds of what is read and how often is tried.
const (
	maxAnswer        = 8 << 20
	maxPages         = 200
	maxAttempts      = 4
	defaultMaxGroups = 11000
	defaultMaxWait   = 20 * time.Second
	firstWait        = time.Second
)

// Client calls Microsoft Graph. It may be used by many goroutines.
type Client struct {
	base    *url.URL
	http    *http.Client
	token   TokenFunc
	groups  int
	maxWait time.Duration
}

// New checks the configuration whole and returns a client.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(strings.TrimSuffix(cfg.Endpoint, "/"))
	var problems []error
	if err != nil || base.Scheme != "https" || base.Host == "" || base.User != nil || base.Path != "" || base.RawQuery != "" || base.Fragment != "" {
		problems = append(problems, fmt.Errorf("Microsoft Graph endpoint %q: want https://HOST", cfg.Endpoint)) //nolint:staticcheck // a proper name
	}
	if cfg.HTTPClient == nil {
		problems = append(problems, errors.New("graph: HTTPClient is missing"))
	}
	if cfg.Token == nil {
		problems = append(problems, errors.New("graph: Token is missing"))
	}
	if cfg.MaxGroups < 0 || cfg.MaxWait < 0 {
		problems = append(problems, errors.New("graph: a limit is negative"))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	client := &Client{base: base, http: noRedirect(cfg.HTTPClient), token: cfg.Token, groups: cfg.MaxGroups, maxWait: cfg.MaxWait}
	if client.groups == 0 {
		client.groups = defaultMaxGroups
	}
	if client.maxWait == 0 {
		client.maxWait = defaultMaxWait
	}
	return client, nil
}

// noRedirect returns a copy that hands a redirect back as it is: Graph sends none, and a token must not follow one.
func noRedirect(c *http.Client) *http.Client {
	own := *c
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// Get reads one object: path is what follows "/v1.0", such as "/organization" or "/users/ID".
func Get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	return send[T](ctx, c, http.MethodGet, c.url(path, query), nil)
}

// Post creates an object or calls an action, and reads the answer. It is not tried again after 504, which does not tell
// whether the object was made: the caller has to look.
func Post[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	return sendUnless[T](ctx, c, http.MethodPost, c.url(path, nil), body, func(e *Error) bool { return e.Status == http.StatusGatewayTimeout })
}

// Patch changes the properties that body holds. A collection is replaced whole.
func (c *Client) Patch(ctx context.Context, path string, body any) error {
	_, err := send[struct{}](ctx, c, http.MethodPatch, c.url(path, nil), body)
	return err
}

// Do calls an action without an answer, such as removePassword.
func (c *Client) Do(ctx context.Context, path string, body any) error {
	_, err := send[struct{}](ctx, c, http.MethodPost, c.url(path, nil), body)
	return err
}

// Delete removes an object. One that is not there is an error that [ErrNotFound] matches.
func (c *Client) Delete(ctx context.Context, path string) error {
	_, err := send[struct{}](ctx, c, http.MethodDelete, c.url(path, nil), nil)
	return err
}

// page is one page of a collection.
//
// https://learn.microsoft.com/graph/paging
type page[T any] struct {
	Value    []T    `json:"value"`
	NextLink string `json:"@odata.nextLink"`
}

// List reads a collection over all its pages. More than limit objects are an error: a list is given whole or not at all.
func List[T any](ctx context.Context, c *Client, path string, query url.Values, limit int) ([]T, error) {
	first, err := send[page[T]](ctx, c, http.MethodGet, c.url(path, query), nil)
	if err != nil {
		return nil, err
	}
	return rest(ctx, c, first, limit)
}

// rest follows the links of a first page.
func rest[T any](ctx context.Context, c *Client, current page[T], limit int) ([]T, error) {
	all := []T{}
	for range maxPages {
		all = append(all, current.Value...)
		if len(all) > limit {
			return nil, fmt.Errorf("%w: more than %d", ErrTooMany, limit)
		}
		if current.NextLink == "" {
			return all, nil
		}
		next, err := c.follow(current.NextLink)
		if err != nil {
			return nil, err
		}
		if current, err = send[page[T]](ctx, c, http.MethodGet, next, nil); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: more than %d pages", ErrTooMany, maxPages)
}

// follow checks that a link leads to the same Graph: the token must not reach another host.
func (c *Client) follow(link string) (string, error) {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != c.base.Scheme || u.Host != c.base.Host || u.User != nil || !strings.HasPrefix(u.Path, "/v1.0/") {
		return "", errors.New("graph: the link to the next page leads to another place")
	}
	return u.String(), nil
}

func (c *Client) url(path string, query url.Values) string {
	address := c.base.String() + "/v1.0/" + strings.TrimPrefix(path, "/")
	if len(query) == 0 {
		return address
	}
	return address + "?" + strings.ReplaceAll(query.Encode(), "+", "%20")
}

// send makes one request, waits and tries again while Graph asks for it, and decodes the answer into a T.
func send[T any](ctx context.Context, c *Client, method, address string, body any) (T, error) {
	return sendUnless[T](ctx, c, method, address, body, func(*Error) bool { return false })
}

// sendUnless is send that gives up after some refusals.
func sendUnless[T any](ctx context.Context, c *Client, method, address string, body any, final func(*Error) bool) (T, error) {
	var out T
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return out, fmt.Errorf("graph: encode request: %w", err)
		}
	}
	for attempt := 1; ; attempt++ {
		answer, err := c.once(ctx, method, address, text)
		if err == nil {
			return decode[T](answer)
		}
		wait, again := c.waitBefore(err, attempt)
		if refused, ok := errors.AsType[*Error](err); !again || ok && final(refused) {
			return out, err
		}
		if err := pause(ctx, wait); err != nil {
			return out, err
		}
	}
}

func decode[T any](answer []byte) (T, error) {
	var out T
	if len(answer) == 0 {
		return out, nil
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return out, fmt.Errorf("graph: the answer is not what was asked for: %w", err)
	}
	return out, nil
}

func (c *Client) once(ctx context.Context, method, address string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("graph: %w", err)
	}
	token, err := c.token(ctx)
	if err != nil {
		return nil, fmt.Errorf("a token for Microsoft Graph: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if strings.Contains(address, "%24count=") || strings.Contains(address, "%24search=") {
		req.Header.Set("ConsistencyLevel", "eventual") // https://learn.microsoft.com/graph/aad-advanced-queries
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("graph: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("graph: read answer: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, parseError(resp.StatusCode, resp.Header, answer)
	}
	if len(answer) > maxAnswer {
		return nil, fmt.Errorf("graph: %w: an answer of more than %d bytes", ErrTooMany, maxAnswer)
	}
	return answer, nil
}

// waitBefore says whether and after which wait a failed request is tried again. Graph asks for it with 429, 503 and 504
// and has then done nothing; after 504 it may have.
//
// https://learn.microsoft.com/graph/throttling
func (c *Client) waitBefore(err error, attempt int) (time.Duration, bool) {
	var refused *Error
	if attempt >= maxAttempts || !errors.As(err, &refused) || !refused.temporary() {
		return 0, false
	}
	wait := refused.RetryAfter
	if wait == 0 {
		wait = firstWait << (attempt - 1)
	}
	return wait, wait <= c.maxWait
}

func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("graph: %w", context.Cause(ctx))
	case <-timer.C:
		return nil
	}
}

// Quote writes a string as an OData literal, for $filter and keys: 'O”Neill'.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// ByAppID returns the path of an application or service principal by its application id: collection is "applications"
// or "servicePrincipals".
//
// https://learn.microsoft.com/graph/api/serviceprincipal-get
func ByAppID(collection, appID string) string {
	return "/" + collection + "(appId=" + url.PathEscape(Quote(appID)) + ")"
}
