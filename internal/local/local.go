// Package local is Azure on this machine: a local Entra ID and a local Azure AI Search over HTTPS, seeded with the
// sample tenant, the sample index and its five documents. They reach one another over the network only, as the real ones do.
package local

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/localhost"
	"github.com/onbehalf/onbehalf/internal/sample"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
	"github.com/onbehalf/onbehalf/search/searchserver"
)

// Config says where to listen and what to start with.
type Config struct {
	Entra, Search net.Listener // on loopback; closed by whoever serves them
	DataDir       string       // where the local Search keeps its documents; "": in memory
	People        io.Reader    // more people and groups, as JSON lines; nil: none
	PoseAs        []string     // hosts of Microsoft as which the local Entra answers too; dangerous: see [Local.PosingCA]
	Now           func() time.Time
	Logger        *slog.Logger
}

// Password is that of everybody in the sample tenant.
const Password = entraserver.ContosoPassword

// Local is the two services, ready to be served.
type Local struct {
	EntraURL, SearchURL string // without a trailing slash

	ca        *localhost.CA
	posing    *localhost.CA // for the hosts of PoseAs alone; nil without them
	client    *http.Client  // trusts the CA, for all in this process
	entra     *entraserver.Server
	engine    *searchengine.Engine
	search    *searchserver.Server
	directory *entraserver.Directory
}

// New makes both services and fills them. Nothing answers before the handlers are served at the listeners of config.
func New(ctx context.Context, config Config) (*Local, error) {
	now := config.Now
	if now == nil {
		now = time.Now //nolint:forbidigo // the default clock
	}
	ca, err := localhost.NewCA(now())
	if err != nil {
		return nil, err
	}
	l := &Local{EntraURL: urlOf(config.Entra), SearchURL: urlOf(config.Search), ca: ca, client: ca.Client()}
	if len(config.PoseAs) > 0 {
		if l.posing, err = localhost.NewPosingCA(now(), config.PoseAs...); err != nil {
			return nil, err
		}
	}
	if err := l.startEntra(config, now); err != nil {
		return nil, err
	}
	if err := l.startSearch(config, now); err != nil {
		return nil, err
	}
	if err := l.seed(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Local) startEntra(config Config, now func() time.Time) error {
	directory, err := entraserver.Contoso()
	if err != nil {
		return err
	}
	if config.People != nil {
		if _, err = directory.LoadPeople(config.People); err != nil {
			return err
		}
	}
	l.directory = directory
	l.entra, err = entraserver.New(entraserver.Config{URL: l.EntraURL, Directory: directory, PoseAs: config.PoseAs, Now: now, Logger: config.Logger})
	return err
}

func (l *Local) startSearch(config Config, now func() time.Time) error {
	groups, err := l.groups()
	if err != nil {
		return err
	}
	if l.engine, err = searchengine.Open(searchengine.Config{Dir: config.DataDir, Now: now, Logger: config.Logger}); err != nil {
		return err
	}
	l.search, err = searchserver.New(searchserver.Config{
		URL: l.SearchURL, Engine: l.engine,
		Authority: l.EntraURL + "/", Tenant: l.directory.Tenant().String(), HTTPClient: l.client,
		Groups: groups,
		Roles: map[string][]searchserver.Role{
			entraserver.ContosoAPI: {searchserver.IndexDataReader}, entraserver.ContosoIdentity: {searchserver.IndexDataReader},
		},
		JSONAuthErrors: true, Logger: config.Logger, Now: now,
	})
	if err != nil {
		return errors.Join(err, l.engine.Close())
	}
	return nil
}

// groups asks the local Graph, as the search service's own application, who is in which groups.
func (l *Local) groups() (func(ctx context.Context, oid string) ([]string, error), error) {
	app, err := identity.ParseClientID(entra.SearchAppID)
	if err != nil {
		return nil, err
	}
	first, err := l.graph(app)
	if err != nil {
		return nil, err
	}
	var client atomic.Pointer[graph.Client]
	client.Store(first)
	return func(ctx context.Context, oid string) ([]string, error) {
		object, err := identity.ParseObjectID(oid)
		if err != nil {
			return nil, err
		}
		groups, err := client.Load().TransitiveGroups(ctx, object)
		if refused, ok := errors.AsType[*graph.Error](err); !ok || refused.Status != http.StatusUnauthorized {
			return groups, err
		}
		fresh, err := l.graph(app) // all signing keys were replaced: the token that was kept is good no longer
		if err != nil {
			return nil, err
		}
		client.Store(fresh)
		return fresh.TransitiveGroups(ctx, object)
	}, nil
}

// graph returns a client of the local Graph that has no token yet.
func (l *Local) graph(app identity.ClientID) (*graph.Client, error) {
	token, err := graph.ClientCredentials(graph.Credentials{
		TokenURL: l.EntraURL + "/" + l.directory.Tenant().String() + "/oauth2/v2.0/token",
		ClientID: app, Secret: l.directory.ClientSecret(app), HTTPClient: l.client,
	})
	if err != nil {
		return nil, err
	}
	return graph.New(graph.Config{Endpoint: l.EntraURL, HTTPClient: l.client, Token: token})
}

// seed creates the sample index with its five documents, unless a data directory has it already.
func (l *Local) seed(ctx context.Context) error {
	if _, err := l.engine.Definition(ctx, sample.IndexName); err == nil {
		return nil
	} else if !errors.Is(err, search.ErrNotFound) {
		return err
	}
	documents, err := l.SampleDocuments()
	if err != nil {
		return err
	}
	return l.load(ctx, documents)
}

// SampleDocuments returns the five documents with the ids of the sample tenant.
func (l *Local) SampleDocuments() ([]sample.Document, error) {
	return sample.Documents(sample.Readers{
		Alice: entraserver.Alice, Engineering: entraserver.Engineering, Finance: entraserver.Finance, Board: entraserver.Board,
	})
}

// NameOf returns the name of a person (the part before the @) or group, or the id itself.
func (l *Local) NameOf(id string) string {
	object, err := identity.ParseObjectID(id)
	if err != nil {
		return id
	}
	if person := l.directory.Person(object); person != nil {
		return person.ShortName()
	}
	if group := l.directory.Group(object); group != nil {
		return group.Name
	}
	return id
}

// load creates the sample index with these few documents.
func (l *Local) load(ctx context.Context, documents []sample.Document) error {
	if _, err := l.engine.Put(ctx, sample.Definition(sample.IndexName), ""); err != nil {
		return fmt.Errorf("sample index: %w", err)
	}
	var actions []search.Action
	for action, err := range sample.Stream(documents) {
		if err != nil {
			return err
		}
		actions = append(actions, action)
	}
	statuses, err := l.engine.Write(ctx, sample.IndexName, actions)
	if err != nil {
		return fmt.Errorf("sample documents: %w", err)
	}
	for _, status := range statuses {
		if !status.OK {
			return fmt.Errorf("sample document %s: %s", status.Key, status.Message)
		}
	}
	return nil
}

// EntraHandler and SearchHandler answer at the two URLs.
func (l *Local) EntraHandler() http.Handler { return l.entra }

// SearchHandler answers at SearchURL.
func (l *Local) SearchHandler() http.Handler { return l.search }

// TLS returns the configuration of both listeners.
func (l *Local) TLS() (*tls.Config, error) { return l.ca.ServerTLS() }

// EntraTLS is TLS, with the certificate of the hosts that the local Entra poses as for who asks for one of them.
func (l *Local) EntraTLS() (*tls.Config, error) {
	config, err := l.ca.ServerTLS()
	if err != nil || l.posing == nil {
		return config, err
	}
	posing, err := l.posing.ServerTLS()
	if err != nil {
		return nil, err
	}
	config.Certificates = append(config.Certificates, posing.Certificates...) // crypto/tls picks by the name that is asked for
	return config, nil
}

// PosingCA returns the authority that vouches for the hosts of PoseAs, and for nothing else; nil without them. Whoever
// trusts it takes this process for Microsoft.
func (l *Local) PosingCA() []byte {
	if l.posing == nil {
		return nil
	}
	return l.posing.PEM()
}

// Client returns the client that trusts the local CA and no other. All callers share it: before the services stop, its
// idle connections should be closed, for which HTTP/2 otherwise waits.
func (l *Local) Client() *http.Client { return l.client }

// Entra gives access to the local Entra itself, for scenarios.
func (l *Local) Entra() *entraserver.Server { return l.entra }

// Close ends what the services hold open, after they are no longer served.
func (l *Local) Close() error { return l.engine.Close() }

func urlOf(listener net.Listener) string {
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return ""
	}
	return "https://" + net.JoinHostPort("localhost", port)
}

// Scenarios returns the names of the troubles that the local Entra can start with.
func Scenarios() []string {
	var names []string
	for _, scenario := range entraserver.Scenarios() {
		names = append(names, scenario.Name)
	}
	return names
}
