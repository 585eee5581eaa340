// Package searchtest starts the local Azure AI Search (package searchserver) within a Go test: over HTTPS, on a port of
// its own, with the local Entra beside it. It also holds the one suite that the engine, the client in front of the
// local service, and a real service pass: see [Run].
//
//	service := searchtest.Start(t, nil)
//	client := service.SearchClient()
//	result, err := client.Index("docs").Search(t.Context(), service.As("alice"), &search.Query{Search: "hotel"})
package searchtest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/localhost"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient"
	"github.com/onbehalf/onbehalf/search/searchengine"
	"github.com/onbehalf/onbehalf/search/searchserver"
)

// Options change what is started. The zero Options, and nil, are an empty service in memory.
type Options struct {
	Entra  *entratest.Entra // whose people sign in; nil starts one
	Engine searchengine.Config
	// Configure changes anything else of the server before the start.
	Configure func(*searchserver.Config)
	Logger    *slog.Logger // nil: silence
}

// Service is a local search service under test. Its control API is also there over HTTP, below /_local/.
type Service struct {
	URL    string // "https://localhost:PORT", without a trailing slash
	Entra  *entratest.Entra
	Engine *searchengine.Engine
	Server *searchserver.Server

	tb testing.TB
	ca *localhost.CA
}

// Start starts a service that ends with the test.
func Start(tb testing.TB, options *Options) *Service {
	tb.Helper()
	if options == nil {
		options = &Options{}
	}
	s := &Service{Entra: options.Entra, tb: tb}
	if s.Entra == nil {
		s.Entra = entratest.Start(tb, &entratest.Options{Logger: options.Logger})
	}
	var err error
	if s.ca, err = localhost.NewCA(time.Now()); err != nil { //nolint:forbidigo // certificates are for clients of the real time
		tb.Fatal(err)
	}
	tls, err := s.ca.ServerTLS()
	if err != nil {
		tb.Fatal(err)
	}
	web := httptest.NewUnstartedServer(nil)
	_, port, err := net.SplitHostPort(web.Listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	s.URL = "https://localhost:" + port
	s.start(options)
	web.Config.Handler, web.TLS, web.EnableHTTP2 = s.Server, tls, true
	web.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // clients that do not trust the CA
	web.StartTLS()
	tb.Cleanup(web.Close)
	return s
}

func (s *Service) start(options *Options) {
	s.tb.Helper()
	var err error
	engine := options.Engine
	if engine.Logger == nil {
		engine.Logger = options.Logger
	}
	if engine.ServiceName == "" {
		engine.ServiceName = "localhost"
	}
	if s.Engine, err = searchengine.Open(engine); err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() {
		if closed := s.Engine.Close(); closed != nil {
			s.tb.Errorf("searchtest: close: %v", closed)
		}
	})
	config := searchserver.Config{
		URL: s.URL, Engine: s.Engine, Authority: s.Entra.URL + "/", Tenant: s.Entra.Tenant, HTTPClient: s.Entra.Client(),
		Groups: s.groups, JSONAuthErrors: true, Logger: options.Logger,
	}
	if options.Configure != nil {
		options.Configure(&config)
	}
	if s.Server, err = searchserver.New(config); err != nil {
		s.tb.Fatal(err)
	}
}

// groups asks the directory itself, where a service asks Graph.
func (s *Service) groups(_ context.Context, oid string) ([]string, error) {
	object, err := identity.ParseObjectID(oid)
	if err != nil {
		return nil, err
	}
	var groups []string
	for _, group := range s.Entra.Server.Directory().TransitiveMemberOf(object) {
		groups = append(groups, group.String())
	}
	return groups, nil
}

// Client returns an HTTP client that trusts this service and nothing else. Each call makes one of its own.
func (s *Service) Client() *http.Client { return s.ca.Client() }

// CAPEM returns the certificate that clients have to trust.
func (s *Service) CAPEM() []byte { return s.ca.PEM() }

// SearchClient returns a client with the admin key.
func (s *Service) SearchClient() *searchclient.Client {
	s.tb.Helper()
	client, err := searchclient.New(searchclient.Config{Endpoint: s.URL, Key: s.Server.AdminKey(), HTTPClient: s.Client()})
	if err != nil {
		s.tb.Fatal(err)
	}
	return client
}

// Token returns a person's token for the service, as an exchange on behalf of the person would.
func (s *Service) Token(person string) identity.Token {
	s.tb.Helper()
	const audience = "https://search.azure.com"
	found := s.Entra.Server.Directory().FindPerson(person)
	if found == nil {
		s.tb.Fatalf("searchtest: no person %q", person)
	}
	token := s.Entra.SignIn(person, s.Entra.API, audience+"/user_impersonation")
	return identity.Token{
		Value: token, Tenant: s.Entra.Server.Directory().Tenant(), Object: found.ID, Audience: audience,
		Expires: time.Now().Add(time.Hour), //nolint:forbidigo // about; the token itself says it
	}
}

// As returns a person ("alice") as whom a client may query.
func (s *Service) As(person string) search.User {
	s.tb.Helper()
	return search.ByToken{Token: s.Token(person)}
}

// Fault spoils answers: see [Service.QueueError].
type Fault = localhost.Fault

// QueueError spoils the next answers of an operation: "docs.search", "docs.lookup", "docs.index", "indexes.put", …
func (s *Service) QueueError(f Fault) {
	s.tb.Helper()
	if err := s.Server.QueueFault(f); err != nil {
		s.tb.Fatalf("searchtest: %v", err)
	}
}

// Count returns how often an operation was called since the last reset, whatever came of it.
func (s *Service) Count(operation string) (n int) {
	for _, row := range s.Server.Requests() {
		if row.Endpoint == operation {
			n += row.Requests
		}
	}
	return n
}

// PersonOf returns whose token for a search service this is, for a [Harness] with a real service. It verifies nothing.
func PersonOf(token identity.Secret) (Person, error) {
	var claims struct {
		Object identity.ObjectID `json:"oid"`
		Tenant identity.TenantID `json:"tid"`
	}
	parts := strings.Split(token.Reveal(), ".")
	if len(parts) != 3 {
		return Person{}, errors.New("no JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		return Person{}, fmt.Errorf("no JWT: %w", err)
	}
	user := search.ByToken{Token: identity.Token{Value: token, Object: claims.Object, Tenant: claims.Tenant}}
	return Person{User: user, Object: claims.Object.String()}, nil
}
