package server_test

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/internal/cli/server"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// The tokens of the machine's identity, which may be a person's sign-in with Azure's tools, go to Microsoft alone.
func TestWhoGetsTheMachinesTokens(t *testing.T) {
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		endpoint, more string
		good           bool
	}{
		{"https://contoso.search.windows.net", "", true},
		{"https://CONTOSO.Search.Windows.Net/", "", true},
		{"https://contoso.search.azure.us", "", true},
		{"https://search.windows.net.evil.example", "", false},
		{"https://evilsearch.windows.net", "", false},
		{"https://evil.example", "", false},
		{"https://evil.example", "AZURE_SEARCH_KEY", true},
		{"https://evil.example", "CLIENT_SECRET", true}, // the API's own token, and not the machine's
	} {
		values := map[string]string{
			"TENANT_ID": "c0470500-0000-4000-8000-000000000001", "API_CLIENT_ID": "c0470500-0000-4000-8000-000000000002",
			"AZURE_FEDERATED_TOKEN_FILE": tokenFile, "AZURE_SEARCH_ENDPOINT": c.endpoint, "AZURE_SEARCH_INDEX": "docs",
		}
		if c.more != "" {
			values[c.more] = "x"
		}
		_, err := server.Configure(shell.SettingsOf(values), shell.Trust{}, slog.New(slog.DiscardHandler))
		if (err == nil) != c.good || err != nil && !strings.Contains(err.Error(), "gets no token") {
			t.Errorf("%s %s: got %v", c.endpoint, c.more, err)
		}
	}
}

// Whatever is wrong with a setting, the error says what would be right.
func TestWrongSettingsAreMended(t *testing.T) {
	good := map[string]string{
		"TENANT_ID": "c0470500-0000-4000-8000-000000000001", "API_CLIENT_ID": "c0470500-0000-4000-8000-000000000002",
		"CLIENT_SECRET": "x", "AZURE_SEARCH_ENDPOINT": "https://contoso.search.windows.net", "AZURE_SEARCH_INDEX": "docs",
		"AGENT_CLIENT_ID": "c0470500-0000-4000-8000-000000000003", "AGENT_CLIENT_SECRET": "x", "REDIS_URL": "redis://localhost", "CACHE_SECRET": strings.Repeat("x", 32),
	}
	for _, c := range []struct{ name, value, hint string }{
		{"TENANT_ID", "", "--env"},
		{"TENANT_ID", "<your-tenant>", "--env"},
		{"TENANT_ID", "contoso.com", "Directory (tenant) ID"},
		{"API_CLIENT_ID", strings.Repeat("a", 4000), "Application (client) ID"},
		{"API_APP_ID_URI", "docs", "Application ID URI"},
		{"CLIENT_SECRET", "<secret>", "--env"},
		{"CLIENT_CERTIFICATE_PATH", "nowhere.pem", "registered with the API"},
		{"AZURE_FEDERATED_TOKEN_FILE", "nowhere", "workload identity"},
		{"MANAGED_IDENTITY_CLIENT_ID", "1", "user-assigned"},
		{"AZURE_AUTHORITY_HOST", "login.microsoftonline.us", "https://login.microsoftonline.us/"},
		{"GRAPH_ENDPOINT", "graph.microsoft.us", "https://graph.microsoft.us"},
		{"AZURE_SEARCH_ENDPOINT", "contoso", "Overview > Url"},
		{"AZURE_SEARCH_KEY", "<key>", "query key"},
		{"MCP_URL", "http://mcp.contoso.com/mcp", "https://mcp.contoso.com/mcp"},
		{"WEB_URL", "agent.contoso.com", "https://agent.contoso.com"},
		{"ONBEHALF_CA_FILE", "nowhere.pem", "onbehalf local"},
		{"CACHE_SECRET", "short", "openssl rand"},
		{"REDIS_URL", "localhost:6379", "rediss://"},
		{"AGENT_CLIENT_ID", "agent", "the web agent"},
	} {
		values := maps.Clone(good)
		values[c.name] = c.value
		if slices.Contains([]string{"CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE", "MANAGED_IDENTITY_CLIENT_ID"}, c.name) {
			delete(values, "CLIENT_SECRET")
		}
		settings, logger := shell.SettingsOf(values), slog.New(slog.DiscardHandler)
		_, err := server.Configure(settings, shell.Trust{}, logger)
		if _, webErr := server.ConfigureWeb(settings, shell.Trust{}, logger); err == nil {
			err = webErr
		}
		if _, cacheErr := server.SharedCache(settings, logger); err == nil {
			err = cacheErr
		}
		if hint := shell.HintOf(err); !strings.Contains(hint, c.hint) || !strings.Contains(err.Error(), c.name) || len(err.Error()) > 1000 {
			t.Errorf("%s=%.20s: %v, hint %q, want %q", c.name, c.value, err, hint, c.hint)
		}
	}
	password := maps.Clone(good)
	password["MCP_URL"] = "https://alice:hunter2@mcp.contoso.com/mcp"
	if _, err := server.Configure(shell.SettingsOf(password), shell.Trust{}, slog.New(slog.DiscardHandler)); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a password in a URL: %v", err)
	}
}
