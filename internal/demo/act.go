package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/tools"
	"github.com/onbehalf/onbehalf/signin"
)

// session is one person's connection to the MCP server.
type session struct {
	client   *signin.Client
	handler  *signin.Handler
	mcp      *mcp.ClientSession
	userCode string
	signedIn time.Duration
	audience string
}

// act signs a person in, lists the tools, calls get_documents and compares. It returns how many decisions were right, of
// how many.
func (d *demo) act(ctx context.Context, p *person) (right, asked int, err error) {
	s, err := d.connect(ctx, p)
	if err != nil {
		return 0, 0, err
	}
	defer s.mcp.Close()
	list, err := s.mcp.ListTools(ctx, nil)
	if err != nil {
		return 0, 0, fmt.Errorf("tools/list: %w", err)
	}
	names := make([]string, len(list.Tools))
	for i, tool := range list.Tools {
		names[i] = tool.Name
	}
	first, chainID, err := call(ctx, s.mcp, tools.DocumentsInput{})
	if err != nil {
		return 0, 0, err
	}
	hops, err := d.chain(ctx, s, chainID)
	if err != nil {
		return 0, 0, err
	}
	report, err := d.compare(ctx, s.mcp, p, first)
	if err != nil {
		return 0, 0, err
	}
	d.out.person(p, s, names, first, hops, chainID, report, p == &d.people[0])
	return report.right, report.asked, nil
}

// connect opens an MCP session; the server's challenge makes the client sign in by device code, which the demo approves.
func (d *demo) connect(ctx context.Context, p *person) (*session, error) {
	s := &session{}
	var err error
	if s.client, err = d.signInAs(p.short, &s.userCode); err != nil {
		return nil, err
	}
	s.handler, err = signin.NewHandler(d.mcpURL, s.client, signin.HandlerConfig{
		HTTPClient: d.client, Scopes: []entra.Scope{d.scope}, Now: d.now, Logger: d.config.Logger,
	})
	if err != nil {
		return nil, err
	}
	start := d.now()
	client := mcp.NewClient(&mcp.Implementation{Name: "onbehalf demo"}, nil)
	s.mcp, err = client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: d.mcpURL.String(), OAuthHandler: s.handler, DisableStandaloneSSE: true,
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	s.signedIn = d.now().Sub(start)
	s.audience = d.scope.Resource()
	if token, ok := s.handler.Token(); ok && token.Audience != "" {
		s.audience = token.Audience
	}
	return s, nil
}

// signInAs returns a client whose device codes the demo approves as the person.
func (d *demo) signInAs(user string, code *string) (*signin.Client, error) {
	id, err := identity.ParseClientID(d.settings["WEB_CLIENT_ID"])
	if err != nil {
		return nil, err
	}
	return signin.New(signin.Config{
		Authority: d.settings["AZURE_AUTHORITY_HOST"], Tenant: d.settings["TENANT_ID"], Client: id,
		HTTPClient: d.client, Method: signin.ByDeviceCode, Now: d.now, Logger: d.config.Logger,
		Prompt: func(ctx context.Context, prompt signin.DeviceCode) error {
			*code = prompt.UserCode
			return d.control(ctx, http.MethodPost, "devicecodes/"+prompt.UserCode+"/approve", map[string]string{"user": user}, nil)
		},
	})
}

// call calls get_documents and returns its answer and the id of the call's chain.
func call(ctx context.Context, s *mcp.ClientSession, in tools.DocumentsInput) (tools.DocumentsOutput, string, error) {
	var out tools.DocumentsOutput
	result, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "get_documents", Arguments: in})
	if err != nil {
		return out, "", fmt.Errorf("tools/call get_documents: %w", err)
	}
	if result.IsError {
		return out, "", errors.New("get_documents: " + textOf(result))
	}
	text, err := json.Marshal(result.StructuredContent)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	id, _ := result.Meta[onbehalf.MetaChain].(string)
	return out, id, err
}

func textOf(result *mcp.CallToolResult) string {
	var words []string
	for _, content := range result.Content {
		if text, ok := content.(*mcp.TextContent); ok {
			words = append(words, text.Text)
		}
	}
	return strings.Join(words, " ")
}

// chain fetches the hops of a call as the person who made it: nobody else may see them.
func (d *demo) chain(ctx context.Context, s *session, id string) ([]chain.Hop, error) {
	token, ok := s.handler.Token()
	if !ok {
		return nil, errors.New("no token to fetch the chain with")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.mcpURL.Scheme+"://"+d.mcpURL.Host+"/api/chain/"+id, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token.Value.Reveal())
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("chain %s: HTTP %d", id, resp.StatusCode)
	}
	var record struct {
		Hops []chain.Hop `json:"hops"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, maxControl)).Decode(&record); err != nil {
		return nil, fmt.Errorf("chain %s: %w", id, err)
	}
	return slices.Clone(record.Hops), nil
}
