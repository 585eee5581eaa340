// Package demo shows the whole way of a call on one machine: a local Entra, a local AI Search, the MCP server and the
// web agent in one process, each reached only by its network address. It signs sample people in, calls get_documents as
// each, and holds what came back against what the documents' permissions say; then it does what must be refused.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/httprun"
	"github.com/onbehalf/onbehalf/internal/local"
	"github.com/onbehalf/onbehalf/internal/provision"
	"github.com/onbehalf/onbehalf/internal/sample"
	"github.com/onbehalf/onbehalf/internal/serve"
	"github.com/onbehalf/onbehalf/obo"
	"github.com/onbehalf/onbehalf/search/searchclient"
)

// Config says where to listen and what to show.
type Config struct {
	Entra, Search, MCP net.Listener
	Web                net.Listener        // of the web agent; nil: none
	Documents          []sample.Document   // nil: the five sample documents
	People             io.Reader           // more people, as JSON lines; nil: none
	Progress           func(done, all int) // called while documents are loaded
	EnvFile            string              // where to write the settings; "": nowhere
	Once               bool                // stop after the show

	Out    io.Writer
	Now    func() time.Time
	Logger *slog.Logger
}

// ErrDifference says that somebody saw what the permissions do not allow, or did not see what they do allow, or that
// something was not refused. What it was has been printed.
var ErrDifference = errors.New("what happened differs from what the permissions say")

// grace is how long calls in flight may take at the end.
const grace = 1500 * time.Millisecond

// Demo is everything in one process.
type demo struct {
	config   Config
	local    *local.Local
	settings map[string]string
	cloud    entra.Cloud
	scope    entra.Scope // of the MCP server
	mcpURL   *url.URL
	client   *http.Client // trusts the local CA
	people   []person
	out      *screen
	now      func() time.Time
	web      *webAgent // nil: none
	tamper   func()    // tests change what is expected here
}

// Run shows the demonstration; unless Config.Once is set it then serves until the context ends. It closes the listeners
// and leaves no goroutine behind. A difference is [ErrDifference].
func Run(ctx context.Context, config Config) error {
	d, server, err := assemble(ctx, config)
	if err != nil {
		return err
	}
	return d.run(ctx, server)
}

func (d *demo) run(ctx context.Context, server *serve.Server) error {
	config := d.config
	defer d.local.Close()
	defer server.Close()
	tls, err := d.local.TLS()
	if err != nil {
		return err
	}
	endpoints := []httprun.Endpoint{
		{Name: "local Entra", Listener: config.Entra, Handler: d.local.EntraHandler(), TLS: tls, Logger: config.Logger},
		{Name: "local Search", Listener: config.Search, Handler: d.local.SearchHandler(), TLS: tls, Logger: config.Logger},
		{Name: "MCP server", Listener: config.MCP, Handler: server.Handler(), Logger: config.Logger},
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	var agentEnded <-chan error
	if d.web != nil {
		var endpoint httprun.Endpoint
		endpoint, agentEnded = d.web.serve(serving, config.Web, &config)
		endpoints = append(endpoints, endpoint)
	}
	served := make(chan error, 1)
	go func() { served <- httprun.Serve(serving, grace, endpoints...) }()

	shown := d.show(serving)
	d.client.CloseIdleConnections()
	if config.Once || ctx.Err() != nil {
		stop()
	} else {
		d.invite()
	}
	errs := []error{shown, <-served}
	if agentEnded != nil {
		errs = append(errs, <-agentEnded)
	}
	return errors.Join(errs...)
}

func assemble(ctx context.Context, config Config) (*demo, *serve.Server, error) {
	d := &demo{config: config, out: newScreen(config.Out), now: config.Now}
	if d.now == nil {
		d.now = time.Now //nolint:forbidigo // the default clock
	}
	var err error
	d.local, err = local.New(ctx, local.Config{Entra: config.Entra, Search: config.Search, People: config.People, Now: d.now, Logger: config.Logger})
	if err != nil {
		return nil, nil, err
	}
	d.client = d.local.Client()
	server, err := d.prepare()
	if err == nil && config.Web != nil {
		if d.web, err = d.startAgent(); err != nil { //nolint:contextcheck // turns outlive what begins them
			err = errors.Join(err, server.Close())
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, d.local.Close())
	}
	return d, server, nil
}

func (d *demo) prepare() (*serve.Server, error) {
	_, port, err := net.SplitHostPort(d.config.MCP.Addr().String())
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	d.mcpURL = &url.URL{Scheme: "http", Host: net.JoinHostPort("localhost", port), Path: "/mcp"}
	d.settings = map[string]string{}
	for _, setting := range d.local.Settings(local.CAFiles{}) {
		d.settings[setting.Name] = setting.Value
	}
	return d.startServer()
}

// startServer makes the MCP server from the same settings that a process of its own would get.
func (d *demo) startServer() (*serve.Server, error) {
	cloud, err := entra.CloudOf(d.settings["AZURE_AUTHORITY_HOST"])
	if err != nil && !errors.Is(err, entra.ErrUnknownCloud) {
		return nil, err
	}
	cloud.Graph = d.settings["GRAPH_ENDPOINT"]
	d.cloud = cloud
	tenant, err1 := identity.ParseTenantID(d.settings["TENANT_ID"])
	client, err2 := identity.ParseClientID(d.settings["API_CLIENT_ID"])
	scope, err3 := entra.NewScope(d.settings["API_APP_ID_URI"], "execute")
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	d.scope = scope
	if d.config.EnvFile != "" {
		if err := d.local.WriteEnv(d.config.EnvFile, local.Setting{Name: "MCP_URL", Value: d.mcpURL.String()}); err != nil {
			return nil, err
		}
	}
	return serve.New(serve.Config{
		Server: onbehalf.Config{
			Name: "onbehalf demo", URL: d.mcpURL, Cloud: cloud, Tenants: []identity.TenantID{tenant}, Client: client,
			AppIDURI: d.settings["API_APP_ID_URI"], Logger: d.config.Logger, Now: d.now,
		},
		Credential: obo.Secret(identity.NewSecret(d.settings["CLIENT_SECRET"])),
		Search: serve.Search{
			Endpoint: d.settings["AZURE_SEARCH_ENDPOINT"], Index: d.settings["AZURE_SEARCH_INDEX"],
			Key: identity.NewSecret(d.settings["AZURE_SEARCH_KEY"]), PermissionFields: []string{"oid", "group"},
		},
		ConsentRedirect: serve.LocalRedirect(d.mcpURL),
		EntraClient:     d.client, SearchClient: d.client,
	})
}

// show plays the acts. Its error is ErrDifference when all could be played and something differed.
func (d *demo) show(ctx context.Context) error {
	start := d.now()
	if err := d.load(ctx); err != nil {
		return err
	}
	if d.tamper != nil {
		d.tamper()
	}
	if err := d.findPeople(ctx); err != nil {
		return err
	}
	d.out.opening(d)
	decisions, wrong := 0, 0
	for i := range d.people {
		right, asked, err := d.act(ctx, &d.people[i])
		if err != nil {
			return fmt.Errorf("%s: %w", d.people[i].short, err)
		}
		decisions += asked
		wrong += asked - right
	}
	refused, tried, err := d.refusals(ctx)
	if err != nil {
		return err
	}
	d.out.verdict(decisions-wrong, decisions, refused, tried, d.now().Sub(start), d.config.Once)
	if wrong > 0 || refused < tried {
		return ErrDifference
	}
	return nil
}

// load replaces the sample documents by those that were given, over the network like everybody else.
func (d *demo) load(ctx context.Context) error {
	if d.config.Documents == nil {
		var err error
		d.config.Documents, err = d.local.SampleDocuments()
		return err
	}
	service, err := searchclient.New(searchclient.Config{
		Endpoint: d.settings["AZURE_SEARCH_ENDPOINT"], Key: identity.NewSecret(d.settings["SEARCH_ADMIN_KEY"]), HTTPClient: d.client,
	})
	if err != nil {
		return err
	}
	if err = service.Delete(ctx, sample.IndexName, ""); err != nil {
		return err
	}
	if _, err = service.Put(ctx, sample.Definition(sample.IndexName), ""); err != nil {
		return err
	}
	options := provision.PushOptions{}
	if d.config.Progress != nil {
		options.Progress = func(done int) { d.config.Progress(done, len(d.config.Documents)) }
	}
	start := d.now()
	report, err := provision.Push(ctx, service, sample.IndexName, provision.Number(sample.Stream(d.config.Documents)), options)
	if err == nil && report.Failed > 0 {
		err = fmt.Errorf("document %s: %s", report.Failures[0].Key, report.Failures[0].Message)
	}
	if err != nil {
		return err
	}
	d.out.loaded(report.Uploaded, d.now().Sub(start))
	return nil
}
