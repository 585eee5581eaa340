package searchserver

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/localhost"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

// Config is what a [Server] is made of.
type Config struct {
	// URL is the service's own, as it appears in answers: "https://localhost:8444". Default: the request's host.
	URL string
	// Engine holds the documents. Required. The behaviour before November 2025 and the mapping of Microsoft's analyzers
	// are options of it.
	Engine *searchengine.Engine

	// Authority is the Entra whose tokens count, as in "https://localhost:8443/", and Tenant its tenant's id. Without
	// them only keys are accepted, and a request with a user's token is refused.
	Authority string
	Tenant    string
	// Issuers are the accepted values of iss. Default: the v2 issuer AUTHORITY/TENANT/v2.0 and AUTHORITY/TENANT/.
	Issuers []string
	// Audience of tokens for the service. Default "https://search.azure.com"; its application id counts too.
	Audience string
	// HTTPClient fetches the tenant's signing keys. Required with Authority.
	HTTPClient *http.Client

	// Groups returns the object ids of all groups, nested ones included, that the person with this object id is in.
	// An error refuses the query with 503: never a part of the groups. Nil: everybody is in no group.
	Groups func(ctx context.Context, oid string) ([]string, error)
	// GroupsLife is how long an answer of Groups is used again. Default one minute; negative for not at all.
	GroupsLife time.Duration
	// Scopes are, by the object id of a person, the resource ids on which the person may read (permissionFilter rbacScope).
	Scopes map[string][]string
	// Roles are, by the object id of a person or the application id of an application, their roles at the service.
	Roles map[string][]Role

	// AdminKey and QueryKey are the keys. Default: random.
	AdminKey identity.Secret
	QueryKey identity.Secret

	// JSONAuthErrors puts a reason into the body of 401 and 403. The service's is empty, on which Microsoft's
	// JavaScript client 13.0.0 breaks.
	JSONAuthErrors bool
	// Timeout bounds one request. Default 30 seconds.
	Timeout time.Duration

	// Logger gets warnings about what looks unsafe, and internal errors. Default: none.
	Logger *slog.Logger
	// Now is the clock of tokens and caches. Default: time.Now.
	Now func() time.Time
}

// settings are what of the Config requests look at, checked and completed.
type settings struct {
	url      string
	jsonAuth bool
	timeout  time.Duration
	scopes   map[string][]string
	roles    map[string][]Role
	logger   *slog.Logger
	now      func() time.Time
}

const (
	defaultAudience   = "https://search.azure.com"
	defaultGroupsLife = time.Minute
)

// New checks the whole configuration and returns a server.
func New(config Config) (*Server, error) {
	now := config.Now
	if now == nil {
		now = time.Now //nolint:forbidigo // the default of Config.Now
	}
	logger := config.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if err := check(config); err != nil {
		return nil, fmt.Errorf("search server: %w", err)
	}
	s := &Server{
		engine:   config.Engine,
		adminKey: keyOr(config.AdminKey),
		queryKey: keyOr(config.QueryKey),
		handlers: handlers(),
		groups:   newGroupCache(config.Groups, cmp.Or(config.GroupsLife, defaultGroupsLife), now),
		config: settings{
			url: strings.TrimSuffix(config.URL, "/"), jsonAuth: config.JSONAuthErrors,
			timeout: cmp.Or(config.Timeout, defaultTimeout), scopes: byLowerID(config.Scopes), roles: byLowerID(config.Roles), logger: logger, now: now,
		},
	}
	if config.Authority != "" {
		s.verifier = newVerifier(config, now)
	}
	s.traffic = localhost.NewTraffic(endpointOf, s.spoil)
	s.control = s.newControl()
	s.watched = s.traffic.Watch(http.HandlerFunc(s.serveHTTP))
	return s, nil
}

func check(config Config) error {
	var problems []error
	if config.Engine == nil {
		problems = append(problems, errors.New("no engine"))
	}
	if config.URL != "" && !isHTTPS(config.URL) {
		problems = append(problems, errors.New("URL: want https://HOST[:PORT]"))
	}
	if (config.Authority == "") != (config.Tenant == "") {
		problems = append(problems, errors.New("authority and tenant go together"))
	}
	if config.Authority != "" && (!isHTTPS(config.Authority) || config.HTTPClient == nil) {
		problems = append(problems, errors.New("authority: want https://HOST/ and an HTTP client that trusts it"))
	}
	for id, roles := range config.Roles {
		for _, role := range roles {
			if role.rights() == nil {
				problems = append(problems, fmt.Errorf("role %q of %q: unknown", role, id))
			}
		}
	}
	return errors.Join(problems...)
}

func isHTTPS(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.RawQuery == "" && strings.Trim(u.Path, "/") == ""
}

func newVerifier(config Config, now func() time.Time) *verifier {
	tenant := strings.TrimSuffix(config.Authority, "/") + "/" + config.Tenant
	issuers := config.Issuers
	if len(issuers) == 0 {
		issuers = []string{tenant + "/v2.0", tenant + "/"}
	}
	return &verifier{
		issuers:   issuers,
		tenant:    config.Tenant,
		audiences: []string{cmp.Or(config.Audience, defaultAudience), searchAppID},
		keys:      newKeySet(tenant+"/discovery/v2.0/keys", config.HTTPClient, now),
		now:       now,
	}
}

// keyOr returns the key, or a random one in the service's form: 52 letters and digits.
func keyOr(key identity.Secret) identity.Secret {
	if !key.IsZero() {
		return key
	}
	random := make([]byte, 26)
	_, _ = rand.Read(random) // never fails since Go 1.24
	return identity.NewSecret(hex.EncodeToString(random))
}

func byLowerID[V any](table map[string][]V) map[string][]V {
	lower := make(map[string][]V, len(table))
	for id, values := range table {
		id = strings.ToLower(id)
		lower[id] = append(lower[id], values...)
	}
	return lower
}
