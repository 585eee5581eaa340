// Package serve puts the server together that this project ships: the MCP server with our tools, the exchange in front
// of Azure AI Search, and the chain of every call. Commands and the demo give it typed values; it reads no environment.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/chainstore"
	"github.com/onbehalf/onbehalf/internal/graph"
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
	exchanger *obo.Client
	calls     *chainstore.Store
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
	exchanger, err := obo.New(obo.Config{
		Cloud:      config.Server.Cloud,
		Tenant:     config.Server.Tenants[0],
		Client:     config.Server.Client,
		Credential: config.Credential,
		HTTPClient: config.EntraClient,
		Now:        config.Server.Now,
		Logger:     logger,
	})
	if err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	calls := chainstore.New(0)
	config.Server.Recorders = append(config.Server.Recorders, calls)
	config.Server.Exchanger = exchanger
	if config.Server.Groups == nil {
		config.Server.Groups = groupsByGraph(config.Server.Cloud, exchanger, config.EntraClient)
	}
	config.Server.HTTPClient = config.EntraClient
	server, err := onbehalf.New(config.Server)
	if err != nil {
		return nil, errors.Join(err, exchanger.Close())
	}
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
		return nil, errors.Join(fmt.Errorf("serve: %w", err), exchanger.Close())
	}
	err = errors.Join(
		tools.AddDocuments(server, service.Index(config.Search.Index), config.Server.Cloud.SearchScope(), config.Search.PermissionFields...),
		tools.AddWhoami(server),
	)
	if err != nil {
		return nil, errors.Join(err, exchanger.Close())
	}
	return &Server{mcp: server, exchanger: exchanger, calls: calls, health: &httpguard.Health{Logger: logger}}, nil
}

// Grace is how long calls in flight may take to finish when the server is told to stop.
const Grace = 1500 * time.Millisecond

// Handler serves the MCP endpoint, the metadata beside it, and the caller's own calls at /api/chain.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", s.mcp.Handler())
	calls := s.mcp.Protect(chainstore.Handler(s.calls, onbehalf.CallerFrom))
	mux.Handle("/api/chain", calls)
	mux.Handle("/api/chain/", calls)
	return mux
}

// Close ends what the server holds open.
func (s *Server) Close() error { return s.exchanger.Close() }

// Admin answers what operators and orchestrators ask: /healthz (the process runs) and /readyz (it can take calls).
func (s *Server) Admin() http.Handler { return s.health.Handler() }

// Drain makes /readyz say from now on that the server is about to stop.
func (s *Server) Drain() { s.health.Drain() }

// groupsByGraph asks Microsoft Graph, on behalf of the caller, for the groups that a token had no room for.
func groupsByGraph(cloud entra.Cloud, exchanger obo.Exchanger, client *http.Client) func(context.Context, *identity.Caller) ([]string, error) {
	return func(ctx context.Context, caller *identity.Caller) ([]string, error) {
		var groups []string
		err := obo.Do(ctx, exchanger, caller, cloud.GraphScope("User.Read"), func(token identity.Token) error {
			me, err := graph.New(graph.Config{Endpoint: cloud.Graph, HTTPClient: client, Token: func(context.Context) (identity.Secret, error) {
				return token.Value, nil
			}})
			if err != nil {
				return err
			}
			groups, err = me.MyGroups(ctx)
			return err
		})
		return groups, err
	}
}
