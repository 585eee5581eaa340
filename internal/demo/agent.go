package demo

import (
	"context"
	"fmt"
	"net"
	"net/url"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/builtin"
	"github.com/onbehalf/onbehalf/internal/httprun"
	"github.com/onbehalf/onbehalf/internal/web"
	"github.com/onbehalf/onbehalf/signin"
)

// webAgent is the web-based agent: the way on after the show, in a browser.
type webAgent struct {
	app *web.App
	url *url.URL
}

// serverName is what the agent calls the MCP server, as "onbehalf web" does.
const serverName = "docs"

// startAgent makes the web agent from the same settings that a process of its own would get. The stand-in answers, and
// may search unasked: that is what the demonstration is about.
func (d *demo) startAgent() (*webAgent, error) {
	_, port, err := net.SplitHostPort(d.config.Web.Addr().String())
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	base := &url.URL{Scheme: "http", Host: net.JoinHostPort("localhost", port)}
	client, err := identity.ParseClientID(d.settings["AGENT_CLIENT_ID"])
	if err != nil {
		return nil, err
	}
	secret := identity.NewSecret(d.settings["AGENT_CLIENT_SECRET"])
	hosted, err := signin.NewHosted(signin.HostedConfig{
		Authority: d.settings["AZURE_AUTHORITY_HOST"], Tenant: d.settings["TENANT_ID"], Client: client, Redirect: web.Callback(base), HTTPClient: d.client,
		Secret: func() (identity.Secret, error) { return secret, nil }, Logger: d.config.Logger,
	})
	if err != nil {
		return nil, err
	}
	loop, err := agent.New(agent.Config{
		Model: builtin.Model{}, Ask: agent.AskPolicy{Unasked: map[string]string{serverName + ".get_documents": ""}}, Version: "demo", Now: d.now, Logger: d.config.Logger,
	})
	if err != nil {
		return nil, err
	}
	name, standIn := builtin.Model{}.Name()
	app, err := web.New(web.Config{
		URL: base, SignIn: hosted, Scope: d.scope, Authority: d.settings["AZURE_AUTHORITY_HOST"], Local: true,
		Servers: []web.Server{{Name: serverName, URL: d.mcpURL, APIs: []string{d.scope.Resource()}}}, MCPClient: d.client,
		Agent: loop, Model: web.Model{Name: name, Builtin: standIn}, Examples: d.questions(), Now: d.now, Logger: d.config.Logger,
	})
	if err != nil {
		loop.Close()
		return nil, err
	}
	return &webAgent{app, base}, nil
}

// questions are those to begin with: of the sample documents, or the titles of those that were given.
func (d *demo) questions() []string {
	if d.config.Documents == nil {
		return []string{"roadmap, forecast or handbook?", "What is on the roadmap?", "Who reviews Alice?"}
	}
	var questions []string
	for i := range d.config.Documents {
		const most, longest = 3, 60
		if name := clean(d.config.Documents[i].Name); len(questions) < most && name != "" && len(name) <= longest {
			questions = append(questions, name)
		}
	}
	return questions
}

// serve is the agent's endpoint, and what runs beside it until the context ends.
func (w *webAgent) serve(ctx context.Context, listener net.Listener, config *Config) (httprun.Endpoint, <-chan error) {
	ended := make(chan error, 1)
	go func() { ended <- w.app.Run(ctx) }()
	return httprun.Endpoint{Name: "web agent", Listener: listener, Handler: w.app.Handler(), Logger: config.Logger}, ended
}
