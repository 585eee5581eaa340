package onbehalf_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/obo"
)

// withLinks is a house whose people get links of their own, which end at the server that is returned.
func withLinks(t *testing.T) *house {
	t.Helper()
	landing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("landed at " + r.URL.Path))
	}))
	t.Cleanup(landing.Close)
	at, err := url.Parse(landing.URL)
	if err != nil {
		t.Fatal(err)
	}
	h := buildWith(t, func(_ *house, c *obo.Config) { c.ConsentRedirect = "http://localhost:" + at.Port() + "/auth/done" })
	err = onbehalf.AddTool(h.server, &onbehalf.Tool{Name: "another", ReadOnly: true}, entra.Clouds()[0].SearchScope(),
		func(_ context.Context, _ *identity.Caller, _ identity.Token, in wish) (greeting, error) {
			return greeting{in.Wish}, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

type wish struct {
	Wish string `json:"wish,omitempty"`
	More int    `json:"more,omitempty"`
}

// connects is a client that presents the token, without package signin.
func (h *house) connects(t *testing.T, token identity.Secret, options *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test"}, options).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: h.url, HTTPClient: &http.Client{Transport: bearing{token}}, DisableStandaloneSSE: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// opening are the options of a client that shows links, and what it does with them.
func opening(handle func(*mcp.ElicitParams) string) *mcp.ClientOptions {
	return &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: handle(req.Params)}, nil
		},
	}
}

// following opens each link as the person, and counts them.
func (h *house) following(t *testing.T, person string, links *int) *mcp.ClientOptions {
	t.Helper()
	return opening(func(asked *mcp.ElicitParams) string {
		*links++
		if asked.Mode != "url" || !strings.HasPrefix(asked.URL, h.entra.Authority()+"/oauth2/v2.0/authorize?") || !strings.Contains(asked.Message, "AADSTS") {
			t.Errorf("asked by %s for %s: %q", asked.Mode, asked.URL, asked.Message)
		}
		page, err := h.entra.Browser(person).Open(asked.URL)
		if err != nil || page.Body != "landed at /auth/done" {
			t.Errorf("the link leads to %v, %v", page, err)
		}
		return "accept"
	})
}

// One call: no consent, the link, consent, and the call goes through, at once.
func TestConsentWithinACall(t *testing.T) {
	h := withLinks(t)
	token := h.entra.SignIn("alice", h.entra.WebClient, h.server.Scope().String())
	h.entra.Scenario("consent")
	links := 0
	session := h.connects(t, token, h.following(t, "alice", &links))
	if result := call(t, session); result.IsError || !strings.Contains(text(result), "https://search.azure.com") || links != 1 {
		t.Errorf("after %d links: %s", links, text(result))
	}
}

// The link of a sign-in shows the person what is asked for. Her client's token stays as it is: she is told, and not asked
// again.
func TestSignInLinkForClientsWithoutClaimsChallenges(t *testing.T) {
	h := withLinks(t)
	token := h.entra.SignIn("alice", h.entra.WebClient, h.server.Scope().String())
	h.entra.Scenario("mfa")
	links := 0
	session := h.connects(t, token, h.following(t, "alice", &links))
	if result := call(t, session); !result.IsError || !strings.Contains(text(result), "AADSTS50076") || links != 1 {
		t.Errorf("after %d links: %s", links, text(result))
	}
}

func TestWordsWhereLinksCannotBeShown(t *testing.T) {
	h := withLinks(t)
	token := h.entra.SignIn("alice", h.entra.WebClient, h.server.Scope().String())
	h.entra.Scenario("consent")
	form := &mcp.ClientOptions{
		Capabilities:       &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{Form: &mcp.FormElicitationCapabilities{}}},
		ElicitationHandler: opening(nil).ElicitationHandler,
	}
	for desc, options := range map[string]*mcp.ClientOptions{
		"no elicitation": nil,
		"forms only":     form,
		"declined":       opening(func(*mcp.ElicitParams) string { return "decline" }),
	} {
		t.Run(desc, func(t *testing.T) {
			result := call(t, h.connects(t, token, options))
			if said := text(result); !result.IsError || !strings.Contains(said, "AADSTS65001") || !strings.Contains(said, "Consent here: https://localhost") {
				t.Errorf("got %q", said)
			}
		})
	}
	t.Run("an older protocol", func(t *testing.T) {
		answer := h.post(t, token, "2025-11-25", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whose","arguments":{},
			"_meta":{"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"url":{}}}}}}`)
		if !strings.Contains(answer, `"isError":true`) || !strings.Contains(answer, "AADSTS65001") || strings.Contains(answer, "inputRequests") {
			t.Errorf("got %s", answer)
		}
	})
}

// post sends one request by hand.
func (h *house) post(t *testing.T, token identity.Secret, protocol, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Mcp-Protocol-Version", protocol)
	resp, err := bearing{token}.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// The state that a client carries opens for this person, client, tool and arguments, and for ten minutes.
func TestStateOfAnotherCall(t *testing.T) {
	h := withLinks(t)
	scope := h.server.Scope().String()
	tokens := map[string]identity.Secret{
		"alice": h.entra.SignIn("alice", h.entra.WebClient, scope), "bob": h.entra.SignIn("bob", h.entra.WebClient, scope),
		"alice with another client": h.entra.SignIn("alice", h.entra.WebAgent, scope),
	}
	h.entra.Scenario("consent")
	byHand := opening(nil)
	byHand.MultiRoundTrip = &mcp.MultiRoundTripOptions{Disabled: true}
	sessions := map[string]*mcp.ClientSession{}
	for who, token := range tokens {
		sessions[who] = h.connects(t, token, byHand)
	}
	ask := func(t *testing.T, who, tool, arguments, state string) *mcp.CallToolResult {
		t.Helper()
		result, err := sessions[who].CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: json.RawMessage(arguments), RequestState: state})
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	first := ask(t, "alice", "another", `{"wish":"x","more":1}`, "")
	state := first.RequestState
	if !first.NeedsInput() || state == "" || len(first.InputRequests) != 1 {
		t.Fatalf("got %+v, want to be asked", first)
	}
	for _, tt := range []struct {
		desc, who, tool, arguments, state string
		later                             time.Duration
		mine                              bool
	}{
		{"the same", "alice", "another", `{"wish":"x","more":1}`, state, 0, true},
		{"the same, written otherwise", "alice", "another", ` { "more":1, "wish":"x" }`, state, 0, true},
		{"after nine minutes", "alice", "another", `{"wish":"x","more":1}`, state, 9 * time.Minute, true},
		{"after eleven minutes", "alice", "another", `{"wish":"x","more":1}`, state, 11 * time.Minute, false},
		{"another person", "bob", "another", `{"wish":"x","more":1}`, state, 0, false},
		{"another client", "alice with another client", "another", `{"wish":"x","more":1}`, state, 0, false},
		{"another tool", "alice", "whose", `{}`, state, 0, false},
		{"other arguments", "alice", "another", `{"wish":"y","more":1}`, state, 0, false},
		{"altered", "alice", "another", `{"wish":"x","more":1}`, "A" + state[1:len(state)-1] + "A", 0, false},
		{"made up", "alice", "another", `{"wish":"x","more":1}`, "AAAA", 0, false},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			h.clock.set(tt.later)
			defer h.clock.set(0)
			asked := h.entra.Count("token", "")
			result := ask(t, tt.who, tt.tool, tt.arguments, tt.state)
			said := text(result)
			if !result.IsError || result.NeedsInput() || strings.Contains(said, "AADSTS65001") != tt.mine || strings.Contains(said, "belongs to another call") == tt.mine {
				t.Errorf("got %q", said)
			}
			if n := h.entra.Count("token", "") - asked; !tt.mine && n != 0 {
				t.Errorf("Entra was asked %d times", n)
			}
		})
	}
}

func (m *movable) set(ahead time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ahead = ahead
}

func TestStateSecretsThatAreNone(t *testing.T) {
	_, err := onbehalf.New(onbehalf.Config{StateSecrets: []identity.Secret{identity.NewSecret("short")}})
	if err == nil || !strings.Contains(err.Error(), "StateSecrets") || strings.Contains(err.Error(), "short") {
		t.Errorf("got %v", err)
	}
}
