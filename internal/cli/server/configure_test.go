package server_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/internal/cli/server"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// The tokens of the machine's identity, which may be a person's sign-in with Azure's tools, go to Microsoft alone.
func TestWhoGetsTheMachinesTokens(t *testing.T) {
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
			"AZURE_FEDERATED_TOKEN_FILE": "/nowhere", "AZURE_SEARCH_ENDPOINT": c.endpoint, "AZURE_SEARCH_INDEX": "docs",
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
