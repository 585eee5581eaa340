// Package serve puts the server together that this project ships: the MCP server with our tools, the exchange in front
// of Azure AI Search, and the chain of every call. Commands and the demo give it typed values; it reads no environment.
package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/chainstore"
	"github.com/onbehalf/onbehalf/internal/httpguard"
	"github.com/onbehalf/onbehalf/internal/tools"
	"github.com/onbehalf/onbehalf/obo"
	"github.com/onbehalf/onbehalf/search/searchclient"
)

// Config says where everything is. Server is completed here: its Exchanger is made from Credential.
type Config struct {
	Server     onbehalf.Config
	Credential obo.Credential // of the API's registration, for the exchange
	Search     Search

	// ConsentRedirect is an address that is registered for the API, as a web redirect, where a browser lands after consent
	// or sign-in. Where it is on the server's own origin, the server answers there. "": people get no link of their own.
	ConsentRedirect string

	// Shared is a cache of exchanged tokens that other replicas share; nil: none. Who made it closes it, after the server.
	Shared obo.SharedCache

	Audit  *slog.Logger // gets one record for each call; nil: none is kept
	Traces string       // base URL of an OpenTelemetry collector (OTLP over HTTP); "": no traces

	// EntraClient reaches the authority, SearchClient the search service.
	EntraClient, SearchClient *http.Client
}

// Search says which index the tool get_documents searches.
type Search struct {
	Endpoint string
	Index    string
	// Key is a query key; without one Credential, the server's own identity, is used.
	Key        identity.Secret
	Credential azcore.TokenCredential
	// PermissionFields are the index's fields that say who may read; callers may not filter by them.
	PermissionFields []string
}

// Server is the assembled server.
type Server struct {
	mcp       *onbehalf.Server
	landing   string // the path of the page after consent; "": elsewhere, or none
	exchanger *obo.Client
	calls     *chainstore.Store
	spans     *chainstore.Spans // nil without a collector
	metrics   *prometheus.Registry
	health    *httpguard.Health
}

// New assembles the server. The error names every mistake in the configuration that it can see.
func New(config Config) (*Server, error) {
	logger := config.Server.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if len(config.Server.Tenants) == 0 {
		return nil, errors.New("serve: no tenant")
	}
	var tenant identity.TenantID // none: that of each caller, whom the verifier's list of tenants has let in
	if len(config.Server.Tenants) == 1 {
		tenant = config.Server.Tenants[0]
	}
	exchanger, err := obo.New(obo.Config{
		Cloud:      config.Server.Cloud,
		Tenant:     tenant,
		Client:     config.Server.Client,
		Credential: config.Credential,
		HTTPClient: config.EntraClient,
		Shared:     config.Shared,
		Now:        config.Server.Now,
		Logger:     logger,

		ConsentRedirect: config.ConsentRedirect,
	})
	if err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	s := &Server{exchanger: exchanger, health: &httpguard.Health{Logger: logger}}
	recorders, err := s.recorders(config, logger)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	config.Server.Recorders = append(config.Server.Recorders, recorders...)
	config.Server.Exchanger = exchanger
	if config.Server.Groups == nil {
		config.Server.Groups = onbehalf.GroupsByGraph(config.Server.Cloud, exchanger, config.EntraClient)
	}
	config.Server.HTTPClient = config.EntraClient
	if s.mcp, err = onbehalf.New(config.Server); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if s.landing, err = landingPath(config.ConsentRedirect, config.Server.URL); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.addTools(config, logger); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// recorders are what gets the chain of each call.
func (s *Server) recorders(config Config, logger *slog.Logger) ([]chain.Recorder, error) {
	s.calls, s.metrics = chainstore.New(0), prometheus.NewRegistry()
	counted, err := chainstore.NewMetrics(s.metrics)
	if err != nil {
		return nil, fmt.Errorf("serve: metrics: %w", err)
	}
	s.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	recorders := []chain.Recorder{s.calls, counted}
	if config.Audit != nil {
		recorders = append(recorders, chainstore.NewAudit(config.Audit))
	}
	if config.Traces != "" {
		if s.spans, err = chainstore.NewSpans(config.Traces, config.Server.Name, config.SearchClient, logger); err != nil {
			return nil, fmt.Errorf("serve: traces: %w", err)
		}
		recorders = append(recorders, s.spans)
	}
	return recorders, nil
}

// addTools adds our tools.
func (s *Server) addTools(config Config, logger *slog.Logger) error {
	service, err := searchclient.New(searchclient.Config{
		Endpoint:   config.Search.Endpoint,
		Key:        config.Search.Key,
		Credential: config.Search.Credential,
		Cloud:      config.Server.Cloud,
		HTTPClient: config.SearchClient,
		Logger:     logger,
		Now:        config.Server.Now,
	})
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return errors.Join(
		tools.AddDocuments(s.mcp, service.Index(config.Search.Index), config.Server.Cloud.SearchScope(), config.Search.PermissionFields...),
		tools.AddWhoami(s.mcp),
	)
}

// Grace is how long calls in flight may take to finish when the server is told to stop.
const Grace = 1500 * time.Millisecond

// Handler serves the MCP endpoint, the metadata beside it, the caller's own calls at /api/chain, and the page where
// browsers land after consent.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", s.health.LastAnswers(s.mcp.Handler()))
	calls := s.mcp.Protect(chainstore.Handler(s.calls, onbehalf.CallerFrom))
	mux.Handle("/api/chain", calls)
	mux.Handle("/api/chain/", calls)
	if s.landing != "" {
		mux.HandleFunc("GET "+s.landing, land)
	}
	return mux
}

// Close ends what the server holds open, and sends the traces that are left.
func (s *Server) Close() error {
	err := s.exchanger.Close()
	if s.spans != nil {
		err = errors.Join(err, s.spans.Close())
	}
	return err
}

// Admin answers what operators and orchestrators ask: /healthz (the process runs), /readyz (it can take calls) and
// /metrics (Prometheus).
func (s *Server) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", s.health.Handler())
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}))
	return mux
}

// Drain makes /readyz say from now on that the server is about to stop.
func (s *Server) Drain() { s.health.Drain() }
