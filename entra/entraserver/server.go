// Package entraserver is a local Microsoft Entra ID: one tenant with people, groups, applications and policies, which
// Microsoft's own libraries sign in to and exchange tokens with as they do with the real one, and which says no in the
// words of the real one.
//
// It is for laptops and tests. Whoever reaches it can sign in as anyone: it must listen on loopback only, and what it
// signs is worth nothing elsewhere. To test with it, start with package entra/entratest. What the product shares with
// it is vocabulary (package entra), never logic: it signs and parses with crypto/* alone, so that a mistake in one is
// not hidden by the same mistake in the other.
//
// What is not emulated is refused loudly, and listed in docs/local-entra.md.
package entraserver

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/internal/localhost"
)

// ResourceMode says what the RFC 8707 parameter "resource" does to a request; Entra has behaved in three ways.
type ResourceMode string

// The modes.
const (
	ResourceEnforced ResourceMode = "enforce"       // since early 2026: must name the application of the scopes (AADSTS9010010)
	ResourceIgnored  ResourceMode = "ignore"        // mostly, before 2025
	ResourceRejected ResourceMode = "reject-901002" // for a time in 2025: never accepted
)

// Config says what to serve. Only URL is needed.
type Config struct {
	URL       string           // where clients reach the server: "https://localhost:8443", without a trailing slash; issuers are built from it
	Directory *Directory       // nil: [Contoso]
	Now       func() time.Time // nil: the system's clock
	Logger    *slog.Logger     // nil: silence

	HTTPClient *http.Client // fetches the keys of other issuers, for federated credentials; nil: one that trusts the system's CAs

	Resource        ResourceMode  // "" means enforce
	AccessTokenLife time.Duration // 0: random, 60 to 90 minutes, as Entra does. MSAL refuses an on-behalf-of token of 5 minutes or less
	AdvertisePKCE   bool          // lists code_challenge_methods_supported in the metadata, which Entra leaves out
	StrictRefresh   bool          // a refresh token is good for one use; Entra's stay valid, and MSAL relies on that
	SlowDown        bool          // polling faster than the interval gives slow_down, which Entra never sends

	// RefuseRevoked makes an on-behalf-of exchange fail with AADSTS50173 when the person's sessions were revoked after
	// the assertion was issued. Whether Entra looks is not documented; by default only refresh tokens are refused.
	RefuseRevoked bool

	GraphDelay int // how many requests to Graph miss an object that was just made, as with Entra's replication

	// PoseAs lists hosts of Microsoft as which the server answers when a request names them: metadata, issuers and links
	// are then those of that host. Dangerous with a certificate that others trust.
	PoseAs []string
}

// Server is the local Entra. It is an http.Handler; TLS is its caller's business, and is needed: every Microsoft library
// refuses http.
type Server struct {
	config  Config
	base    *url.URL
	dir     *Directory
	initial tables // for reset
	log     *slog.Logger
	now     func() time.Time

	keys     *keyring
	sealing  cipher.AEAD // what tokens carry for ourselves: sessions, refresh tokens
	pairwise []byte      // makes sub differ from application to application
	ages     ages
	devices  *deviceFlows
	codes    *codeStore
	spent    spentStore
	policies *policyBook
	traffic  *localhost.Traffic
	pages    *pages
	foreign  *foreignKeys
	routes   map[string]endpoint
	subtrees []string // of routes: what serves all below it
	handler  http.Handler
}

// New checks the whole configuration and makes the keys.
func New(config Config) (*Server, error) {
	base, err := url.Parse(config.URL)
	if err != nil || base.Scheme != "https" || base.Host == "" || strings.Trim(base.Path, "/") != "" {
		err = fmt.Errorf("URL %q: want https://HOST:PORT", config.URL)
	} else if strings.Contains(base.Host, "token") {
		err = errors.New("the host must not hold the word token: MSAL makes the device code endpoint's address by replacing it")
	}
	switch config.Resource {
	case "":
		config.Resource = ResourceEnforced
	case ResourceEnforced, ResourceIgnored, ResourceRejected:
	default:
		err = errors.Join(err, fmt.Errorf("resource mode %q: want enforce, ignore or reject-901002", config.Resource))
	}
	err = errors.Join(err, checkPose(config.PoseAs))
	if config.AccessTokenLife < 0 || config.AccessTokenLife > 28*time.Hour {
		err = errors.Join(err, fmt.Errorf("access token life %s: want at most 28h", config.AccessTokenLife))
	}
	if err != nil {
		return nil, fmt.Errorf("local Entra: %w", err)
	}
	s := &Server{config: config, base: base, dir: config.Directory, log: config.Logger, now: config.Now}
	s.config.URL = "https://" + base.Host
	if s.now == nil {
		s.now = time.Now //nolint:forbidigo // the default of the clock that callers may set
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.dir == nil {
		if s.dir, err = Contoso(); err != nil {
			return nil, fmt.Errorf("local Entra: %w", err)
		}
	}
	return s, s.prepare()
}

// prepare makes what New has checked everything for.
func (s *Server) prepare() error {
	if err := s.settleIn(); err != nil {
		return fmt.Errorf("local Entra: %w", err)
	}
	s.initial, s.foreign = s.dir.snapshot(), newForeignKeys(s.config.HTTPClient)
	secret := make([]byte, 64)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	block, err := aes.NewCipher(secret[:32])
	if err != nil {
		return fmt.Errorf("local Entra: %w", err)
	}
	if s.sealing, err = cipher.NewGCM(block); err != nil {
		return fmt.Errorf("local Entra: %w", err)
	}
	s.pairwise = secret[32:]
	if s.keys, err = newKeyring(s.now()); err != nil {
		return fmt.Errorf("local Entra: %w", err)
	}
	s.devices, s.codes, s.policies = newDeviceFlows(), newCodeStore(), newPolicyBook(s.config)
	if s.pages, err = newPages(); err != nil {
		return fmt.Errorf("local Entra: %w", err)
	}
	s.routes = s.table()
	s.subtrees = subtrees(s.routes)
	s.traffic = localhost.NewTraffic(s.endpointName, s.writeFault)
	s.handler = s.traffic.Watch(http.HandlerFunc(s.serve))
	return nil
}

// Directory returns the tenant's directory, which may be changed while the server runs.
func (s *Server) Directory() *Directory { return s.dir }

// URL returns where clients reach the server, without a trailing slash.
func (s *Server) URL() string { return s.config.URL }
