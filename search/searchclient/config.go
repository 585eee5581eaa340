package searchclient

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// DefaultAPIVersion is the version that is asked for unless Config says otherwise.
const DefaultAPIVersion = "2025-11-01-preview"

// oldestAPIVersion is the first in which a request without a user sees only public documents. The versions in general
// availability know nothing of document permissions and are refused.
const oldestAPIVersion = "2025-11-01-preview"

// Config says where the search service is and as which application it is called.
type Config struct {
	// Endpoint is "https://NAME.search.windows.net". Required; always https.
	Endpoint string

	// Key is an admin or query key. Either it or Credential is required, not both.
	Key identity.Secret
	// Credential is the application's own identity, with a role at the service such as Search Index Data Reader.
	Credential azcore.TokenCredential

	// APIVersion is a preview version from 2025-11-01-preview on. Default [DefaultAPIVersion].
	APIVersion string
	// Cloud gives the audience of tokens for the service. Default: the public cloud.
	Cloud entra.Cloud

	// HTTPClient is copied; the copy follows no redirect, because a redirect would carry key and token to another
	// host, and keeps no cookies. Default: the standard library's transport.
	HTTPClient *http.Client
	// Logger gets one line at level debug for each request: no query, no key, no token. Default: none.
	Logger *slog.Logger
	// Now is the clock of the chain's hops. Default: time.Now.
	Now func() time.Time

	// MaxRetries is how often a request that failed with 408, 429, 500, 502, 503, 504 or a broken connection is
	// repeated, after Retry-After where the service gives one. Default 3; negative for never.
	MaxRetries int
	// TryTimeout bounds one try. Default 30 seconds.
	TryTimeout time.Duration
	// MaxRetryAfter is the longest Retry-After that is waited for; above it the error is returned at once. Default 20 seconds.
	MaxRetryAfter time.Duration
	// MaxAnswer bounds the answer that is read into memory. Default 64 MiB.
	MaxAnswer int64
}

const (
	defaultTryTimeout    = 30 * time.Second
	defaultMaxRetryAfter = 20 * time.Second
	defaultMaxAnswer     = 64 << 20
	firstRetryDelay      = 400 * time.Millisecond
)

// previewVersion is what an api-version with document permissions looks like; the service ignores case.
var previewVersion = regexp.MustCompile(`^20[0-9]{2}-[0-9]{2}-[0-9]{2}-preview$`)

// New checks the whole configuration and returns a client. It sends nothing.
func New(config Config) (*Client, error) {
	if config.Cloud.SearchResource == "" {
		config.Cloud.SearchResource = entra.Clouds()[0].SearchResource
	}
	config.APIVersion = cmp.Or(config.APIVersion, DefaultAPIVersion)
	endpoint, err := parseEndpoint(config.Endpoint)
	if err = errors.Join(err, checkCredentials(config), checkAPIVersion(config.APIVersion)); err != nil {
		return nil, fmt.Errorf("search client: %w", err)
	}
	client := &Client{
		endpoint: endpoint,
		version:  config.APIVersion,
		audience: config.Cloud.SearchResource,
		now:      config.Now,
		logger:   config.Logger,
	}
	if client.now == nil {
		client.now = time.Now //nolint:forbidigo // the default of Config.Now
	}
	if client.logger == nil {
		client.logger = slog.New(slog.DiscardHandler)
	}
	client.pipeline = newPipeline(config)
	return client, nil
}

func newPipeline(config Config) runtime.Pipeline {
	var authorize policy.Policy
	if config.Credential != nil {
		authorize = runtime.NewBearerTokenPolicy(config.Credential, []string{config.Cloud.SearchScope().String()}, nil)
	} else {
		authorize = runtime.NewKeyCredentialPolicy(azcore.NewKeyCredential(config.Key.Reveal()), "api-key", nil)
	}
	options := &policy.ClientOptions{
		Transport: newTransport(config.HTTPClient, cmp.Or(config.MaxAnswer, defaultMaxAnswer)),
		Telemetry: policy.TelemetryOptions{Disabled: true}, // its name would claim that this is Microsoft's client
		Retry: policy.RetryOptions{
			MaxRetries:    int32(min(config.MaxRetries, 100)), //nolint:gosec // bounded
			TryTimeout:    cmp.Or(config.TryTimeout, defaultTryTimeout),
			RetryDelay:    firstRetryDelay,
			MaxRetryDelay: cmp.Or(config.MaxRetryAfter, defaultMaxRetryAfter),
		},
	}
	return runtime.NewPipeline("onbehalf", "", runtime.PipelineOptions{
		PerCall:        []policy.Policy{runtime.NewRequestIDPolicy()},
		PerRetry:       []policy.Policy{authorize},
		AllowedHeaders: []string{headerRequestID}, // of azcore's own log; the user's token is not among them
	}, options)
}

func parseEndpoint(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	switch {
	case endpoint == "":
		return "", errors.New("no endpoint: want https://NAME.search.windows.net")
	case err != nil || u.Scheme != "https" || u.Host == "":
		return "", errors.New("endpoint: want https://NAME.search.windows.net (keys and tokens never travel over http)")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return "", errors.New("endpoint: want nothing but https and a host, as in https://NAME.search.windows.net")
	}
	return "https://" + u.Host, nil
}

func checkCredentials(config Config) error {
	switch {
	case config.Credential == nil && config.Key.IsZero():
		return errors.New("no credential: give a key, or the application's identity with a role such as Search Index Data Reader")
	case config.Credential != nil && !config.Key.IsZero():
		return errors.New("two credentials: give a key or an identity, not both (the service would use the key)")
	}
	return nil
}

func checkAPIVersion(version string) error {
	lower := strings.ToLower(version)
	switch {
	case !previewVersion.MatchString(lower):
		return fmt.Errorf("api-version %q: only preview versions have document permissions; want %s or newer", version, oldestAPIVersion)
	case lower < oldestAPIVersion:
		return fmt.Errorf("api-version %q: before %s a request without a user sees every document", version, oldestAPIVersion)
	}
	return nil
}
