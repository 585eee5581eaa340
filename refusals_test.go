package onbehalf_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/chainstore"
	"github.com/onbehalf/onbehalf/obo"
	"github.com/onbehalf/onbehalf/obo/rediscache"
	"github.com/onbehalf/onbehalf/signin"
)

// house is the whole way of a call: a person who signs in by device code, an MCP client, the server with all its
// recorders and a shared cache, and the local Entra. It notes every token that Entra issues and everything that leaves.
type house struct {
	entra  *entratest.Entra
	server *onbehalf.Server
	url    string
	store  *chainstore.Store
	redis  *miniredis.Miniredis
	audit  *buffer // log and audit log of the server
	said   *buffer // bodies and headers of the server's answers
	issued *tokens
	clock  *movable

	statuses []int // of the server's answers
	metrics  *prometheus.Registry
	spans    *chainstore.Spans
	traces   *buffer // what the collector got
}

// movable is the system's clock, moved forward by a test.
type movable struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (m *movable) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Add(m.ahead)
}

// buffer may be written by many.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// tokens listens at the wire to Entra for every token that is issued.
type tokens struct {
	next http.RoundTripper
	mu   sync.Mutex
	all  map[string]bool
}

func (l *tokens) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/token") {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	var issued struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		ID      string `json:"id_token"`
	}
	_ = json.Unmarshal(body, &issued)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, token := range []string{issued.Access, issued.Refresh, issued.ID} {
		if token != "" {
			l.all[token] = true
		}
	}
	return resp, err
}

// listening notes what the server answers.
type listening struct{ house *house }

func (l listening) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	_ = resp.Header.Write(l.house.said)
	_, _ = l.house.said.Write(body)
	l.house.statuses = append(l.house.statuses, resp.StatusCode)
	return resp, err
}

func build(t *testing.T) *house {
	t.Helper()
	return buildWith(t, nil)
}

// buildWith lets a test change how tokens are exchanged; the address of the server is known by then.
func buildWith(t *testing.T, change func(h *house, c *obo.Config)) *house {
	t.Helper()
	h := &house{
		entra: entratest.Start(t, nil), store: chainstore.New(0), redis: miniredis.RunT(t), audit: &buffer{}, said: &buffer{}, clock: &movable{}, metrics: prometheus.NewRegistry(),
		traces: &buffer{},
	}
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(h.traces, r.Body) }))
	t.Cleanup(collector.Close)
	var errSpans error
	h.spans, errSpans = chainstore.NewSpans(collector.URL, "test", collector.Client(), nil)
	if errSpans != nil {
		t.Fatal(errSpans)
	}
	wire := h.entra.Client()
	h.issued = &tokens{next: wire.Transport, all: map[string]bool{}}
	wire.Transport = h.issued
	cloud, errCloud := entra.CloudOf(h.entra.URL)
	tenant, errTenant := identity.ParseTenantID(h.entra.Tenant)
	client, errClient := identity.ParseClientID(h.entra.API)
	logger := slog.New(slog.NewJSONHandler(h.audit, &slog.HandlerOptions{Level: slog.LevelDebug}))
	shared, errShared := rediscache.New(rediscache.Config{URL: identity.NewSecret("redis://" + h.redis.Addr()), Secrets: []identity.Secret{identity.NewSecret("a-secret-of-the-deployment-0123456789")}, Logger: logger})
	metrics, errMetrics := chainstore.NewMetrics(h.metrics)
	if err := errors.Join(errTenant, errClient, errShared, errMetrics); err != nil || !errors.Is(errCloud, entra.ErrUnknownCloud) {
		t.Fatal(err, errCloud)
	}
	t.Cleanup(func() { _ = shared.Close() })
	listener := httptest.NewUnstartedServer(nil)
	h.url = "http://" + listener.Listener.Addr().String() + "/mcp"
	public, err := url.Parse(h.url)
	if err != nil {
		t.Fatal(err)
	}
	exchange := obo.Config{
		Cloud: cloud, Tenant: tenant, Client: client, Credential: obo.Secret(h.entra.Secret(h.entra.API)), HTTPClient: wire, Logger: logger, Shared: shared, Now: h.clock.Now,
	}
	if change != nil {
		change(h, &exchange)
	}
	exchanger, err := obo.New(exchange)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exchanger.Close() })
	h.server, err = onbehalf.New(onbehalf.Config{
		URL: public, Cloud: cloud, Tenants: []identity.TenantID{tenant}, Client: client, Exchanger: exchanger, HTTPClient: wire, Logger: logger,
		Recorders: []chain.Recorder{h.store, chainstore.NewAudit(logger), metrics, h.spans}, Now: h.clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	search := entra.Clouds()[0].SearchScope()
	err = onbehalf.AddTool(h.server, &onbehalf.Tool{Name: "whose", Description: "Says whose token the search service would get.", ReadOnly: true}, search,
		func(_ context.Context, _ *identity.Caller, token identity.Token, _ struct{}) (greeting, error) {
			return greeting{token.Object.String() + " at " + token.Audience}, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	listener.Config.Handler = h.server.Handler()
	listener.Start()
	t.Cleanup(listener.Close)
	return h
}

// signsIn connects a person through package signin: she approves each device code at once. Prompts counts them.
func (h *house) signsIn(t *testing.T, person string) (session *mcp.ClientSession, prompts *int) {
	t.Helper()
	web, err := identity.ParseClientID(h.entra.WebClient)
	if err != nil {
		t.Fatal(err)
	}
	prompts = new(int)
	acquirer, err := signin.New(signin.Config{
		Authority: h.entra.URL + "/", Tenant: h.entra.Tenant, Client: web, HTTPClient: &http.Client{Transport: h.issued}, Method: signin.ByDeviceCode,
		Prompt: func(_ context.Context, code signin.DeviceCode) error {
			*prompts++
			h.entra.Approve(code.UserCode, person)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(h.url)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := signin.NewHandler(address, acquirer, signin.HandlerConfig{Scopes: []entra.Scope{h.server.Scope()}})
	if err != nil {
		t.Fatal(err)
	}
	transport := &mcp.StreamableClientTransport{Endpoint: h.url, HTTPClient: &http.Client{Transport: listening{h}}, DisableStandaloneSSE: true, OAuthHandler: handler}
	session, err = mcp.NewClient(&mcp.Implementation{Name: "test"}, nil).Connect(t.Context(), transport, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session, prompts
}

func call(t *testing.T, session *mcp.ClientSession) *mcp.CallToolResult {
	t.Helper()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "whose"})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// nothingLeaked greps everything that left for every token that was issued.
func (h *house) nothingLeaked(t *testing.T) {
	t.Helper()
	if err := h.spans.Close(); err != nil {
		t.Error(err)
	}
	scrape := httptest.NewRecorder()
	promhttp.HandlerFor(h.metrics, promhttp.HandlerOpts{}).ServeHTTP(scrape, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	outputs := map[string]string{"log and audit": h.audit.String(), "the server's answers": h.said.String(), "redis": h.redis.Dump(), "metrics": scrape.Body.String(), "traces": h.traces.String()}
	h.issued.mu.Lock()
	defer h.issued.mu.Unlock()
	if len(h.issued.all) < 3 {
		t.Errorf("only %d tokens were seen: the test listens at the wrong place", len(h.issued.all))
	}
	for token := range h.issued.all {
		signature := token[strings.LastIndexByte(token, '.')+1:]
		for where, output := range outputs {
			if strings.Contains(output, signature) {
				t.Errorf("%s holds a token", where)
			}
		}
	}
	for where, output := range outputs {
		if output == "" && where != "redis" { // a refusal leaves nothing there
			t.Errorf("%s is empty: the test listens at the wrong place", where)
		}
	}
}

// The challenge's way back: 401 before the JSON-RPC answer starts, one sign-in with the claims, one retry.
func TestMFAOnDemand(t *testing.T) {
	h := build(t)
	session, prompts := h.signsIn(t, "alice")
	h.entra.Scenario("mfa")
	before := len(h.statuses)
	if result := call(t, session); result.IsError || !strings.Contains(text(result), "https://search.azure.com") {
		t.Errorf("after the sign-in with MFA: %s", text(result))
	}
	if got := h.statuses[before:]; len(got) != 2 || got[0] != http.StatusUnauthorized || got[1] != http.StatusOK {
		t.Errorf("got statuses %v, want 401, then 200", got)
	}
	if *prompts != 2 {
		t.Errorf("alice was asked %d times, want twice: to sign in, and for MFA", *prompts)
	}
	if said := h.said.String(); !strings.Contains(said, `error="insufficient_claims"`) || !strings.Contains(said, `claims="`) {
		t.Error("no challenge with claims")
	}
	h.nothingLeaked(t)
}

func TestRevokedInTheMiddleOfASession(t *testing.T) {
	h := build(t)
	session, prompts := h.signsIn(t, "alice")
	h.entra.Scenario("revoked")
	if result := call(t, session); result.IsError {
		t.Errorf("after signing in anew: %s", text(result))
	}
	if *prompts != 2 {
		t.Errorf("alice was asked %d times, want twice", *prompts)
	}
	if !strings.Contains(h.audit.String(), "AADSTS50173") {
		t.Error("the audit log does not say why")
	}
	h.nothingLeaked(t)
}

// All signing keys are replaced at once: the token at hand no longer verifies, the next one does, and nobody is asked.
func TestKeysRotateInTheMiddleOfASession(t *testing.T) {
	h := build(t)
	session, prompts := h.signsIn(t, "alice")
	if result := call(t, session); result.IsError {
		t.Fatalf("before: %s", text(result))
	}
	h.entra.Scenario("rotate-keys")
	if result := call(t, session); result.IsError {
		t.Errorf("after: %s", text(result))
	}
	if *prompts != 1 {
		t.Errorf("alice was asked %d times, want once", *prompts)
	}
	h.nothingLeaked(t)
}

func TestBlockedIsSaidOnce(t *testing.T) {
	h := build(t)
	session, prompts := h.signsIn(t, "alice")
	h.entra.Scenario("blocked")
	result := call(t, session)
	if said := text(result); !result.IsError || !strings.Contains(said, "Conditional Access") || !strings.Contains(said, "AADSTS53003") || !strings.Contains(said, "correlation id") {
		t.Errorf("got %q", said)
	}
	if *prompts != 1 || h.statuses[len(h.statuses)-1] != http.StatusOK {
		t.Errorf("alice was asked %d times, last status %d: signing in again does not help here", *prompts, h.statuses[len(h.statuses)-1])
	}
	asked := h.entra.Count("token", "")
	call(t, session)
	if n := h.entra.Count("token", "") - asked; n != 0 {
		t.Errorf("Entra was asked %d more times within seconds", n)
	}
	h.nothingLeaked(t)
}

// Without capabilities a client gets words, never a 401 that it would misread.
func TestWordsForClientsWithoutClaimsChallenges(t *testing.T) {
	h := build(t)
	h.entra.Scenario("mfa")
	token := h.entra.SignIn("alice", h.entra.WebClient, h.server.Scope().String())
	session, err := mcp.NewClient(&mcp.Implementation{Name: "old"}, nil).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: h.url, HTTPClient: &http.Client{Transport: bearing{token}}, DisableStandaloneSSE: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	result := call(t, session)
	if said := text(result); !result.IsError || !strings.Contains(said, "multifactor") || !strings.Contains(said, "AADSTS50076") {
		t.Errorf("got %q", said)
	}
}

var linkPattern = regexp.MustCompile(`https://localhost:[0-9]+/\S+adminconsent\?\S+`)

// The link that the refusal holds leads to consent, and the next call goes through.
func TestTheConsentLinkWorks(t *testing.T) {
	h := build(t)
	session, prompts := h.signsIn(t, "alice")
	h.entra.Scenario("consent")
	result := call(t, session)
	link := linkPattern.FindString(text(result))
	if !result.IsError || link == "" || !strings.Contains(text(result), "AADSTS65001") {
		t.Fatalf("got %q, want the consent link", text(result))
	}
	info, _ := result.Meta[onbehalf.MetaRefusal].(map[string]any)
	correlation, ok := info["correlation"].(string)
	if info["kind"] != "consent-required" || info["aadsts"] != 65001.0 || !ok || !strings.Contains(text(result), correlation) {
		t.Errorf("for programs: %v, want what the words say", info)
	}
	h.consents(t, link)
	h.clock.mu.Lock()
	h.clock.ahead = 15 * time.Second // a refusal is remembered for seconds
	h.clock.mu.Unlock()
	if result = call(t, session); result.IsError {
		t.Errorf("after consent: %q", text(result))
	}
	if *prompts != 1 {
		t.Errorf("alice was asked %d times, want once", *prompts)
	}
	h.nothingLeaked(t)
}

var (
	formPattern = regexp.MustCompile(`<form method="post" action="([^"]+)"`)
	flowPattern = regexp.MustCompile(`name="flow" value="([^"]+)"`)
)

// consents opens the link as adele, the administrator, signs in and accepts.
func (h *house) consents(t *testing.T, link string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := h.entra.Client()
	browser.Jar = jar
	browser.Timeout = 10 * time.Second
	visit := func(r *http.Request) string {
		t.Helper()
		resp, errVisit := browser.Do(r)
		if errVisit != nil {
			t.Fatal(errVisit)
		}
		defer resp.Body.Close()
		page, _ := io.ReadAll(resp.Body)
		return string(page)
	}
	open, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	page := visit(open)
	for _, fields := range []url.Values{{"login": {"adele"}, "passwd": {"Passw0rd!"}}, {"consent": {"yes"}}} {
		action, flow := formPattern.FindStringSubmatch(page), flowPattern.FindStringSubmatch(page)
		if action == nil || flow == nil {
			t.Fatalf("no form: %s", page)
		}
		fields.Set("flow", html.UnescapeString(flow[1]))
		target, errParse := open.URL.Parse(html.UnescapeString(action[1]))
		if errParse != nil {
			t.Fatal(errParse)
		}
		press, errPress := http.NewRequestWithContext(t.Context(), http.MethodPost, target.String(), strings.NewReader(fields.Encode()))
		if errPress != nil {
			t.Fatal(errPress)
		}
		press.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		press.Header.Set("Origin", h.entra.URL)
		page = visit(press)
	}
	if !strings.Contains(page, "Consent is given") {
		t.Fatalf("no consent: %s", page)
	}
}
