package searchservice

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// What an [Error] may be, for errors.Is.
var (
	ErrForbidden = errors.New("a role at Azure is missing")
	ErrNotFound  = errors.New("not found in Azure")
)

// Error is an error answer of Azure Resource Manager.
//
// https://learn.microsoft.com/azure/azure-resource-manager/management/resource-providers-and-types and
// https://github.com/microsoft/api-guidelines/blob/vNext/azure/Guidelines.md#handling-errors
type Error struct {
	Status        int
	Code, Message string // "AuthorizationFailed", …; the message may name people and resources
}

// Error gives code, status and message: whoever sets up may read it.
func (e *Error) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("azure: %s (HTTP %d): %s", e.Code, e.Status, e.Message), ": ")
}

// Is makes errors.Is(err, ErrForbidden) and ErrNotFound work.
func (e *Error) Is(target error) bool {
	return target == ErrForbidden && e.Status == http.StatusForbidden || target == ErrNotFound && e.Status == http.StatusNotFound
}

// Client calls Azure Resource Manager.
type Client struct {
	Endpoint   string // "https://management.azure.com", without a trailing slash
	HTTPClient *http.Client
	Token      func(ctx context.Context) (identity.Secret, error)
	Pause      func(ctx context.Context, d time.Duration) error
}

// EndpointOf returns where a cloud's Azure Resource Manager answers, "" for a local cloud, which has none.
//
// https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure and
// https://learn.microsoft.com/azure/china/resources-developer-guide
func EndpointOf(cloud entra.Cloud) string {
	return map[string]string{
		"public": "https://management.azure.com", "usgovernment": "https://management.usgovcloudapi.net", "china": "https://management.chinacloudapi.cn",
	}[cloud.Name]
}

// Versions of the APIs.
const (
	searchVersion        = "2025-05-01" // of Microsoft.Search: the newest that is generally available
	rolesVersion         = "2022-04-01"
	subscriptionsVersion = "2022-12-01"
)

// Bounds of what is read and how often is tried.
const (
	maxAnswer   = 8 << 20
	maxPages    = 100
	maxAttempts = 5
	firstWait   = 2 * time.Second
	longestWait = 30 * time.Second
)

// call makes one request, again when Azure asks for it or does not know a new principal yet, and reads the answer into out.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, body, out any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("azure: %w", err)
		}
	}
	wait := firstWait
	for attempt := 1; ; attempt++ {
		answer, asked, err := c.once(ctx, method, c.Endpoint+path+"?"+strings.ReplaceAll(query.Encode(), "+", "%20"), text)
		if err == nil {
			if out == nil || len(answer) == 0 {
				return nil
			}
			if json.Unmarshal(answer, out) != nil {
				return errors.New("azure: the answer is not what was asked for")
			}
			return nil
		}
		if attempt == maxAttempts || !again(err) || asked > longestWait {
			return err
		}
		if err := c.Pause(ctx, max(wait, asked)); err != nil {
			return err
		}
		wait *= 2
	}
}

// again reports errors that pass: a principal that was just made is unknown for a while.
//
// https://learn.microsoft.com/azure/role-based-access-control/troubleshooting#symptom---assigning-a-role-to-a-new-principal-sometimes-fails
func again(err error) bool {
	refused, ok := errors.AsType[*Error](err)
	return ok && (refused.Status == http.StatusTooManyRequests || refused.Status == http.StatusServiceUnavailable || refused.Code == "PrincipalNotFound")
}

func (c *Client) once(ctx context.Context, method, address string, body []byte) (answer []byte, asked time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, 0, fmt.Errorf("azure: %w", err)
	}
	token, err := c.Token(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("a token for Azure: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	own := *c.HTTPClient
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // a token follows no redirect
	resp, err := own.Do(req)
	if err != nil {
		return nil, 0, fmt.Errorf("azure: %w", err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil || len(answer) > maxAnswer {
		return nil, 0, fmt.Errorf("azure: read answer: %w", errors.Join(err, tooLong(answer)))
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return answer, 0, nil
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		asked = time.Duration(min(seconds, 3600)) * time.Second
	}
	return nil, asked, parseError(resp.StatusCode, answer)
}

func tooLong(answer []byte) error {
	if len(answer) > maxAnswer {
		return fmt.Errorf("longer than %d bytes", maxAnswer)
	}
	return nil
}

func parseError(status int, body []byte) *Error {
	var wire struct {
		Error struct{ Code, Message string } `json:"error"`
	}
	e := &Error{Status: status, Code: "no code"}
	if json.Unmarshal(body, &wire) == nil && wire.Error.Code != "" {
		const longest = 500
		e.Code, e.Message = clip(wire.Error.Code, longest), clip(wire.Error.Message, longest)
	}
	return e
}

func clip(s string, limit int) string {
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

// list reads a collection over all its pages; a link to another host is not followed.
func list[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, error) {
	all := []T{}
	for range maxPages {
		var page struct {
			Value    []T    `json:"value"`
			NextLink string `json:"nextLink"`
		}
		if err := c.call(ctx, http.MethodGet, path, query, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Value...)
		if page.NextLink == "" {
			return all, nil
		}
		next, err := url.Parse(page.NextLink)
		if err != nil || next.Scheme+"://"+next.Host != c.Endpoint || next.User != nil {
			return nil, errors.New("azure: the link to the next page leads to another place")
		}
		path, query = next.EscapedPath(), next.Query()
	}
	return nil, fmt.Errorf("azure: more than %d pages", maxPages)
}
